//! Photos -> features, with a progress bar; those that can't be read are named.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use topgraft::learn::{Dataset, Extracted, FeatureCache, Sample, Views};
use topgraft::trunk::{Taps, Trunk};

use super::message::message;

/// A bar on standard error, if that is a terminal.
pub fn progress_bar(photos: usize) -> ProgressBar {
    progress_bar_of(photos, "photos")
}

/// As [`progress_bar`], for other things, a word without braces.
pub fn progress_bar_of(number: usize, things: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!("{{bar:30}} {{pos}}/{{len}} {things}, {{eta}} left"));
    ProgressBar::new(number as u64).with_style(style.expect("a valid template"))
}

/// Features of a dataset, and how long that took. Photos that were skipped are named on standard error; photos of `spares`
/// take their places. The trunk does not run on photos that the cache knows; with views there is no cache.
///
/// # Errors
/// If the trunk fails on every photo.
pub fn extract(
    trunk: &Trunk,
    dataset: &Dataset,
    spares: Vec<Vec<Sample>>,
    cache: Option<&mut FeatureCache>,
    views: Option<Views>,
) -> anyhow::Result<(Extracted, Duration)> {
    let bar = progress_bar(dataset.samples.len());
    let start = Instant::now();
    let mut extracted = match views {
        Some(views) => Extracted::with_views(trunk, dataset, spares, views, || bar.inc(1)),
        None => Extracted::with_spares(trunk, dataset, spares, cache, || bar.inc(1)),
    };
    let time = start.elapsed();
    bar.finish_and_clear();
    name_skipped(&extracted);
    extracted.check_trunk()?;
    Ok((extracted, time))
}

/// As [`extract`], of several cuts in a row; enough photos for teaching are left.
pub fn extract_taps(taps: &Taps, dataset: &Dataset) -> anyhow::Result<Extracted> {
    let bar = progress_bar(dataset.samples.len());
    let mut extracted = Extracted::of_taps(taps, dataset, || bar.inc(1));
    bar.finish_and_clear();
    name_skipped(&extracted);
    extracted.check_trunk()?;
    extracted.dataset.check_teachable()?;
    Ok(extracted)
}

/// Names what was skipped on standard error.
pub fn name_skipped(extracted: &Extracted) {
    for (_, error) in &extracted.skipped {
        message(format_args!("skipped {error}"));
    }
}

/// `[{"path": ..., "error": ...}]`
pub fn skipped_json(extracted: &Extracted) -> Value {
    let skipped = extracted.skipped.iter();
    skipped
        .map(|(sample, error)| json!({ "path": sample.path.display().to_string(), "error": error.to_string() }))
        .collect()
}
