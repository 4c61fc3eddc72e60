//! Measuring the head beside the loop.

use std::sync::Arc;
use std::thread;

use crate::learn::{Settled, Snapshot, settle};
use crate::trunk::Trunk;

use super::Shared;

/// A measured head, or why there is none.
pub(super) type Outcome = Result<Settled, String>;

/// Leaves the outcome in the inbox, also after a panic.
struct Delivery {
    shared: Arc<Shared>,
    outcome: Option<Outcome>,
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let outcome = self.outcome.take();
        let outcome =
            outcome.unwrap_or_else(|| Err("it could not be measured, which is a fault of the program".into()));
        self.shared.leave(|inbox| inbox.settled = Some(outcome));
    }
}

/// Measures on a thread of its own, on one core: the others are the camera's. The outcome comes into the inbox.
pub(super) fn begin(snapshot: Snapshot, trunk: Arc<Trunk>, shared: Arc<Shared>) -> std::io::Result<()> {
    let run = move || {
        let mut delivery = Delivery { shared, outcome: None };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let settled = match pool {
            Ok(pool) => pool.install(|| settle(&snapshot, &trunk)),
            // No further thread: then on this one and whichever there are.
            Err(_) => settle(&snapshot, &trunk),
        };
        delivery.outcome = Some(settled.map_err(|error| error.to_string()));
    };
    thread::Builder::new().name("settle".to_owned()).spawn(run).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_while_it_measures_is_told_and_ends_the_measuring() {
        let shared = Arc::new(Shared::default());
        let delivery = Delivery { shared: shared.clone(), outcome: None };
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _delivery = delivery;
            panic!("of the test");
        }));
        assert!(panicked.is_err());
        let outcome = shared.inbox.lock().expect("free").settled.take().expect("was left");
        assert!(outcome.is_err_and(|why| why.contains("a fault of the program")));
    }
}
