//! What a fit is said to take, beside what it takes.

use std::process::Command;

use ndarray::Array2;
use peak_alloc::PeakAlloc;
use topgraft::learn::{Cost, Scaling, Settings, fit_with, held_out_auroc, learning_curve};
use topgraft::topgraft_core::head::Kind;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Set for the process of its own that the fits are measured in: other tests allocate, too.
const CHILD: &str = "TOPGRAFT_TEST_MEASURES_MEMORY";

/// Samples of each class and features: leave-one-out in the span and folds, folds by passes over the features; few and
/// many classes, equal and unequal ones.
fn shapes() -> Vec<(Vec<usize>, usize)> {
    vec![
        (vec![5; 6], 1280),
        (vec![20; 5], 1280),
        (vec![2; 12], 600),
        (vec![60; 3], 256),
        (vec![90, 15, 4], 320),
        (vec![60; 4], 64),
        (vec![20; 8], 100),
    ]
}

/// Fits as `learn` does; bytes that were allocated at the same time beyond the features.
fn measure(counts: &[usize], dim: usize, settings: &Settings<'_>) -> usize {
    let labels: Vec<u16> = counts.iter().zip(0..).flat_map(|(count, class)| vec![class; *count]).collect();
    let features = Array2::from_shape_fn((labels.len(), dim), |(i, j)| {
        ((i * dim + j) as f32 * 0.71).sin() + if j % counts.len() == usize::from(labels[i]) { 1.0 } else { 0.0 }
    });
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let fitted = fit_with(features.view(), &labels, counts.len(), settings).expect("fits");
    held_out_auroc(features.view(), &labels, &fitted).expect("fits");
    learning_curve(features.view(), &labels, &fitted).expect("fits");
    ALLOCATED.peak_usage() - before
}

#[test]
fn a_fit_takes_no_more_than_is_said_and_more_than_half_of_it() {
    if std::env::var_os(CHILD).is_some() {
        return report();
    }
    let name = "memory::a_fit_takes_no_more_than_is_said_and_more_than_half_of_it";
    let mut child = Command::new(std::env::current_exe().expect("this program"));
    let output = child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().expect("starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let mut lines = 0;
    for line in text.lines().filter_map(|line| line.split_once("bytes:")) {
        let numbers: Vec<u64> = line.1.split_whitespace().map(|number| number.parse().expect("a number")).collect();
        let [threads, said, taken] = numbers[..] else { panic!("{line:?}") };
        assert!(taken <= said, "{line:?}");
        // Threads need not all be at the height of their work at the same time.
        assert!(threads > 1 || said <= 2 * taken, "{line:?}");
        lines += 1;
    }
    assert_eq!(lines, 2 * shapes().len() * (Kind::ALL.len() + 1));
}

/// A line for each fit, `bytes: threads said taken`.
fn report() {
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            for (counts, dim) in shapes() {
                let one = |kind: &'static Kind| Settings {
                    scalings: &[Scaling::L2],
                    kinds: std::slice::from_ref(kind),
                    class_weights: None,
                };
                let any = Settings { scalings: &Scaling::ALL, kinds: &Kind::LINEAR, class_weights: None };
                for settings in Kind::ALL.iter().map(one).chain([any]) {
                    let said = Cost::of_fit(&counts, dim, &settings, threads).bytes;
                    let taken = measure(&counts, dim, &settings);
                    println!("{:?} {counts:?} {dim} bytes: {threads} {said} {taken}", settings.kinds);
                }
            }
        });
    }
}
