//! Learning together with other devices: statistics go out, a head of all comes in, photos stay here.
//!
//! ```text
//! Session --snapshot, when it has been quiet--> Statistics --share--> broker
//!    ^--- head of the union <--- Union <--- put, what others share ---'
//! ```
//!
//! docs/fleet.md says what statistics give away, and how exact the head of them is.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::log::Log;
use super::out_of_range::OutOfRange;
use super::session::Session;
use crate::learn::{LEAST_SAMPLES, Snapshot, Statistics, StatisticsError, Union};
use crate::trunk::Trunk;

/// This device's part of the union; no other's is called so, as a node's name has no `/`.
const OWN: &str = "own/";
/// How long nothing must have been taught until statistics are made anew.
const QUIET: Duration = Duration::from_secs(1);

/// `[fleet]` of the settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FleetSettings {
    /// Devices that learn together; empty: none do.
    pub group: String,
    /// Classes with fewer samples are not shared, nor changes that would show fewer; 1 shares everything at once.
    pub least: u32,
    /// File for the head of all, written whenever it is another one.
    pub head: Option<PathBuf>,
}

impl Default for FleetSettings {
    fn default() -> Self {
        Self { group: String::new(), least: LEAST_SAMPLES, head: None }
    }
}

impl FleetSettings {
    /// Whether this device learns with others.
    pub fn is_on(&self) -> bool {
        !self.group.is_empty()
    }

    /// Whether they are in range.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), OutOfRange> {
        OutOfRange::check("fleet", [(self.least >= 1, "least", self.least.to_string(), "1 or more")])
    }
}

#[derive(Default)]
struct Inbox {
    /// What others have sent: node, bytes.
    parts: VecDeque<(String, Vec<u8>)>,
    /// When the samples here changed that were not looked at since.
    changed: Option<Instant>,
    is_over: bool,
}

#[derive(Default)]
struct Shared {
    inbox: Mutex<Inbox>,
    woken: Condvar,
    said: Log<String>,
}

impl Shared {
    fn leave(&self, leave: impl FnOnce(&mut Inbox)) {
        leave(&mut self.inbox.lock().unwrap_or_else(PoisonError::into_inner));
        self.woken.notify_all();
    }
}

