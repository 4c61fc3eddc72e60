//! What happened, for who asks some time.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// The most events that are kept for who does not ask for them.
pub const MOST: usize = 256;

/// Events that nobody has asked for yet; of very many the newest.
#[derive(Debug)]
pub struct Log<T>(Mutex<VecDeque<T>>);

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }
}

impl<T> Log<T> {
    /// Adds one. `merge` may take it into the last one instead, and says whether it has.
    pub fn add(&self, event: T, merge: impl FnOnce(&mut T, &T) -> bool) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if events.back_mut().is_some_and(|last| merge(last, &event)) {
            return;
        }
        if events.len() == MOST {
            events.pop_front();
        }
        events.push_back(event);
    }

    /// Takes them all, the oldest first.
    pub fn drain(&self) -> Vec<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_and_what_is_merged_takes_no_place() {
        let log = Log::default();
        (0..MOST + 10).for_each(|i| log.add(i, |_, _| false));
        (0..1000).for_each(|_| {
            log.add(1, |last, event| {
                *last += event;
                true
            });
        });
        let events = log.drain();
        assert_eq!((events.len(), events[0], events[MOST - 1]), (MOST, 10, MOST + 9 + 1000));
        assert!(log.drain().is_empty());
    }
}
