//! What all requests share: the loop, the newest that it saw as bytes to send, and the hold that a page keeps up.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};

use crate::live::event::LiveEvent;
use crate::live::latest::Newer;
use crate::live::log::Log;
use crate::live::session::{Seen, Session};
use crate::store::SampleStore;
use crate::trunk::Trunk;

use super::About;
use super::beside;
use super::budget::Budget;
use super::error::ApiError;
use super::picture::{self, Pictures};
use super::state::{self, State};
use super::stream;

/// How long to wait for a frame before looking at everything else.
const PATIENCE: Duration = Duration::from_millis(100);
/// What is seen is sent at most so often.
const SEEN_EVERY: Duration = Duration::from_millis(90);
/// Something is sent at least so often, so that a lost connection is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How old what a page is told first may be.
const FRESH: Duration = Duration::from_secs(2);
/// How long a page holds a class without saying so again.
const HOLD: Duration = Duration::from_secs(2);
/// Messages that a slow reader of events may be behind; then it goes on with the newest.
const BEHIND: usize = 32;
/// Events that a page is told of when it is opened.
const NOTES: usize = 20;
/// How long not to report a refusal of the same kind again.
const REFUSED_AGAIN: Duration = Duration::from_secs(3600);
/// Photos that come in at a time, 20 MB each,
const INCOMING: usize = 4;
/// and archives, which come into a file.
const ARCHIVES: usize = 1;
/// How long a request waits for its turn.
const TURN: Duration = Duration::from_secs(15);
/// The most readers of the live picture, and of events.
const PICTURE_READERS: usize = 16;
const EVENT_READERS: usize = 64;

pub struct Hub {
    pub session: Arc<Session>,
    pub about: About,
    pub trunk: Arc<Trunk>,
    /// For what is only read, beside the loop's own; `None` without a store.
    reader: Option<Mutex<SampleStore>>,
    /// The newest state, as the page gets it.
    state: watch::Sender<Arc<State>>,
    /// The newest of what was seen.
    seen: watch::Sender<Option<Arc<Seen>>>,
    /// The newest frame as a JPEG, while somebody looks.
    frames: watch::Sender<Option<Bytes>>,
    /// Server-sent events as they go over the wire.
    events: broadcast::Sender<Bytes>,
    pub pictures: Pictures,
    pub incoming: Arc<Semaphore>,
    pub archives: Arc<Semaphore>,
    /// What takes much memory, as a photo that was sent and is decoded: one at a time, and only once all of it is there. Archives and
    /// thumbnails have one more each.
    pub heavy: Arc<Semaphore>,
    pub thumbnails: Arc<Semaphore>,
    /// Copies of the store.
    pub copies: Arc<Semaphore>,
    /// One at a time: it takes seconds.
    pub reviewing: Arc<tokio::sync::Mutex<Option<(i64, Bytes)>>>,
    pub picture_readers: Arc<Semaphore>,
    pub event_readers: Arc<Semaphore>,
    /// Changes of the samples, and photos.
    pub writes: Budget,
    /// Tries of the token.
    pub logins: Budget,
    notes: Mutex<VecDeque<Value>>,
    pub refusals: Log<String>,
    refused: Mutex<HashMap<&'static str, Instant>>,
    /// The page that holds a class, and how long without saying so again.
    hold: Mutex<Option<(String, Instant)>>,
    refreshing: Mutex<()>,
    /// The state is another, though the head is not.
    is_stale: AtomicBool,
    is_over: AtomicBool,
}

