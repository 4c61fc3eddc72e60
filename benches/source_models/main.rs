//! How good the choices of `probe` and `select` are: made from training photos, judged on test photos.
//!
//! `cargo bench --bench source_models -- SHARED [SHOTS...]`, SHARED being a folder with `models/`, `data/images/` and `data/splits/`
//! (default `../shared`), SHOTS of `5`, `10`, `all`. For each set of photos, number of shots and split it probes each model's cuts and takes the
//! recommended one, and ranks the models by `select`'s three scores; then it fits heads at every cut and looks at how many test
//! photos each gets right. docs/source-models.md has what it prints.

#[path = "../splits.rs"]
mod splits;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ndarray::{Array2, ArrayView1, Axis};
use topgraft::learn::{Probed, Readings, Settings, for_each_photo, h_score, log_me, recommended};
use topgraft::topgraft_core::head::argmax;
use topgraft::topgraft_core::kernel::Kernels;
use topgraft::trunk::{Backbone, Pooling, Tap};

use splits::{Split, Splits};

const MODELS: [&str; 4] = ["efficientnet_lite0", "mobilenet_v2_tv", "mobilenet_v1_0.25", "resnet50_thin_opennsfw"];
const SETS: [&str; 2] = ["ants_bees", "signdigits10"];
const SHOTS: [&str; 3] = ["5", "10", "all"];

/// A model's features of a set of photos, in the order of its splits, at each of `probe`'s cuts; the last is the default one.
struct Source {
    backbone: Backbone,
    taps: Vec<Tap>,
    features: Array2<f32>,
}

/// What a model is worth for some training photos.
struct Outcome {
    /// Left-out accuracy at the default cut, its log-loss with the sign turned, LogME, H-score.
    scores: [f64; 4],
    /// Test accuracy at the default cut, at the recommended one, at the best one, in percent.
    tests: [f64; 3],
    /// Points that other rules for the cut lose to the best one: one standard error, the largest LogME.
    others: [f64; 2],
    recommended: String,
    best: String,
    /// Multiply-adds of the recommended cut as a share of the default cut's.
    cost: f64,
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let shared = args.next().map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let chosen: Vec<String> = args.collect();
    let shots_of = || SHOTS.into_iter().filter(|shots| chosen.is_empty() || chosen.iter().any(|name| name == shots));
    let mut choices = Vec::new();
    println!("| set | shots | model | default cut | recommended cut | best cut | recommended | multiply-adds | best |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for set in SETS {
        let path = shared.join(format!("data/splits/{set}.json"));
        let splits = Splits::open(&path)?;
        let sources = MODELS.map(|model| source(&shared, set, model, &splits));
        let sources = sources.into_iter().collect::<Result<Vec<_>>>()?;
        for shots in shots_of() {
            let mut by_model = Vec::new();
            for (model, source) in MODELS.iter().zip(&sources) {
                let outcomes = splits.splits.iter().map(|split| outcome(source, &splits, split, shots));
                let outcomes = outcomes.collect::<Result<Vec<_>>>()?;
                let mean = |of: &dyn Fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>() / outcomes.len() as f64;
                let cuts = |of: fn(&Outcome) -> &String| {
                    outcomes.iter().map(|o| of(o).as_str()).collect::<Vec<_>>().join(", ")
                };
                println!(
                    "| {set} | {shots} | {model} | {:.1} | {:.1} | {:.1} | {} | {:.0} % | {} |",
                    mean(&|o| o.tests[0]),
                    mean(&|o| o.tests[1]),
                    mean(&|o| o.tests[2]),
                    cuts(|o| &o.recommended),
                    100.0 * mean(&|o| o.cost),
                    cuts(|o| &o.best),
                );
                by_model.push(outcomes);
            }
            choices.push((set, shots, by_model));
        }
    }
    print_rules(&choices);
    print_choices(&choices);
    Ok(())
}

