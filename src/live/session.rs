//! The loop: a camera, a trunk and a head, each on its own thread.
//!
//! ```text
//! camera thread --newest frame--> trunk thread --newest features--> head thread --newest Seen--> whoever looks
//!                                                                   ^ teach, undo, ...: work that is done between frames
//! ```
//!
//! Nothing queues up: a frame that nobody was ready for is gone. Work on the samples is done by the head thread alone, in the order in
//! which it was asked for, and the prediction that follows it knows of it.

mod head;
mod keep;
mod samples;
mod settling;
mod trunk;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use image::RgbImage;

use super::camera::{Camera, Counts, Event, Frame, Next};
use super::drift::DriftSettings;
use super::event::LiveEvent;
use super::latest::{Latest, Newer};
use super::log::Log;
use super::out_of_range::OutOfRange;
use super::smoothing::SmoothingSettings;
use crate::learn::{Classifier, Lesson, Model, NotFinite, Prediction, TeachError, Teacher};
pub use crate::store::UNKNOWN;
use crate::trunk::Trunk;

/// Where frames come from: a [`Camera`], or what a test makes up.
pub trait Frames: Send {
    /// The newest frame that was not taken yet; waits for one at most so long.
    fn next(&mut self, timeout: Duration) -> Next;
    /// Gives a frame's memory back.
    fn recycle(&mut self, frame: Frame);
    /// What happened since the last call.
    fn events(&mut self) -> Vec<Event>;
    /// Frames since the start.
    fn counts(&self) -> Counts;
    /// What samples say of where they come from.
    fn name(&self) -> String;
}

/// A camera with the name that its samples carry.
pub struct NamedCamera(pub Camera, pub String);

impl Frames for NamedCamera {
    fn next(&mut self, timeout: Duration) -> Next {
        self.0.next(timeout)
    }

    fn recycle(&mut self, frame: Frame) {
        self.0.recycle(frame);
    }

    fn events(&mut self) -> Vec<Event> {
        self.0.events()
    }

    fn counts(&self) -> Counts {
        self.0.counts()
    }

    fn name(&self) -> String {
        self.1.clone()
    }
}

/// What decides what a frame shows.
pub enum Mind {
    /// Samples that can be added to.
    Teacher(Box<Teacher>),
    /// A head that stays as it is.
    Fixed(Box<Classifier>),
}

/// How the loop behaves.
#[derive(Clone, Debug, Default)]
pub struct SessionSettings {
    /// How labels are smoothed.
    pub smoothing: SmoothingSettings,
    /// When to say that the camera sees something else than was taught.
    pub drift: DriftSettings,
    /// Which frames are kept to be labelled.
    pub keep: KeepSettings,
    /// How teaching goes.
    pub teaching: TeachingSettings,
    /// Head file that is written whenever the head was measured.
    pub head: Option<PathBuf>,
}

/// Which frames are kept to be labelled.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeepSettings {
    /// The most that are kept, the newest of them; 0 keeps none.
    pub frames: usize,
    /// Seconds at least between one and the next.
    pub every: f64,
    /// Kept if the most probable class is less probable than this, 0..=1, or if the frame is unknown.
    pub below: f32,
    /// Not kept if its features are as like those of a sample, or of a frame that is kept, as this cosine.
    pub alike: f32,
}

impl Default for KeepSettings {
    fn default() -> Self {
        Self { frames: 100, every: 5.0, below: 0.6, alike: 0.95 }
    }
}

impl KeepSettings {
    /// Whether they are in range.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), OutOfRange> {
        let Self { frames, every, below, alike } = *self;
        OutOfRange::check(
            "keep",
            [
                (frames <= 10_000, "frames", frames.to_string(), "within 0 and 10000"),
                ((0.0..=86_400.0).contains(&every), "every", every.to_string(), "within 0 and 86400 seconds"),
                ((0.0..=1.0).contains(&below), "below", below.to_string(), "within 0 and 1"),
                ((0.0..=1.0).contains(&alike), "alike", alike.to_string(), "within 0 and 1"),
            ],
        )
    }
}

/// How teaching goes.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TeachingSettings {
    /// Seconds between the frames that are taught while a class is held.
    pub every: f64,
    /// Seconds after the last change until the head is measured.
    pub settle: f64,
}

impl Default for TeachingSettings {
    fn default() -> Self {
        Self { every: 0.25, settle: 2.0 }
    }
}

impl TeachingSettings {
    /// Whether they are in range.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), OutOfRange> {
        let Self { every, settle } = *self;
        OutOfRange::check(
            "teaching",
            [
                ((0.0..=3600.0).contains(&every), "every", every.to_string(), "within 0 and 3600 seconds"),
                ((0.0..=3600.0).contains(&settle), "settle", settle.to_string(), "within 0 and 3600 seconds"),
            ],
        )
    }
}