impl Hub {
    pub fn new(session: Arc<Session>, about: About) -> Result<Self, String> {
        let store = session.with(|teacher| (teacher.store().path().to_path_buf(), *teacher.limits()));
        if let Ok((path, _)) = &store {
            beside::clear(path);
        }
        let reader = match &store {
            Ok((path, _)) => Some(Mutex::new(SampleStore::open(path).map_err(|error| error.to_string())?)),
            Err(_) => None,
        };
        let hub = Self {
            trunk: session.trunk().clone(),
            state: watch::Sender::new(Arc::new(State::new(store.ok().map(|(_, limits)| limits)))),
            session,
            about,
            reader,
            seen: watch::Sender::new(None),
            frames: watch::Sender::new(None),
            events: broadcast::Sender::new(BEHIND),
            pictures: Pictures::default(),
            incoming: Arc::new(Semaphore::new(INCOMING)),
            archives: Arc::new(Semaphore::new(ARCHIVES)),
            heavy: Arc::new(Semaphore::new(1)),
            thumbnails: Arc::new(Semaphore::new(1)),
            copies: Arc::new(Semaphore::new(1)),
            reviewing: Arc::default(),
            picture_readers: Arc::new(Semaphore::new(PICTURE_READERS)),
            event_readers: Arc::new(Semaphore::new(EVENT_READERS)),
            writes: Budget::new(60.0, 20.0),
            logins: Budget::new(10.0, 0.2),
            notes: Mutex::new(VecDeque::new()),
            refusals: Log::default(),
            refused: Mutex::new(HashMap::new()),
            hold: Mutex::new(None),
            refreshing: Mutex::new(()),
            is_stale: AtomicBool::new(true),
            is_over: AtomicBool::new(false),
        };
        hub.refresh().map_err(|error| error.message)?;
        Ok(hub)
    }

    /// Until it is over: turns what is seen into bytes to send, once for all who look.
    pub fn run(&self) {
        let (mut number, mut known) = (0, None);
        let mut sent = Instant::now();
        let mut last_seen: Option<Instant> = None;
        while !self.is_over.load(Ordering::SeqCst) {
            let seen = match self.session.newer(number, PATIENCE) {
                Newer::Value(newer, seen) => {
                    number = newer;
                    Some(seen)
                }
                Newer::Waiting => None,
                Newer::Over => {
                    std::thread::sleep(PATIENCE);
                    None
                }
            };
            self.end_hold();
            let is_other = seen.as_ref().is_some_and(|seen| known.replace(seen.taught) != Some(seen.taught));
            if let Some(seen) = &seen {
                self.seen.send_replace(Some(seen.clone()));
            }
            if is_other || self.is_stale.load(Ordering::SeqCst) {
                // What cannot be read now may be later; the requests say what is wrong.
                if self.refresh().is_err() {
                    self.is_stale.store(true, Ordering::SeqCst);
                }
                sent = Instant::now();
            }
            if let Some(seen) = seen {
                if self.frames.receiver_count() > 0 {
                    self.frames.send_replace(Some(picture::live(&seen.frame)));
                }
                if last_seen.is_none_or(|when| when.elapsed() >= SEEN_EVERY) || is_other {
                    last_seen = Some(Instant::now());
                    self.send("seen", &state::seen_json(&seen));
                    sent = Instant::now();
                }
            }
            if sent.elapsed() >= HEARTBEAT {
                let _ = self.events.send(Bytes::from_static(b": alive\n\n"));
                sent = Instant::now();
            }
        }
    }

