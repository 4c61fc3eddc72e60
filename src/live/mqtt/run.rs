//! One connection after the other, until it is to stop.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::backoff::{Backoff, with_chance};
use super::inbox::{Inbox, Message};
use super::outbox::Outbox;
use super::session;
use super::setup::Setup;
use super::trouble::Trouble;

/// The waits between connections.
const BACKOFF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// A connection that held so long went well.
const WELL: Duration = Duration::from_secs(10);

/// One that does not hold for so long is lost soon,
const SOON: Duration = Duration::from_secs(60);
/// and if so many are, another camera may have the same name: the broker hangs up on the one when the other comes.
const OFTEN: usize = 3;

/// What the thread and the loop of the camera have in common.
pub(super) struct Shared {
    outbox: Mutex<Outbox>,
    pub inbox: Inbox,
    /// There is something new in the outbox.
    pub changed: Notify,
    /// Whether it is to stop.
    pub stop: watch::Sender<bool>,
}

impl Shared {
    pub(super) fn new(outbox: Outbox) -> Self {
        Self {
            outbox: Mutex::new(outbox),
            inbox: Inbox::default(),
            changed: Notify::new(),
            stop: watch::Sender::new(false),
        }
    }

    /// Locked for as long as it takes to write a few lines; never while something is waited for.
    pub(super) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects, again and again, until it is to stop; also if something in it panics, which no message of a broker should be able to
/// bring about, but the library is large.
pub(super) fn guard(runtime: &Runtime, setup: &Setup, shared: &Shared) {
    while catch_unwind(AssertUnwindSafe(|| runtime.block_on(run(setup, shared)))).is_err() {
        shared.outbox().disconnect(Instant::now(), false);
        let line = format!("a fault in this program's MQTT, with the broker at {}; please report it", setup.address);
        shared.inbox.say(Message::Lost(line));
        let mut stop = shared.stop.subscribe();
        let _ = runtime.block_on(async { timeout(BACKOFF[1], stop.wait_for(|stop| *stop)).await.map(|_| ()) });
    }
}

/// Connects, again and again, until it is to stop.
async fn run(setup: &Setup, shared: &Shared) {
    let mut stop = shared.stop.subscribe();
    let mut backoff = Backoff::new(BACKOFF[0], BACKOFF[1]);
    let mut lost_soon = 0;
    while !*stop.borrow_and_update() {
        let mut since: Option<Instant> = None;
        let Err(trouble) = session::run(setup, shared, &mut since).await else { return };
        // A network that fails says nothing of what was sent.
        let has_hung_up = matches!(trouble, Trouble::Lost { has_hung_up: true, .. });
        let shared_last = shared.outbox().disconnect(Instant::now(), has_hung_up);
        let trouble = match (trouble, shared_last) {
            (Trouble::Oversized(bytes), _) => {
                shared.outbox().stop_following();
                Trouble::Oversized(bytes)
            }
            (Trouble::Lost { .. }, Some((bytes, wait))) => Trouble::Share { bytes, wait },
            (trouble, _) => trouble,
        };
        let held = since.map(|since| since.elapsed());
        let trouble = match trouble {
            Trouble::Lost { why, has_hung_up, .. } => {
                lost_soon = if held < Some(SOON) { lost_soon + 1 } else { 0 };
                Trouble::Lost { why, has_hung_up, is_often: lost_soon >= OFTEN }
            }
            trouble => trouble,
        };
        shared.inbox.say(trouble.message(setup));
        if held >= Some(WELL) {
            backoff.reset();
        }
        let wait = trouble.patience().unwrap_or_else(|| with_chance(backoff.next()));
        tokio::select! {
            () = sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}
