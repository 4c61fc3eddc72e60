//! Accuracy beside scikit-learn's, on the same photos and the same splits.
//!
//! `cargo bench --bench accuracy -- SHARED [MODEL...]`, SHARED being a folder with `models/`, `data/images/` and
//! `data/splits/` (default `../shared`). For each set of photos and each model it extracts features (the whole photo
//! squeezed to the input, bilinear, as the reference did), fits a head on each of the five splits, and prints mean and
//! deviation of the accuracy on the test photos; beside it what scikit-learn gets on the very same features in the same
//! run (if `python3` has it: benches/peers/requirements.txt), and the reference that was recorded with ONNX Runtime's
//! features.

#[path = "../splits.rs"]
mod splits;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use ndarray::{Array2, Axis};
use topgraft::learn::{Scaling, Settings, extract, fit_with};
use topgraft::topgraft_core::head::{Kind, argmax};
use topgraft::topgraft_core::kernel::Kernels;
use topgraft::topgraft_core::preprocess::{Filter, Preprocess, Resize};
use topgraft::trunk::Backbone;

use splits::Splits;

const MODELS: [&str; 4] = ["efficientnet_lite0", "mobilenet_v2_tv", "mobilenet_v1_0.25", "resnet50_thin_opennsfw"];
const SETS: [&str; 2] = ["ants_bees", "signdigits10"];
/// Mean accuracies in percent of scikit-learn 1.9.1 on ONNX Runtime 1.32's features: logistic regression C = 1 on raw
/// features; C = 100 on L2-normalised ones; nearest class mean by cosine. Columns: set, model, shots, these three.
const REFERENCE: &str = include_str!("reference.csv");

/// Features of a whole set, and its labels.
struct Photos {
    features: Array2<f32>,
    labels: Vec<u16>,
    n_classes: usize,
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let shared = args.next().map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let chosen: Vec<String> = args.collect();
    let models = MODELS.into_iter().filter(|model| chosen.is_empty() || chosen.iter().any(|name| name == model));

