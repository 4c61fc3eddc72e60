//! How long to wait before it is tried again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Waits that double.
#[derive(Debug)]
pub(super) struct Backoff {
    least: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(least: Duration, most: Duration) -> Self {
        Self { least, most, next: least }
    }

    /// It went well: the next wait is the least one.
    pub(super) fn reset(&mut self) {
        self.next = self.least;
    }

    /// The next wait, without chance.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = wait.saturating_mul(2).min(self.most);
        wait
    }
}

/// Up to a fifth more or less, so that all cameras of a house do not come at once after a power cut.
pub(super) fn with_chance(wait: Duration) -> Duration {
    // The standard library seeds these with the system's random numbers.
    let chance = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
    wait.mul_f64(0.8 + 0.4 * chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_until_it_went_well() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        let mut waits = |count| (0..count).map(|_| backoff.next().as_secs()).collect::<Vec<_>>();
        assert_eq!(waits(7), [1, 2, 4, 8, 16, 30, 30]);
        backoff.reset();
        assert_eq!(backoff.next().as_secs(), 1);
        let waits: Vec<_> = (0..100).map(|_| with_chance(Duration::from_secs(10)).as_secs_f64()).collect();
        assert!(waits.iter().all(|wait| (8.0..=12.0).contains(wait)));
        assert!(waits.iter().any(|&wait| wait < 9.5) && waits.iter().any(|&wait| wait > 10.5));
    }
}
