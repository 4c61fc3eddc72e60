//! How well the learning curve of few photos foretells the accuracy with more of them, and what the advice is worth.
//!
//! `cargo bench --bench curve -- [SHARED]`, SHARED being a folder with `data/features/` and `data/splits/` (default
//! `../shared`). On signdigits10, each trunk and split: a head is fitted to 5 or 10 shots, and its curve drawn; then heads of
//! more shots are fitted, and all are tested on the test photos. Prints the gain that the curve foretells and the true one,
//! in points. Then the gain of ten more photos of the class that the advice names, of another one, and of each. docs/curve.md is
//! what it printed.

#[path = "../unknown/npy.rs"]
mod npy;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use ndarray::{Array2, Axis};
use npy::{Split, read_npy, read_splits};
use rayon::prelude::*;
use topgraft::learn::{Fitted, LearningCurve, Scaling, fit, learning_curve};
use topgraft::topgraft_core::head::argmax;
use topgraft::topgraft_core::kernel::Kernels;

const N_CLASSES: usize = 10;
const TRUNKS: [&str; 2] = ["efficientnet_lite0", "mobilenet_v2_tv"];
const SHOTS: [(usize, usize); 4] = [(5, 10), (5, 20), (10, 20), (10, 40)];

struct Photos {
    features: Array2<f32>,
    labels: Vec<u16>,
}

impl Photos {
    fn fit(&self, training: &[usize]) -> Result<Fitted> {
        let labels: Vec<u16> = training.iter().map(|i| self.labels[*i]).collect();
        Ok(fit(self.features.select(Axis(0), training).view(), &labels, N_CLASSES, Scaling::L2)?)
    }

    fn curve(&self, training: &[usize], fitted: &Fitted) -> Result<LearningCurve> {
        let labels: Vec<u16> = training.iter().map(|i| self.labels[*i]).collect();
        let curve = learning_curve(self.features.select(Axis(0), training).view(), &labels, fitted)?;
        curve.context("too much work for a curve")
    }

    /// Accuracy on test photos, in points.
    fn accuracy(&self, fitted: &Fitted, test: &[usize]) -> f64 {
        let kernels = Kernels::detect();
        let right = |sample: &&usize| {
            let mut x = self.features.row(**sample).to_vec();
            fitted.scaler.apply(kernels, &mut x);
            let mut logits = vec![0.0; N_CLASSES];
            fitted.head.logits(kernels, &x, &mut logits);
            argmax(&logits) == Some(usize::from(self.labels[**sample]))
        };
        100.0 * test.iter().filter(right).count() as f64 / test.len() as f64
    }

    /// The few shots of a split, filled up with others of its training samples to so many of each class.
    fn filled(&self, few: &[usize], split: &Split, shots: impl Fn(u16) -> usize) -> Vec<usize> {
        let mut chosen = few.to_vec();
        for class in 0..N_CLASSES as u16 {
            let have = few.iter().filter(|i| self.labels[**i] == class).count();
            let others = split.full.iter().filter(|i| self.labels[**i] == class && !few.contains(i));
            chosen.extend(others.take(shots(class).saturating_sub(have)));
        }
        chosen
    }
}

fn main() -> Result<()> {
    let shared = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let shared = shared.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let splits = read_splits(&shared, "signdigits10")?;
    println!("{} photos; mean over {} splits, in points\n", splits.files.len(), splits.splits.len());
    println!(
        "| trunk | shots | foretold gain | true gain | mean error of the gain | true accuracy | mean error of the accuracy | \
              if no gain were foretold |\n|---|---|---|---|---|---|---|---|"
    );
    let mut of_classes = Vec::new();
    for trunk in TRUNKS {
        let features = read_npy(&shared.join(format!("data/features/signdigits10.{trunk}.npy")))?;
        let photos = Photos { features, labels: splits.labels.clone() };
        for (from, to) in SHOTS {
            let of_split = |split: &Split| -> Result<[f64; 4]> {
                let few = if from == 5 { &split.k5 } else { &split.k10 };
                let (start, more) = (photos.fit(few)?, photos.fit(&photos.filled(few, split, |_| to))?);
                let law = photos.curve(few, &start)?.law;
                let [now, then] = [from, to].map(|shots| 100.0 * (1.0 - law.error(shots as f64)));
                Ok([then - now, then, photos.accuracy(&start, &split.test), photos.accuracy(&more, &split.test)])
            };
            let rows = splits.splits.par_iter().map(of_split).collect::<Result<Vec<_>>>()?;
            let mean = |value: &dyn Fn(&[f64; 4]) -> f64| rows.iter().map(value).sum::<f64>() / rows.len() as f64;
            println!(
                "| {trunk} | {from} to {to} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} |",
                mean(&|r| r[0]),
                mean(&|r| r[3] - r[2]),
                mean(&|r| (r[0] - (r[3] - r[2])).abs()),
                mean(&|r| r[3]),
                mean(&|r| (r[1] - r[3]).abs()),
                mean(&|r| (r[3] - r[2]).abs()),
            );
        }
        let of_split = |split: &Split| -> Result<[f64; 3]> {
            let few = &split.k10;
            let start = photos.fit(few)?;
            let before = photos.accuracy(&start, &split.test);
            let advice = photos.curve(few, &start)?.advice(&start.evaluation).context("nothing is wrong")?;
            let with = |shots: &dyn Fn(u16) -> usize| -> Result<f64> {
                Ok(photos.accuracy(&photos.fit(&photos.filled(few, split, shots))?, &split.test) - before)
            };
            let of = |begin: u16| with(&|class: u16| if class == begin { 20 } else { 10 });
            let others = (0..N_CLASSES as u16).filter(|class| *class != advice.class);
            let others = others.map(of).collect::<Result<Vec<f64>>>()?;
            let mean = others.iter().sum::<f64>() / others.len() as f64;
            Ok([of(advice.class)?, mean, with(&|_| 20)?])
        };
        let gains = splits.splits.par_iter().map(of_split).collect::<Result<Vec<_>>>()?;
        let [advised, other, all] = [0, 1, 2].map(|i| gains.iter().map(|g| g[i]).sum::<f64>() / gains.len() as f64);
        of_classes.push(format!("| {trunk} | {advised:.1} | {other:.1} | {all:.1} |"));

        let training: Vec<usize> = photos.filled(&splits.splits[0].k10, &splits.splits[0], |_| 20);
        let fitted = photos.fit(&training)?;
        let start = Instant::now();
        let points = photos.curve(&training, &fitted)?.points.len();
        eprintln!("{trunk}: a curve of {points} points, {} photos: {:?}", training.len(), start.elapsed());
    }
    println!(
        "\nGain of ten more photos, from 10 shots:\n\n| trunk | of the class that the advice names | of another one, mean | of each class |\n|---|---|---|---|"
    );
    of_classes.iter().for_each(|row| println!("{row}"));
    Ok(())
}