/// What the newest frame shows.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The frame.
    pub frame: Arc<RgbImage>,
    /// How many came from the camera before it.
    pub number: u64,
    /// When it came.
    pub time: SystemTime,
    /// What the head says of it; `None` without a head.
    pub prediction: Option<Prediction>,
    /// Names of the classes, in the order of the head.
    pub labels: Arc<[String]>,
    /// The smoothed label: of a class, [`UNKNOWN`], or none.
    pub label: Option<String>,
    /// Whether what is seen has changed.
    pub drift: bool,
    /// The class that is being taught, and the samples that it has now.
    pub teaching: Option<(String, usize)>,
    /// Version of what the head knows: counts up with every change.
    pub taught: u64,
    /// Time of the trunk's pass with the preparation of its input,
    pub trunk_time: Duration,
    /// and of the head.
    pub head_time: Duration,
    /// Frames that were looked at since the start,
    pub looked: u64,
    /// and how many of them a second, over the last few.
    pub fps: f64,
    /// Frames since the start.
    pub counts: Counts,
}

/// What the head says of something that is no frame.
#[derive(Clone, Debug)]
pub struct Classified {
    /// What it says.
    pub prediction: Prediction,
    /// Names of the classes, in the order of the head.
    pub labels: Arc<[String]>,
}

/// Why work on the samples was not done.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// There are no samples.
    #[error("there is a head, but no store to teach in; give one with --store")]
    NoStore,
    /// The camera has not given a frame.
    #[error("the camera has not given a frame yet, so there is nothing to teach")]
    NoFrame,
    /// It failed.
    #[error(transparent)]
    Teach(#[from] TeachError),
    /// The features cannot be used.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
    /// The loop has ended, as after a panic, which was reported.
    #[error("the loop has ended; start it again")]
    Ended,
}

/// The longest that a pass of the trunk may take.
const PASS: Duration = Duration::from_secs(60);

/// Something to be done on the head's thread.
type Work = Box<dyn FnOnce(&mut head::HeadThread) + Send>;

/// What the threads leave for the head's.
#[derive(Default)]
struct Inbox {
    /// Newest features with their frame, until they are taken.
    featured: Option<trunk::Featured>,
    work: VecDeque<Work>,
    settled: Option<settling::Outcome>,
    /// Frames whose memory is free again.
    spare: Vec<Frame>,
    /// The camera gives no more frames.
    is_over: bool,
    /// When the trunk's thread was last seen at work.
    trunk_turned: Option<Instant>,
    /// The session ends,
    is_closed: bool,
    /// because a thread has panicked.
    has_panicked: bool,
}

#[derive(Default)]
struct Shared {
    inbox: Mutex<Inbox>,
    changed: Condvar,
    seen: Latest<Seen>,
    events: Log<LiveEvent>,
}

impl Shared {
    fn leave(&self, leave: impl FnOnce(&mut Inbox)) {
        self.leave_quietly(leave);
        self.changed.notify_all();
    }

    /// As [`leave`](Self::leave), of what nobody waits for.
    fn leave_quietly(&self, leave: impl FnOnce(&mut Inbox)) {
        leave(&mut self.inbox.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn say(&self, event: LiveEvent) {
        self.events.add(event, |last, event| match (last, event) {
            (LiveEvent::Camera(last), LiveEvent::Camera(event)) => last.take_in(event),
            _ => false,
        });
    }

    fn is_closed(&self) -> bool {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).is_closed
    }

    fn spare(&self) -> Vec<Frame> {
        std::mem::take(&mut self.inbox.lock().unwrap_or_else(PoisonError::into_inner).spare)
    }

    /// The session is over, and nobody waits for it any more.
    fn close(&self) {
        self.leave(|inbox| {
            inbox.is_closed = true;
            // Who asked for it gets to know that there will be no answer.
            inbox.work.clear();
        });
        self.seen.end();
    }
}

/// Closes the session when a thread panics without which it cannot go on: nobody is to wait for it.
struct CloseOnPanic(Arc<Shared>);

impl Drop for CloseOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.leave(|inbox| inbox.has_panicked = true);
            self.0.close();
        }
    }
}

/// The running loop. Dropping it ends it, but for a head that is being measured, which ends with the program or by itself; what was
/// acknowledged is in the store.
pub struct Session {
    shared: Arc<Shared>,
    trunk: Arc<Trunk>,
    threads: Vec<JoinHandle<()>>,
}