/// What rules for the cut lose to the best one, on average over the models; in brackets the most that they lose with one.
fn print_rules(choices: &[(&str, &str, Vec<Vec<Outcome>>)]) {
    println!("\n| set | shots | the deepest | recommended | one standard error | the largest LogME |");
    println!("|---|---|---|---|---|---|");
    for (set, shots, by_model) in choices {
        let rules: [&dyn Fn(&Outcome) -> f64; 4] =
            [&|o| o.tests[2] - o.tests[0], &|o| o.tests[2] - o.tests[1], &|o| o.others[0], &|o| o.others[1]];
        let cells = rules.map(|lost| {
            let mean = |outcomes: &Vec<Outcome>| outcomes.iter().map(lost).sum::<f64>() / outcomes.len() as f64;
            let lost: Vec<f64> = by_model.iter().map(mean).collect();
            format!(
                "{:.1} ({:.1})",
                lost.iter().sum::<f64>() / lost.len() as f64,
                lost.iter().fold(0.0f64, |a, b| a.max(*b))
            )
        });
        println!("| {set} | {shots} | {} |", cells.join(" | "));
    }
}

/// Of each score: how its ranking of the models agrees with that by test accuracy, and what its first choice loses.
fn print_choices(choices: &[(&str, &str, Vec<Vec<Outcome>>)]) {
    println!("\n| set | shots | best model | left-out accuracy: tau, points lost | log-loss | LogME | H-score |");
    println!("|---|---|---|---|---|---|---|");
    for (set, shots, by_model) in choices {
        let n_splits = by_model[0].len();
        let cells = [0, 1, 2, 3].map(|score| {
            let (mut tau, mut lost) = (0.0, 0.0);
            for split in 0..n_splits {
                let of =
                    |outcome: &dyn Fn(&Outcome) -> f64| by_model.iter().map(|o| outcome(&o[split])).collect::<Vec<_>>();
                let (scores, tests) = (of(&|o| o.scores[score]), of(&|o| o.tests[0]));
                let first = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).expect("models");
                tau += kendall(&scores, &tests) / n_splits as f64;
                lost += (tests.iter().fold(0.0f64, |a, b| a.max(*b)) - tests[first]) / n_splits as f64;
            }
            format!("{tau:.2}, {lost:.1}")
        });
        let mean = |model: usize| by_model[model].iter().map(|o| o.tests[0]).sum::<f64>();
        let best = (0..MODELS.len()).max_by(|a, b| mean(*a).total_cmp(&mean(*b))).expect("models");
        println!("| {set} | {shots} | {} | {} |", MODELS[best], cells.join(" | "));
    }
}

