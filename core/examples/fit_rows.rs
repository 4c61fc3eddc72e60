//! Fits a head to rows of a sensor and writes its file: what a firmware carries in flash.
//!
//! `cargo run -p topgraft-core --example fit_rows -- ROWS OUT.graft`; a row is a byte with the label and 32 bytes with
//! features from 0 to 15, the first of two in the low bits. The first half of the rows is learned from.

use topgraft_core::format::Contents;
use topgraft_core::head::{Head, Kind, parameter_count};
use topgraft_core::kernel::Kernels;
use topgraft_core::preprocess::Preprocess;
use topgraft_core::scaler::Scaler;
use topgraft_core::solver::{TrainingSet, softmax};

const FEATURE_DIM: usize = 64;
const LABELS: [&str; 4] = ["zero", "one", "two", "three"];
const L2: f32 = 0.1;

/// Scaled features `[n, 64]` and labels of the rows that are learned from.
pub fn samples(kernels: Kernels, rows: &[u8]) -> (Vec<f32>, Vec<u16>) {
    let rows: Vec<&[u8]> = rows.chunks_exact(1 + FEATURE_DIM / 2).collect();
    let rows = &rows[..rows.len() / 2];
    let two = |byte: &u8| [byte & 15, byte >> 4].map(|x| f32::from(x) / 15.0);
    let mut features: Vec<f32> = rows.iter().flat_map(|row| row[1..].iter().flat_map(two)).collect();
    features.chunks_exact_mut(FEATURE_DIM).for_each(|row| Scaler::<[f32; 0]>::L2.apply(kernels, row));
    (features, rows.iter().map(|row| u16::from(row[0])).collect())
}

/// The bytes of a head file.
pub fn fit(rows: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let kernels = Kernels::detect();
    let (features, labels) = samples(kernels, rows);
    let set = TrainingSet { features: &features, labels: &labels, sample_weights: None };
    let mut parameters = vec![0.0; parameter_count(LABELS.len(), FEATURE_DIM).expect("small")];
    let mut head = Head::new(LABELS.len(), FEATURE_DIM, &mut parameters[..])?;
    let mut scratch = vec![0.0; softmax::scratch_len(labels.len(), LABELS.len(), FEATURE_DIM).expect("small")];
    softmax::fit(kernels, &set, &softmax::Settings::new(L2), &mut head, &mut scratch)?;

    let contents = Contents {
        fingerprint: *b"8 x 8 pixels, 0 to 15, over 15; ",
        backbone: "none",
        cut: "pixels",
        preprocess: Preprocess::IMAGENET,
        labels: &LABELS,
        scaler: Scaler::L2,
        head: Head::new(LABELS.len(), FEATURE_DIM, &parameters[..])?.into(),
        kind: Kind::Softmax,
        l2: L2,
        evaluation: None,
        calibration: None,
        rejection: None,
        producer: concat!("topgraft-core ", env!("CARGO_PKG_VERSION")),
    };
    let mut file = vec![0; contents.encoded_len()?];
    contents.emit(&mut file)?;
    Ok(file)
}

#[allow(dead_code, reason = "a test takes `fit` from here")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(rows), Some(out)) = (args.next(), args.next()) else {
        return Err("usage: fit_rows ROWS OUT.graft".into());
    };
    std::fs::write(out, fit(&std::fs::read(rows)?)?)?;
    Ok(())
}
