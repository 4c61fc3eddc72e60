//! `topgraft learn`: a folder of photos -> a head file.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};
use topgraft::learn::{Dataset, Extracted, Fitted, Model, Sample, Scaling, TooFew, fit};
use topgraft::trunk::Trunk;

use super::Outcome;
use super::backbone::BackboneArgs;
use super::photos::{extract, skipped_json};
use super::text::{duration, hex, percent, plain, plain_path, shortest};

/// Learn a head from labelled photos, one folder per class
#[derive(clap::Args)]
pub struct Args {
    /// Folder that holds one folder of photos per class, named after it
    photos: PathBuf,
    /// Head file to write
    #[arg(short, long, value_name = "HEAD.graft")]
    output: PathBuf,
    #[command(flatten)]
    backbone: BackboneArgs,
    /// Layer whose output are the features; `topgraft layers` lists them [default: the penultimate]
    #[arg(long, value_name = "LAYER")]
    cut: Option<String>,
    /// Take this many photos of each class, at random [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    shots: Option<u32>,
    /// Seed of that choice
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// What to do to the features before the head
    #[arg(long, value_enum, default_value = "l2")]
    scaling: ScalingArg,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum ScalingArg {
    /// Scale each feature vector to length 1
    L2,
    /// Subtract the mean and divide by the deviation, feature by feature
    Standard,
    /// Leave the features as they are
    None,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    // What can be refused is refused before the work starts.
    Model::check_path(&args.output, args.force)?;
    let folder = args.output.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        anyhow::bail!("{}: no such folder to write the head file to; make it first", folder.display());
    }
    let mut dataset = Dataset::open(&args.photos)?;
    dataset.check_teachable()?;
    let mut spares = Vec::new();
    if let Some(shots) = args.shots {
        (dataset, spares) = dataset.shots_and_spares(shots as usize, args.seed)?;
    }
    let trunk = args.backbone.trunk(args.cut.as_deref())?;

    let lesson = Lesson::teach(&trunk, &dataset, spares, args.scaling)?;
    let model = Model::new(&trunk, dataset.classes, &lesson.fitted);
    model.save(&args.output, args.force)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        let mut summary = lesson.json(&model);
        summary["output"] = json!(args.output.display().to_string());
        writeln!(out, "{summary}")?;
    } else {
        lesson.print(&model, &mut out)?;
        let bytes = std::fs::metadata(&args.output).map_or(0, |file| file.len());
        writeln!(out, "written    {} ({:.1} KB)", plain_path(&args.output), bytes as f64 / 1e3)?;
    }
    Ok(lesson.outcome())
}

/// Photos that were learned from, and what came out.
pub struct Lesson {
    extracted: Extracted,
    extract_time: Duration,
    fitted: Fitted,
}

impl Lesson {
    fn teach(trunk: &Trunk, dataset: &Dataset, spares: Vec<Vec<Sample>>, scaling: ScalingArg) -> anyhow::Result<Self> {
        let scaling = match scaling {
            ScalingArg::None => Scaling::None,
            ScalingArg::L2 => Scaling::L2,
            ScalingArg::Standard => Scaling::Standard,
        };
        let with_shots = !spares.is_empty();
        let (extracted, extract_time) = extract(trunk, dataset, spares)?;
        extracted.dataset.check_teachable()?;
        if with_shots {
            // As many as were asked for, or none.
            let counts = dataset.counts().into_iter().zip(extracted.dataset.counts());
            for (class, (shots, photos)) in dataset.classes.iter().zip(counts) {
                if photos < shots {
                    return Err(TooFew::Shots { class: class.clone(), photos, shots }.into());
                }
            }
        }
        let fitted = fit(extracted.features.view(), &extracted.labels(), dataset.classes.len(), scaling)?;
        Ok(Self { extracted, extract_time, fitted })
    }

    /// A lesson with the default settings.
    pub fn with_defaults(trunk: &Trunk, dataset: &Dataset) -> anyhow::Result<Self> {
        Self::teach(trunk, dataset, Vec::new(), ScalingArg::L2)
    }

