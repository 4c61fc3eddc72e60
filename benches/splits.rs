//! Training and test photos of a set, as `data/splits/SET.json` lists them: part of several benches.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

/// A set of photos, with the indices of several splits.
#[derive(Deserialize)]
pub struct Splits {
    pub files: Vec<PathBuf>,
    pub labels: Vec<u16>,
    pub splits: Vec<Split>,
}

#[derive(Deserialize)]
pub struct Split {
    pub test: Vec<usize>,
    full: Vec<usize>,
    k5: Vec<usize>,
    k10: Vec<usize>,
}

impl Splits {
    pub fn open(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Ok(serde_json::from_str(&text)?)
    }
}

impl Split {
    /// `5`, `10` of each class, or all that are not tested on.
    pub fn training(&self, shots: &str) -> &[usize] {
        match shots {
            "5" => &self.k5,
            "10" => &self.k10,
            _ => &self.full,
        }
    }
}
