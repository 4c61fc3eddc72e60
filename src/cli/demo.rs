//! `topgraft demo`: the whole way on the photos of the repository.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::bail;
use serde_json::{Value, json};
use topgraft::learn::{Classifier, Dataset, Evaluation, UNKNOWN_RATE};

use super::Outcome;
use super::backbone::BackboneArgs;
use super::input::Input;
use super::learn::Lesson;
use super::photos::{extract, skipped_json};
use super::text::{duration, percent, plain_path, shortest};

/// Learn six classes from five photos each, then classify photos that were not learned from
#[derive(clap::Args)]
pub struct Args {
    /// Folder with the folders `learn` and `new` [default: models/demo of the repository]
    #[arg(value_name = "PHOTOS")]
    photos: Option<PathBuf>,
    #[command(flatten)]
    backbone: BackboneArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let folder = args.photos.clone().or_else(demo_folder);
    let Some(folder) = folder else {
        bail!(
            "models/demo: not found; run this in Topgraft's repository, or give a folder with `learn` and `new` in it"
        );
    };
    let taught = Input::open(&folder.join("learn"), None)?;
    let new = Dataset::open(&folder.join("new"))?;
    taught.check_teachable(&taught.dataset, 2)?;
    if new.classes != taught.dataset.classes {
        bail!("{}: learn and new have different classes; make them the same", folder.display());
    }
    let mut out = std::io::stdout().lock();
    let start = Instant::now();
    let trunk = args.backbone.trunk(None)?;
    let load_time = start.elapsed();
    let lesson = Lesson::with_defaults(&trunk, &taught)?;
    let model = lesson.model(&trunk, UNKNOWN_RATE);
    if !args.json {
        writeln!(out, "Teaching from the photos in {}", plain_path(&folder.join("learn")))?;
        writeln!(out, "loading    {}", duration(load_time))?;
        lesson.print(&model, &mut out)?;
        writeln!(out, "\nPhotos that it has not seen, all different ones, from {}", plain_path(&folder.join("new")))?;
    }

    let classifier = Classifier::new(model, trunk)?;
    let (extracted, time) = extract(classifier.trunk(), &new, Vec::new(), None, None)?;
    let labels = &classifier.model().labels;
    let (mut pairs, mut lines) = (Vec::new(), Vec::new());
    for (sample, row) in extracted.dataset.samples.iter().zip(extracted.features.rows()) {
        let prediction = classifier.predict(row.as_slice().expect("standard layout"))?;
        let (class, probability) = prediction.top(1).next().unwrap_or_default();
        pairs.push((sample.label, class));
        let (label, truth) = (&labels[usize::from(class)], &labels[usize::from(sample.label)]);
        if args.json {
            lines.push(json!({
                "path": sample.path.display().to_string(),
                "true": truth,
                "label": label,
                "probability": shortest(probability),
                "unknown": prediction.unknown,
            }));
            continue;
        }
        let verdict = if label == truth { "right" } else { "wrong" };
        let name = sample.path.strip_prefix(folder.join("new")).unwrap_or(&sample.path);
        let unknown = if prediction.unknown == Some(true) { "   unknown" } else { "" };
        writeln!(out, "  {verdict}  {label:<12} {:>7}   {}{unknown}", percent(probability.into()), plain_path(name))?;
    }
    let evaluation = Evaluation::new(labels.len(), pairs);
    let [low, high] = evaluation.interval();
    if args.json {
        let mut summary = lesson.json(classifier.model());
        summary["new"] = json!({
            "accuracy": evaluation.accuracy(),
            "interval": [low, high],
            "correct": evaluation.correct(),
            "n_samples": evaluation.n_samples(),
            "predictions": Value::Array(lines),
            "skipped": skipped_json(&extracted),
        });
        writeln!(out, "{summary}")?;
    } else if evaluation.n_samples() == 0 {
        writeln!(out, "none of them could be read, so there is nothing to count")?;
    } else {
        writeln!(
            out,
            "{} of {} right: {}, 95 % interval {:.1} to {:.1} %; {} a photo",
            evaluation.correct(),
            evaluation.n_samples(),
            percent(evaluation.accuracy()),
            100.0 * low,
            100.0 * high,
            duration(time / evaluation.n_samples().max(1))
        )?;
    }
    Ok(if extracted.skipped.is_empty() { lesson.outcome() } else { Outcome::SomeInputBad })
}

/// models/demo below the working folder, or beside a folder that the program lies in (target/release).
fn demo_folder() -> Option<PathBuf> {
    let program = std::env::current_exe().ok();
    let above_program = program.iter().flat_map(|program| program.ancestors().skip(1));
    let here = std::iter::once(Path::new(""));
    here.chain(above_program).map(|folder| folder.join("models/demo")).find(|folder| folder.join("learn").is_dir())
}
