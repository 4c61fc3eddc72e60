//! Fits from nothing to the optimum, beside the peers'.

use topgraft_core::head::{Head, parameter_count};
use topgraft_core::kernel::Kernels;
use topgraft_core::solver::softmax::{self, Settings};
use topgraft_core::solver::{FitReport, TrainingSet};

use crate::data::Samples;
use crate::peer::{Fit, Peer};
use crate::timing::{Runs, Timing, measure};

/// Relative distance from the optimal objective that counts as there.
pub const THERE: f64 = 1e-6;
/// Tolerances that everyone is tried with: four a decade, from 0.1 to 1e-9.
const RUNGS: std::ops::RangeInclusive<i32> = A_DECADE..=9 * A_DECADE;
const A_DECADE: i32 = 4;
const STRIDE: i32 = 4;
const MOST_SECONDS_OF_PYTORCH: f64 = 1.0;

/// Tolerance of a rung.
fn tolerance(rung: i32) -> f64 {
    10f64.powf(f64::from(-rung) / f64::from(A_DECADE))
}

/// A fit, and with which tolerance.
#[derive(Clone, Copy)]
pub struct Rung {
    pub fit: Fit,
    pub tolerance: f64,
    /// Relative distance from the optimum.
    pub gap: f64,
}

/// Parameters and report of a fit from nothing, with memory of its own, as the peers have it.
pub fn fit(samples: &Samples, settings: &Settings) -> (Vec<f32>, FitReport) {
    let (n, classes, d) = (samples.len(), samples.n_classes, samples.feature_dim);
    let set = TrainingSet { features: &samples.features, labels: &samples.labels, sample_weights: None };
    let mut parameters = vec![0.0; parameter_count(classes, d).expect("fits")];
    let mut head = Head::new(classes, d, &mut parameters[..]).expect("of this length");
    let mut scratch = vec![0.0; softmax::scratch_len(n, classes, d).expect("fits")];
    let report = softmax::fit(Kernels::detect(), &set, settings, &mut head, &mut scratch).expect("sound samples");
    (parameters, report)
}

/// Our fit of the samples that the peer has loaded.
pub fn ours(peer: &mut Peer, samples: &Samples, l2: f64, tolerance: f64, runs: usize) -> Fit {
    let settings = Settings { tolerance, ..Settings::new(l2 as f32) };
    let (parameters, report) = fit(samples, &settings);
    let seconds = if runs > 1 { 0.3 } else { 0.0 };
    let timing = measure(Runs { least: runs, seconds }, &mut (), |_| (), |_| drop(fit(samples, &settings)));
    Fit { objective: peer.objective(&parameters, l2), iterations: f64::from(report.passes), timing }
}

/// The fit with the loosest tolerance that is there, timed over several runs; or one that has come to a standstill before.
pub fn loosest(optimum: f64, mut fit: impl FnMut(f64, usize) -> Fit) -> Rung {
    let gap = |fit: Fit| (fit.objective - optimum) / optimum;
    // By strides first: a rung that is too tight may take many times longer.
    let (mut too_loose, mut tight, mut seen) = (RUNGS.start() - 1, *RUNGS.start(), [f64::INFINITY; 2]);
    loop {
        let once = fit(tolerance(tight), 1);
        let now = gap(once);
        if now <= THERE {
            break;
        }
        // Loose tolerances may all stop at the start.
        let stands_still = once.iterations >= 10.0 && seen == [now; 2];
        if tight == *RUNGS.end() || stands_still {
            return Rung { fit: once, tolerance: tolerance(tight), gap: now };
        }
        (too_loose, seen) = (tight, [seen[1], now]);
        tight = (tight + STRIDE).min(*RUNGS.end());
    }
    // A looser tolerance stops earlier on the same path, so there is one rung from which on it is near enough.
    let mut seconds: f64 = 0.0;
    while tight - too_loose > 1 {
        let middle = (tight + too_loose) / 2;
        let once = fit(tolerance(middle), 1);
        seconds = once.timing.wall;
        if gap(once) <= THERE { tight = middle } else { too_loose = middle }
    }
    let tolerance = tolerance(tight);
    let fit = fit(tolerance, runs(seconds));
    Rung { fit, tolerance, gap: gap(fit) }
}

/// How often something is timed that takes so long.
fn runs(seconds: f64) -> usize {
    if seconds < 0.5 { 7 } else { 3 }
}

/// A peer, by its loosest tolerance in float32; and in float64 where it does not get there otherwise. PyTorch's float64 is left
/// out where that would take minutes.
pub fn of_peer(peer: &mut Peer, name: &str, l2: f64, optimum: f64) -> Vec<Rung> {
    let mut rung = |dtype| loosest(optimum, |tolerance, runs| peer.fit(name, dtype, l2, tolerance, runs));
    let single = rung("f32");
    let is_enough = single.gap <= THERE || name == "PyTorch" && single.fit.timing.wall > MOST_SECONDS_OF_PYTORCH;
    if is_enough { vec![single] } else { vec![single, rung("f64")] }
}

