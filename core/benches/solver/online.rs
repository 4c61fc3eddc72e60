//! One sample more at n = 1000: `add` and `fit` of `Online`, beside fits from nothing.

use topgraft_core::head::{Head, parameter_count};
use topgraft_core::kernel::Kernels;
use topgraft_core::solver::softmax::Settings;
use topgraft_core::solver::softmax::online::Online;

use crate::data::Samples;
use crate::fits::{THERE, loosest, milliseconds, of_peer, optimum, ours};
use crate::peer::Peer;
use crate::timing::{Start, Timing, median};

/// Samples that come and go, one at a time.
const VISITORS: usize = 20;
const CAPACITY: usize = 1024;
/// Asked for.
const MOST_MILLISECONDS: f64 = 3.0;
const LEAST_RATIO: f64 = 10.0;

pub fn print_head() {
    println!(
        "| data | n | L2 | add + fit: median, longest, ms | largest gap | remove + fit: median, ms | Online from nothing, ms \
        | softmax::fit from nothing, ms | scikit-learn from nothing, ms | scikit-learn / add + fit | target |\n\
        |---|---|---|---|---|---|---|---|---|---|---|"
    );
}

pub fn print(peer: &mut Peer, name: &str, samples: &Samples, l2: f64) {
    let (classes, d) = (samples.n_classes, samples.feature_dim);
    let settings = Settings::new(l2 as f32);
    // Evenly chosen, so that they are of all classes.
    let every = samples.len() / VISITORS;
    let is_visitor = |i: usize| i.is_multiple_of(every) && i / every < VISITORS;
    let row = |i: usize| &samples.features[i * d..][..d];
    let residents: Vec<usize> = (0..samples.len()).filter(|i| !is_visitor(*i)).collect();
    let mut floats = vec![0.0; Online::buffer_len(CAPACITY, classes, d).expect("fits")];
    let mut labels = [0; CAPACITY];
    let mut online = Online::new(Kernels::detect(), classes, d, &mut floats, &mut labels).expect("long enough");
    let start = Start::now();
    for i in &residents {
        online.add(row(*i), samples.labels[*i]).expect("room");
    }
    online.fit(&settings).expect("sound samples");
    let cold = start.elapsed();
    let (mut adding, mut removing, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    let mut head =
        Head::new(classes, d, vec![0.0; parameter_count(classes, d).expect("fits")]).expect("of this length");
    let mut first = None;
    for visitor in (0..samples.len()).filter(|i| is_visitor(*i)) {
        let start = Start::now();
        let slot = online.add(row(visitor), samples.labels[visitor]).expect("room");
        online.fit(&settings).expect("sound samples");
        adding.push(start.elapsed());
        // The optimum of a few of them is enough: it takes long.
        if (adding.len() - 1).is_multiple_of(VISITORS / 2) {
            online.head(&mut head);
            let all = with(samples, &residents, visitor);
            peer.load(&all);
            let optimum = optimum(peer, &all, l2);
            gaps.push((peer.objective(head.parameters(), l2) - optimum) / optimum);
            first.get_or_insert((all, optimum));
        }
        let start = Start::now();
        online.remove(slot);
        online.fit(&settings).expect("sound samples");
        removing.push(start.elapsed());
    }
    let (all, optimum) = first.expect("a visitor");
    peer.load(&all);
    let ours = loosest(optimum, |tolerance, runs| ours(peer, &all, l2, tolerance, runs));
    let scikit_learn = of_peer(peer, "scikit-learn", l2, optimum);
    let [longest, adding, removing] = [longest(&adding), medians(&adding), medians(&removing)];
    let gap = gaps.into_iter().fold(0.0, f64::max);
    let nothing = scikit_learn.last().map_or(Timing { wall: f64::NAN, cpu: f64::NAN }, |rung| rung.fit.timing);
    let ratio = nothing.cpu / adding.cpu;
    let is_met = 1e3 * adding.cpu < MOST_MILLISECONDS && ratio > LEAST_RATIO && gap <= THERE;
    println!(
        "| {name} | {} | {l2} | {}, {} | {gap:.0e} | {} | {} | {} | {} | {ratio:.1}x \
        | < {MOST_MILLISECONDS} ms and > {LEAST_RATIO}x: {} |",
        residents.len(),
        milliseconds(adding),
        milliseconds(longest),
        milliseconds(removing),
        milliseconds(cold),
        milliseconds(ours.fit.timing),
        milliseconds(nothing),
        if is_met { "met" } else { "MISSED" },
    );
}

fn medians(timings: &[Timing]) -> Timing {
    let median = |of: fn(&Timing) -> f64| median(timings.iter().map(of).collect());
    Timing { wall: median(|timing| timing.wall), cpu: median(|timing| timing.cpu) }
}

/// By CPU time.
fn longest(timings: &[Timing]) -> Timing {
    timings.iter().copied().max_by(|a, b| a.cpu.total_cmp(&b.cpu)).expect("a visitor")
}

/// The residents and a visitor.
fn with(samples: &Samples, residents: &[usize], visitor: usize) -> Samples {
    let (d, chosen) = (samples.feature_dim, || residents.iter().copied().chain([visitor]));
    Samples {
        features: chosen().flat_map(|i| samples.features[i * d..][..d].iter().copied()).collect(),
        labels: chosen().map(|i| samples.labels[i]).collect(),
        n_classes: samples.n_classes,
        feature_dim: d,
    }
}
