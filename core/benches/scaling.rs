//! How the time of a fit grows: with the samples n, the features d and the classes C, one at a time.
//!
//! `cargo bench -p topgraft-core --bench scaling [-- FILE.csv]`; prints CSV without FILE. Made-up features, scaled to length 1,
//! L2 = 0.01, the default tolerance. `benches/peers/scaling.py` draws it; `make bench-scaling` does both. A bench of core, not of
//! the root: there each bench would link tract.

mod data;
mod timing;

use std::fmt::Write;

use data::Samples;
use timing::{Runs, measure};
use topgraft_core::head::{Head, parameter_count};
use topgraft_core::kernel::Kernels;
use topgraft_core::solver::TrainingSet;
use topgraft_core::solver::softmax::{self, Settings};

/// n, d, C where they do not vary.
const AROUND: [usize; 3] = [2000, 512, 10];
const SAMPLES: &[usize] = &[100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000];
const FEATURES: &[usize] = &[64, 128, 256, 512, 1024, 2048, 4096];
const CLASSES: &[usize] = &[2, 5, 10, 20, 50, 100, 200, 500, 1000];
const L2: f32 = 0.01;
/// Class means apart, in deviations of the noise: they overlap.
const SEPARATION: f32 = 0.25;

fn main() {
    let file = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let mut csv = "varied,n,d,classes,wall_ms,cpu_ms,passes,iterations,converged,scratch_mb\n".to_owned();
    for (varied, values) in [(0, SAMPLES), (1, FEATURES), (2, CLASSES)] {
        for value in values {
            let mut shape = AROUND;
            shape[varied] = *value;
            let line = line(["n", "d", "classes"][varied], shape);
            eprint!("{line}");
            csv.push_str(&line);
        }
    }
    match file {
        Some(file) => std::fs::write(&file, csv).unwrap_or_else(|error| panic!("{file}: {error}")),
        None => print!("{csv}"),
    }
}

/// Fits samples of a shape, with memory that was there before, as on a device.
fn line(varied: &str, [n, d, classes]: [usize; 3]) -> String {
    let samples = Samples::like_a_network(n, classes, d, SEPARATION).unit_length();
    assert_eq!([samples.len(), samples.feature_dim, samples.n_classes], [n, d, classes]);
    let set = TrainingSet { features: &samples.features, labels: &samples.labels, sample_weights: None };
    let mut parameters = vec![0.0; parameter_count(classes, d).expect("fits")];
    let mut scratch = vec![0.0; softmax::scratch_len(n, classes, d).expect("fits")];
    let mut fit = |parameters: &mut [f32]| {
        parameters.fill(0.0);
        let mut head = Head::new(classes, d, parameters).expect("of this length");
        softmax::fit(Kernels::detect(), &set, &Settings::new(L2), &mut head, &mut scratch).expect("sound samples")
    };
    let report = fit(&mut parameters);
    let timing = measure(
        Runs { least: 3, seconds: 0.3 },
        &mut parameters[..],
        |_| (),
        |parameters| {
            fit(parameters);
        },
    );
    let mut line = String::new();
    let [wall, cpu] = [timing.wall, timing.cpu].map(|seconds| 1e3 * seconds);
    let (passes, iterations, converged) = (report.passes, report.iterations, report.converged);
    let megabytes = 4e-6 * scratch.len() as f64;
    writeln!(line, "{varied},{n},{d},{classes},{wall:.4},{cpu:.4},{passes},{iterations},{converged},{megabytes:.2}")
        .expect("a string takes all");
    line
}
