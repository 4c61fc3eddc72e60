//! What is newest: one writes, any number read, and nobody waits for a reader.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The newest value, with its number. Who reads late misses what was there before: there is no queue that could grow.
#[derive(Debug)]
pub struct Latest<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    number: u64,
    value: Option<Arc<T>>,
    is_over: bool,
}

/// What a reader finds.
#[derive(Debug)]
pub enum Newer<T> {
    /// A value that it has not seen, and its number.
    Value(u64, Arc<T>),
    /// Nothing new within the time.
    Waiting,
    /// There will be none.
    Over,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        let state = State { number: 0, value: None, is_over: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }
}

impl<T> Latest<T> {
    /// Puts a value in the place of the one before, which is returned if nobody has it any more.
    pub fn put(&self, value: T) -> Option<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.number += 1;
        let before = state.value.replace(Arc::new(value));
        self.changed.notify_all();
        before.and_then(Arc::into_inner)
    }

    /// There will be no more.
    pub fn end(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.changed.notify_all();
    }

    /// The newest value if it is newer than number `seen`; else waits for one, at most so long. 0 has seen none.
    pub fn newer(&self, seen: u64, timeout: Duration) -> Newer<T> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing_new = |state: &mut State<T>| state.number <= seen && !state.is_over;
        let waited = self.changed.wait_timeout_while(state, timeout, nothing_new);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match &state.value {
            Some(value) if state.number > seen => Newer::Value(state.number, value.clone()),
            _ if state.is_over => Newer::Over,
            _ => Newer::Waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_reader_sees_the_newest_and_each_once() {
        let latest = Latest::default();
        let now = Duration::ZERO;
        assert!(matches!(latest.newer(0, now), Newer::Waiting));
        assert_eq!((1..=5).filter_map(|value| latest.put(value)).collect::<Vec<_>>(), [1, 2, 3, 4]);
        let Newer::Value(5, value) = latest.newer(0, now) else { panic!("the newest") };
        assert_eq!(*value, 5);
        assert!(matches!(latest.newer(5, now), Newer::Waiting));
        assert_eq!(latest.put(6), None, "a reader has it still");
        latest.end();
        assert!(matches!(latest.newer(5, now), Newer::Value(6, _)), "the last one is not lost");
        assert!(matches!(latest.newer(6, Duration::from_secs(60)), Newer::Over));
    }

    #[test]
    fn who_waits_is_woken() {
        let latest = Latest::default();
        std::thread::scope(|scope| {
            let readers = [0, 1].map(|_| scope.spawn(|| latest.newer(0, Duration::from_secs(60))));
            latest.put("here");
            for reader in readers {
                assert!(matches!(reader.join().expect("sound"), Newer::Value(1, _)));
            }
        });
    }
}
