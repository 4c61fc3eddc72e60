//! The head's thread: newest features -> what they show; and all work on the samples.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use topgraft_core::kernel::Kernels;
use topgraft_core::scaler::Scaler;

use crate::learn::{Lesson, Model, Prediction, Teacher};
use crate::live::camera::{Counts, Frame};
use crate::live::drift::Drift;
use crate::live::event::LiveEvent;
use crate::live::smoothing::Smoother;
use crate::store::{Batch, Features, NewPending};
use crate::vision::encode_jpeg;

use super::trunk::{Featured, PATIENCE};
use super::{Mind, Seen, SessionError, SessionSettings, Shared, UNKNOWN, Work, settling};

/// How often another program's changes of the samples are looked for.
const REFRESH: Duration = Duration::from_secs(1);
/// Frames that the rate is measured over.
const RATE_FRAMES: usize = 16;
/// While a class is held, a frame as like the one before is not taught: it would say nothing new, and make the left-out accuracy
/// look better than it is.
const SAME: f32 = 0.995;

/// The newest frame, which may be taught.
struct Current {
    image: Arc<image::RgbImage>,
    number: u64,
    time: SystemTime,
    features: Vec<f32>,
    trunk_time: Duration,
    counts: Counts,
}

/// A class that is held.
struct Held {
    class: String,
    batch: Option<Batch>,
    /// When a frame was taught, and its features.
    last: Option<(Instant, Vec<f32>)>,
}

pub(super) struct HeadThread {
    mind: Mind,
    settings: SessionSettings,
    source: String,
    shared: Arc<Shared>,
    kernels: Kernels,
    smoother: Smoother,
    drift: Drift,
    start: Instant,
    current: Option<Current>,
    held: Option<Held>,
    teaching: Option<(String, usize)>,
    taught: u64,
    /// The head whose labels these are.
    labels: (Option<Arc<Model>>, Arc<[String]>),
    /// When the samples changed that were not measured since.
    changed: Option<Instant>,
    is_settling: bool,
    is_missing: bool,
    refreshed: Instant,
    /// The store failed, which is said once.
    has_failed: bool,
    kept: Option<Instant>,
    /// Frames that were looked at, and when the last few were.
    looked: u64,
    frames: Vec<Instant>,
}

impl HeadThread {
    pub fn new(mind: Mind, settings: SessionSettings, source: String, shared: Arc<Shared>) -> Self {
        let now = Instant::now();
        let is_teacher = matches!(mind, Mind::Teacher(_));
        Self {
            mind,
            source,
            shared,
            kernels: Kernels::detect(),
            smoother: Smoother::new(settings.smoothing),
            drift: Drift::new(settings.drift),
            settings,
            start: now,
            current: None,
            held: None,
            teaching: None,
            taught: 0,
            labels: (None, Arc::from([])),
            // What is there is measured at the start: the drift alarm needs the scores of left-out samples.
            changed: is_teacher.then_some(now),
            is_settling: false,
            is_missing: is_teacher,
            refreshed: now,
            has_failed: false,
            kept: None,
            looked: 0,
            frames: Vec::new(),
        }
    }

    /// Until the session is closed.
    pub fn run(mut self) {
        // Also when this panics.
        struct Close(Arc<Shared>);
        impl Drop for Close {
            fn drop(&mut self) {
                self.0.close();
            }
        }
        let _close = Close(self.shared.clone());
        loop {
            let (featured, work, settled, is_over) = {
                let inbox = self.shared.inbox.lock().unwrap_or_else(PoisonError::into_inner);
                let nothing = |inbox: &mut super::Inbox| {
                    let is_quiet = inbox.featured.is_none() && inbox.work.is_empty() && inbox.settled.is_none();
                    is_quiet && !inbox.is_closed
                };
                let has_work = self.is_missing || matches!(&self.mind, Mind::Teacher(teacher) if teacher.is_rough());
                let patience = if has_work { Duration::ZERO } else { PATIENCE };
                let waited = self.shared.changed.wait_timeout_while(inbox, patience, nothing);
                let (mut inbox, _) = waited.unwrap_or_else(PoisonError::into_inner);
                if inbox.is_closed {
                    return;
                }
                (inbox.featured.take(), inbox.work.pop_front(), inbox.settled.take(), inbox.is_over)
            };
            let is_idle = featured.is_none() && work.is_none() && settled.is_none();
            if let Some(featured) = featured {
                self.look(featured);
            }
            if let Some(work) = work {
                self.work(work);
            }
            if let Some(outcome) = settled {
                self.settled(outcome);
            }
            self.refresh();
            self.settle();
            if is_idle {
                self.polish();
                self.extract();
                if is_over {
                    // Readers have seen the last frame. Work on the samples can still come.
                    self.shared.seen.end();
                }
            }
        }
    }

