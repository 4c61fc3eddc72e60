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
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::log::Log;
use super::out_of_range::OutOfRange;
use super::session::Session;
use crate::learn::{LEAST_SAMPLES, MAX_NODES, Snapshot, Statistics, StatisticsError, StatisticsHead, Union, save};
use crate::trunk::Trunk;

/// This device's part of the union; no other's is called so, as a node's name has no `/`.
const OWN: &str = "own/";
/// How long nothing must have been taught until statistics are made anew.
const QUIET: Duration = Duration::from_secs(1);
/// How long to wait at the end for a head that is being made.
const END: Duration = Duration::from_secs(2);
/// Beside the store: what others have seen of every class, which must be known after a restart, or the next message would give a single
/// sample away;
const SEEN: &str = "-seen";
/// and the last message, as long as it is not taken back.
const SHARED: &str = "-shared";

/// `[fleet]` of the settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FleetSettings {
    /// Devices that learn together; empty: none do.
    pub group: String,
    /// Classes with fewer samples are not shared, nor changes that would show fewer; 1 shares everything at once.
    pub least: u32,
    /// What kind of head is made of all.
    pub kind: StatisticsHead,
    /// File for the head of all, written whenever it is another one.
    pub head: Option<PathBuf>,
}

impl Default for FleetSettings {
    fn default() -> Self {
        Self { group: String::new(), least: LEAST_SAMPLES, kind: StatisticsHead::Lda, head: None }
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
    /// What others have sent, and of which node; none where it takes back what it sent.
    parts: VecDeque<(String, Option<Statistics>)>,
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
    ended: mpsc::Receiver<()>,
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
        let trunk = session.trunk().clone();
        let worker = Worker {
            session: Arc::downgrade(session),
            shared: shared.clone(),
            union: Union::new(&trunk),
            trunk,
            settings,
            share: Box::new(share),
            own: None,
            store: None,
            is_blind: false,
            seen: None,
            published: None,
            used: None,
        };
        let (end, ended) = mpsc::sync_channel(1);
        let run = move || {
            worker.run();
            let _ = end.send(());
        };
        std::thread::Builder::new().name("fleet".to_owned()).spawn(run)?;
        Ok(Self { shared, ended })
    }

    /// The samples here have changed.
    pub fn changed(&self) {
        self.shared.leave(|inbox| inbox.changed = Some(Instant::now()));
    }

