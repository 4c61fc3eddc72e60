//! What a fit will take, said before it starts, and refused where that is more than is allowed.

use topgraft::learn::{Cost, Dataset};
use topgraft::topgraft_core::head::Kind;

use super::message::message;
use super::text::{bytes, counted, duration, plain};

/// The option of every command that fits.
#[derive(clap::Args)]
pub struct BudgetArgs {
    /// Refuse a fit that needs more memory than this beyond the features, e.g. 200M or 64MiB [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size, allow_hyphen_values = true)]
    max_memory: Option<u64>,
}

/// What a fit needs is more than is allowed.
#[derive(Debug, thiserror::Error)]
#[error(
    "--max-memory allows {}, and the fit to {photos} of {classes} classes needs {} beyond the features; {remedy}",
    bytes(*allowed), bytes(*needed)
)]
pub struct TooMuch {
    photos: String,
    classes: usize,
    needed: u64,
    allowed: u64,
    remedy: String,
}

impl BudgetArgs {
    /// No limit.
    pub const NONE: Self = Self { max_memory: None };

    /// Refuses what needs more than is allowed; `remedy` says what to do, given the bytes that are.
    pub fn check(
        &self,
        dataset: &Dataset,
        noun: &str,
        cost: impl Fn(&[usize]) -> Cost,
        remedy: impl FnOnce(u64) -> String,
    ) -> Result<(), TooMuch> {
        let needed = cost(&dataset.counts()).bytes;
        match self.max_memory.filter(|allowed| needed > *allowed) {
            None => Ok(()),
            Some(allowed) => Err(TooMuch {
                photos: counted(dataset.samples.len(), noun),
                classes: dataset.classes.len(),
                needed,
                allowed,
                remedy: remedy(allowed),
            }),
        }
    }
}

/// Features would not fit the memory that is free.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} features of each of {}{} need {}, and {} of memory are free; {remedy}",
    feature_dim, counted(*photos, "photo"), cut.as_ref().map(|cut| format!(" at the cut {cut}")).unwrap_or_default(),
    bytes(*needed), bytes(*free)
)]
pub struct NoRoom {
    photos: usize,
    feature_dim: usize,
    cut: Option<String>,
    needed: u64,
    free: u64,
    remedy: &'static str,
}

/// Refuses features, of `photos` at `cut`, that the memory which the system says is free cannot hold: better before the photos
/// are read than by the system's killing the program. Where it does not say, nothing is refused.
pub fn check_features(
    photos: usize,
    feature_dim: usize,
    cut: Option<&str>,
    remedy: &'static str,
) -> Result<(), NoRoom> {
    // As they come from the trunk, and as a table.
    let needed = 2 * 4 * photos as u64 * feature_dim as u64;
    match free_memory().filter(|free| needed > *free) {
        None => Ok(()),
        Some(free) => Err(NoRoom { photos, feature_dim, cut: cut.map(plain), needed, free, remedy }),
    }
}

/// Bytes that can be taken without swapping: Linux's estimate.
pub fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Says on standard error what the fit to `dataset` will take.
pub fn state(dataset: &Dataset, noun: &str, feature_dim: usize, cost: &Cost) {
    message(format_args!(
        "the fit to {} of {} classes, {}, needs up to {} beyond the features and about {}",
        counted(dataset.samples.len(), noun),
        dataset.classes.len(),
        counted(feature_dim, "feature"),
        bytes(cost.bytes),
        duration(cost.duration())
    ));
}

/// What `learn` could do with less instead of trying all of `kinds`: fewer shots, or one of the kinds that are `offered`, each
/// with what it needs.
pub fn remedy(
    counts: &[usize],
    cost: impl Fn(&[usize], &[Kind]) -> Cost,
    kinds: &[Kind],
    offered: impl Iterator<Item = Kind>,
    allowed: u64,
) -> String {
    let shots_cost = |shots: usize| {
        let counts: Vec<usize> = counts.iter().map(|count| shots.min(*count)).collect();
        cost(&counts, kinds).bytes
    };
    let largest = counts.iter().copied().max().unwrap_or(0);
    let shots = (2..largest).rev().map(|shots| (shots, shots_cost(shots))).find(|(_, bytes)| *bytes <= allowed);
    let shots = shots.map(|(shots, needed)| format!("--shots {shots} ({})", bytes(needed)));
    let others = offered.filter(|kind| kinds != [*kind]);
    let least = others.map(|kind| (cost(counts, &[kind]).bytes, kind)).min_by_key(|(bytes, _)| *bytes);
    let head = least.filter(|(bytes, _)| *bytes <= allowed);
    let head = head.map(|(needed, kind)| format!("--head {} ({})", kind.name(), bytes(needed)));
    match (shots, head) {
        (None, None) => "neither fewer --shots nor another --head needs so little, so allow more".to_owned(),
        (shots, head) => format!("use {}", shots.into_iter().chain(head).collect::<Vec<_>>().join(" or ")),
    }
}

/// Bytes: a number, then nothing, K, M, G, T (powers of 1000; KB, MB, GB, TB too) or KiB, MiB, GiB, TiB (powers of 1024).
fn size(text: &str) -> Result<u64, String> {
    let wrong = || "give a size in bytes from 1 to 9000T, e.g. 200M, 1.5G or 64MiB".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let bytes = number.parse::<f64>().map_err(|_| wrong())? * unit;
    // 2^53: up to there a float is exact.
    if (1.0..=9_007_199_254_740_992.0).contains(&bytes) { Ok(bytes as u64) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_nonsense_is_not() {
        for (text, bytes) in [
            ("1", 1),
            ("1500", 1500),
            ("200M", 200_000_000),
            ("200mb", 200_000_000),
            ("1.5G", 1_500_000_000),
            ("64MiB", 64 << 20),
            ("2 KiB", 2048),
            ("0.5k", 500),
            ("1T", 1_000_000_000_000),
            ("1TiB", 1 << 40),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "M", "-1", "-1M", "12X", "1e9", "nan", "inf", "1.2.3", "0.1", "10 M B", "99999999G", "∞"]
        {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
