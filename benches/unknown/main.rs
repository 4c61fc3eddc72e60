//! How well scores tell photos of a class that the head was never taught from those that it was.
//!
//! `cargo bench --bench unknown -- [SHARED]`, SHARED being a folder with `data/features/`, `data/splits/` and
//! `data/images/` (default `../shared`). One class at a time is held out: a head is fitted to the others, the test photos
//! of the held-out class are the unknowns ("near"), those of another set altogether too ("far"). Prints the area under the
//! ROC curve (AUROC; 1: a threshold tells all apart, 0.5: none) of each candidate score, averaged over classes and splits,
//! and what the threshold that `learn` stores does to test photos. docs/unknown.md is what it printed.

mod npy;
mod photos;
mod scores;

use std::path::{Path, PathBuf};

use anyhow::Result;
use ndarray::Axis;
use photos::{Photos, Set, Task};
use rayon::prelude::*;
use scores::{CANDIDATES, Scores};
use topgraft::learn::{Fitted, Scaling, UNKNOWN_RATE, auroc, calibration_error, fit, probabilities};
use topgraft::topgraft_core::kernel::Kernels;

/// What came out of one head: AUROC near and far of each candidate; share of known test photos that are refused, of near and
/// of far unknowns.
struct Outcome {
    auroc: [[f64; 2]; CANDIDATES.len()],
    refused: [f64; 3],
    /// Temperature; calibration error of left-out photos without and with it; the same of known test photos; their log-loss.
    calibration: [f64; 7],
}

fn main() -> Result<()> {
    let shared = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let shared = shared.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    println!("| set | trunk | shots | unknowns | {} |", CANDIDATES.join(" | "));
    println!("|---|---|---|---|{}", "---|".repeat(CANDIDATES.len()));
    let (mut refusals, mut calibrations) = (Vec::new(), Vec::new());
    for set in Set::all(&shared)? {
        for shots in set.shots() {
            let tasks = set.tasks(shots);
            let outcomes = tasks.par_iter().map(|task| run(&set.photos, task)).collect::<Result<Vec<Outcome>>>()?;
            let mean =
                |value: &dyn Fn(&Outcome) -> f64| outcomes.iter().map(value).sum::<f64>() / outcomes.len() as f64;
            for (side, name) in ["near", "far"].into_iter().enumerate() {
                let cells: Vec<String> =
                    (0..CANDIDATES.len()).map(|i| format!("{:.3}", mean(&|o| o.auroc[i][side]))).collect();
                println!("| {} | {} | {shots} | {name} | {} |", set.name, set.trunk, cells.join(" | "));
            }
            let row: Vec<String> = (0..7).map(|i| format!("{:.3}", mean(&|o| o.calibration[i]))).collect();
            calibrations.push(format!("| {} | {} | {shots} | {} |", set.name, set.trunk, row.join(" | ")));
            let [known, near, far] = [0, 1, 2].map(|i| 100.0 * mean(&|o| o.refused[i]));
            refusals.push(format!("| {} | {} | {shots} | {known:.1} | {near:.1} | {far:.1} |", set.name, set.trunk));
        }
    }
    println!("\nShare of test photos, in percent, that the threshold of `learn` refuses:\n");
    println!("| set | trunk | shots | known | near unknowns | far unknowns |\n|---|---|---|---|---|---|");
    refusals.iter().for_each(|row| println!("{row}"));
    println!("\nCalibration of the same heads:\n");
    println!(
        "| set | trunk | shots | temperature | ECE left-out, before | after | ECE test, before | after | log-loss test, before | after |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    calibrations.iter().for_each(|row| println!("{row}"));
    Ok(())
}

/// Teaches a head and asks all scores.
fn run(photos: &Photos, task: &Task) -> Result<Outcome> {
    let training = photos.features.select(Axis(0), &task.training);
    let fitted = fit(training.view(), &task.labels, task.n_classes, Scaling::L2)?;
    let scores = Scores::new(training.view(), &task.labels, &fitted);
    let ask = |samples: &[usize]| -> Vec<[f64; CANDIDATES.len()]> {
        samples.iter().map(|sample| scores.of(photos.features.row(*sample).as_slice().expect("a row"))).collect()
    };
    let [known, near, far] = [&task.known, &task.near, &task.far].map(|samples| ask(samples));
    let column = |rows: &[[f64; CANDIDATES.len()]], i: usize| rows.iter().map(|row| row[i]).collect::<Vec<_>>();
    let auroc = std::array::from_fn(|i| {
        [&near, &far].map(|unknown| auroc(&column(&known, i), &column(unknown, i)).unwrap_or(f64::NAN))
    });
    let refused = [&task.known, &task.near, &task.far].map(|samples| {
        let refused = |sample: &&usize| refuses(&fitted, photos.features.row(**sample).as_slice().expect("a row"));
        samples.iter().filter(refused).count() as f64 / samples.len() as f64
    });
    let calibration = calibration(photos, task, &fitted);
    Ok(Outcome { auroc, refused, calibration })
}

/// See [`Outcome`].
fn calibration(photos: &Photos, task: &Task, fitted: &Fitted) -> [f64; 7] {
    let (n_classes, kernels) = (task.n_classes, Kernels::detect());
    let (mut logits, mut labels) = (vec![0.0; task.known.len() * n_classes], Vec::new());
    for (sample, logits) in task.known.iter().zip(logits.chunks_exact_mut(n_classes)) {
        let mut x = photos.features.row(*sample).to_vec();
        fitted.scaler.apply(kernels, &mut x);
        fitted.head.logits(kernels, &x, logits);
        labels.push(task.label(photos, *sample));
    }
    let log_loss = |temperature: f32| {
        let of = |(row, label): (&[f32], &u16)| {
            let mut p = row.to_vec();
            probabilities(&mut p, temperature);
            -f64::from(p[usize::from(*label)]).max(1e-30).ln()
        };
        logits.chunks_exact(n_classes).zip(&labels).map(of).sum::<f64>() / labels.len() as f64
    };
    let learned = &fitted.calibration;
    let error = |temperature| calibration_error(&logits, &labels, n_classes, temperature);
    let t = learned.temperature;
    [t.into(), learned.ece_before, learned.ece_after, error(1.0), error(t), log_loss(1.0), log_loss(t)]
}

/// Whether `classify` would call these features unknown.
fn refuses(fitted: &Fitted, features: &[f32]) -> bool {
    let Some(rejection) = fitted.novelty.rejection(UNKNOWN_RATE) else { return false };
    let (mut x, kernels) = (features.to_vec(), Kernels::detect());
    fitted.scaler.apply(kernels, &mut x);
    let mut p = vec![0.0; fitted.head.n_classes()];
    fitted.head.logits(kernels, &x, &mut p);
    probabilities(&mut p, fitted.calibration.temperature);
    rejection.is_unknown(rejection.score(&x, p.iter().fold(0.0, |max: f32, p| max.max(*p))))
}
