//! `topgraft review`: what is wrong with the photos themselves.

use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};
use topgraft::learn::{
    Cost, DUPLICATE_COSINE, Dataset, Duplicates, Extracted, Fitted, Scaling, Suspect, confusions, fit, near_duplicates,
    suspects,
};

use super::Outcome;
use super::budget::{self, BudgetArgs};
use super::input::TrunkArgs;
use super::learn::method;
use super::photos::skipped_json;
use super::text::{counted, percent, plain, plain_path, shortest};

/// From this many times the photos of the smallest class on, the largest one is named.
const IMBALANCE: usize = 3;

/// Look for wrong labels, photos that are there twice, and classes that are too small or too alike
#[derive(clap::Args)]
pub struct Args {
    /// Folder that holds one folder of photos per class, or rows or texts, as for `learn`
    photos: PathBuf,
    #[command(flatten)]
    trunk: TrunkArgs,
    /// Entries to show of each kind
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    #[command(flatten)]
    budget: BudgetArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was found.
struct Findings {
    extracted: Extracted,
    /// What it was said to take.
    cost: Cost,
    fitted: Fitted,
    suspects: Vec<Suspect>,
    duplicates: Vec<Duplicates>,
    /// What one of them is called.
    noun: &'static str,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let input = args.trunk.input(&args.photos, None)?;
    input.check_teachable(&input.dataset, 2)?;
    let trunk = args.trunk.trunk(&input)?;
    let cost = |counts: &[usize]| Cost::of_review(counts, trunk.feature_dim(), rayon::current_num_threads());
    let check = |dataset: &Dataset| {
        let remedy = |_| format!("review fewer {}s, or allow more", input.noun());
        args.budget.check(dataset, input.noun(), cost, remedy)
    };
    check(&input.dataset)?;
    let (extracted, _) = input.extract(&trunk, &input.dataset, Vec::new(), None, None)?;
    extracted.dataset.check_teachable()?;
    check(&extracted.dataset)?;
    let cost = cost(&extracted.dataset.counts());
    budget::state(&extracted.dataset, input.noun(), trunk.feature_dim(), &cost);
    let labels = extracted.labels();
    // Of those that `learn` would try the first.
    let scaling = input.scalings().first().copied().unwrap_or(Scaling::L2);
    let fitted = fit(extracted.features.view(), &labels, input.dataset.classes.len(), scaling)?;
    let suspects = suspects(&fitted, &labels);
    let duplicates = near_duplicates(extracted.features.view(), &labels, DUPLICATE_COSINE);
    let findings = Findings { extracted, cost, fitted, suspects, duplicates, noun: input.noun() };
    let mut out = std::io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", findings.json(args.top.into()))?,
        false => findings.print(args.top.into(), &mut out)?,
    }
    Ok(if findings.extracted.skipped.is_empty() { Outcome::Done } else { Outcome::SomeInputBad })
}

impl Findings {
    fn path(&self, sample: usize) -> String {
        self.extracted.dataset.samples[sample].path.display().to_string()
    }

    fn label_of(&self, sample: usize) -> &str {
        self.class(self.extracted.dataset.samples[sample].label)
    }

    fn class(&self, class: u16) -> &str {
        &self.extracted.dataset.classes[usize::from(class)]
    }

