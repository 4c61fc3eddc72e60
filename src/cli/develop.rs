//! `topgraft develop`: a source task -> a neck, for other tasks to be learned on.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use topgraft::learn::{
    Comparison, Developed, Evaluation, Extracted, FeatureCache, Model, NeckSettings, Scaling, Verdict, develop,
};
use topgraft::topgraft_core::solver::backprop::{Epoch, Settings};
use topgraft::trunk::Trunk;

use super::Outcome;
use super::backbone::BackboneArgs;
use super::guard::check_output;
use super::input::{CutArgs, Input};
use super::photos::skipped_json;
use super::text::{counted, duration, hex, percent, plain, plain_path, shortest};

/// Develop a hidden layer on a source task with many samples, to learn other tasks on: `learn --trunk`
#[derive(clap::Args)]
pub struct Args {
    /// Source task: a folder that holds one folder of photos per class; or rows of numbers, a .csv or .npy file
    #[arg(long, value_name = "PHOTOS")]
    source: PathBuf,
    /// Neck to write
    #[arg(short, long, value_name = "NECK.graft")]
    output: PathBuf,
    #[command(flatten)]
    backbone: BackboneArgs,
    #[command(flatten)]
    cut: CutArgs,
    /// Labels of a .npy file: a .npy of whole numbers, or a text with a class a line
    #[arg(long, value_name = "LABELS")]
    labels: Option<PathBuf>,
    /// File that keeps the features of photos, so that the trunk runs once on each; made if it is not there
    #[arg(long, value_name = "FILE")]
    cache: Option<PathBuf>,
    /// Units of the hidden layer
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65536))]
    hidden: u32,
    /// The most passes over the samples
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,
    /// Samples whose mean gradient makes a step
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Length of a step of Adam
    #[arg(long, value_name = "RATE", default_value_t = 1e-3)]
    learning_rate: f32,
    /// Share of the hidden units that are dropped in training, below 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    dropout: f32,
    /// Share that weights lose in a step, over the learning rate
    #[arg(long, value_name = "DECAY", default_value_t = 1e-2)]
    weight_decay: f32,
    /// Stop after so many epochs without a lesser validation loss
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    patience: u32,
    /// Share of each class's samples that tell when to stop
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    validation: f64,
    /// Share of each class's samples that are held out, to measure with
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    test: f64,
    /// Seed of all that is random
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Args {
    fn settings(&self) -> NeckSettings {
        let training = Settings {
            learning_rate: self.learning_rate,
            weight_decay: self.weight_decay,
            dropout: self.dropout,
            batch: self.batch as usize,
            epochs: self.epochs,
            patience: self.patience,
        };
        NeckSettings {
            hidden_dim: self.hidden as usize,
            scaling: Scaling::Standard,
            training,
            validation: self.validation,
            test: self.test,
            seed: self.seed,
        }
    }
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    check_paths(args)?;
    let input = Input::open(&args.source, args.labels.as_deref())?;
    check_output(&args.output, [], Some(&input.dataset), "the neck", "--output")?;
    input.check_teachable(&input.dataset, Developed::LEAST_SAMPLES)?;
    if input.rows.is_some() && args.cache.is_some() {
        anyhow::bail!("{}: --cache is for photos; rows have nothing to keep", args.source.display());
    }
    let settings = args.settings();
    settings.check()?;
    let trunk = args.cut.trunk(&args.backbone, &input)?;
    let mut cache = args.cache.as_deref().map(|path| FeatureCache::open(path, &trunk)).transpose()?;
    let (extracted, extract_time) = input.extract(&trunk, &input.dataset, Vec::new(), cache.as_mut(), None)?;
    let kept = cache.as_mut().map_or(Ok(()), FeatureCache::save).map_err(super::message::message);

    input.check_teachable(&extracted.dataset, Developed::LEAST_SAMPLES)?;
    let bar = epochs_bar(args.epochs);
    let (labels, classes) = (extracted.labels(), &extracted.dataset.classes);
    let developed = develop(&trunk, extracted.features.view(), &labels, classes.len(), &settings, |epoch| {
        bar.set_position(epoch.number.into());
        bar.set_message(format!("validation loss {:.4}", epoch.validation_loss));
    });
    bar.finish_and_clear();
    let report = Report { trunk, input, extracted, extract_time, developed: developed?, settings };
    let model = report.developed.model(&report.trunk, report.extracted.dataset.classes.clone());
    model.save(&args.output, args.force)?;

    let mut out = std::io::stdout().lock();
    if args.json {
        let mut summary = report.json(&model);
        summary["output"] = json!(args.output.display().to_string());
        writeln!(out, "{summary}")?;
    } else {
        report.print(&mut out)?;
        let bytes = std::fs::metadata(&args.output).map_or(0, |file| file.len());
        writeln!(out, "written    {} ({:.1} KB)", plain_path(&args.output), bytes as f64 / 1e3)?;
    }
    Ok(match (kept, report.extracted.skipped.is_empty()) {
        (Err(()), _) => Outcome::SomethingFailed,
        (Ok(()), true) => Outcome::Done,
        (Ok(()), false) => Outcome::SomeInputBad,
    })
}

/// What can be refused is refused before the work starts.
fn check_paths(args: &Args) -> anyhow::Result<()> {
    Model::check_path(&args.output, args.force)?;
    let folder = args.output.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        anyhow::bail!("{}: no such folder to write the neck to; make it first", folder.display());
    }
    let read = [args.cache.clone(), args.labels.clone(), args.backbone.file(), Some(args.source.clone())];
    check_output(&args.output, read.into_iter().flatten(), None, "the neck", "--output")
}

