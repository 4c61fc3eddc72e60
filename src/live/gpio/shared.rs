//! What the thread of the buttons and who uses them have in common.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Lights;

/// The most messages that are kept for who does not ask for them.
const MOST: usize = 16;

#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    lights: Lights,
    said: VecDeque<String>,
    is_over: bool,
}

impl Shared {
    pub(super) fn show(&self, lights: Lights) {
        self.lock().lights = lights;
    }

    pub(super) fn lights(&self) -> Lights {
        self.lock().lights.clone()
    }

    /// Keeps a message; of very many the newest.
    pub(super) fn say(&self, text: String) {
        let said = &mut self.lock().said;
        if said.len() == MOST {
            said.pop_front();
        }
        said.push_back(text);
    }

    /// The oldest message, once.
    pub(super) fn heard(&self) -> Option<String> {
        self.lock().said.pop_front()
    }

    pub(super) fn end(&self) {
        self.lock().is_over = true;
        self.ended.notify_all();
    }

    /// Waits for the end, at most so long; whether it has come.
    pub(super) fn is_over_within(&self, timeout: Duration) -> bool {
        let waited = self.ended.wait_timeout_while(self.lock(), timeout, |state| !state.is_over);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_over
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_very_many_messages_the_newest_are_kept_and_each_is_heard_once() {
        let shared = Shared::default();
        (0..MOST + 5).for_each(|number| shared.say(number.to_string()));
        let heard: Vec<_> = std::iter::from_fn(|| shared.heard()).collect();
        assert_eq!((heard.len(), &heard[0][..], shared.heard()), (MOST, "5", None));
    }
}
