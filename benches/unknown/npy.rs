//! Features and splits of the shared data.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ndarray::Array2;
use serde::Deserialize;

/// A set of photos, and what to teach and to test with.
#[derive(Deserialize)]
pub struct Splits {
    pub files: Vec<PathBuf>,
    pub labels: Vec<u16>,
    pub splits: Vec<Split>,
}

/// Samples to test with and to teach: all the others, or five or ten of each class.
#[derive(Clone, Deserialize)]
pub struct Split {
    pub test: Vec<usize>,
    pub full: Vec<usize>,
    pub k5: Vec<usize>,
    pub k10: Vec<usize>,
}

pub fn read_splits(shared: &Path, set: &str) -> Result<Splits> {
    let path = shared.join(format!("data/splits/{set}.json"));
    Ok(serde_json::from_str(&fs::read_to_string(&path).with_context(|| path.display().to_string())?)?)
}

/// A two-dimensional f32 array as NumPy writes it, version 1.
pub fn read_npy(path: &Path) -> Result<Array2<f32>> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    ensure!(bytes.starts_with(b"\x93NUMPY\x01\x00"), "{}: not a .npy file", path.display());
    let header_len = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..header_len])?;
    ensure!(header.contains("'<f4'") && header.contains("'fortran_order': False"), "{}: not f32", path.display());
    let shape = header.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')')).context("no shape")?.0;
    let shape: Vec<usize> = shape.split(',').map(|number| number.trim().parse()).collect::<Result<_, _>>()?;
    ensure!(shape.len() == 2, "{}: not two-dimensional", path.display());
    let values = bytes[header_len..].as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Ok(Array2::from_shape_vec((shape[0], shape[1]), values)?)
}
