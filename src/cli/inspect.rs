//! `topgraft inspect`: all that a head file says.

use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};
use topgraft::export::{channels, filter, layout, neck_json, preprocess_json, unknown_json};
use topgraft::learn::{Model, Scaling, wilson};
use topgraft::topgraft_core::format::{Calibration, Evaluation};
use topgraft::topgraft_core::preprocess::{Preprocess, Resize};
use topgraft::words::TextPooling;

use super::Outcome;
use super::learn::{method, setting};
use super::text::{counted, hex, percent, shortest, table};

/// Show all that a head file says
#[derive(clap::Args)]
pub struct Args {
    /// Head file, as written by `topgraft learn`
    #[arg(value_name = "HEAD.graft")]
    model: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let model = Model::open(&args.model)?;
    let summary = to_json(&model);
    let mut out = std::io::stdout().lock();
    match args.json {
        true => writeln!(out, "{summary}")?,
        false => print(&model, &mut out)?,
    }
    Ok(Outcome::Done)
}

/// One object with stable keys; documented in docs/json.md.
fn to_json(model: &Model) -> Value {
    json!({
        "backbone": model.backbone,
        "cut": model.cut,
        "fingerprint": hex(&model.fingerprint),
        "preprocess": preprocess_json(&model.preprocess),
        "labels": model.labels,
        "head": model.kind.name(),
        "n_classes": model.head.n_classes(),
        "feature_dim": model.head.feature_dim(),
        "parameters": model.head.parameter_count(),
        "l2": shortest(model.l2),
        "scaling": Scaling::of(&model.scaler).name(),
        "evaluation": model.evaluation.map(|Evaluation { folds, n_samples, correct, majority }| {
            json!({
                "folds": folds,
                "n_samples": n_samples,
                "correct": correct,
                "accuracy": f64::from(correct) / f64::from(n_samples),
                "interval": wilson(correct, n_samples),
                "baseline": f64::from(majority) / f64::from(n_samples),
            })
        }),
        "calibration": model.calibration.map(|Calibration { temperature, ece_before, ece_after }| {
            json!({
                "temperature": shortest(temperature),
                "ece_before": shortest(ece_before),
                "ece_after": shortest(ece_after),
            })
        }),
        "unknown": unknown_json(model),
        "neck": model.neck.as_ref().map(neck_json),
        "names": model.names.as_ref().map(|names| {
            json!({ "vectors": names.vectors.file, "words": names.vectors.words, "temperature": shortest(names.temperature) })
        }),
        "words": model.recipe.as_ref().map(|recipe| {
            json!({
                "vectors": recipe.file,
                "words": recipe.words,
                "dims": recipe.dims,
                "case": recipe.fold.name(),
                "pooling": recipe.pooling.name(),
            })
        }),
        "producer": model.producer,
    })
}

fn print(model: &Model, out: &mut impl Write) -> std::io::Result<()> {
    let Preprocess { width, height, resize, mean, scale, .. } = model.preprocess;
    let part = match resize {
        Resize::Squeeze => "whole photo squeezed".to_owned(),
        Resize::CenterCrop { fraction } => format!("centre crop {fraction}"),
    };
    let evaluation = model.evaluation.map_or("not measured".to_owned(), |evaluation| {
        let Evaluation { folds, n_samples, correct, majority } = evaluation;
        let [low, high] = wilson(correct, n_samples);
        let share = |part: u32| percent(f64::from(part) / f64::from(n_samples));
        let method = method(folds as usize, n_samples as usize);
        format!(
            "{} of {n_samples} left-out samples ({method}), 95 % interval {:.1} to {:.1} %; naive {}",
            share(correct),
            100.0 * low,
            100.0 * high,
            share(majority)
        )
    });
    let calibration = model.calibration.map_or("temperature 1, not fitted".to_owned(), |calibration| {
        let Calibration { temperature, ece_before, ece_after } = calibration;
        let [before, after] = [ece_before, ece_after].map(|error| percent(error.into()));
        format!("temperature {temperature}; calibration error {before} without it, {after} with it")
    });
    let unknown = model.rejection.as_ref().map_or("nothing is".to_owned(), |rejection| {
        let area = rejection.auroc.map(|area| format!("; a class held out: AUROC {area:.2}")).unwrap_or_default();
        let rate = percent(rejection.rate.into());
        let things = if model.recipe.is_some() { "texts" } else { "photos" };
        format!("below a score of {}, {rate} of {things} of these classes{area}", rejection.threshold)
    });
    let neck = model.neck.as_ref().map_or("none".to_owned(), |neck| {
        let (hidden, features) = (neck.hidden_dim(), counted(neck.feature_dim(), "feature"));
        format!("{hidden} units on {features}, scaling {}", Scaling::of(&neck.scaler).name())
    });
    let words = model.recipe.as_ref().map_or("none".to_owned(), |recipe| {
        let of = if recipe.pooling == TextPooling::Encoder { "piece" } else { "word" };
        format!("{}, {} of {} numbers", recipe.file, counted(recipe.words as usize, of), recipe.dims)
    });
    let names = model.names.as_ref().map_or("as taught only".to_owned(), |names| {
        format!("any, by the words of {} (`classify --candidates`)", names.vectors.file)
    });
    let (dims, parameters) = (model.head.feature_dim(), model.head.parameter_count());
    let rows = [
        ("labels", format!("{}: {}", model.labels.len(), model.labels.join(", "))),
        (
            "head",
            format!("{}, {}, {parameters} parameters{}", model.kind.name(), counted(dims, "feature"), setting(model)),
        ),
        ("scaling", Scaling::of(&model.scaler).name().to_owned()),
        ("accuracy", evaluation),
        ("calibrated", calibration),
        ("unknown", unknown),
        ("backbone", model.backbone.clone()),
        ("cut", model.cut.clone()),
        ("neck", neck),
        ("words", words),
        ("names", names),
        ("trunk", hex(&model.fingerprint)),
        ("input", format!("{width} x {height} {} {}", channels(&model.preprocess), layout(&model.preprocess))),
        ("resize", format!("{part}, {}", filter(&model.preprocess))),
        ("mean", format!("{mean:?} of 0..255")),
        ("scale", format!("{scale:?}")),
        ("producer", model.producer.clone()),
    ];
    // What a text goes through is told by its cut.
    let is_shown = |name: &str| model.recipe.is_none() || !["input", "resize", "mean", "scale"].contains(&name);
    let rows = rows.into_iter().filter(|(name, _)| is_shown(name));
    let rows: Vec<_> = rows.map(|(name, value)| vec![name.to_owned(), value]).collect();
    write!(out, "{}", table(&rows, &[]))
}
