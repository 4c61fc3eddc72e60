//! Work on the samples, which the head's thread does between two frames: teaching, following others, measuring.

use std::time::{Duration, Instant};

use crate::learn::{Lesson, Teacher};
use crate::live::event::LiveEvent;
use crate::store::Batch;
use crate::vision::encode_jpeg;

use super::head::HeadThread;
use super::keep::cosine;
use super::{Mind, SessionError, settling};

/// How often another program's changes of the samples are looked for.
const REFRESH: Duration = Duration::from_secs(1);
/// While a class is held, a frame as like the one before is not taught: it would say nothing new, and make the left-out accuracy
/// look better than it is.
const SAME: f32 = 0.995;

/// A class that is held.
pub(super) struct Held {
    class: String,
    /// Who holds it: a button, a page.
    holder: String,
    batch: Option<Batch>,
    /// When a frame was taught, and its features.
    last: Option<(Instant, Vec<f32>)>,
    /// Samples that the class has since.
    samples: Option<usize>,
}

impl Held {
    /// The class and its samples, once one was taught.
    pub fn progress(&self) -> Option<(String, usize)> {
        Some((self.class.clone(), self.samples?))
    }
}

/// What is to be done when there is time.
pub(super) struct Upkeep {
    /// When the samples changed that were not measured since.
    changed: Option<Instant>,
    is_settling: bool,
    /// There may be samples without features of this trunk.
    is_missing: bool,
    refreshed: Instant,
}

impl Upkeep {
    /// What is there is measured at the start: the drift alarm needs the scores of left-out samples.
    pub fn new(is_teacher: bool) -> Self {
        let now = Instant::now();
        Self { changed: is_teacher.then_some(now), is_settling: false, is_missing: is_teacher, refreshed: now }
    }
}

impl HeadThread {
    fn teacher(&mut self) -> Result<&mut Teacher, SessionError> {
        match &mut self.mind {
            Mind::Teacher(teacher) => Ok(teacher),
            Mind::Fixed(_) => Err(SessionError::NoStore),
        }
    }

    /// Whether there is something to do that does not wait for a frame.
    pub(super) fn has_work_left(&self) -> bool {
        self.upkeep.is_missing || matches!(&self.mind, Mind::Teacher(teacher) if teacher.is_rough())
    }

    /// Has it done; whatever it did to the samples, the head follows.
    pub fn with<T>(&mut self, work: impl FnOnce(&mut Teacher) -> T) -> Result<T, SessionError> {
        let teacher = self.teacher()?;
        let before = teacher.revision();
        let result = work(teacher);
        let refreshed = teacher.refresh();
        let is_other = teacher.revision() != before;
        if let Err(error) = refreshed {
            self.fail(LiveEvent::Store(error.to_string()));
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
            self.shared.say(LiveEvent::MadeRoom(lesson.made_room.clone()));
        }
        self.has_changed();
        Ok(lesson)
    }

    /// Holds a class, or ends what this holder holds.
    pub fn hold(&mut self, class: Option<String>, holder: String) {
        if class.is_none() && !self.is_held_by(&holder) {
            return;
        }
        self.held = class.map(|class| Held { class, holder, batch: None, last: None, samples: None });
        self.teach_held();
        self.see(false);
    }

    pub fn is_held_by(&self, holder: &str) -> bool {
        self.held.as_ref().is_some_and(|held| held.holder == holder)
    }

    /// Teaches the newest frame if a class is held, and it is time.
    pub(super) fn teach_held(&mut self) {
        let (Some(held), Some(current)) = (&self.held, &self.current) else { return };
        if let Some((when, before)) = &held.last
            && (when.elapsed().as_secs_f64() < self.settings.teaching.every || cosine(before, &current.features) > SAME)
        {
            return;
        }
        let (class, batch, features) = (held.class.clone(), held.batch, current.features.clone());
        match self.teach_current(&class, batch) {
            Ok(lesson) => {
                let count = self.teacher().ok().and_then(|teacher| teacher.store().classes().ok());
                let count = count.and_then(|classes| classes.into_iter().find(|(name, _)| *name == class));
                let samples = count.map_or(0, |(_, count)| count);
                if let Some(held) = &mut self.held {
                    (held.batch, held.last) = (Some(lesson.batch), Some((Instant::now(), features)));
                    held.samples = Some(samples);
                }
                self.shared.say(LiveEvent::Taught { class, samples });
            }
            Err(error) => {
                // Not with every frame again.
                self.held = None;
                self.shared.say(LiveEvent::Store(error.to_string()));
            }
        }
    }

