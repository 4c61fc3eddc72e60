//! Photos -> features, with a progress bar; those that can't be read are named.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use topgraft::learn::{Dataset, Extracted, FeatureCache, Sample};
use topgraft::trunk::Trunk;

use super::message::message;

/// A bar on standard error, if that is a terminal.
pub fn progress_bar(photos: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} photos, {eta} left");
    ProgressBar::new(photos as u64).with_style(style.expect("a valid template"))
}

/// Features of a dataset, and how long that took. Photos that were skipped are named on standard error; photos of `spares`
/// take their places. The trunk does not run on photos that the cache knows.
///
/// # Errors
/// If the trunk fails on every photo.
pub fn extract(
    trunk: &Trunk,
    dataset: &Dataset,
    spares: Vec<Vec<Sample>>,
    cache: Option<&mut FeatureCache>,
) -> anyhow::Result<(Extracted, Duration)> {
    let bar = progress_bar(dataset.samples.len());
    let start = Instant::now();
    let mut extracted = Extracted::with_spares(trunk, dataset, spares, cache, || bar.inc(1));
    let time = start.elapsed();
    bar.finish_and_clear();
    for (_, error) in &extracted.skipped {
        message(format_args!("skipped {error}"));
    }
    extracted.check_trunk()?;
    Ok((extracted, time))
}

/// `[{"path": ..., "error": ...}]`
pub fn skipped_json(extracted: &Extracted) -> Value {
    let skipped = extracted.skipped.iter();
    skipped
        .map(|(sample, error)| json!({ "path": sample.path.display().to_string(), "error": error.to_string() }))
        .collect()
}