/// The best objective that a long run of float64, or ours, gets to.
pub fn optimum(peer: &mut Peer, samples: &Samples, l2: f64) -> f64 {
    peer.fit("scikit-learn", "f64", l2, 1e-8, 1).objective.min(ours(peer, samples, l2, 1e-9, 1).objective)
}

/// Times the least ratio to scikit-learn that is asked for.
fn target(n: usize, n_classes: usize) -> Option<f64> {
    match (n, n_classes) {
        (50, 5) => Some(50.0),
        (200, 10) => Some(15.0),
        (1000, 10) => Some(5.0),
        (5000 | 20000, 10) => Some(4.0),
        (5000, 100) => Some(2.0),
        _ => None,
    }
}

pub fn print_head() {
    println!(
        "| data | n | classes | L2 | Topgraft: ms | at its default tolerance: ms | scikit-learn: ms | PyTorch: ms \
        | scikit-learn / Topgraft | at its default | PyTorch / Topgraft | target |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
    );
}

/// A line of the table.
pub fn print(peer: &mut Peer, name: &str, samples: &Samples, l2: f64) {
    peer.load(samples);
    let (n, classes) = (samples.len(), samples.n_classes);
    let optimum = optimum(peer, samples, l2);
    let best = loosest(optimum, |tolerance, runs| ours(peer, samples, l2, tolerance, runs));
    let default = Settings::new(l2 as f32).tolerance;
    let fit = ours(peer, samples, l2, default, runs(best.fit.timing.wall));
    let default = Rung { fit, tolerance: default, gap: (fit.objective - optimum) / optimum };
    let scikit_learn = of_peer(peer, "scikit-learn", l2, optimum);
    let pytorch = if peer.has("PyTorch") { of_peer(peer, "PyTorch", l2, optimum) } else { Vec::new() };
    let target = target(n, classes).map_or("-".to_owned(), |least| {
        let ratio = ratio(&scikit_learn, best).unwrap_or(0.0);
        format!("{least}x: {}", if ratio >= least { "met" } else { "MISSED" })
    });
    let [to_best, to_default, pytorch_to_best] =
        [(&scikit_learn, best), (&scikit_learn, default), (&pytorch, best)].map(|(peer, ours)| times(peer, ours));
    println!(
        "| {name} | {n} | {classes} | {l2} | {} | {} | {} | {} | {to_best} | {to_default} | {pytorch_to_best} | {target} |",
        cell(best, "passes"),
        cell(default, "passes"),
        cells(&scikit_learn),
        cells(&pytorch),
    );
}

/// `5.0x`; `> 5.0x` where the peer has not even got there.
pub fn times(peer: &[Rung], ours: Rung) -> String {
    let unfinished = if peer.last().is_some_and(|rung| rung.gap > THERE) { "> " } else { "" };
    ratio(peer, ours).map_or("-".to_owned(), |ratio| format!("{unfinished}{ratio:.1}x"))
}

/// How many times more CPU time the peer takes, by the run of it that is there.
fn ratio(peer: &[Rung], ours: Rung) -> Option<f64> {
    Some(peer.last()?.fit.timing.cpu / ours.fit.timing.cpu)
}

/// Float32, then float64 if there is.
pub fn cells(rungs: &[Rung]) -> String {
    match rungs {
        [] => "not installed".to_owned(),
        [single] => cell(*single, "iterations"),
        [single, double, ..] => {
            format!("f32 NOT THERE: {}; f64: {}", cell(*single, "iterations"), cell(*double, "iterations"))
        }
    }
}

/// `1.92 (tol 1e-5, 17 passes, gap 3e-7)`
pub fn cell(rung: Rung, steps: &str) -> String {
    let (tolerance, gap, iterations) = (rung.tolerance, rung.gap.max(0.0), rung.fit.iterations);
    let marked = if gap <= THERE { "" } else { " NOT THERE" };
    let iterations = if iterations > 0.0 { format!(", {iterations} {steps}") } else { String::new() };
    format!("{} (tol {tolerance:.0e}{iterations}, gap {gap:.0e}{marked})", milliseconds(rung.fit.timing))
}

/// Wall-clock time; CPU time beside it where the thread had to wait.
pub fn milliseconds(Timing { wall, cpu }: Timing) -> String {
    let [wall, cpu] = [wall, cpu].map(|seconds| 1e3 * seconds);
    let digits = if wall < 10.0 { 2 } else { usize::from(wall < 100.0) };
    if cpu < 0.9 * wall { format!("{wall:.digits$} [CPU {cpu:.digits$}]") } else { format!("{wall:.digits$}") }
}