    /// Another device has shared this.
    pub fn put(&self, node: String, bytes: &[u8]) {
        // What is nothing does not wait for its turn: anybody may send as much of it as he likes.
        let part = match bytes.is_empty() {
            true => Ok(None),
            false => Statistics::parse(bytes).map(Some),
        };
        let part = match part {
            Ok(part) => part,
            Err(error) => {
                let text = format!("what `{}` has sent is not used: {error}", node.escape_debug());
                return self.shared.said.add(text, |last, text| last == text);
            }
        };
        self.shared.leave(|inbox| {
            // Only the newest of each counts.
            inbox.parts.retain(|(known, _)| *known != node);
            if inbox.parts.len() < MAX_NODES {
                inbox.parts.push_back((node, part));
            }
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
        let _ = self.ended.recv_timeout(END);
    }
}

/// Sends bytes to the others; none takes back what was sent.
type Share = Box<dyn Fn(Arc<[u8]>) -> Result<(), String> + Send>;

struct Worker {
    session: Weak<Session>,
    trunk: Arc<Trunk>,
    shared: Arc<Shared>,
    settings: FleetSettings,
    share: Share,
    union: Union,
    /// The samples here, as they were looked at last.
    own: Option<Snapshot>,
    /// The store, beside which it is kept what was shared.
    store: Option<PathBuf>,
    /// It cannot be read what others have seen: nothing is shared then.
    is_blind: bool,
    /// What others have seen of every class.
    seen: Option<Statistics>,
    /// What they have now.
    published: Option<Statistics>,
    /// Revision of the union whose head is used.
    used: Option<u64>,
}

impl Worker {
    fn run(mut self) {
        // Before anything of others, which must not take the places of what is taught here.
        let Some(session) = self.session.upgrade() else { return };
        self.remember(&session);
        self.look(&session);
        drop(session);
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
            for (node, part) in parts {
                let put = match part {
                    Some(part) => self.union.insert(&node, part),
                    None => Ok(self.union.remove(&node)),
                };
                if let Err(error) = put {
                    self.say(error.to_string());
                }
            }
            let Some(session) = self.session.upgrade() else { return };
            if is_changed {
                self.look(&session);
            }
            if self.used != Some(self.union.revision()) && !self.is_over() {
                self.used = Some(self.union.revision());
                self.combine(&session);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.shared.inbox.lock().unwrap_or_else(PoisonError::into_inner).is_over
    }

    /// What others have of the samples here since an earlier run; it is shared again, as a broker may have forgotten it.
    fn remember(&mut self, session: &Session) {
        self.store = session.with(|teacher| teacher.store().path().to_path_buf()).ok();
        let [seen, shared] = [SEEN, SHARED].map(|ending| self.read(ending));
        self.seen = seen;
        if let Some(shared) = shared {
            if let Err(error) = (self.share)(shared.to_bytes().into()) {
                self.say(error);
            }
            self.published = Some(shared);
        }
    }

    fn beside(&self, ending: &str) -> Option<PathBuf> {
        let mut name = self.store.as_ref()?.clone().into_os_string();
        name.push(ending);
        Some(PathBuf::from(name))
    }

    /// A file beside the store, if it is there and of this trunk: of another one nothing can be told from the difference.
    fn read(&mut self, ending: &str) -> Option<Statistics> {
        let path = self.beside(ending).filter(|path| path.exists())?;
        match Statistics::open(&path) {
            Ok(read) => Some(read).filter(|read| read.trunk().fingerprint == self.trunk.fingerprint()),
            Err(error) => {
                self.is_blind = true;
                self.say(format!(
                    "nothing is shared: {error}; remove that file, and what comes next may give single samples away"
                ));
                None
            }
        }
    }

    /// Keeps it in the file, or removes that.
    fn write(&self, ending: &str, statistics: Option<&Statistics>) -> Result<(), String> {
        let Some(path) = self.beside(ending) else { return Ok(()) };
        match statistics {
            Some(statistics) => save(&path, &statistics.to_bytes(), true).map_err(|error| error.to_string()),
            None if path.exists() => {
                std::fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))
            }
            None => Ok(()),
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
        self.publish(&snapshot);
        self.own = Some(snapshot);
        self.insert_own();
    }

    /// What was taught here is part of the head, however many others there are.
    fn insert_own(&mut self) {
        let Some(own) = &self.own else { return };
        match Statistics::of(own, &self.trunk) {
            Ok(own) => {
                if let Err(error) = self.union.insert(OWN, own) {
                    self.say(error.to_string());
                }
            }
            Err(_) => drop(self.union.remove(OWN)),
        }
    }

    fn publish(&mut self, snapshot: &Snapshot) {
        let least = self.settings.least;
        let now = match Statistics::of_at_least(snapshot, &self.trunk, least) {
            Ok((now, _)) => Some(now),
            Err(StatisticsError::Nothing | StatisticsError::TooFewSamples { .. }) => None,
            Err(error) => return self.say(error.to_string()),
        };
        if now == self.published || self.is_blind {
            return;
        }
        if let (Some(now), Some(seen)) = (&now, &self.seen)
            && least > 1
        {
            let shown = now.gives_away(seen, least);
            if !shown.is_empty() {
                let shown = shown.join("`, `");
                return self.say(format!("not shared yet: the change would show single samples of `{shown}`"));
            }
        }
        // First, so that what was shared is never forgotten.
        let seen = match (&now, &self.seen) {
            (Some(now), Some(seen)) => Some(now.remembering(seen)),
            (now, seen) => now.clone().or(seen.clone()),
        };
        let written = self.write(SEEN, seen.as_ref()).and_then(|()| self.write(SHARED, now.as_ref()));
        if let Err(error) = written {
            return self.say(format!("not shared: {error}"));
        }
        self.seen = seen;
        let bytes = now.as_ref().map_or_else(Vec::new, Statistics::to_bytes);
        match (self.share)(bytes.into()) {
            Ok(()) => self.published = now,
            Err(error) => self.say(error),
        }
    }

    /// The head of all, as soon as there are others.
    fn combine(&mut self, session: &Session) {
        let others = self.union.nodes().filter(|(node, _)| *node != OWN).count();
        let has_own = self.own.as_ref().is_some_and(|own| !own.ids.is_empty());
        if has_own && !self.union.nodes().any(|(node, _)| node == OWN) {
            // There may be a place again.
            self.insert_own();
            if !self.union.nodes().any(|(node, _)| node == OWN) {
                return session.follow(None);
            }
            self.used = Some(self.union.revision());
        }
        if others == 0 {
            return session.follow(None);
        }
        let empty = Snapshot::default();
        let own = self.own.as_ref().unwrap_or(&empty);
        let model = match self.union.measured(OWN, own, &self.trunk, self.settings.kind) {
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