/// A bar on standard error, if that is a terminal.
fn epochs_bar(epochs: u32) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} epoch {pos} of at most {len}, {msg}");
    ProgressBar::new(epochs.into()).with_style(style.expect("a valid template"))
}

/// What came out.
struct Report {
    trunk: Trunk,
    input: Input,
    extracted: Extracted,
    extract_time: Duration,
    developed: Developed,
    settings: NeckSettings,
}

impl Report {
    /// A few lines for a person.
    fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        let Self { trunk, extracted, developed, settings, .. } = self;
        let (classes, noun) = (&extracted.dataset.classes, self.input.noun());
        let counts = classes.iter().zip(extracted.dataset.counts());
        let counts: Vec<String> = counts.map(|(label, n)| format!("{label} {n}")).collect();
        let n = extracted.features.nrows();
        writeln!(
            out,
            "trunk      {} cut at {}: {}",
            plain(trunk.backbone_name()),
            plain(trunk.cut()),
            counted(trunk.feature_dim(), "feature")
        )?;
        writeln!(out, "source     {} of {} classes: {}", counted(n, noun), classes.len(), plain(&counts.join(", ")))?;
        if !extracted.skipped.is_empty() {
            let all = counted(n + extracted.skipped.len(), noun);
            writeln!(out, "skipped    {} of {all} could not be read", extracted.skipped.len())?;
        }
        writeln!(out, "features   {}", duration(self.extract_time))?;
        let [train, validation, test] = developed.split;
        writeln!(out, "split      {train} to train, {validation} to validate, {test} held out")?;
        let Epoch { number, training_loss, validation_loss } = developed.training.best;
        writeln!(
            out,
            "training   {}, {} in {}; best {number}, validation loss {validation_loss:.4} (training {training_loss:.4})",
            counted(settings.hidden_dim, "hidden unit"),
            counted(developed.training.epochs as usize, "epoch"),
            duration(developed.training_time),
        )?;
        let Comparison { naive, linear, with_neck, .. } = &developed.comparison;
        let always = format!(", always {}", plain(&classes[usize::from(developed.majority)]));
        for (name, evaluation, note) in
            [("naive", naive, always.as_str()), ("linear", linear, ", the head of `learn`"), ("neck", with_neck, "")]
        {
            let [low, high] = evaluation.interval();
            writeln!(
                out,
                "{name:<10} {} of the {test} held out, 95 % interval {:.1} to {:.1} %{note}",
                percent(evaluation.accuracy()),
                100.0 * low,
                100.0 * high
            )?;
        }
        writeln!(out, "verdict    {}", self.verdict())
    }

    /// What the comparison comes to, in words.
    fn verdict(&self) -> String {
        let comparison = &self.developed.comparison;
        let (points, [naive, linear]) = (100.0 * comparison.gain(), comparison.p_values);
        let beside = match points {
            0.0 => "as good as the linear head".to_owned(),
            0.0.. => format!("{points:.1} points above the linear head"),
            _ => format!("{:.1} points below the linear head", -points),
        };
        match comparison.verdict() {
            Verdict::Helps => format!("the neck helps: {beside} (p = {})", Short(linear)),
            Verdict::NoGain => format!(
                "the neck does not help: {beside}, which chance explains (p = {}); learn on the trunk without it",
                Short(linear)
            ),
            Verdict::Hurts => {
                format!("the neck hurts: {beside} (p = {}); learn on the trunk without it", Short(linear))
            }
            Verdict::NothingLearned => format!(
                "nothing was learned: chance explains what parts the neck from always saying one class (p = {})",
                Short(naive)
            ),
        }
    }

    /// One object with stable keys; documented in docs/json.md.
    fn json(&self, model: &Model) -> Value {
        let Self { trunk, extracted, developed, settings, .. } = self;
        let class = |(label, photos): (&String, usize)| json!({ "label": label, "photos": photos });
        let accuracy = |evaluation: &Evaluation| {
            json!({
                "accuracy": evaluation.accuracy(),
                "interval": evaluation.interval(),
                "correct": evaluation.correct(),
            })
        };
        let [train, validation, test] = developed.split;
        let Comparison { naive, linear, with_neck, p_values } = &developed.comparison;
        let best = developed.training.best;
        json!({
            "backbone": model.backbone,
            "cut": model.cut,
            "trunk": hex(&trunk.fingerprint()),
            "fingerprint": hex(&model.fingerprint),
            "feature_dim": trunk.feature_dim(),
            "hidden_dim": settings.hidden_dim,
            "classes": extracted.dataset.classes.iter().zip(extracted.dataset.counts()).map(class).collect::<Value>(),
            "n_samples": extracted.features.nrows(),
            "split": { "train": train, "validation": validation, "test": test },
            "epochs": developed.training.epochs,
            "best_epoch": best.number,
            "training_loss": best.training_loss,
            "validation_loss": best.validation_loss,
            "l2": shortest(developed.l2),
            "naive": accuracy(naive),
            "linear": accuracy(linear),
            "neck": accuracy(with_neck),
            "gain": developed.comparison.gain(),
            "p_value": { "naive": p_values[0], "linear": p_values[1] },
            "verdict": developed.comparison.verdict().name(),
            "seconds": {
                "features": self.extract_time.as_secs_f64(),
                "training": developed.training_time.as_secs_f64(),
            },
            "skipped": skipped_json(extracted),
        })
    }
}

/// A probability with two digits.
struct Short(f64);

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0.1.. => write!(f, "{:.2}", self.0),
            0.001.. => write!(f, "{:.3}", self.0),
            _ => write!(f, "{:.0e}", self.0),
        }
    }
}