    /// A few lines for a person.
    fn print(&self, top: usize, out: &mut impl Write) -> std::io::Result<()> {
        let Self { extracted, fitted, suspects, duplicates, noun, .. } = self;
        let (counts, classes) = (extracted.dataset.counts(), &extracted.dataset.classes);
        let list: Vec<String> = classes.iter().zip(&counts).map(|(class, n)| format!("{} {n}", plain(class))).collect();
        let n = extracted.features.nrows();
        let things = format!("{noun}s");
        writeln!(out, "{things:<10} {n} of {} classes: {}", classes.len(), list.join(", "))?;
        if !extracted.skipped.is_empty() {
            writeln!(out, "skipped    {} could not be read", counted(extracted.skipped.len(), noun))?;
        }
        let accuracy = percent(fitted.evaluation.accuracy());
        let method = method(fitted.left_out.folds, n);
        writeln!(out, "accuracy   {accuracy} on left-out {noun}s ({method})")?;
        let order = |class: &usize| counts[*class];
        let ends = (0..counts.len()).min_by_key(order).zip((0..counts.len()).max_by_key(order));
        if let Some((small, large)) = ends.filter(|(small, large)| counts[*large] >= IMBALANCE * counts[*small]) {
            let (small_n, large_n) = (counts[small], counts[large]);
            let (small, large) = (plain(&classes[small]), plain(&classes[large]));
            writeln!(out, "balance    {small} has {small_n} {noun}s, {large} {large_n}: add {noun}s of {small}")?;
        }
        for confusion in confusions(&fitted.evaluation).iter().take(top.min(3)) {
            let (truth, predicted) = (plain(self.class(confusion.truth)), plain(self.class(confusion.predicted)));
            let all = counts[usize::from(confusion.truth)];
            writeln!(out, "confused   {truth} taken for {predicted}: {} of {}", confusion.samples, counted(all, noun))?;
        }
        match suspects.len() {
            0 => writeln!(out, "\nNo label is contradicted by the other {noun}s.")?,
            count => writeln!(
                out,
                "\nLabels that the other {noun}s contradict, {} of {count}, the most suspicious first:",
                count.min(top)
            )?,
        }
        for suspect in suspects.iter().take(top) {
            writeln!(
                out,
                "  {} {}, rather {} {}   {}",
                plain(self.label_of(suspect.sample)),
                percent(suspect.label_probability.into()),
                plain(self.class(suspect.predicted)),
                percent(suspect.probability.into()),
                plain_path(&extracted.dataset.samples[suspect.sample].path)
            )?;
        }
        match duplicates.len() {
            0 => writeln!(out, "\nNo {noun} is there twice.")?,
            count => writeln!(
                out,
                "\nNear-duplicates, {} of {}; keep one of each:",
                count.min(top),
                counted(count, "group")
            )?,
        }
        for group in duplicates.iter().take(top) {
            let differ = if group.labels_differ { ", DIFFERENT LABELS" } else { "" };
            writeln!(out, "  cosine {:.3}{differ}", group.cosine)?;
            for sample in &group.samples {
                let path = &extracted.dataset.samples[*sample].path;
                writeln!(out, "    {}   {}", plain(self.label_of(*sample)), plain_path(path))?;
            }
        }
        Ok(())
    }

    /// One object with stable keys; documented in docs/json.md.
    fn json(&self, top: usize) -> Value {
        let Self { extracted, cost, fitted, suspects, duplicates, .. } = self;
        let class = |(label, photos): (&String, usize)| json!({ "label": label, "photos": photos });
        let photo = |sample: usize| json!({ "path": self.path(sample), "label": self.label_of(sample) });
        let suspect = |suspect: &Suspect| {
            json!({
                "path": self.path(suspect.sample),
                "label": self.label_of(suspect.sample),
                "label_probability": shortest(suspect.label_probability),
                "predicted": self.class(suspect.predicted),
                "probability": shortest(suspect.probability),
            })
        };
        let group = |group: &Duplicates| {
            json!({
                "cosine": shortest(group.cosine),
                "labels_differ": group.labels_differ,
                "photos": group.samples.iter().map(|sample| photo(*sample)).collect::<Value>(),
            })
        };
        let confusion = |confusion: &topgraft::learn::Confusion| {
            json!({
                "label": self.class(confusion.truth),
                "predicted": self.class(confusion.predicted),
                "photos": confusion.samples,
            })
        };
        json!({
            "classes": extracted.dataset.classes.iter().zip(extracted.dataset.counts()).map(class).collect::<Value>(),
            "n_samples": extracted.features.nrows(),
            "accuracy": fitted.evaluation.accuracy(),
            "n_suspects": suspects.len(),
            "suspects": suspects.iter().take(top).map(suspect).collect::<Value>(),
            "n_duplicates": duplicates.len(),
            "duplicates": duplicates.iter().take(top).map(group).collect::<Value>(),
            "confusions": confusions(&fitted.evaluation).iter().take(top).map(confusion).collect::<Value>(),
            "memory": { "estimate": cost.bytes },
            "skipped": skipped_json(extracted),
        })
    }
}