/// Kendall's tau-b.
fn kendall(a: &[f64], b: &[f64]) -> f64 {
    let pairs = || (0..a.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
    let sign =
        |of: &[f64], (i, j): (usize, usize)| of[i].partial_cmp(&of[j]).map_or(0.0, |order| f64::from(order as i8));
    let agreement: f64 = pairs().map(|pair| sign(a, pair) * sign(b, pair)).sum();
    let untied = |of: &[f64]| pairs().map(|pair| sign(of, pair).abs()).sum::<f64>();
    agreement / (untied(a) * untied(b)).sqrt().max(1.0)
}

fn source(shared: &Path, set: &str, model: &str, splits: &Splits) -> Result<Source> {
    let backbone = Backbone::open(&shared.join(format!("models/{model}.onnx")))?;
    let preprocess = backbone.preprocess().0;
    let mut cuts = Vec::new();
    for layer in backbone.candidates(8) {
        match layer.shape[..] {
            [_, _, height, width] if height > 1 && width > 1 => {
                cuts.extend(Pooling::OF_MAPS.map(|pooling| format!("{}:{}", layer.output, pooling.name())));
            }
            _ => cuts.push(layer.output.clone()),
        }
    }
    let taps = backbone.taps(&cuts, &preprocess)?;
    let folder = shared.join("data/images").join(set);
    let paths: Vec<PathBuf> = splits.files.iter().map(|file| folder.join(file)).collect();
    let rows = for_each_photo(&preprocess, &paths, || {}, |input| taps.features(input));
    let rows = rows.into_iter().collect::<Result<Vec<_>, _>>()?;
    let features = Array2::from_shape_vec((rows.len(), taps.feature_dim()), rows.concat())?;
    Ok(Source { taps: taps.list().to_vec(), backbone, features })
}

fn outcome(source: &Source, splits: &Splits, split: &Split, shots: &str) -> Result<Outcome> {
    let n_classes = usize::from(*splits.labels.iter().max().context("no labels")?) + 1;
    let labels_of = |samples: &[usize]| samples.iter().map(|i| splits.labels[*i]).collect::<Vec<u16>>();
    let (training, test) = (split.training(shots), &split.test);
    let (features, labels) = (source.features.select(Axis(0), training), labels_of(training));
    let (test_features, test_labels) = (source.features.select(Axis(0), test), labels_of(test));
    let readings = Readings { taps: &source.taps, features: features.view(), labels: &labels, n_classes };
    let asked = Readings { features: test_features.view(), labels: &test_labels, ..readings };
    let mut probed = readings.probe(&Settings::default(), || {})?;
    probed.extend(readings.probe_joined(&probed, &Settings::default())?);
    let tests: Vec<f64> = probed.iter().map(|probed| test_accuracy(probed, &asked)).collect();
    let default_cut = source.taps.len() - 1;
    let chosen = recommended(&probed).context("cuts")?;
    let best = (0..tests.len()).max_by(|a, b| tests[*a].total_cmp(&tests[*b])).context("cuts")?;
    // Breiman et al. 1984: the cheapest whose accuracy is within one standard error of the best.
    let accuracies: Vec<f64> = probed.iter().map(Probed::accuracy).collect();
    let highest = accuracies.iter().fold(0.0f64, |a, b| a.max(*b));
    let error = (highest * (1.0 - highest) / labels.len() as f64).sqrt();
    let good = (0..probed.len()).filter(|at| accuracies[*at] >= highest - error);
    let textbook = good.min_by_key(|at| probed[*at].tap.multiply_adds()).context("cuts")?;
    let worth = |at: usize| {
        let features = readings.of(&probed[at].tap);
        features.and_then(|features| log_me(features.view(), &labels, n_classes)).unwrap_or(f64::NEG_INFINITY)
    };
    let worths: Vec<f64> = (0..probed.len()).map(worth).collect();
    let likeliest = (0..probed.len()).max_by(|a, b| worths[*a].total_cmp(&worths[*b])).context("cuts")?;
    let features = readings.of(&source.taps[default_cut]).context("a cut")?;
    let score = |score: Option<f64>| score.context("no score");
    let name = |at: usize| source.backbone.tap_name(&probed[at].tap);
    Ok(Outcome {
        scores: [
            probed[default_cut].accuracy(),
            -probed[default_cut].fitted.left_out.log_loss(),
            score(log_me(features.view(), &labels, n_classes))?,
            score(h_score(features.view(), &labels, n_classes))?,
        ],
        tests: [tests[default_cut], tests[chosen], tests[best]],
        others: [textbook, likeliest].map(|at| tests[best] - tests[at]),
        recommended: name(chosen),
        best: name(best),
        cost: probed[chosen].tap.multiply_adds() as f64 / source.taps[default_cut].multiply_adds() as f64,
    })
}

/// In percent.
fn test_accuracy(probed: &Probed, asked: &Readings<'_>) -> f64 {
    let (kernels, fitted) = (Kernels::detect(), &probed.fitted);
    let features = asked.of(&probed.tap).expect("one of the cuts");
    let right = |(row, label): &(ArrayView1<'_, f32>, &u16)| {
        let (mut row, mut logits) = (row.to_vec(), vec![0.0; asked.n_classes]);
        fitted.scaler.apply(kernels, &mut row);
        fitted.head.logits(kernels, &row, &mut logits);
        argmax(&logits) == Some(usize::from(**label))
    };
    100.0 * features.rows().into_iter().zip(asked.labels).filter(right).count() as f64 / asked.labels.len() as f64
}
