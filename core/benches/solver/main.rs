//! The solvers beside scikit-learn, PyTorch and liblinear, one thread each, in one run, on the same samples.
//!
//! `cargo bench -p topgraft-core --bench solver [-- [SHARED] [--only=WORD]]`. `python3`, or what the environment's `PYTHON`
//! names, needs benches/peers/requirements.txt. SHARED is a folder with `data/features/signdigits10.efficientnet_lite0.npy` and
//! `data/splits/signdigits10.json` (default `../shared` beside the repository; without it only made-up features). WORD picks
//! some of the lines, `n,classes` of a shape or part of a set's name, or one of the tables `liblinear`, `online`, `ridge`,
//! `memory`. Prints Markdown; all of it takes half an hour or more.
//!
//! Everyone is run with the loosest tolerance that brings its objective within 1e-6, relative, of the optimum: summed in
//! float64 from the parameters it gives, all by the same function. Times are medians; ratios are of CPU times, which others on
//! the machine disturb less. A bench of core, not of the root: there each bench would link tract.

#[path = "../data.rs"]
mod data;
mod fits;
mod memory;
mod online;
mod peer;
mod ridge;
#[path = "../timing.rs"]
mod timing;

use std::path::{Path, PathBuf};

use data::Samples;
use fits::{cell, cells, loosest, of_peer, optimum, ours, times};
use peer::Peer;
use topgraft_core::kernel::Kernels;

const FEATURE_DIM: usize = 1280;
const SHAPES: [(usize, usize); 6] = [(50, 5), (200, 10), (1000, 10), (5000, 10), (20000, 10), (5000, 100)];
/// Class means apart, in deviations of the noise.
const SEPARATIONS: [(&str, f32); 2] = [("overlapping", 0.25), ("easy", 1.0)];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == memory::ARGUMENT) {
        return memory::measure();
    }
    let only = args.iter().find_map(|arg| arg.strip_prefix("--only=")).unwrap_or_default();
    let shared = args.iter().find(|arg| !arg.starts_with("--")).map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"));
    let mut peer = Peer::start();
    println!("Topgraft with {}; {}", Kernels::detect().isa().name(), peer.versions);
    let photos = shared.join("data/features").is_dir().then(|| peer.photos(&shared));
    if photos.is_none() {
        println!("No features of photos in {}.", shared.display());
    }
    let wants = |words: &[&str]| only.is_empty() || words.iter().any(|word| word.contains(only));

    let mut is_first = true;
    let mut print = |name: &str, samples: &Samples, l2: f64| {
        if std::mem::take(&mut is_first) {
            println!("\n## From nothing to the optimum\n");
            fits::print_head();
        }
        fits::print(&mut peer, name, samples, l2);
    };
    if let Some(photos) = photos.clone().filter(|_| wants(&["photos"]) || only == "1000,10") {
        print_both(photos, "photos", &mut print);
    }
    for (name, separation) in SEPARATIONS {
        for (n, classes) in SHAPES {
            if wants(&[name]) || only == format!("{n},{classes}") {
                print_both(Samples::like_a_network(n, classes, FEATURE_DIM, separation), name, &mut print);
            }
        }
    }
    if wants(&["liblinear"]) {
        println!("\n## Two classes\n");
        print_two_classes(&mut peer);
    }
    if wants(&["online"]) {
        println!("\n## One sample more\n");
        online::print_head();
        let mut print = |name: &str, samples: &Samples, l2| online::print(&mut peer, name, samples, l2);
        photos.clone().into_iter().for_each(|photos| print_both(photos, "photos", &mut print));
        print_both(Samples::like_a_network(1020, 10, FEATURE_DIM, 0.25), "overlapping", &mut print);
    }
    if wants(&["ridge"]) {
        println!("\n## Ridge with leave-one-out over 20 penalties\n");
        ridge::print_head();
        let mut print = |name: &str, samples: &Samples, l2: f64| {
            // Features of length 1 want a smaller penalty.
            let path = if l2 < 1.0 { [1e-4, 1e2] } else { [1e-1, 1e5] };
            ridge::print(&mut peer, name, samples, path);
        };
        photos.into_iter().for_each(|photos| print_both(photos, "photos", &mut print));
        print_both(Samples::like_a_network(1000, 10, FEATURE_DIM, 0.25), "overlapping", &mut print);
    }
    if wants(&["memory"]) {
        println!("\n## Peak memory of a fit beyond the features\n");
        memory::print();
    }
}

/// Raw with L2 = 1, and scaled to length 1 with L2 = 0.01: scikit-learn's C = 1 and C = 100.
fn print_both(samples: Samples, name: &str, mut print: impl FnMut(&str, &Samples, f64)) {
    print(&format!("{name}, raw"), &samples, 1.0);
    print(&format!("{name}, unit length"), &samples.unit_length(), 0.01);
}

/// liblinear has no softmax of more than two classes.
fn print_two_classes(peer: &mut Peer) {
    println!(
        "| data | n | L2 | Topgraft: ms | liblinear: ms | scikit-learn: ms | liblinear / Topgraft | scikit-learn / Topgraft |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for n in [200, 1000, 5000] {
        print_both(Samples::like_a_network(n, 2, FEATURE_DIM, 0.25), "overlapping", |name, samples, l2| {
            peer.load(samples);
            let optimum = optimum(peer, samples, l2);
            let best = loosest(optimum, |tolerance, runs| ours(peer, samples, l2, tolerance, runs));
            let scikit_learn = of_peer(peer, "scikit-learn", l2, optimum);
            // It knows float64 only.
            let liblinear = peer
                .has("liblinear")
                .then(|| loosest(optimum, |tolerance, runs| peer.fit("liblinear", "f64", l2, tolerance, runs)));
            let liblinear: Vec<_> = liblinear.into_iter().collect();
            println!(
                "| {name} | {n} | {l2} | {} | {} | {} | {} | {} |",
                cell(best, "passes"),
                cells(&liblinear),
                cells(&scikit_learn),
                times(&liblinear, best),
                times(&scikit_learn, best),
            );
        });
    }
}
