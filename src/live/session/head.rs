//! The head's thread: newest features -> what they show, and between two frames work on the samples.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use topgraft_core::kernel::Kernels;

use crate::learn::Model;
use crate::live::camera::{Counts, Frame};
use crate::live::drift::Drift;
use crate::live::event::LiveEvent;
use crate::live::smoothing::Smoother;

use super::keep::Keeper;
use super::samples::{Held, Upkeep};
use super::trunk::{Featured, PATIENCE};
use super::{Classified, CloseOnPanic, Mind, Seen, SessionError, SessionSettings, Shared, UNKNOWN};

/// How long not to say the same again.
const SAID_AGAIN: Duration = Duration::from_secs(3600);
/// Frames that the rate is measured over.
const RATE_FRAMES: usize = 16;

/// The newest frame, which may be taught.
pub(super) struct Current {
    pub image: Arc<image::RgbImage>,
    pub number: u64,
    pub time: SystemTime,
    pub features: Vec<f32>,
    pub trunk_time: Duration,
    pub counts: Counts,
}

pub(super) struct HeadThread {
    pub(super) mind: Mind,
    pub(super) settings: SessionSettings,
    pub(super) source: String,
    pub(super) shared: Arc<Shared>,
    pub(super) drift: Drift,
    pub(super) current: Option<Current>,
    pub(super) held: Option<Held>,
    pub(super) taught: u64,
    pub(super) upkeep: Upkeep,
    /// A head that was learned elsewhere, and decides.
    elsewhere: Option<Arc<Model>>,
    kernels: Kernels,
    smoother: Smoother,
    keeper: Keeper,
    start: Instant,
    /// The head whose labels these are.
    labels: (Option<Arc<Model>>, Arc<[String]>),
    /// What failed last, and when that was said.
    said: Option<(Instant, String)>,
    /// Frames that were looked at, and when the last few were.
    looked: u64,
    frames: VecDeque<Instant>,
}

impl HeadThread {
    pub fn new(mind: Mind, settings: SessionSettings, source: String, shared: Arc<Shared>) -> Self {
        let upkeep = Upkeep::new(matches!(mind, Mind::Teacher(_)));
        Self {
            mind,
            source,
            shared,
            drift: Drift::new(settings.drift),
            current: None,
            held: None,
            taught: 0,
            upkeep,
            elsewhere: None,
            kernels: Kernels::detect(),
            smoother: Smoother::new(settings.smoothing),
            keeper: Keeper::new(settings.keep),
            settings,
            start: Instant::now(),
            labels: (None, Arc::from([])),
            said: None,
            looked: 0,
            frames: VecDeque::new(),
        }
    }

    /// Until the session is closed.
    pub fn run(mut self) {
        let _close = CloseOnPanic(self.shared.clone());
        loop {
            let (featured, work, settled, is_over) = {
                let inbox = self.shared.inbox.lock().unwrap_or_else(PoisonError::into_inner);
                let nothing = |inbox: &mut super::Inbox| {
                    let is_quiet = inbox.featured.is_none() && inbox.work.is_empty() && inbox.settled.is_none();
                    is_quiet && !inbox.is_closed
                };
                let patience = if self.has_work_left() { Duration::ZERO } else { PATIENCE };
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
                work(&mut self);
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

    /// A new frame.
    fn look(&mut self, featured: Featured) {
        let Featured { frame: Frame { image, number, time }, features, trunk_time, counts } = featured;
        self.looked += 1;
        self.frames.push_back(Instant::now());
        if self.frames.len() > RATE_FRAMES {
            self.frames.pop_front();
        }
        self.current = Some(Current { image: Arc::new(image), number, time, features, trunk_time, counts });
        self.teach_held();
        self.see(true);
    }

    /// What the head says of features that are no frame's.
    pub fn classify(&self, features: &[f32]) -> Result<Option<Classified>, SessionError> {
        let Some(model) = self.model() else { return Ok(None) };
        let labels = Arc::from(&model.labels[..]);
        Ok(Some(Classified { prediction: model.predict(self.kernels, features)?, labels }))
    }

    /// Another head, or the own one again.
    pub fn follow(&mut self, head: Option<Arc<Model>>) {
        // It has no scores to tell drift by.
        if head.is_some() && self.elsewhere.is_none() {
            if self.drift.is_alarm() {
                self.shared.say(LiveEvent::Drift(false));
            }
            self.drift.reset();
        }
        self.elsewhere = head;
        self.see(false);
    }

    fn model(&self) -> Option<Arc<Model>> {
        if let Some(model) = &self.elsewhere {
            return Some(model.clone());
        }
        match &self.mind {
            Mind::Teacher(teacher) => teacher.model().cloned(),
            Mind::Fixed(classifier) => Some(classifier.shared_model()),
        }
    }

    /// What the head says of the newest frame, which may be `new`, or old and the head new.
    pub(super) fn see(&mut self, new: bool) {
        let start = Instant::now();
        let model = self.model();
        let is_other = match (&self.labels.0, &model) {
            (Some(a), Some(b)) => !Arc::ptr_eq(a, b),
            (a, b) => a.is_some() != b.is_some(),
        };
        if is_other {
            let labels: Arc<[String]> = model.as_ref().map_or(Arc::from([]), |model| Arc::from(&model.labels[..]));
            if labels != self.labels.1 {
                // What was voted for may be a class no more.
                self.smoother.clear();
            }
            self.labels = (model.clone(), labels);
        }
        let predicted = match (&self.current, &model) {
            (None, _) => return,
            (Some(current), Some(model)) => Some(model.predict(self.kernels, &current.features)),
            (Some(_), None) => None,
        };
        let prediction = predicted.transpose().unwrap_or_else(|error| {
            self.fail(LiveEvent::Head(error.to_string()));
            None
        });
        let Some(current) = &self.current else { return };
        let name = prediction.as_ref().map(|prediction| match prediction.unknown {
            Some(true) => UNKNOWN,
            _ => self.labels.1[usize::from(prediction.class())].as_str(),
        });
        if new {
            self.smoother.see(name);
        }
        let label = self.smoother.shown().map(str::to_owned);
        let score = prediction.as_ref().and_then(|prediction| prediction.score);
        if let Some(score) = score.filter(|_| new) {
            let before = self.drift.is_alarm();
            if self.drift.see(score, self.start.elapsed()) != before {
                self.shared.say(LiveEvent::Drift(!before));
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
            teaching: self.held.as_ref().and_then(Held::progress),
            taught: self.taught,
            trunk_time: current.trunk_time,
            head_time,
            looked: self.looked,
            fps: self.fps(),
            counts: current.counts,
        };
        if let (true, None, Mind::Teacher(teacher)) = (new, &self.held, &mut self.mind) {
            match self.keeper.keep(teacher, current, &seen, &self.source) {
                Ok(Some(event)) => self.shared.say(event),
                Ok(None) => {}
                Err(error) => self.fail(LiveEvent::Store(error.to_string())),
            }
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
        match (self.frames.front(), self.frames.back()) {
            (Some(first), Some(last)) if self.frames.len() > 1 => {
                (self.frames.len() - 1) as f64 / (*last - *first).as_secs_f64().max(1e-9)
            }
            _ => 0.0,
        }
    }

    /// Says that something fails that is tried again and again: once an hour.
    pub(super) fn fail(&mut self, event: LiveEvent) {
        let text = event.to_string();
        let is_known = |(when, known): &(Instant, String)| *known == text && when.elapsed() < SAID_AGAIN;
        if !self.said.as_ref().is_some_and(is_known) {
            self.said = Some((Instant::now(), text));
            self.shared.say(event);
        }
    }
}
