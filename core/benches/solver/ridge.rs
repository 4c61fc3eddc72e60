//! Ridge with exact leave-one-out errors over a path of penalties, beside `RidgeClassifierCV`.

use topgraft_core::head::{Head, parameter_count};
use topgraft_core::kernel::Kernels;
use topgraft_core::solver::{TrainingSet, ridge};

use crate::data::Samples;
use crate::fits::milliseconds;
use crate::peer::Peer;
use crate::timing::{Runs, measure};

const PENALTIES: usize = 20;
const LEAST_RATIO: f64 = 5.0;

pub fn print_head() {
    println!(
        "| data | n | Topgraft fit_path, ms | RidgeClassifierCV, ms | ratio | its choice, ours | target |\n\
        |---|---|---|---|---|---|---|"
    );
}

/// `path` from its least to its largest penalty.
pub fn print(peer: &mut Peer, name: &str, samples: &Samples, [least, largest]: [f64; 2]) {
    let (n, classes, d) = (samples.len(), samples.n_classes, samples.feature_dim);
    let step = (largest / least).powf(1.0 / (PENALTIES - 1) as f64);
    let path: Vec<f32> = (0..PENALTIES).map(|i| (least * step.powi(i as i32)) as f32).collect();
    let set = TrainingSet { features: &samples.features, labels: &samples.labels, sample_weights: None };
    let mut ours = 0;
    let timing = measure(
        Runs { least: 7, seconds: 0.3 },
        &mut ours,
        |_| (),
        |ours| {
            let parameters = vec![0.0; parameter_count(classes, d).expect("fits")];
            let mut head = Head::new(classes, d, parameters).expect("of this length");
            let mut scratch = vec![0.0; ridge::path_scratch_len(n, classes, d, path.len()).expect("fits")];
            let mut errors = [0.0; PENALTIES];
            *ours = ridge::fit_path(Kernels::detect(), &set, &path, &mut head, &mut errors, None, &mut scratch)
                .expect("sound samples");
        },
    );
    peer.load(samples);
    let (theirs, their_timing) = peer.ridge(&path, 7);
    let ratio = their_timing.cpu / timing.cpu;
    println!(
        "| {name} | {n} | {} | {} | {ratio:.1}x | {}, {} | {LEAST_RATIO}x, same choice: {} |",
        milliseconds(timing),
        milliseconds(their_timing),
        path[theirs],
        path[ours],
        if ratio >= LEAST_RATIO && ours == theirs { "met" } else { "MISSED" },
    );
}
