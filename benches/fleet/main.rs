//! What merging by statistics costs: in logits, in bytes, in accuracy.
//!
//! `cargo bench --bench fleet -- [SHARED [logits|cost|accuracy]]`, SHARED being a folder with `data/features/` and `data/splits/` (default `../shared`). Prints
//! how far the logits of the head of three devices' statistics are from those of one head that was fitted to all features, and from
//! one in f64; what half the bits for the scatter would cost; how long it takes; and how many test photos are right. docs/fleet.md
//! is what it printed.

#[allow(dead_code, reason = "the lists of shots are others' affair")]
#[path = "../unknown/npy.rs"]
mod npy;
mod oracle;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use anyhow::Result;
use ndarray::{Array2, ArrayView2, Axis};
use npy::{Splits, read_npy, read_splits};
use topgraft::learn::{
    Model, Scaling, Settings, Snapshot, Statistics, StatisticsHead, Teacher, Union, fit_with, probabilities,
};
use topgraft::store::{Features, Limits, NewSample, SampleStore};
use topgraft::topgraft_core::head::{Head, Kind, argmax};
use topgraft::topgraft_core::kernel::Kernels;
use topgraft::topgraft_core::random::SplitMix64;
use topgraft::topgraft_core::scaler::Scaler;
use topgraft::topgraft_core::solver::{TrainingSet, lda};
use topgraft::trunk::Trunk;

const DIM: usize = 1280;
const DEVICES: usize = 3;

/// Samples, and others to ask.
struct Task {
    name: String,
    n_classes: usize,
    rows: Array2<f32>,
    labels: Vec<u16>,
    asked: Array2<f32>,
    truth: Vec<u16>,
}

fn main() -> Result<()> {
    let shared = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let shared = shared.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let mut tasks: Vec<Task> = [(20, 2), (300, 3), (900, 4)].map(|(n, n_classes)| random(n, n_classes)).into();
    for set in ["ants_bees", "signdigits10"] {
        let splits = read_splits(&shared, set)?;
        for trunk in ["efficientnet_lite0", "mobilenet_v2_tv"] {
            let features = read_npy(&shared.join(format!("data/features/{set}.{trunk}.npy")))?;
            let shots: &[usize] = if set == "ants_bees" { &[10, 150] } else { &[3, 30, 80] };
            tasks.extend(shots.iter().map(|shots| of_split(&format!("{set}, {trunk}"), &splits, &features, 0, *shots)));
        }
    }
    let wanted = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).nth(1);
    let is_wanted = |part: &str| wanted.as_deref().is_none_or(|wanted| wanted == part);
    if is_wanted("logits") {
        precision(&tasks)?;
    }
    if is_wanted("cost") {
        cost(&tasks)?;
    }
    if is_wanted("accuracy") {
        accuracy(&shared)?;
    }
    Ok(())
}

/// Largest differences between logits, and the largest logit.
fn precision(tasks: &[Task]) -> Result<()> {
    println!("Largest difference of a logit, {DEVICES} devices:\n");
    println!(
        "| features | samples | classes | largest logit | merged, one head of all | of the largest | merged, f64 | head of all, f64 | \
         f32 scatter in f64, f64 | f16 scatter, f64 | bf16 scatter, f64 |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for task in tasks {
        let parts = task.devices();
        let merged = Statistics::merge(&parts)?;
        let (exact, largest) = {
            let head = oracle::head(&task.scaled(), &task.labels, task.n_classes);
            let logits = oracle::logits(&head, &task.asked_scaled(), task.n_classes);
            let largest = logits.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
            (logits, largest)
        };
        let logits = task.logits(&merged.model(StatisticsHead::Lda)?);
        let together = task.logits_together();
        let kept = |bits: u32| -> Result<f64> {
            let parts: Vec<Statistics> = parts.iter().map(|part| oracle::rounded(part, bits)).collect();
            let head = oracle::head_of(&Statistics::merge(&parts)?);
            Ok(difference(&oracle::logits(&head, &task.asked_scaled(), task.n_classes), &exact))
        };
        let against = difference(&logits, &together);
        println!(
            "| {} | {} | {} | {largest:.0} | {against:.1e} | {:.1e} | {:.1e} | {:.1e} | {:.1e} | {:.1e} | {:.1e} |",
            task.name,
            task.labels.len(),
            task.n_classes,
            against / largest,
            difference(&logits, &exact),
            difference(&together, &exact),
            kept(23)?,
            kept(10)?,
            kept(7)?,
        );
    }
    Ok(())
}