    fn teacher(&mut self) -> Result<&mut Teacher, SessionError> {
        match &mut self.mind {
            Mind::Teacher(teacher) => Ok(teacher),
            Mind::Fixed(_) => Err(SessionError::NoStore),
        }
    }

    /// A new frame.
    fn look(&mut self, featured: Featured) {
        let Featured { frame: Frame { image, number, time }, features, trunk_time, counts } = featured;
        self.looked += 1;
        self.frames.push(Instant::now());
        if self.frames.len() > RATE_FRAMES {
            self.frames.remove(0);
        }
        self.current = Some(Current { image: Arc::new(image), number, time, features, trunk_time, counts });
        self.teach_held();
        self.see(true);
    }

    /// What the head says of the newest frame, which may be `new`, or old and the head new.
    fn see(&mut self, new: bool) {
        let start = Instant::now();
        let model = match &self.mind {
            Mind::Teacher(teacher) => teacher.model().cloned(),
            Mind::Fixed(classifier) => Some(classifier.shared_model()),
        };
        let is_other = match (&self.labels.0, &model) {
            (Some(a), Some(b)) => !Arc::ptr_eq(a, b),
            (a, b) => a.is_some() != b.is_some(),
        };
        if is_other {
            let labels = model.as_ref().map_or(Arc::from([]), |model| Arc::from(model.labels.as_slice()));
            self.labels = (model.clone(), labels);
        }
        let judged = match (&self.current, &model) {
            (None, _) => return,
            (Some(current), Some(model)) => Some(model.judge(self.kernels, &current.features)),
            (Some(_), None) => None,
        };
        let prediction = match judged {
            Some(Ok((p, unknown))) => Some(Prediction { unknown, ..Prediction::new(p) }),
            Some(Err(error)) => {
                self.fail(error.to_string());
                None
            }
            None => None,
        };
        let Some(current) = &self.current else { return };
        let name = prediction.as_ref().map(|prediction| match prediction.unknown {
            Some(true) => UNKNOWN,
            _ => self.labels.1[usize::from(prediction.class())].as_str(),
        });
        if new {
            self.smoother.see(name);
        }
        let label = self.smoother.shown().map(str::to_owned);
        let score = model.as_ref().zip(prediction.as_ref()).and_then(|(model, prediction)| {
            let probability = prediction.probabilities[usize::from(prediction.class())];
            model.score(self.kernels, &current.features, probability)
        });
        if let Some(score) = score.filter(|_| new) {
            let before = self.drift.is_alarm();
            if self.drift.see(score, self.start.elapsed()) != before {
                self.shared.events.add(LiveEvent::Drift(!before));
            }
        }
        let head_time = start.elapsed();
        let seen = Seen {
            frame: current.image.clone(),
            number: current.number,
            time: current.time,
            prediction,
            labels: self.labels.1.clone(),
            label,
            drift: self.drift.is_alarm(),
            teaching: self.held.is_some().then(|| self.teaching.clone()).flatten(),
            taught: self.taught,
            trunk_time: current.trunk_time,
            head_time,
            looked: self.looked,
            fps: self.fps(),
            counts: current.counts,
        };
        if new {
            self.keep(&seen);
        }
        // The memory of the frame before goes back to the camera, if nobody looks at it any more.
        if let Some(before) = self.shared.seen.put(seen)
            && let Some(image) = Arc::into_inner(before.frame)
        {
            let frame = Frame { image, number: before.number, time: before.time };
            self.shared.leave(|inbox| inbox.spare.push(frame));
        }
    }

    fn fps(&self) -> f64 {
        match (self.frames.first(), self.frames.last()) {
            (Some(first), Some(last)) if self.frames.len() > 1 => {
                (self.frames.len() - 1) as f64 / (*last - *first).as_secs_f64().max(1e-9)
            }
            _ => 0.0,
        }
    }

    fn work(&mut self, work: Work) {
        work(self);
    }

    /// Has it done; whatever it did to the samples, the head follows.
    pub fn with<T>(&mut self, work: impl FnOnce(&mut Teacher) -> T) -> Result<T, SessionError> {
        let teacher = self.teacher()?;
        let before = teacher.revision();
        let result = work(teacher);
        let refreshed = teacher.refresh();
        let is_other = teacher.revision() != before;
        if let Err(error) = refreshed {
            self.fail(error.to_string());
        }
        if is_other {
            self.has_changed();
        }
        Ok(result)
    }

