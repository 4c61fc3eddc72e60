//! Measuring the head beside the loop.

use std::sync::Arc;
use std::thread;

use crate::learn::{LearnError, Settled, Snapshot, settle};
use crate::trunk::Trunk;

use super::Shared;

pub(super) type Outcome = Result<Settled, LearnError>;

/// Measures on a thread of its own, on one core: the others are the camera's. The outcome comes into the inbox.
pub(super) fn begin(snapshot: Snapshot, trunk: Arc<Trunk>, shared: Arc<Shared>) -> std::io::Result<()> {
    let run = move || {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let outcome = match pool {
            Ok(pool) => pool.install(|| settle(&snapshot, &trunk)),
            // No further thread: then on this one and whichever there are.
            Err(_) => settle(&snapshot, &trunk),
        };
        shared.leave(|inbox| inbox.settled = Some(outcome));
    };
    thread::Builder::new().name("settle".to_owned()).spawn(run).map(drop)
}