fn difference(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Bytes and milliseconds.
fn cost(tasks: &[Task]) -> Result<()> {
    println!("\n| features | samples | classes | bytes | make, ms | read, ms | merge {DEVICES}, ms | head, ms |");
    println!("|---|---|---|---|---|---|---|---|");
    let ms = |start: Instant| 1e3 * start.elapsed().as_secs_f64();
    for task in tasks.iter().filter(|task| task.n_classes == 10 || task.name == "random") {
        let start = Instant::now();
        let parts = task.devices();
        let make = ms(start) / DEVICES as f64;
        let bytes = parts[0].to_bytes();
        let start = Instant::now();
        Statistics::parse(&bytes)?;
        let read = ms(start);
        let start = Instant::now();
        let merged = Statistics::merge(&parts)?;
        let merge = ms(start);
        let start = Instant::now();
        merged.model(StatisticsHead::Lda)?;
        println!(
            "| {} | {} | {} | {} | {make:.0} | {read:.0} | {merge:.0} | {:.0} |",
            task.name,
            task.labels.len() / DEVICES,
            task.n_classes,
            bytes.len(),
            ms(start)
        );
    }
    Ok(())
}

/// Test photos right, mean over five splits: each device alone, what they know together, and softmax regression on all samples.
fn accuracy(shared: &Path) -> Result<()> {
    println!(
        "\n| features | samples of a class, all devices | devices alone | merged statistics | with f16 scatter | lda of all | softmax of all | \
         log-loss, merged | temperature by the first device | log-loss then | \
         best temperature | log-loss then |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for set in ["ants_bees", "signdigits10"] {
        let splits = read_splits(shared, set)?;
        for network in ["efficientnet_lite0", "mobilenet_v2_tv"] {
            let features = read_npy(&shared.join(format!("data/features/{set}.{network}.npy")))?;
            for shots in [15, 30] {
                let name = format!("{set}, {network}");
                let mut sums = [0.0; 10];
                for split in 0..splits.splits.len() {
                    let task = of_split(&name, &splits, &features, split, shots);
                    let parts = task.devices();
                    let alone =
                        parts.iter().map(|part| Ok(task.right(&task.logits(&part.model(StatisticsHead::Lda)?))));
                    let alone = alone.collect::<Result<Vec<f64>>>()?.iter().sum::<f64>() / DEVICES as f64;
                    let mut union = Union::new(&trunk());
                    for (device, part) in parts.iter().enumerate() {
                        union.insert(&device.to_string(), part.clone())?;
                    }
                    let halves: Vec<Statistics> = parts.iter().map(|part| oracle::rounded(part, 10)).collect();
                    let model = union.measured("0", &task.snapshot(0)?, &trunk(), StatisticsHead::Lda)?;
                    let own = f64::from(model.calibration.expect("measured").temperature);
                    let merged = task.logits(&model);
                    let fitted = |kind| task.fitted(kind).map(|model| task.right(&task.logits(&model)));
                    let best = (0..60).map(|step| 1.2f64.powi(step)).map(|t| (task.log_loss(&merged, t), t));
                    let (loss, temperature) = best.min_by(|a, b| a.0.total_cmp(&b.0)).expect("sixty");
                    let numbers = [
                        alone,
                        task.right(&merged),
                        task.right(&task.logits(&Statistics::merge(&halves)?.model(StatisticsHead::Lda)?)),
                        fitted(Kind::Lda)?,
                        fitted(Kind::Softmax)?,
                        task.log_loss(&merged, 1.0),
                        own,
                        task.log_loss(&merged, own),
                        temperature,
                        loss,
                    ];
                    sums.iter_mut().zip(numbers).for_each(|(sum, x)| *sum += x / splits.splits.len() as f64);
                }
                let [alone, merged, half, lda, softmax, loss, own, with_own, temperature, best] = sums;
                let [alone, merged, half, lda, softmax] =
                    [alone, merged, half, lda, softmax].map(|share| 100.0 * share);
                println!(
                    "| {name} | {shots} | {alone:.1} | {merged:.1} | {half:.1} | {lda:.1} | {softmax:.1} | {loss:.2} | {own:.0} | \
                     {with_own:.2} | {temperature:.0} | {best:.2} |"
                );
            }
        }
    }
    Ok(())
}

impl Task {
    fn classes(&self) -> Vec<String> {
        (0..self.n_classes).map(|class| format!("class {class}")).collect()
    }

    /// Samples of one device: every third of a class.
    fn samples_of(&self, wanted: usize) -> Vec<usize> {
        let mut seen = vec![0; self.n_classes];
        let mut turn = |label: &u16| {
            seen[usize::from(*label)] += 1;
            seen[usize::from(*label)] % DEVICES
        };
        let device: Vec<usize> = self.labels.iter().map(&mut turn).collect();
        (0..device.len()).filter(|sample| device[*sample] == wanted).collect()
    }

    /// What a device's store has.
    fn snapshot(&self, device: usize) -> Result<Snapshot> {
        let folder = tempfile::tempdir()?;
        let mut store = SampleStore::open_or_create(&folder.path().join("x.store"))?;
        let (samples, classes, fingerprint) = (self.samples_of(device), self.classes(), trunk().fingerprint());
        let of = |sample: &usize| (self.rows.row(*sample).to_vec(), format!("photo {sample}"));
        let made: Vec<(Vec<f32>, String)> = samples.iter().map(of).collect();
        let samples: Vec<NewSample<'_>> = samples
            .iter()
            .zip(&made)
            .map(|(sample, (numbers, photo))| NewSample {
                photo: photo.as_bytes(),
                class: &classes[usize::from(self.labels[*sample])],
                source: "",
                time: SystemTime::now(),
                features: Some(Features { trunk: fingerprint, numbers }),
            })
            .collect();
        store.teach(&samples, "teach", None, None)?;
        Ok(Teacher::new(store, Arc::new(trunk()), Limits::default())?.snapshot()?)
    }

    /// What each device would send.
    fn devices(&self) -> Vec<Statistics> {
        let classes = self.classes();
        let part = |wanted: usize| {
            let samples = self.samples_of(wanted);
            let labels: Vec<u16> = samples.iter().map(|sample| self.labels[*sample]).collect();
            let rows: Vec<f32> = self.rows.select(Axis(0), &samples).iter().copied().collect();
            Statistics::of_rows(&trunk(), Scaling::L2, &classes, &labels, &rows).expect("samples")
        };
        (0..DEVICES).map(part).collect()
    }

    fn scaled(&self) -> Vec<f32> {
        scaled(self.rows.view())
    }

    fn asked_scaled(&self) -> Vec<f32> {
        scaled(self.asked.view())
    }

    fn logits(&self, model: &Model) -> Vec<f64> {
        let logits = |row: ndarray::ArrayView1<'_, f32>| {
            model.logits(Kernels::detect(), row.as_slice().expect("a row")).expect("finite")
        };
        self.asked.outer_iter().flat_map(logits).map(f64::from).collect()
    }

    /// Logits of LDA on all samples at once.
    fn logits_together(&self) -> Vec<f64> {
        let (kernels, rows) = (Kernels::detect(), self.scaled());
        let set = TrainingSet { features: &rows, labels: &self.labels, sample_weights: None };
        let parameters = vec![0.0; self.n_classes * (DIM + 1)];
        let mut head = Head::new(self.n_classes, DIM, parameters).expect("fits");
        let mut scratch = vec![0.0; lda::scratch_len(self.labels.len(), self.n_classes, DIM).expect("small")];
        lda::fit(kernels, &set, &lda::Settings::default(), &mut head, &mut scratch).expect("fits");
        let mut logits = vec![0.0; self.n_classes];
        let ask = |row: &[f32]| {
            head.logits(kernels, row, &mut logits);
            logits.iter().map(|x| f64::from(*x)).collect::<Vec<_>>()
        };
        self.asked_scaled().chunks_exact(DIM).flat_map(ask).collect()
    }

    fn fitted(&self, kind: Kind) -> Result<Model> {
        let settings = Settings { kinds: &[kind], ..Settings::default() };
        let fitted = fit_with(self.rows.view(), &self.labels, self.n_classes, &settings)?;
        let labels = (0..self.n_classes).map(|class| class.to_string()).collect();
        Ok(Model::new(&trunk(), labels, &fitted))
    }

    fn right(&self, logits: &[f64]) -> f64 {
        let rows = logits.chunks_exact(self.n_classes).map(|row| row.iter().map(|x| *x as f32).collect::<Vec<_>>());
        let right = rows.zip(&self.truth).filter(|(row, label)| argmax(row) == Some(usize::from(**label))).count();
        right as f64 / self.truth.len() as f64
    }

    fn log_loss(&self, logits: &[f64], temperature: f64) -> f64 {
        let loss = |(row, label): (&[f64], &u16)| {
            let mut p: Vec<f32> = row.iter().map(|x| *x as f32).collect();
            probabilities(&mut p, temperature as f32);
            -f64::from(p[usize::from(*label)].max(f32::MIN_POSITIVE)).ln()
        };
        logits.chunks_exact(self.n_classes).zip(&self.truth).map(loss).sum::<f64>() / self.truth.len() as f64
    }
}

