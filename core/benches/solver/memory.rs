//! Peak memory of a fit beyond the features, each measured in a process of its own (Linux).

use std::process::Command;

use topgraft_core::solver::softmax::{Settings, scratch_len};

use crate::data::Samples;
use crate::fits::fit;
use crate::peer::Peer;

/// The argument that makes this program the process that is measured.
pub const ARGUMENT: &str = "--memory";
const SHAPE: [usize; 3] = [5000, 100, 1280];
const L2: f64 = 0.01;
const MOST_MEGABYTES: f64 = 10.0;

fn samples() -> Samples {
    let [n, classes, d] = SHAPE;
    Samples::like_a_network(n, classes, d, 0.25).unit_length()
}

/// Prints by how many bytes a fit raised the peak.
pub fn measure() {
    let samples = samples();
    let before = bytes("VmRSS");
    let (parameters, _) = fit(&samples, &Settings::new(L2 as f32));
    let peak = bytes("VmHWM").zip(before).map(|(peak, before)| peak - before);
    assert!(!parameters.is_empty());
    println!("{}", peak.unwrap_or(f64::NAN));
}

/// A field of /proc/self/status.
fn bytes(field: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(1024.0 * line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()?)
}

pub fn print() {
    let [n, classes, d] = SHAPE;
    let scratch = 4.0 * scratch_len(n, classes, d).expect("fits") as f64;
    let own = Command::new(std::env::current_exe().expect("a path")).arg(ARGUMENT).output().expect("it runs");
    let own: f64 = String::from_utf8_lossy(&own.stdout).trim().parse().expect("a number");
    let mut peer = Peer::start();
    peer.load(&samples());
    let [scratch, own, theirs] = [scratch, own, peer.memory(L2)].map(|bytes| bytes / 1e6);
    let verdict = if own < MOST_MEGABYTES { "met" } else { "MISSED" };
    println!(
        "| n | classes | feature_dim | scratch_len, MB | measured with the head, MB | scikit-learn, MB | target |"
    );
    println!("|---|---|---|---|---|---|---|");
    println!("| {n} | {classes} | {d} | {scratch:.1} | {own:.1} | {theirs:.1} | < {MOST_MEGABYTES} MB: {verdict} |");
}