    /// What came out.
    pub fn fitted(&self) -> &Fitted {
        &self.fitted
    }

    /// Photos that were skipped show in the exit code.
    pub fn outcome(&self) -> Outcome {
        if self.extracted.skipped.is_empty() { Outcome::Done } else { Outcome::SomeInputBad }
    }

    /// The class that the naive model always says.
    fn majority_class<'a>(&self, model: &'a Model) -> &'a str {
        let counts = self.extracted.dataset.counts();
        let largest = (0..counts.len()).rev().max_by_key(|class| counts[*class]).unwrap_or(0);
        &model.labels[largest]
    }

    /// A few lines for a person.
    pub fn print(&self, model: &Model, out: &mut impl Write) -> std::io::Result<()> {
        let Self { extracted, extract_time, fitted } = self;
        let counts = extracted.dataset.counts();
        let classes: Vec<String> = model.labels.iter().zip(&counts).map(|(label, n)| format!("{label} {n}")).collect();
        let n = extracted.features.nrows();
        writeln!(
            out,
            "trunk      {} cut at {}: {} features",
            plain(&model.backbone),
            plain(&model.cut),
            model.head.feature_dim()
        )?;
        writeln!(out, "classes    {}, shots: {}", model.labels.len(), plain(&classes.join(", ")))?;
        if !extracted.skipped.is_empty() {
            writeln!(
                out,
                "skipped    {} of {} photos could not be read",
                extracted.skipped.len(),
                n + extracted.skipped.len()
            )?;
        }
        let per_photo = duration(*extract_time / (n + extracted.skipped.len()).max(1) as u32);
        let threads = rayon::current_num_threads();
        writeln!(
            out,
            "features   {} for {n} photos, {per_photo} a photo, {threads} at a time",
            duration(*extract_time)
        )?;
        let report = &fitted.report;
        let optimum = if report.converged { "to the optimum" } else { "as near to the optimum as 32 bits allow" };
        let passes = report.passes;
        writeln!(out, "training   {} {optimum}, {passes} passes; L2 {}", duration(fitted.fit_time), model.l2)?;
        let evaluation = &fitted.evaluation;
        let [low, high] = evaluation.interval();
        writeln!(
            out,
            "accuracy   {} on left-out photos ({}, {}), 95 % interval {:.1} to {:.1} %",
            percent(evaluation.accuracy()),
            method(fitted.cross_validation.folds, n),
            duration(fitted.cross_validation_time),
            100.0 * low,
            100.0 * high
        )?;
        let naive = f64::from(evaluation.majority()) / f64::from(evaluation.n_samples());
        writeln!(out, "naive      {} by always saying {}", percent(naive), plain(self.majority_class(model)))
    }

    /// One object with stable keys; documented in docs/json.md.
    pub fn json(&self, model: &Model) -> Value {
        let Self { extracted, extract_time, fitted } = self;
        let counts = extracted.dataset.counts();
        let class = |(label, photos): (&String, usize)| json!({ "label": label, "photos": photos });
        let evaluation = &fitted.evaluation;
        json!({
            "backbone": model.backbone,
            "cut": model.cut,
            "fingerprint": hex(&model.fingerprint),
            "feature_dim": model.head.feature_dim(),
            "classes": model.labels.iter().zip(counts).map(class).collect::<Value>(),
            "n_samples": evaluation.n_samples(),
            "l2": shortest(model.l2),
            "converged": fitted.report.converged,
            "accuracy": evaluation.accuracy(),
            "interval": evaluation.interval(),
            "baseline": f64::from(evaluation.majority()) / f64::from(evaluation.n_samples()),
            "folds": fitted.cross_validation.folds,
            "seconds": {
                "features": extract_time.as_secs_f64(),
                "fit": fitted.fit_time.as_secs_f64(),
                "evaluation": fitted.cross_validation_time.as_secs_f64(),
            },
            "skipped": skipped_json(extracted),
        })
    }
}

/// What a number of folds is called.
pub fn method(folds: usize, n_samples: usize) -> String {
    if folds == n_samples { "leave-one-out".to_owned() } else { format!("{folds}-fold cross-validation") }
}
