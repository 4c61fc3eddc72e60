//! `topgraft classify`: photos -> labels with probabilities.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::json;
use topgraft::learn::{Classifier, ExtractError, Model, NotFinite, Prediction, Rows, extract, photos_below};
use topgraft::topgraft_core::head::softmax;
use topgraft::trunk::Trunk;

use super::Outcome;
use super::backbone::BackboneArgs;
use super::input::check_neck;
use super::message::message;
use super::photos::progress_bar;
use super::text::{percent, plain, plain_path, shortest};

/// Photos that are read before the first of them is printed.
const BATCH: usize = 64;

/// Name what is on photos, with a head that was learned, or with the backbone's own 1000 classes
#[derive(clap::Args)]
pub struct Args {
    /// Photos, or folders of photos; for a head of rows .csv or .npy files
    #[arg(required = true, value_name = "IMG")]
    photos: Vec<PathBuf>,
    /// Head file, as written by `topgraft learn`
    #[arg(short, long, value_name = "HEAD.graft", required_unless_present = "imagenet")]
    model: Option<PathBuf>,
    /// Use the backbone's own classifier instead of a head
    #[arg(long, conflicts_with = "model")]
    imagenet: bool,
    #[command(flatten)]
    backbone: BackboneArgs,
    /// Neck that the head was taught on, to be sure of it: the head file holds it too
    #[arg(long, value_name = "NECK.graft", requires = "model")]
    trunk: Option<PathBuf>,
    /// Classes to print for each photo [default: 3; 5 with --imagenet]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(1..))]
    top: Option<u16>,
    /// Name a class even for a photo that looks like none of them
    #[arg(long)]
    no_unknown: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Features -> prediction: a head on a trunk, or a backbone's own classifier.
enum Judge {
    Head(Box<Classifier>),
    Whole { trunk: Box<Trunk>, labels: Vec<String>, logits: bool },
}

impl Judge {
    fn new(args: &Args) -> anyhow::Result<Self> {
        if let Some(path) = &args.model {
            let mut model = Model::open(path)?;
            if args.no_unknown {
                model.rejection = None;
            }
            check_neck(&model, path, args.trunk.as_deref())?;
            let trunk = args.backbone.trunk_of(&model, path)?;
            let classifier = Classifier::new(model, trunk);
            return Ok(Self::Head(Box::new(classifier.with_context(|| path.display().to_string())?)));
        }
        let backbone = args.backbone.open()?;
        let labels = backbone.entry().map(|entry| entry.labels()).transpose()?.flatten();
        let (Some(layer), Some(labels)) = (backbone.classifier(), labels) else {
            bail!("{} has no classifier of its own with known labels; learn a head with it instead", backbone.name());
        };
        let trunk = backbone.cut(&layer.output, &backbone.preprocess().0)?;
        if trunk.feature_dim() != labels.len() {
            bail!("{} has {} outputs, but {} labels", backbone.name(), trunk.feature_dim(), labels.len());
        }
        Ok(Self::Whole { trunk: Box::new(trunk), labels, logits: backbone.gives_logits() })
    }

    fn trunk(&self) -> &Trunk {
        match self {
            Self::Head(classifier) => classifier.trunk(),
            Self::Whole { trunk, .. } => trunk,
        }
    }

    fn labels(&self) -> &[String] {
        match self {
            Self::Head(classifier) => &classifier.model().labels,
            Self::Whole { labels, .. } => labels,
        }
    }

