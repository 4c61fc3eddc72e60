//! What the thread of the buttons and who uses them have in common.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Lights;
use crate::live::log::Log;

#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    ended: Condvar,
    pub(super) said: Log<String>,
}

#[derive(Default)]
struct State {
    lights: Lights,
    is_over: bool,
}

impl Shared {
    pub(super) fn show(&self, lights: Lights) {
        self.lock().lights = lights;
    }

    pub(super) fn lights(&self) -> Lights {
        self.lock().lights.clone()
    }

    pub(super) fn say(&self, text: String) {
        self.said.add(text, |_, _| false);
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
