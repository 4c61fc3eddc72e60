//! What further views of the photos bring (`learn --views`), on test photos.
//!
//! `cargo bench --bench views -- SHARED`, SHARED being a folder with `models/`, `data/images/` and `data/splits/` (default
//! `../shared`). For each set of photos, number of shots and split: a head as `learn` fits it, without views and with some.
//! From one shot a class no sample can be left out to choose anything by, so there it is softmax regression with the penalty 0.01
//! each time. docs/source-models.md has what it prints.

#[path = "../splits.rs"]
mod splits;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ndarray::{Array2, ArrayView2, Axis, concatenate};
use topgraft::learn::{Dataset, Extracted, Sample, Settings, Views, extract, fit_with, refit};
use topgraft::topgraft_core::head::{Head, argmax, parameter_count};
use topgraft::topgraft_core::kernel::Kernels;
use topgraft::topgraft_core::scaler::Scaler;
use topgraft::topgraft_core::solver::{TrainingSet, softmax};
use topgraft::trunk::{Backbone, Trunk};
use topgraft::vision::Augment;

use splits::{Split, Splits};

const MODEL: &str = "efficientnet_lite0";
const SETS: [&str; 2] = ["ants_bees", "signdigits10"];
const SHOTS: [usize; 3] = [1, 5, 10];
const VIEWS: usize = 4;
const AUGMENTS: [(&str, Augment); 4] = [
    ("crop", Augment { flip: false, crop: true, color: false }),
    ("color", Augment { flip: false, crop: false, color: true }),
    ("crop,color", Augment { flip: false, crop: true, color: true }),
    ("flip,crop,color", Augment { flip: true, crop: true, color: true }),
];

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let shared = args.next().map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let backbone = Backbone::open(&shared.join(format!("models/{MODEL}.onnx")))?;
    let trunk = backbone.cut(&backbone.penultimate()?.output, &backbone.preprocess().0)?;
    println!("| set | shots | no views | {} |", AUGMENTS.map(|(name, _)| format!("{VIEWS} views, {name}")).join(" | "));
    println!("|---|---|---|{}", "---|".repeat(AUGMENTS.len()));
    for set in SETS {
        let path = shared.join(format!("data/splits/{set}.json"));
        let splits = Splits::open(&path)?;
        let folder = shared.join("data/images").join(set);
        let photos: Vec<PathBuf> = splits.files.iter().map(|file| folder.join(file)).collect();
        let rows = extract(&trunk, &photos, || {}).into_iter().collect::<Result<Vec<_>, _>>()?;
        let features = Array2::from_shape_vec((rows.len(), trunk.feature_dim()), rows.concat())?;
        for shots in SHOTS {
            let mut cells = Vec::new();
            let mut without = Vec::new();
            for augment in [None].into_iter().chain(AUGMENTS.map(|(_, augment)| Some(augment))) {
                let one = |split: &Split| accuracy(&trunk, &photos, &features, &splits.labels, split, shots, augment);
                let accuracies = splits.splits.iter().map(one).collect::<Result<Vec<f64>>>()?;
                let mean = accuracies.iter().sum::<f64>() / accuracies.len() as f64;
                if augment.is_none() {
                    without = accuracies;
                    cells.push(format!("{mean:.1}"));
                } else {
                    let gains: Vec<f64> = accuracies.iter().zip(&without).map(|(a, b)| a - b).collect();
                    let [low, high] = [f64::min as fn(f64, f64) -> f64, f64::max]
                        .map(|f| gains.iter().copied().reduce(f).unwrap_or(0.0));
                    cells.push(format!("{mean:.1} ({low:+.1} to {high:+.1})"));
                }
            }
            println!("| {set} | {shots} | {} |", cells.join(" | "));
        }
    }
    Ok(())
}

/// Features of a photo -> its class.
type Classify = Box<dyn Fn(&[f32]) -> Option<usize>>;