    /// Teaches the newest frame.
    pub fn teach(&mut self, class: &str) -> Result<Lesson, SessionError> {
        self.teacher()?;
        self.teach_current(class, None)
    }

    fn teach_current(&mut self, class: &str, batch: Option<Batch>) -> Result<Lesson, SessionError> {
        let current = self.current.as_ref().ok_or(SessionError::NoFrame)?;
        let (photo, time, source) = (encode_jpeg(&current.image), current.time, self.source.clone());
        let lesson = self.teacher()?.teach(class, &photo, &source, time, batch)?;
        if !lesson.made_room.samples.is_empty() {
            self.shared.events.add(LiveEvent::MadeRoom(lesson.made_room.clone()));
        }
        self.has_changed();
        Ok(lesson)
    }

    /// Holds a class, or none.
    pub fn hold(&mut self, class: Option<String>) {
        self.held = class.map(|class| Held { class, batch: None, last: None });
        self.teaching = None;
        self.teach_held();
        self.see(false);
    }

    /// Teaches the newest frame if a class is held, and it is time.
    fn teach_held(&mut self) {
        let (Some(held), Some(current)) = (&self.held, &self.current) else { return };
        if let Some((when, before)) = &held.last
            && (when.elapsed().as_secs_f64() < self.settings.teaching.every
                || cosine(self.kernels, before, &current.features) > SAME)
        {
            return;
        }
        let (class, batch, features) = (held.class.clone(), held.batch, current.features.clone());
        match self.teach_current(&class, batch) {
            Ok(lesson) => {
                let count = self.teacher().ok().and_then(|teacher| teacher.store().classes().ok());
                let count = count.and_then(|classes| classes.into_iter().find(|(name, _)| *name == class));
                let samples = count.map_or(0, |(_, count)| count);
                self.teaching = Some((class.clone(), samples));
                self.shared.events.add(LiveEvent::Taught { class, samples });
                if let Some(held) = &mut self.held {
                    (held.batch, held.last) = (Some(lesson.batch), Some((Instant::now(), features)));
                }
            }
            Err(error) => {
                // Not with every frame again.
                self.held = None;
                self.shared.events.add(LiveEvent::Store(error.to_string()));
            }
        }
    }

    /// The samples are others, and so is the head.
    fn has_changed(&mut self) {
        self.taught += 1;
        self.changed = Some(Instant::now());
        self.see(false);
    }

    /// Says once that something fails that is tried again and again.
    fn fail(&mut self, error: String) {
        if !std::mem::replace(&mut self.has_failed, true) {
            self.shared.events.add(LiveEvent::Store(error));
        }
    }

    fn refresh(&mut self) {
        if self.refreshed.elapsed() < REFRESH {
            return;
        }
        self.refreshed = Instant::now();
        let Mind::Teacher(teacher) = &mut self.mind else { return };
        if !teacher.store().is_in_place() {
            let path = teacher.store().path().display().to_string();
            return self.fail(format!("{path}: was removed or replaced; start again to use what is there now"));
        }
        match teacher.refresh() {
            Ok(false) => self.has_failed = false,
            Ok(true) => {
                (self.has_failed, self.is_missing) = (false, true);
                self.shared.events.add(LiveEvent::Refreshed);
                self.has_changed();
            }
            Err(error) => self.fail(error.to_string()),
        }
    }

    /// The last steps to the optimum, when there is time.
    fn polish(&mut self) {
        let Mind::Teacher(teacher) = &mut self.mind else { return };
        match teacher.polish() {
            Ok(true) => self.see(false),
            Ok(false) => {}
            Err(error) => self.fail(error.to_string()),
        }
    }

    /// Features of a few photos that have none of this trunk.
    fn extract(&mut self) {
        let Mind::Teacher(teacher) = &mut self.mind else { return };
        if !self.is_missing {
            return;
        }
        let missing = teacher.missing().map(|missing| missing.len());
        if let Ok(0) = missing {
            self.is_missing = false;
            return;
        }
        match teacher.extract() {
            Ok((left, bad)) => {
                for (id, error) in bad {
                    self.shared.events.add(LiveEvent::Store(format!("sample {id}: {error}")));
                }
                self.is_missing = left > 0;
                self.shared.events.add(LiveEvent::Extracted { left });
                if left == 0 {
                    self.has_changed();
                }
            }
            Err(error) => {
                self.is_missing = false;
                self.fail(error.to_string());
            }
        }
    }