    fn predict(&self, mut features: Vec<f32>) -> Result<Prediction, NotFinite> {
        Ok(match self {
            Self::Head(classifier) => classifier.predict(&features)?,
            Self::Whole { logits, .. } => {
                if *logits {
                    softmax(&mut features);
                }
                Prediction::new(features)
            }
        })
    }
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let judge = Judge::new(args)?;
    let top = args.top.map_or(if args.imagenet { 5 } else { 3 }, usize::from);
    if let Some(columns) = judge.trunk().columns() {
        return classify_rows(args, &judge, columns, top);
    }
    let (photos, mut all_good) = list(args)?;
    let mut out = std::io::stdout().lock();
    let bar = progress_bar(photos.len());
    // What the trunk said to the first photo that it failed on, and whether it has failed on all.
    let (mut failure, mut all_failed) = (None, true);
    for batch in photos.chunks(BATCH) {
        let results = extract(judge.trunk(), batch, || bar.inc(1));
        for (path, result) in batch.iter().zip(results) {
            match result {
                Ok(features) => {
                    all_failed = false;
                    let head = || args.model.iter().map(|head| head.display().to_string()).collect::<String>();
                    let prediction = judge.predict(features).with_context(head)?;
                    bar.suspend(|| print(&mut out, path, &judge, &prediction, top, args.json))?;
                }
                Err(error) => {
                    all_good = false;
                    bar.suspend(|| refuse(&mut out, path, &error.to_string(), args.json))?;
                    match error {
                        ExtractError::Run { .. } => _ = failure.get_or_insert(error),
                        ExtractError::Open(_) => all_failed = false,
                    }
                }
            }
        }
    }
    bar.finish_and_clear();
    if let Some(error) = failure.filter(|_| all_failed) {
        return Err(error.into());
    }
    Ok(if all_good { Outcome::Done } else { Outcome::SomeInputBad })
}

/// Rows in place of photos.
fn classify_rows(args: &Args, judge: &Judge, columns: usize, top: usize) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::Done;
    let mut out = std::io::stdout().lock();
    for path in &args.photos {
        let rows = match Rows::unlabelled(path, columns) {
            Ok(rows) => rows,
            Err(error) => {
                outcome = Outcome::SomeInputBad;
                refuse(&mut out, path, &error.to_string(), args.json)?;
                continue;
            }
        };
        for (sample, row) in rows.dataset.samples.iter().zip(rows.values.rows()) {
            match judge.trunk().row_features(row.as_slice().expect("standard layout")) {
                Ok(features) => {
                    let head = || args.model.iter().map(|head| head.display().to_string()).collect::<String>();
                    let prediction = judge.predict(features).with_context(head)?;
                    print(&mut out, &sample.path, judge, &prediction, top, args.json)?;
                }
                Err(error) => {
                    outcome = Outcome::SomeInputBad;
                    refuse(&mut out, &sample.path, &format!("{}: {error}", sample.path.display()), args.json)?;
                }
            }
        }
    }
    Ok(outcome)
}

/// The photos that were asked for, folders opened up; false if a folder could not be.
fn list(args: &Args) -> anyhow::Result<(Vec<PathBuf>, bool)> {
    let (mut photos, mut all_good) = (Vec::new(), true);
    let mut out = std::io::stdout().lock();
    for path in &args.photos {
        if !path.is_dir() {
            photos.push(path.clone());
            continue;
        }
        let reason = match photos_below(path) {
            Ok(found) if found.is_empty() => format!("{}: no photo in this folder", path.display()),
            Ok(found) => {
                photos.extend(found);
                continue;
            }
            Err(error) => error.to_string(),
        };
        all_good = false;
        refuse(&mut out, path, &reason, args.json)?;
    }
    Ok((photos, all_good))
}

fn print(
    out: &mut impl Write,
    path: &Path,
    judge: &Judge,
    prediction: &Prediction,
    top: usize,
    as_json: bool,
) -> std::io::Result<()> {
    let label = |class: u16| &judge.labels()[usize::from(class)];
    if as_json {
        let (class, probability) = prediction.top(1).next().unwrap_or_default();
        let entry = |(class, probability)| json!({ "label": label(class), "probability": shortest(probability) });
        let top: Vec<_> = prediction.top(top).map(entry).collect();
        let line = json!({
            "path": path.display().to_string(),
            "label": label(class),
            "probability": shortest(probability),
            "top": top,
            "unknown": prediction.unknown,
        });
        return writeln!(out, "{line}");
    }
    let entry = |(class, p): (u16, f32)| format!("{} {}", plain(label(class)), percent(p.into()));
    let classes = prediction.top(top).map(entry).collect::<Vec<_>>().join(", ");
    match prediction.unknown {
        Some(true) => writeln!(out, "{}: unknown ({classes})", plain_path(path)),
        _ => writeln!(out, "{}: {classes}", plain_path(path)),
    }
}

/// A photo that has no prediction: a line on standard error, and in JSON an object of its own.
fn refuse(out: &mut impl Write, path: &Path, reason: &str, as_json: bool) -> std::io::Result<()> {
    if as_json {
        writeln!(out, "{}", json!({ "path": path.display().to_string(), "error": reason }))?;
    }
    message(format_args!("skipped {reason}"));
    Ok(())
}