fn trunk() -> Trunk {
    Trunk::made_elsewhere("reference", "features", DIM as u32, [1; 32])
}

fn scaled(rows: ArrayView2<'_, f32>) -> Vec<f32> {
    let mut rows: Vec<f32> = rows.iter().copied().collect();
    rows.chunks_exact_mut(DIM).for_each(|row| Scaler::<Vec<f32>>::L2.apply(Kernels::detect(), row));
    rows
}

/// The first `shots` training photos of each class, and the test photos, of one split.
fn of_split(name: &str, splits: &Splits, features: &Array2<f32>, split: usize, shots: usize) -> Task {
    let n_classes = 1 + usize::from(*splits.labels.iter().max().expect("labels"));
    let mut taken = vec![0; n_classes];
    let is_taken = |sample: &usize| {
        let class = usize::from(splits.labels[*sample]);
        taken[class] += 1;
        taken[class] <= shots
    };
    let training: Vec<usize> = splits.splits[split].full.iter().copied().filter(is_taken).collect();
    let test = &splits.splits[split].test;
    let labels = |samples: &[usize]| samples.iter().map(|sample| splits.labels[*sample]).collect();
    Task {
        name: name.to_owned(),
        n_classes,
        rows: features.select(Axis(0), &training),
        labels: labels(&training),
        asked: features.select(Axis(0), test),
        truth: labels(test),
    }
}

/// Classes about random means, as after a ReLU.
fn random(n: usize, n_classes: usize) -> Task {
    let mut random = SplitMix64(n as u64);
    let mut normal = || (0..12).map(|_| random.unit()).sum::<f32>() - 6.0;
    let means: Vec<f32> = (0..n_classes * DIM).map(|_| 0.5 * normal()).collect();
    let mut rows = |n: usize| {
        let element = |(sample, j): (usize, usize)| (means[sample % n_classes * DIM + j] + normal()).max(0.0);
        Array2::from_shape_fn((n, DIM), element)
    };
    let (rows, asked) = (rows(n), rows(40));
    let labels = |n: usize| (0..n).map(|sample| (sample % n_classes) as u16).collect();
    Task { name: "random".to_owned(), n_classes, rows, labels: labels(n), asked, truth: labels(40) }
}