    /// Begins to measure, once nothing was taught for a while.
    fn settle(&mut self) {
        let is_time = self.changed.is_some_and(|when| when.elapsed().as_secs_f64() >= self.settings.teaching.settle);
        let Mind::Teacher(teacher) = &self.mind else { return };
        if !is_time || self.is_settling || self.held.is_some() || self.is_missing {
            return;
        }
        self.changed = None;
        let trunk = teacher.trunk().clone();
        match teacher.snapshot() {
            Ok(snapshot) if snapshot.is_measurable() => match settling::begin(snapshot, trunk, self.shared.clone()) {
                Ok(()) => self.is_settling = true,
                Err(error) => self.shared.events.add(LiveEvent::Head(error.to_string())),
            },
            Ok(snapshot) if snapshot.classes.len() >= 2 => {
                let class = snapshot.class_of_one().unwrap_or_default();
                let why = format!("it is not measured, and its file not written, before `{class}` has a second sample");
                self.shared.events.add(LiveEvent::Head(why));
            }
            Ok(_) => {}
            Err(error) => self.fail(error.to_string()),
        }
    }

    fn settled(&mut self, outcome: settling::Outcome) {
        self.is_settling = false;
        let settled = match outcome {
            Ok(settled) => settled,
            Err(error) => return self.shared.events.add(LiveEvent::Head(error.to_string())),
        };
        let Mind::Teacher(teacher) = &mut self.mind else { return };
        self.drift.set_reference(settled.scores.clone());
        let (evaluation, model) = (settled.evaluation.clone(), settled.model.clone());
        let version = match teacher.settled(settled) {
            Ok(version) => version,
            Err(error) => return self.fail(error.to_string()),
        };
        self.shared.events.add(LiveEvent::Measured {
            version,
            correct: evaluation.correct(),
            samples: evaluation.n_samples(),
            interval: evaluation.interval(),
        });
        if let Some(path) = self.settings.head.as_ref().filter(|_| version.is_some()) {
            self.shared.events.add(match model.save(path, true) {
                Ok(()) => LiveEvent::HeadWritten(path.clone()),
                Err(error) => LiveEvent::Head(error.to_string()),
            });
        }
        self.taught += 1;
        self.see(false);
    }

    /// Keeps a frame that the head is not sure of, unless one like it is there.
    fn keep(&mut self, seen: &Seen) {
        let keep = self.settings.keep;
        let (Mind::Teacher(teacher), Some(current)) = (&mut self.mind, &self.current) else { return };
        let Some(prediction) = &seen.prediction else { return };
        let class = usize::from(prediction.class());
        let probability = prediction.probabilities[class];
        let is_early = self.kept.is_some_and(|when| when.elapsed().as_secs_f64() < keep.every);
        let is_sure = probability >= keep.below && prediction.unknown != Some(true);
        if keep.frames == 0 || is_early || is_sure || self.held.is_some() {
            return;
        }
        let numbers = &current.features;
        if teacher.likest(numbers).is_none_or(|cosine| cosine >= keep.alike) {
            return;
        }
        let trunk = teacher.trunk().fingerprint();
        let kept = teacher.store().pending_features(trunk, numbers.len());
        let keep_it = || {
            let kernels = self.kernels;
            if kept?.chunks_exact(numbers.len().max(1)).any(|other| cosine(kernels, other, numbers) >= keep.alike) {
                return Ok(None);
            }
            let frame = NewPending {
                photo: &encode_jpeg(&current.image),
                source: &self.source,
                time: current.time,
                guess: &seen.labels[class],
                probability,
                features: Features { trunk, numbers },
            };
            teacher.store_mut().keep_pending(&frame, keep.frames)
        };
        let guess = seen.labels[class].clone();
        match keep_it() {
            Ok(Some(id)) => {
                self.kept = Some(Instant::now());
                self.shared.events.add(LiveEvent::Kept { id, guess });
            }
            Ok(None) => {}
            Err(error) => {
                self.kept = Some(Instant::now());
                self.fail(error.to_string());
            }
        }
    }
}

/// Cosine of two rows of features.
fn cosine(kernels: Kernels, a: &[f32], b: &[f32]) -> f32 {
    let unit = |row: &[f32]| {
        let mut row = row.to_vec();
        Scaler::<Vec<f32>>::L2.apply(kernels, &mut row);
        row
    };
    kernels.dot(&unit(a), &unit(b))
}
