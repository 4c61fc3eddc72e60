//! What the thread of the buttons does, step by step: the clock is given, so that tests need not wait.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::buttons::{Buttons, Outcome};
use super::lamps::Lamps;
use super::reader::Reader;
use super::shared::Shared;
use super::{Action, GpioError, GpioSettings, Lights, Lines};

/// How long to leave lines alone that have failed.
const PAUSE: Duration = Duration::from_secs(10);
/// After so long without failing, the same failure is news.
const WELL: Duration = Duration::from_secs(60);

/// Opens the lines.
pub(super) type Open = Box<dyn FnMut(&GpioSettings) -> Result<Box<dyn Lines>, GpioError> + Send>;
/// Is told what the buttons ask for.
pub(super) type Act = Box<dyn FnMut(Action) + Send>;
/// What time it is.
pub(super) type Clock = Box<dyn Fn() -> Instant + Send>;

pub(super) struct Worker {
    settings: GpioSettings,
    open: Open,
    act: Act,
    clock: Clock,
    shared: Arc<Shared>,
    buttons: Buttons,
    lamps: Lamps,
    reader: Option<Reader>,
    /// When the lines are to be opened, if they are not.
    due: Instant,
    /// Failures that were said since it was well.
    said: BTreeSet<String>,
    /// Whether `act` runs, which it cannot do again after a panic in it.
    is_acting: bool,
}

impl Worker {
    pub(super) fn new(settings: GpioSettings, open: Open, act: Act, clock: Clock, shared: Arc<Shared>) -> Self {
        let due = clock();
        let (buttons, lamps) = (Buttons::new(&settings, due), Lamps::new(&settings));
        let (reader, said, is_acting) = (None, BTreeSet::new(), false);
        Self { settings, open, act, clock, shared, buttons, lamps, reader, due, said, is_acting }
    }

    /// Until the end is told.
    pub(super) fn run(mut self) {
        let mut wait = Duration::ZERO;
        while !self.shared.is_over_within(wait) {
            wait = self.step();
        }
    }

    /// Opens the lines, or waits for an edge; how long to wait before the next step.
    pub(super) fn step(&mut self) -> Duration {
        let now = (self.clock)();
        let done = match &mut self.reader {
            Some(reader) => reader.read(&mut self.buttons, &self.clock),
            None if now < self.due => return self.due - now,
            None => self.begin(),
        };
        // Before anything else can fail.
        self.tell();
        if let Err(error) = done.and_then(|()| self.show()) {
            self.fail(error.to_string());
        }
        Duration::ZERO
    }

    fn begin(&mut self) -> Result<(), GpioError> {
        let lines = (self.open)(&self.settings)?;
        let debounce = self.settings.gpio.debounce_time();
        self.reader = Some(Reader::begin(lines, &mut self.buttons, debounce, &self.clock)?);
        self.lamps.begin();
        Ok(())
    }

    fn show(&mut self) -> Result<(), GpioError> {
        let Some(reader) = &mut self.reader else { return Ok(()) };
        let lights = self.shared.lights();
        let teaching = lights.teaching || self.buttons.is_held();
        self.lamps.show(&mut *reader.lines, &Lights { teaching, ..lights }, (self.clock)())
    }

    fn tell(&mut self) {
        for outcome in self.buttons.take() {
            match outcome {
                Outcome::Action(action) => {
                    self.is_acting = true;
                    (self.act)(action);
                    self.is_acting = false;
                }
                Outcome::Said(text) => self.shared.say(text),
            }
        }
    }

    /// Closes the lines, if they are open, until they are tried again.
    fn fail(&mut self, error: String) {
        let now = (self.clock)();
        if self.reader.as_ref().is_some_and(|reader| reader.lasts(now) >= WELL) {
            self.said.clear();
        }
        self.close();
        if self.said.insert(error.clone()) {
            self.shared.say(error);
        }
        self.due = now + PAUSE;
    }

    /// Nothing is held after this, and no light says what is not so any more.
    fn close(&mut self) {
        if let Some(mut reader) = self.reader.take() {
            self.lamps.off(&mut *reader.lines);
        }
        self.buttons.release();
        if !self.is_acting {
            self.tell();
        }
    }
}

impl Drop for Worker {
    /// Even after a panic.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.say("a fault of the program, which was reported, has ended them".to_owned());
        }
        self.close();
    }
}