    /// The samples are others, and so is the head.
    fn has_changed(&mut self) {
        self.taught += 1;
        self.upkeep.changed = Some(Instant::now());
        // Samples that were brought back, or labelled, may have no features of this trunk.
        self.upkeep.is_missing = true;
        self.see(false);
    }

    pub(super) fn refresh(&mut self) {
        if self.upkeep.refreshed.elapsed() < REFRESH {
            return;
        }
        self.upkeep.refreshed = Instant::now();
        let Mind::Teacher(teacher) = &mut self.mind else { return };
        match teacher.refresh() {
            Ok(false) => {}
            Ok(true) => {
                self.shared.say(LiveEvent::Refreshed);
                self.has_changed();
            }
            Err(error) => self.fail(LiveEvent::Store(error.to_string())),
        }
    }

    /// The last steps to the optimum, when there is time.
    pub(super) fn polish(&mut self) {
        let Mind::Teacher(teacher) = &mut self.mind else { return };
        match teacher.polish() {
            Ok(true) => self.see(false),
            Ok(false) => {}
            Err(error) => self.fail(LiveEvent::Store(error.to_string())),
        }
    }

    /// Features of a few photos that have none of this trunk.
    pub(super) fn extract(&mut self) {
        let Mind::Teacher(teacher) = &mut self.mind else { return };
        if !self.upkeep.is_missing {
            return;
        }
        match teacher.extract() {
            Ok(extracted) => {
                self.upkeep.is_missing = extracted.left > 0;
                for (id, error) in &extracted.bad {
                    self.shared.say(LiveEvent::Store(format!("sample {id}: {error}")));
                }
                if extracted.made > 0 {
                    self.shared.say(LiveEvent::Extracted { left: extracted.left });
                }
                if extracted.followed {
                    self.has_changed();
                }
            }
            Err(error) => {
                self.upkeep.is_missing = false;
                self.fail(LiveEvent::Store(error.to_string()));
            }
        }
    }

    /// Begins to measure, once nothing was taught for a while.
    pub(super) fn settle(&mut self) {
        let is_time =
            self.upkeep.changed.is_some_and(|when| when.elapsed().as_secs_f64() >= self.settings.teaching.settle);
        let Mind::Teacher(teacher) = &self.mind else { return };
        if !is_time || self.upkeep.is_settling || self.held.is_some() || self.upkeep.is_missing {
            return;
        }
        self.upkeep.changed = None;
        let trunk = teacher.trunk().clone();
        match teacher.snapshot() {
            Ok(snapshot) if snapshot.is_measurable() => match settling::begin(snapshot, trunk, self.shared.clone()) {
                Ok(()) => self.upkeep.is_settling = true,
                Err(error) => self.shared.say(LiveEvent::Head(error.to_string())),
            },
            Ok(snapshot) if snapshot.classes.len() >= 2 => {
                let class = snapshot.class_of_one().unwrap_or_default();
                let why = format!("it is not measured, and its file not written, before `{class}` has a second sample");
                self.shared.say(LiveEvent::Head(why));
            }
            Ok(_) => {}
            Err(error) => self.fail(LiveEvent::Store(error.to_string())),
        }
    }

    pub(super) fn settled(&mut self, outcome: settling::Outcome) {
        self.upkeep.is_settling = false;
        let settled = match outcome {
            Ok(settled) => settled,
            Err(error) => return self.shared.say(LiveEvent::Head(error)),
        };
        let Mind::Teacher(teacher) = &mut self.mind else { return };
        self.drift.set_reference(settled.scores.clone());
        let (evaluation, model) = (settled.evaluation.clone(), settled.model.clone());
        let version = match teacher.settled(settled) {
            Ok(version) => version,
            Err(error) => return self.fail(LiveEvent::Store(error.to_string())),
        };
        self.shared.say(LiveEvent::Measured {
            version,
            correct: evaluation.correct(),
            samples: evaluation.n_samples(),
            interval: evaluation.interval(),
        });
        if let Some(path) = self.settings.head.as_ref().filter(|_| version.is_some()) {
            self.shared.say(match model.save(path, true) {
                Ok(()) => LiveEvent::HeadWritten(path.clone()),
                Err(error) => LiveEvent::Head(error.to_string()),
            });
        }
        self.taught += 1;
        self.see(false);
    }
}