impl Session {
    /// Starts the threads.
    ///
    /// # Errors
    /// What the system says of a thread that it does not start.
    pub fn start(frames: impl Frames + 'static, mind: Mind, settings: SessionSettings) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let trunk = match &mind {
            Mind::Teacher(teacher) => teacher.trunk().clone(),
            Mind::Fixed(classifier) => classifier.shared_trunk(),
        };
        let source = frames.name();
        let mut session = Self { shared: shared.clone(), trunk: trunk.clone(), threads: Vec::new() };
        let mut spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            session.threads.push(thread::Builder::new().name(name.to_owned()).spawn(run)?);
            std::io::Result::Ok(())
        };
        let of_trunk = shared.clone();
        spawn("trunk", Box::new(move || trunk::run(frames, &trunk, &of_trunk)))?;
        spawn("head", Box::new(move || head::HeadThread::new(mind, settings, source, shared).run()))?;
        Ok(session)
    }

    /// What makes features of photos.
    pub fn trunk(&self) -> &Arc<Trunk> {
        &self.trunk
    }

    /// What the head says of features `[feature_dim]` that the trunk made; `None` without a head.
    ///
    /// # Errors
    /// [`SessionError::Ended`], [`SessionError::NotFinite`].
    pub fn classify(&self, features: Vec<f32>) -> Result<Option<Classified>, SessionError> {
        self.ask(move |head| head.classify(&features))?
    }

    /// The newest that was seen, if it is newer than number `seen`, which is 0 at first; else waits for it at most so long.
    pub fn newer(&self, seen: u64, timeout: Duration) -> Newer<Seen> {
        self.shared.seen.newer(seen, timeout)
    }

    /// What happened since the last call, the oldest first.
    pub fn events(&self) -> Vec<LiveEvent> {
        self.shared.events.drain()
    }

    /// Teaches that the newest frame shows this class. When this returns it is on the disk, and predictions know it.
    ///
    /// # Errors
    /// [`SessionError`]; then nothing was taught.
    pub fn teach(&self, class: &str) -> Result<Lesson, SessionError> {
        let class = class.to_owned();
        self.ask(move |head| head.teach(&class))?
    }

    /// Teaches every frame that comes, a few a second, until the holder ends that, or somebody else holds a class: who was last has it, and
    /// nobody ends what another one holds. All of one hold are undone together.
    pub fn hold(&self, class: Option<&str>, holder: &str) {
        let (class, holder) = (class.map(str::to_owned), holder.to_owned());
        self.push(Box::new(move |head| head.hold(class, holder)));
    }

    /// Whether that holder still holds a class: it may have failed, or another one have come.
    ///
    /// # Errors
    /// [`SessionError::Ended`].
    pub fn is_held_by(&self, holder: &str) -> Result<bool, SessionError> {
        let holder = holder.to_owned();
        self.ask(move |head| head.is_held_by(&holder))
    }

    /// Has another head decide what is seen, as one that was learned together with others, until `None` ends that. What is taught goes
    /// into the store as before.
    pub fn follow(&self, head: Option<Arc<Model>>) {
        self.push(Box::new(move |thread| thread.follow(head)));
    }

    /// Has something done to the samples, between two frames; predictions know of it when this returns.
    ///
    /// # Errors
    /// [`SessionError::NoStore`], [`SessionError::Ended`].
    pub fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Teacher) -> T + Send + 'static,
    ) -> Result<T, SessionError> {
        self.ask(move |head| head.with(work))?
    }

    /// Whether the head's thread answers within five seconds, and the trunk's has looked for a frame within the last minute or the
    /// camera has no more.
    pub fn is_alive(&self) -> bool {
        let (answer, answered) = mpsc::sync_channel(1);
        self.push(Box::new(move |_| {
            let _ = answer.send(());
        }));
        let turns = |inbox: &Inbox| inbox.is_over || inbox.trunk_turned.is_none_or(|when| when.elapsed() < PASS);
        turns(&self.shared.inbox.lock().unwrap_or_else(PoisonError::into_inner))
            && answered.recv_timeout(Duration::from_secs(5)).is_ok()
    }

    /// Ends it: whoever waits for it is told, and its threads end, which dropping it waits for.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Whether it has ended because a thread has panicked, which was reported.
    pub fn has_panicked(&self) -> bool {
        self.shared.inbox.lock().unwrap_or_else(PoisonError::into_inner).has_panicked
    }

    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut head::HeadThread) -> T + Send + 'static,
    ) -> Result<T, SessionError> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.push(Box::new(move |head| drop(answer.send(work(head)))));
        answered.recv().map_err(|_| SessionError::Ended)
    }

    /// Leaves work for the head's thread; once that has ended it is dropped.
    fn push(&self, work: Work) {
        self.shared.leave(|inbox| {
            if !inbox.is_closed {
                inbox.work.push_back(work);
            }
        });
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.close();
        for thread in self.threads.drain(..) {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
