//! A place for one value between two threads: a newer one takes the place of an older one that nobody took.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What [`Slot::take`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken<T> {
    Value(T),
    /// Not within the time.
    Nothing,
    /// There is none, and there will be none.
    Closed,
}

/// The slot is closed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closed;

pub(super) struct Slot<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    value: Option<T>,
    closed: bool,
}

impl<T> Slot<T> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { value: None, closed: false }), changed: Condvar::new() }
    }

    /// Puts a value in; gives back the one whose place it takes.
    pub(super) fn put(&self, value: T) -> Result<Option<T>, Closed> {
        let mut state = self.lock();
        if state.closed {
            return Err(Closed);
        }
        let before = state.value.replace(value);
        self.changed.notify_all();
        Ok(before)
    }

    /// Takes the value, or waits for one.
    pub(super) fn take(&self, timeout: Duration) -> Taken<T> {
        let state = self.wait(timeout, |state| state.value.is_none() && !state.closed);
        match state {
            mut state if state.value.is_some() => state.value.take().map_or(Taken::Nothing, Taken::Value),
            state if state.closed => Taken::Closed,
            _ => Taken::Nothing,
        }
    }

    /// Nothing more can be put in; what is there can be taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits until it is closed, at most so long; whether it is.
    pub(super) fn is_closed_within(&self, timeout: Duration) -> bool {
        self.wait(timeout, |state| !state.closed).closed
    }

    fn wait(&self, timeout: Duration, mut go_on: impl FnMut(&State<T>) -> bool) -> MutexGuard<'_, State<T>> {
        // A time-out that no clock can hold is one without an end; a year is as good.
        let end = Instant::now() + timeout.min(Duration::from_secs(365 * 86_400));
        let mut state = self.lock();
        while go_on(&state) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_newest_value_wins() {
        let slot = Slot::new();
        assert_eq!(slot.take(Duration::ZERO), Taken::Nothing);
        assert_eq!(slot.put(1), Ok(None));
        assert_eq!(slot.put(2), Ok(Some(1)));
        assert_eq!(slot.take(Duration::ZERO), Taken::Value(2));
        assert_eq!(slot.take(Duration::from_millis(1)), Taken::Nothing);
    }

    #[test]
    fn the_last_value_can_be_taken_after_the_end() {
        let slot = Slot::new();
        slot.put(1).unwrap();
        assert!(!slot.is_closed_within(Duration::ZERO));
        slot.close();
        assert!(slot.is_closed_within(LONG));
        assert_eq!(slot.put(2), Err(Closed));
        assert_eq!(slot.take(LONG), Taken::Value(1));
        assert_eq!(slot.take(Duration::MAX), Taken::Closed);
    }

    #[test]
    fn who_waits_is_woken() {
        let slot = Slot::new();
        thread::scope(|scope| {
            let taken = scope.spawn(|| slot.take(LONG));
            slot.put(7).unwrap();
            assert_eq!(taken.join().unwrap(), Taken::Value(7));
            let taken = scope.spawn(|| slot.take(LONG));
            let closed = scope.spawn(|| slot.is_closed_within(LONG));
            slot.close();
            assert_eq!(taken.join().unwrap(), Taken::Closed);
            assert!(closed.join().unwrap());
        });
    }
}