    /// Ends [`run`](Self::run), and all streams.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        let hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((holder, _)) = hold {
            self.session.hold(None, &holder);
        }
    }

    /// The state as it is now, for whoever asks next.
    pub fn refresh(&self) -> Result<(), ApiError> {
        // One after the other, so that the newest stays.
        let _alone = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_stale.store(false, Ordering::SeqCst);
        let labels = self.seen().map_or_else(|| Arc::from([]), |seen| seen.labels.clone());
        let state = match &self.reader {
            Some(reader) => {
                let head = self.session.with(|teacher| {
                    let measured = teacher.model().cloned().zip(teacher.evaluation().cloned());
                    state::Head { revision: teacher.revision(), measured }
                })?;
                let store = reader.lock().unwrap_or_else(PoisonError::into_inner);
                self.state().with_store(&self.about, &self.trunk, &store, &labels, head)?
            }
            None => self.state().without_store(&self.about, &self.trunk, &labels),
        };
        let is_other = self.state().json != state.json;
        let revision = state.revision;
        self.state.send_replace(Arc::new(state));
        if is_other {
            self.send("changed", &json!({ "revision": revision }));
        }
        Ok(())
    }

    pub fn state(&self) -> Arc<State> {
        self.state.borrow().clone()
    }

    pub fn seen(&self) -> Option<Arc<Seen>> {
        self.seen.borrow().clone()
    }

    /// Reads something in the store.
    pub fn read<T>(&self, read: impl FnOnce(&SampleStore) -> Result<T, ApiError>) -> Result<T, ApiError> {
        let reader = self.reader.as_ref().ok_or_else(no_store)?;
        read(&reader.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A store of its own, for what takes long.
    pub fn open_store(&self) -> Result<SampleStore, ApiError> {
        let path = self.read(|store| Ok(store.path().to_path_buf()))?;
        Ok(SampleStore::open(&path)?)
    }

    /// Shows an event on the pages.
    pub fn note(&self, event: &LiveEvent) {
        if matches!(event, LiveEvent::Kept { .. } | LiveEvent::Refreshed | LiveEvent::Measured { .. }) {
            self.is_stale.store(true, Ordering::SeqCst);
        }
        // What is taught is seen anyway.
        if matches!(event, LiveEvent::Taught { .. }) {
            return;
        }
        let note = json!({ "time": state::seconds(SystemTime::now()), "text": event.to_string() });
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() == NOTES {
            notes.pop_front();
        }
        self.send("note", &note);
        notes.push_back(note);
    }

    /// The server-sent events, those first that say how things are.
    pub fn events(&self) -> (Vec<Bytes>, broadcast::Receiver<Bytes>) {
        let events = self.events.subscribe();
        let mut first = vec![stream::event("changed", &json!({ "revision": self.state().revision }))];
        // What was seen some time ago is not what is seen: the camera may be gone.
        let newest = self.seen().filter(|seen| seen.time.elapsed().is_ok_and(|age| age < FRESH));
        first.extend(newest.map(|seen| stream::event("seen", &state::seen_json(&seen))));
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        first.extend(notes.iter().map(|note| stream::event("note", note)));
        (first, events)
    }

    pub fn frames(&self) -> watch::Receiver<Option<Bytes>> {
        self.frames.subscribe()
    }

    fn send(&self, name: &str, value: &Value) {
        if self.events.receiver_count() > 0 {
            let _ = self.events.send(stream::event(name, value));
        }
    }

    /// Holds a class for two seconds, or ends that.
    pub fn hold(&self, class: Option<&str>, holder: &str) {
        let holder = holder_of(holder);
        // Before: an end of an earlier hold must not come behind this one.
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        self.session.hold(class, &holder);
        match class {
            Some(_) => *hold = Some((holder, Instant::now() + HOLD)),
            None => drop(hold.take_if(|(known, _)| *known == holder)),
        }
    }

    /// Holds what the holder holds for two seconds more; whether it still does.
    pub fn renew(&self, holder: &str) -> Result<bool, ApiError> {
        let holder = holder_of(holder);
        let is_held = self.session.is_held_by(&holder)?;
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, until)) = hold.as_mut().filter(|(known, _)| is_held && *known == holder) {
            *until = Instant::now() + HOLD;
        }
        Ok(is_held)
    }

    /// A page that is gone holds nothing.
    fn end_hold(&self) {
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((holder, _)) = hold.take_if(|(_, until)| Instant::now() >= *until) {
            self.session.hold(None, &holder);
        }
    }

    /// Reports a refusal, unless one of its kind was not long ago.
    pub fn refuse(&self, kind: &'static str, text: impl FnOnce() -> String) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.get(kind).is_none_or(|when| when.elapsed() >= REFUSED_AGAIN) {
            refused.insert(kind, Instant::now());
            self.refusals.add(text(), |_, _| false);
        }
    }
}

/// A page among all who hold.
fn holder_of(page: &str) -> String {
    format!("page {page}")
}

pub fn no_store() -> ApiError {
    ApiError::conflict("there is a head, but no store to teach in; start it with --store")
}

/// A place among those that are there, in the order in which they were asked for; not for ever. It is to go where the work goes: who
/// breaks off a request does not end what it has begun.
pub async fn place(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ApiError> {
    match tokio::time::timeout(TURN, places.clone().acquire_owned()).await {
        Ok(place) => place.map_err(|_| ApiError::fault()),
        Err(_) => Err(ApiError::busy("it is busy with other photos; try again in a moment")),
    }
}

/// Does work that takes time, beside the requests.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(ApiError::fault()))
}
