//! A contact that bounces.

use std::time::{Duration, Instant};

/// One contact: a change counts at once, and then none for as long as it bounces; at the end of that its level does. So no change
/// is lost, and none counts twice.
#[derive(Debug)]
pub(super) struct Contact {
    /// As the line was last.
    level: bool,
    is_down: bool,
    /// When it has come to rest.
    rest: Instant,
    /// When it went up or down.
    since: Instant,
}

impl Contact {
    pub(super) fn new(is_down: bool, now: Instant) -> Self {
        Self { level: is_down, is_down, rest: now, since: now }
    }

    /// The line is at a level now; whether the contact has gone up or down by that.
    pub(super) fn see(&mut self, level: bool, now: Instant, debounce: Duration) -> bool {
        self.level = level;
        self.settle(now, debounce)
    }

    /// Whether it has gone up or down by now.
    pub(super) fn settle(&mut self, now: Instant, debounce: Duration) -> bool {
        if now < self.rest || self.level == self.is_down {
            return false;
        }
        (self.is_down, self.rest, self.since) = (self.level, now + debounce, now);
        true
    }

    pub(super) fn is_down(&self) -> bool {
        self.is_down
    }

    /// How long it has been as it is.
    pub(super) fn lasts(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// When to [`settle`](Self::settle) it, if that may change anything.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (self.level != self.is_down).then_some(self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBOUNCE: Duration = Duration::from_millis(20);

    /// The times, in ms, at which it goes up or down.
    fn changes(levels: &[(u64, bool)]) -> Vec<(u64, bool)> {
        let begin = Instant::now();
        let mut contact = Contact::new(false, begin);
        let mut changes = Vec::new();
        for time in 0..200 {
            let now = begin + Duration::from_millis(time);
            let mut has_changed = contact.settle(now, DEBOUNCE);
            for (_, level) in levels.iter().filter(|(at, _)| *at == time) {
                has_changed |= contact.see(*level, now, DEBOUNCE);
            }
            if has_changed {
                changes.push((time, contact.is_down()));
            }
        }
        assert_eq!(contact.deadline(), None, "it has come to rest");
        changes
    }

    #[test]
    fn a_change_counts_at_once_and_its_bouncing_does_not() {
        assert_eq!(changes(&[(5, true), (6, false), (8, true), (11, false), (12, true)]), [(5, true)]);
        assert_eq!(changes(&[(5, true), (90, false), (91, true), (93, false)]), [(5, true), (90, false)]);
        // At the very end of its bouncing.
        assert_eq!(changes(&[(5, true), (25, false)]), [(5, true), (25, false)]);
    }

    #[test]
    fn what_ends_while_it_bounces_ends_after_that() {
        assert_eq!(changes(&[(5, true), (15, false)]), [(5, true), (25, false)]);
        assert_eq!(changes(&[(5, true), (6, true), (7, false), (7, true), (7, false)]), [(5, true), (25, false)]);
    }
}