/// A device's part in a group. Dropping it ends it; what it has shared stays with the others.
pub struct Fleet {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Fleet {
    /// Starts the thread. `share` sends this device's statistics to the others; none takes them back.
    ///
    /// # Errors
    /// What the system says of a thread that it does not start.
    pub fn start(
        session: &Arc<Session>,
        settings: FleetSettings,
        share: impl Fn(Arc<[u8]>) -> Result<(), String> + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        shared.leave(|inbox| inbox.changed = Some(Instant::now()));
        let trunk = session.trunk().clone();
        let worker = Worker {
            session: Arc::downgrade(session),
            shared: shared.clone(),
            union: Union::new(&trunk),
            trunk,
            settings,
            share: Box::new(share),
            own: None,
            published: None,
            used: None,
        };
        let thread = std::thread::Builder::new().name("fleet".to_owned()).spawn(move || worker.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The samples here have changed.
    pub fn changed(&self) {
        self.shared.leave(|inbox| inbox.changed = Some(Instant::now()));
    }

    /// Another device has shared this.
    pub fn put(&self, node: String, bytes: Vec<u8>) {
        self.shared.leave(|inbox| {
            // Only the newest of each counts.
            inbox.parts.retain(|(known, _)| *known != node);
            inbox.parts.push_back((node, bytes));
        });
    }

    /// What there is to say since the last call.
    pub fn messages(&self) -> Vec<String> {
        self.shared.said.drain()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.shared.leave(|inbox| inbox.is_over = true);
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

struct Worker {
    session: Weak<Session>,
    trunk: Arc<Trunk>,
    shared: Arc<Shared>,
    settings: FleetSettings,
    share: Box<dyn Fn(Arc<[u8]>) -> Result<(), String> + Send>,
    union: Union,
    /// The samples here, as they were looked at last.
    own: Option<Snapshot>,
    /// What the others have of them.
    published: Option<Statistics>,
    /// Revision of the union whose head is used.
    used: Option<u64>,
}

impl Worker {
    fn run(mut self) {
        loop {
            let (parts, is_changed) = {
                let mut inbox = self.shared.inbox.lock().unwrap_or_else(PoisonError::into_inner);
                loop {
                    if inbox.is_over {
                        return;
                    }
                    let left = inbox.changed.map(|when| QUIET.saturating_sub(when.elapsed()));
                    if !inbox.parts.is_empty() || left == Some(Duration::ZERO) {
                        break;
                    }
                    // Long enough to be woken for what comes.
                    let waited = self.shared.woken.wait_timeout(inbox, left.unwrap_or(Duration::from_secs(60)));
                    (inbox, _) = waited.unwrap_or_else(PoisonError::into_inner);
                }
                let is_changed = inbox.changed.take_if(|when| when.elapsed() >= QUIET).is_some();
                (std::mem::take(&mut inbox.parts), is_changed)
            };
            for (node, bytes) in parts {
                if let Err(error) = self.union.put(&node, &bytes) {
                    self.say(error.to_string());
                }
            }
            let Some(session) = self.session.upgrade() else { return };
            if is_changed {
                self.look(&session);
            }
            if self.used != Some(self.union.revision()) {
                self.used = Some(self.union.revision());
                self.combine(&session);
            }
        }
    }

    /// What was taught here.
    fn look(&mut self, session: &Session) {
        let snapshot = match session.with(|teacher| teacher.snapshot()) {
            Ok(Ok(snapshot)) => snapshot,
            Ok(Err(error)) => return self.say(error.to_string()),
            // Without samples it can learn from others all the same.
            Err(_) => return,
        };
        match Statistics::of(&snapshot, &self.trunk) {
            Ok(own) => {
                if let Err(error) = self.union.insert(OWN, own) {
                    self.say(error.to_string());
                }
            }
            Err(_) => drop(self.union.remove(OWN)),
        }
        self.publish(&snapshot);
        self.own = Some(snapshot);
    }

    fn publish(&mut self, snapshot: &Snapshot) {
        let least = self.settings.least;
        let now = match Statistics::of_at_least(snapshot, &self.trunk, least) {
            Ok((now, _)) => Some(now),
            Err(StatisticsError::Nothing | StatisticsError::TooFewSamples { .. }) => None,
            Err(error) => return self.say(error.to_string()),
        };
        if now == self.published {
            return;
        }
        if let (Some(now), Some(before)) = (&now, &self.published) {
            let shown = now.gives_away(before, least);
            if !shown.is_empty() && least > 1 {
                let shown = shown.join("`, `");
                return self.say(format!("not shared yet: the change would show single samples of `{shown}`"));
            }
        }
        let bytes = now.as_ref().map_or_else(Vec::new, Statistics::to_bytes);
        match (self.share)(bytes.into()) {
            Ok(()) => self.published = now,
            Err(error) => self.say(error),
        }
    }

    /// The head of all, as soon as there are others.
    fn combine(&mut self, session: &Session) {
        let others = self.union.nodes().filter(|(node, _)| *node != OWN).count();
        if others == 0 {
            return session.follow(None);
        }
        let empty = Snapshot::default();
        let own = self.own.as_ref().unwrap_or(&empty);
        let model = match self.union.measured(OWN, own, &self.trunk) {
            Ok(model) => model,
            Err(error) => {
                session.follow(None);
                return self.say(error.to_string());
            }
        };
        let samples = self.union.statistics().map_or(0, |all| all.n_samples());
        let right = model.evaluation.map_or(String::new(), |evaluation| {
            let percent = 100.0 * f64::from(evaluation.correct) / f64::from(evaluation.n_samples.max(1));
            format!(", {percent:.1} % right on left-out samples of this one")
        });
        let (devices, classes) = (self.union.nodes().len(), model.labels.len());
        self.say(format!("the head of {devices} devices is used: {samples} samples of {classes} classes{right}"));
        if let Some(path) = &self.settings.head
            && let Err(error) = model.save(path, true)
        {
            self.say(error.to_string());
        }
        session.follow(Some(Arc::new(model)));
    }

    fn say(&self, text: String) {
        // What is tried again is said again only if something else was said meanwhile.
        self.shared.said.add(text, |last, text| last == text);
    }
}