    println!(
        "| set | trunk | shots | topgraft | its left-out estimate | with `--head softmax` | scikit-learn, same features: C=1 raw, C=100 L2, NCM \
              | recorded reference: C=1 raw, C=100 L2, NCM | best recorded - 1 reached |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut scalings = Vec::new();
    let mut all_reached = true;
    for model in models {
        for set in SETS {
            let path = shared.join(format!("data/splits/{set}.json"));
            let splits = Splits::open(&path)?;
            let photos = features(&shared, set, model, &splits)?;
            let peer = scikit_learn(&photos, &path);
            for shots in ["5", "10", "all"] {
                let softmax = Settings { kinds: &[Kind::Softmax], ..Settings::default() };
                let (softmax, _) = accuracies(&photos, &splits, shots, &softmax)?;
                let (accuracies, estimates) = accuracies(&photos, &splits, shots, &Settings::default())?;
                let best = reference(set, model, shots).into_iter().fold(f64::NAN, f64::max);
                let reached = mean(&accuracies) >= best - 1.0;
                all_reached &= reached;
                println!(
                    "| {set} | {model} | {shots} | {} | {} | {} | {} | {} | {} |",
                    mean_and_deviation(&accuracies),
                    mean_and_deviation(&estimates),
                    mean_and_deviation(&softmax),
                    peer.as_ref().map_or("not installed".to_owned(), |peer| cell(peer, shots)),
                    reference(set, model, shots).map(|accuracy| format!("{accuracy:.1}")).join(" · "),
                    if reached { "yes" } else { "NO" }
                );
            }
            for shots in ["5", "10"] {
                let by = |scalings: &[Scaling]| {
                    let settings = Settings { scalings, ..Settings::default() };
                    Ok::<_, anyhow::Error>(format!("{:.1}", mean(&accuracies(&photos, &splits, shots, &settings)?.0)))
                };
                let each = Scaling::ALL.iter().map(|scaling| by(&[*scaling])).chain([by(&Scaling::ALL)]);
                let each = each.collect::<Result<Vec<_>>>()?.join(" | ");
                scalings.push(format!("| {set} | {model} | {shots} | {each} |"));
            }
        }
    }
    println!(
        "\nScaling of the features, mean accuracy:\n\n| set | trunk | shots | {} | auto |\n|---|---|---|---|---|---|---|---|",
        Scaling::ALL.map(Scaling::name).join(" | ")
    );
    scalings.iter().for_each(|row| println!("{row}"));
    println!(
        "\n{}",
        if all_reached { "Every line reaches the reference." } else { "Some lines are BELOW the reference." }
    );
    Ok(())
}

/// Features of each photo of a set, in the order of its splits.
fn features(shared: &Path, set: &str, model: &str, splits: &Splits) -> Result<Photos> {
    let backbone = Backbone::open(&shared.join(format!("models/{model}.onnx")))?;
    let preprocess = Preprocess { resize: Resize::Squeeze, filter: Filter::Bilinear, ..backbone.preprocess().0 };
    let trunk = backbone.cut(&backbone.penultimate()?.output, &preprocess)?;
    let folder = shared.join("data/images").join(set);
    let paths: Vec<PathBuf> = splits.files.iter().map(|file| folder.join(file)).collect();
    let rows = extract(&trunk, &paths, || {}).into_iter().collect::<Result<Vec<_>, _>>()?;
    let features = Array2::from_shape_vec((rows.len(), trunk.feature_dim()), rows.concat())?;
    let n_classes = usize::from(*splits.labels.iter().max().context("no labels")?) + 1;
    Ok(Photos { features, labels: splits.labels.clone(), n_classes })
}

/// Accuracy on the test photos, and the left-out estimate that the user would have seen, in percent, for each split.
fn accuracies(photos: &Photos, splits: &Splits, shots: &str, settings: &Settings<'_>) -> Result<(Vec<f64>, Vec<f64>)> {
    let kernels = Kernels::detect();
    let (mut accuracies, mut estimates) = (Vec::new(), Vec::new());
    for split in &splits.splits {
        let training = split.training(shots);
        let labels: Vec<u16> = training.iter().map(|i| photos.labels[*i]).collect();
        let features = photos.features.select(Axis(0), training);
        let fitted = fit_with(features.view(), &labels, photos.n_classes, settings)?;
        let right = |sample: &&usize| {
            let mut features = photos.features.row(**sample).to_vec();
            fitted.scaler.apply(kernels, &mut features);
            let mut logits = vec![0.0; photos.n_classes];
            fitted.head.logits(kernels, &features, &mut logits);
            argmax(&logits) == Some(usize::from(photos.labels[**sample]))
        };
        let correct = split.test.iter().filter(right).count();
        accuracies.push(100.0 * correct as f64 / split.test.len() as f64);
        estimates.push(100.0 * fitted.evaluation.accuracy());
    }
    Ok((accuracies, estimates))
}

/// scikit-learn on these features: lines of `shots C=1-raw C=100-L2 NCM`; `None` if it is not installed.
fn scikit_learn(photos: &Photos, splits: &Path) -> Option<String> {
    let folder = tempfile::tempdir().ok()?;
    let features = folder.path().join("features.f32");
    let bytes: Vec<u8> = photos.features.iter().flat_map(|x| x.to_le_bytes()).collect();
    fs::write(&features, bytes).ok()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/accuracy.py");
    // What slows OpenBLAS down, and more threads than cores, say nothing of scikit-learn.
    let mut python = Command::new("python3");
    python.env_remove("OPENBLAS_CORETYPE").env_remove("OPENBLAS_L2_SIZE");
    python.env("OMP_NUM_THREADS", "1").env("OPENBLAS_NUM_THREADS", "1");
    let output = python.arg(script).arg(&features).arg(splits).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The peer's line for these shots.
fn cell(peer: &str, shots: &str) -> String {
    let line = peer.lines().find_map(|line| line.strip_prefix(&format!("{shots} ")));
    line.unwrap_or("missing").replace(' ', " · ")
}

fn reference(set: &str, model: &str, shots: &str) -> [f64; 3] {
    let prefix = format!("{set},{model},{shots},");
    let line = REFERENCE.lines().find_map(|line| line.strip_prefix(&prefix)).expect("a line in reference.csv");
    let numbers: Vec<f64> = line.split(',').map(|number| number.parse().expect("a number")).collect();
    numbers.try_into().expect("three numbers")
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// `90.6±1.6`, the deviation being numpy's.
fn mean_and_deviation(values: &[f64]) -> String {
    let mean = mean(values);
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64;
    format!("{mean:.1}±{:.1}", variance.sqrt())
}
