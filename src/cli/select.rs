//! `topgraft select`: which source model suits these photos, which word vectors these texts.

mod vectors;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Value, json};
use topgraft::learn::{Candidate, Dataset, Extracted, Settings, pareto_front, pass_times, ranking};
use topgraft::vision::{self, Preprocessor};

use super::Outcome;
use super::backbone::{open, preprocess_of};
use super::budget;
use super::photos::{extract_taps, skipped_json};
use super::text::{bytes, counted, duration, percent, plain, table};
use super::vectors::PoolingArgs;

/// Rank source models: which of several pretrained networks suits these photos, or which word vectors these texts, on this
/// device
#[derive(clap::Args)]
pub struct Args {
    /// Pretrained networks, ONNX files or names of the catalog; `efficientnet_lite0` is the built-in one
    #[arg(required_unless_present = "vectors", conflicts_with = "vectors", value_name = "MODEL")]
    models: Vec<PathBuf>,
    /// Word vectors, in place of networks; may be given several times
    #[arg(long, value_name = "VECTORS")]
    vectors: Vec<PathBuf>,
    #[command(flatten)]
    pooling: PoolingArgs,
    /// Folder that holds one folder of photos per class, as for `learn`; or texts, for word vectors
    #[arg(last = true, required = true)]
    photos: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A source model that was tried.
struct Tried {
    name: String,
    cut: String,
    feature_dim: usize,
    weight_bytes: u64,
    multiply_adds: u64,
    extracted: Extracted,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    if !args.vectors.is_empty() {
        return vectors::run(args);
    }
    let dataset = Dataset::open(&args.photos)?;
    dataset.check_teachable()?;
    let (mut tried, mut candidates) = (Vec::new(), Vec::new());
    for model in &args.models {
        let (source, candidate) = try_out(model, &dataset)?;
        tried.push(source);
        candidates.push(candidate);
    }
    let report = Report { args, ranked: ranking(&candidates), front: pareto_front(&candidates), tried, candidates };
    let mut out = std::io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", report.json())?,
        false => report.print(&mut out)?,
    }
    let skipped = report.tried.iter().any(|source| !source.extracted.skipped.is_empty());
    Ok(if skipped { Outcome::SomeInputBad } else { Outcome::Done })
}

/// One network at a time is in memory.
fn try_out(model: &PathBuf, dataset: &Dataset) -> anyhow::Result<(Tried, Candidate)> {
    let backbone = open(Some(model))?;
    let preprocess = preprocess_of(&backbone);
    let layer =
        backbone.penultimate().context("`select` compares default cuts; see `topgraft probe` for this network")?;
    let taps = backbone.taps(&[&layer.output], &preprocess)?;
    let (photos, cut) = (dataset.samples.len(), Some(backbone.cut_name(layer)));
    budget::check_features(photos, taps.feature_dim(), cut, "leave this network out, or give fewer photos")?;
    let extracted = extract_taps(&taps, dataset)?;
    // Any photo will do.
    let photo = vision::open(&extracted.dataset.samples[0].path)?;
    let input = Preprocessor::new(&preprocess)?.apply(&photo);
    let pass_time = pass_times(&backbone, &taps, &[], &preprocess, &input)?.taps;
    let candidate = Candidate::new(&extracted, &Settings::default(), pass_time)?;
    let source = Tried {
        name: backbone.name().to_owned(),
        cut: backbone.cut_name(layer).to_owned(),
        feature_dim: layer.feature_dim,
        weight_bytes: 4 * layer.parameters,
        multiply_adds: layer.multiply_adds,
        extracted,
    };
    Ok((source, candidate))
}

/// What came out.
struct Report<'a> {
    args: &'a Args,
    tried: Vec<Tried>,
    candidates: Vec<Candidate>,
    ranked: Vec<usize>,
    front: Vec<bool>,
}

impl Report<'_> {
    /// From the best to the worst.
    fn rows(&self) -> impl Iterator<Item = (&Tried, &Candidate, bool)> {
        self.ranked.iter().map(|&at| (&self.tried[at], &self.candidates[at], self.front[at]))
    }

    fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        let heading = [
            "",
            "model",
            "features",
            "left-out accuracy",
            "95 % interval",
            "head",
            "LogME",
            "H-score",
            "a photo",
            "weights",
        ];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        let score = |score: Option<f64>| score.map_or("-".to_owned(), |score| format!("{score:.3}"));
        for (source, candidate, on_front) in self.rows() {
            let evaluation = &candidate.fitted.evaluation;
            let [low, high] = evaluation.interval();
            rows.push(vec![
                if on_front { "*" } else { "" }.to_owned(),
                plain(&source.name),
                source.feature_dim.to_string(),
                percent(candidate.accuracy()),
                format!("{:.1} to {}", 100.0 * low, percent(high)),
                candidate.fitted.left_out.kind.name().to_owned(),
                score(candidate.log_me),
                score(candidate.h_score),
                duration(candidate.pass_time),
                bytes(source.weight_bytes),
            ]);
        }
        let first = &self.tried[self.ranked[0]];
        writeln!(
            out,
            "{} of {} classes\n",
            counted(first.extracted.features.nrows(), "photo"),
            first.extracted.dataset.classes.len()
        )?;
        write!(out, "{}", table(&rows, &[2, 3, 4, 6, 7, 8, 9]))?;
        let best = &self.args.models[self.ranked[0]];
        writeln!(
            out,
            "\n* none of the others is as good, by LogME, and as fast. Times are of one thread.\n\
             The best: topgraft learn --backbone {}",
            plain(&best.display().to_string())
        )
    }

    /// One object with stable keys; documented in docs/json.md.
    fn json(&self) -> Value {
        let model = |(source, candidate, on_front): (&Tried, &Candidate, bool)| {
            json!({
                "model": source.name,
                "cut": source.cut,
                "feature_dim": source.feature_dim,
                "n_samples": source.extracted.features.nrows(),
                "accuracy": candidate.accuracy(),
                "interval": candidate.fitted.evaluation.interval(),
                "head": candidate.fitted.left_out.kind.name(),
                "log_me": candidate.log_me,
                "h_score": candidate.h_score,
                "milliseconds": (candidate.pass_time.as_secs_f64() * 1e6).round() / 1e3,
                "multiply_adds": source.multiply_adds,
                "weight_bytes": source.weight_bytes,
                "pareto": on_front,
                "skipped": skipped_json(&source.extracted),
            })
        };
        let first = &self.tried[self.ranked[0]];
        json!({
            "classes": first.extracted.dataset.classes,
            "models": self.rows().map(model).collect::<Value>(),
            "best": first.name,
        })
    }
}