/// In percent of the split's test photos.
fn accuracy(
    trunk: &Trunk,
    photos: &[PathBuf],
    features: &Array2<f32>,
    labels: &[u16],
    split: &Split,
    shots: usize,
    augment: Option<Augment>,
) -> Result<f64> {
    let n_classes = usize::from(*labels.iter().max().context("no labels")?) + 1;
    let mut training = split.training(if shots == 10 { "10" } else { "5" }).to_vec();
    if shots == 1 {
        let mut seen = vec![false; n_classes];
        training.retain(|at| !std::mem::replace(&mut seen[usize::from(labels[*at])], true));
    }
    // As a dataset has them, so that rows and labels come out in its order.
    let mut samples: Vec<Sample> =
        training.iter().map(|at| Sample { path: photos[*at].clone(), label: labels[*at] }).collect();
    samples.sort_by(|a, b| (a.label, &a.path).cmp(&(b.label, &b.path)));
    let dataset = Dataset { classes: (0..n_classes).map(|class| class.to_string()).collect(), samples };
    let views =
        Views { augment: augment.unwrap_or_default(), per_photo: if augment.is_some() { VIEWS } else { 1 }, seed: 0 };
    let extracted = Extracted::with_views(trunk, &dataset, Vec::new(), views, || {});
    let own = extracted.labels();
    let predict: Classify = if shots == 1 {
        let further = own.iter().flat_map(|label| std::iter::repeat_n(*label, views.per_photo - 1));
        let all: Vec<u16> = own.iter().copied().chain(further).collect();
        let rows = concatenate(Axis(0), &[extracted.features.view(), extracted.views.view()])?;
        one_shot(rows.view(), &all, n_classes, views.per_photo)?
    } else {
        let fitted = fit_with(extracted.features.view(), &own, n_classes, &Settings::default())?;
        let fitted = refit(fitted, extracted.features.view(), &own, extracted.views.view())?;
        Box::new(move |row: &[f32]| {
            let (mut row, mut logits) = (row.to_vec(), vec![0.0; n_classes]);
            fitted.scaler.apply(Kernels::detect(), &mut row);
            fitted.head.logits(Kernels::detect(), &row, &mut logits);
            argmax(&logits)
        })
    };
    let right = |at: &&usize| {
        let row = features.row(**at);
        predict(row.as_slice().expect("standard layout")) == Some(usize::from(labels[**at]))
    };
    Ok(100.0 * split.test.iter().filter(right).count() as f64 / split.test.len() as f64)
}

/// Softmax regression on features of length 1, all views of a photo counting as one sample.
fn one_shot(rows: ArrayView2<'_, f32>, labels: &[u16], n_classes: usize, per_photo: usize) -> Result<Classify> {
    let (kernels, dims) = (Kernels::detect(), rows.ncols());
    let mut scaled: Vec<f32> = rows.iter().copied().collect();
    let scaler = Scaler::<Vec<f32>>::L2;
    scaled.chunks_exact_mut(dims).for_each(|row| scaler.apply(kernels, row));
    let weights = vec![1.0 / per_photo as f32; labels.len()];
    let set = TrainingSet { features: &scaled, labels, sample_weights: Some(&weights) };
    let count = parameter_count(n_classes, dims).context("too many")?;
    let mut head = Head::new(n_classes, dims, vec![0.0f32; count])?;
    let mut scratch = vec![0.0; softmax::scratch_len(labels.len(), n_classes, dims).context("too many")?];
    softmax::fit(kernels, &set, &softmax::Settings::new(0.01), &mut head, &mut scratch)?;
    Ok(Box::new(move |row: &[f32]| {
        let (mut row, mut logits) = (row.to_vec(), vec![0.0; n_classes]);
        scaler.apply(kernels, &mut row);
        head.logits(kernels, &row, &mut logits);
        argmax(&logits)
    }))
}
