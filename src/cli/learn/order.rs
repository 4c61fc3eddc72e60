//! What to fit, by the options.

use topgraft::learn::{Cost, Dataset, Model, Scaling, Settings, Views, takes_class_weights};
use topgraft::topgraft_core::head::Kind;

use super::super::budget::{self, BudgetArgs};
use super::super::input::Input;
use super::super::kinds::ScalingArg;
use super::super::weights::ClassWeights;
use super::Args;

/// What to fit.
pub struct Order<'a> {
    pub scalings: Vec<Scaling>,
    pub kinds: Vec<Kind>,
    pub class_weights: Option<&'a ClassWeights>,
    pub views: Option<Views>,
    pub budget: &'a BudgetArgs,
}

impl<'a> Order<'a> {
    pub fn new(args: &'a Args, input: &Input, source: Option<&Model>) -> anyhow::Result<Self> {
        let (scalings, mut kinds) = (Self::scalings(args, input, source), args.head.kinds());
        if args.words.is_some() {
            if !kinds.contains(&Kind::Ridge) {
                anyhow::bail!("--words needs the head of ridge regression; leave out --head, or give --head ridge");
            }
            kinds = vec![Kind::Ridge];
        }
        if let Some(weights) = &args.class_weights {
            kinds = weights.kinds(kinds)?;
            // That all of them are classes is seen before the work; what they come to, after it.
            weights.of(&input.dataset.classes, &[])?;
        }
        let views = args.views.views(args.seed);
        if views.is_some() && kinds.contains(&Kind::Nearest) {
            anyhow::bail!("--head nearest takes no --views: the nearest neighbours of a photo would be its own views");
        }
        Ok(Self { scalings, kinds, class_weights: args.class_weights.as_ref(), views, budget: &args.budget })
    }

    /// What a fit to so many samples of each class takes.
    pub fn cost(&self, counts: &[usize], feature_dim: usize, kinds: &[Kind]) -> Cost {
        let per_photo = self.views.map_or(1, |views| views.per_photo);
        let counts: Vec<usize> = counts.iter().map(|count| count * per_photo).collect();
        let settings = Settings { scalings: &self.scalings, kinds, class_weights: None };
        Cost::of_fit(&counts, feature_dim, &settings, rayon::current_num_threads())
    }

    /// Refuses a fit that takes more memory than it may.
    pub fn check(&self, dataset: &Dataset, noun: &str, feature_dim: usize) -> anyhow::Result<()> {
        let weighted = self.class_weights.is_some();
        let offered = Kind::LINEAR.into_iter().filter(|kind| !weighted || takes_class_weights(*kind));
        let cost = |counts: &[usize], kinds: &[Kind]| self.cost(counts, feature_dim, kinds);
        let remedy = |allowed| budget::remedy(&dataset.counts(), cost, &self.kinds, offered, allowed);
        Ok(self.budget.check(dataset, noun, |counts| cost(counts, &self.kinds), remedy)?)
    }

    /// What is asked for, else what the head was taught with that is started from, else what suits the features.
    pub fn scalings(args: &Args, input: &Input, source: Option<&Model>) -> Vec<Scaling> {
        match (args.scaling, source) {
            (Some(scaling), _) => scaling.scalings(),
            (None, Some(source)) if input.rows.is_some() => ScalingArg::of(&source.scaler).scalings(),
            (None, _) => input.scalings(),
        }
    }
}
