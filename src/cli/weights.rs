//! `--class-weights`: how often the photos of a class count.

use std::str::FromStr;

use anyhow::{bail, ensure};
use topgraft::learn::{balanced, takes_class_weights};
use topgraft::topgraft_core::head::Kind;

/// The most that a class may count, and one over it the least: beyond, 32 bits lose the other classes.
const MOST: f32 = 1e4;

/// What was asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassWeights {
    /// All classes count alike, however many photos they have.
    Balanced,
    /// Classes by name; the others count once.
    Named(Vec<(String, f32)>),
}

impl FromStr for ClassWeights {
    type Err = String;

    /// `balanced`, or `LABEL=WEIGHT,LABEL=WEIGHT...`
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "balanced" {
            return Ok(Self::Balanced);
        }
        let pair = |pair: &str| {
            let (label, weight) = pair.rsplit_once('=').filter(|(label, _)| !label.is_empty())?;
            let weight = weight.parse().ok().filter(|weight: &f32| (1.0 / MOST..=MOST).contains(weight))?;
            Some((label.to_owned(), weight))
        };
        let pairs: Option<Vec<_>> = text.split(',').map(pair).collect();
        pairs
            .map(Self::Named)
            .ok_or_else(|| format!("give balanced, or LABEL=WEIGHT,... with weights from {} to {MOST}", 1.0 / MOST))
    }
}

impl ClassWeights {
    /// Kinds of heads out of `kinds` that take weights.
    ///
    /// # Errors
    /// If none of them does.
    pub fn kinds(&self, kinds: Vec<Kind>) -> anyhow::Result<Vec<Kind>> {
        let (take, refuse): (Vec<Kind>, Vec<Kind>) = kinds.into_iter().partition(|kind| takes_class_weights(*kind));
        if let ([], Some(kind)) = (take.as_slice(), refuse.first()) {
            bail!("--class-weights: {} heads take none; use --head softmax, ridge or auto", kind.name());
        }
        Ok(take)
    }

    /// Weight of each of `classes`, `[n_classes]`, for photos of these `labels`.
    ///
    /// # Errors
    /// A name that is no class, or is there twice.
    pub fn of(&self, classes: &[String], labels: &[u16]) -> anyhow::Result<Vec<f32>> {
        let Self::Named(pairs) = self else { return Ok(balanced(labels, classes.len())) };
        let mut weights = vec![None; classes.len()];
        for (label, weight) in pairs {
            let Some(class) = classes.iter().position(|class| class == label) else {
                bail!("--class-weights: no class `{label}`, only {}", classes.join(", "));
            };
            ensure!(weights[class].replace(*weight).is_none(), "--class-weights: `{label}` is there twice");
        }
        Ok(weights.into_iter().map(|weight| weight.unwrap_or(1.0)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_and_nonsense_is_not() {
        let named = |pairs: &[(&str, f32)]| {
            ClassWeights::Named(pairs.iter().map(|(label, weight)| ((*label).to_owned(), *weight)).collect())
        };
        assert_eq!("balanced".parse(), Ok(ClassWeights::Balanced));
        assert_eq!("a=2,b c=0.5".parse(), Ok(named(&[("a", 2.0), ("b c", 0.5)])));
        assert_eq!("x=y=3".parse(), Ok(named(&[("x=y", 3.0)])), "a name may have the sign in it");
        for text in ["", "a", "a=", "=1", "a=0", "a=-1", "a=1e30", "a=1e-5", "a=nan", "a=inf", "a=1,", "Balanced"] {
            assert!(text.parse::<ClassWeights>().is_err(), "{text}");
        }
    }

    #[test]
    fn each_class_gets_its_weight_and_the_others_count_once() {
        let classes = ["cat", "dog", "owl"].map(str::to_owned);
        let of = |text: &str| text.parse::<ClassWeights>().expect("sound").of(&classes, &[0, 0, 0, 1, 2, 2]);
        assert_eq!(of("owl=4").expect("a class"), [1.0, 1.0, 4.0]);
        assert_eq!(of("balanced").expect("classes"), [2.0 / 3.0, 2.0, 1.0]);
        assert_eq!(
            of("cow=4").expect_err("no class").to_string(),
            "--class-weights: no class `cow`, only cat, dog, owl"
        );
        assert!(of("cat=1,cat=2").expect_err("twice").to_string().contains("twice"));
    }
}
