//! Which lights are on.

use std::time::{Duration, Instant};

use super::settings::Shows;
use super::{GpioError, GpioSettings, Lights, Lines};
use crate::store::UNKNOWN;

/// How long a light that blinks is on, and then off.
const BLINK: Duration = Duration::from_millis(250);

#[derive(Debug)]
struct Lamp {
    gpio: u32,
    shows: Shows,
    is_on: bool,
}

/// All lights, as they were set.
#[derive(Debug)]
pub(super) struct Lamps {
    lamps: Vec<Lamp>,
    /// When teaching began, if it goes on.
    teaching: Option<Instant>,
}

impl Lamps {
    /// All are off. Lights without a purpose are left out.
    pub(super) fn new(settings: &GpioSettings) -> Self {
        let lamps = settings.light.iter().filter_map(|light| {
            let shows = light.shows()?;
            Some(Lamp { gpio: light.gpio, shows, is_on: false })
        });
        Self { lamps: lamps.collect(), teaching: None }
    }

    /// The lines were opened: all are off.
    pub(super) fn begin(&mut self) {
        self.lamps.iter_mut().for_each(|lamp| lamp.is_on = false);
    }

    /// Sets those that are to be otherwise than they are.
    pub(super) fn show(&mut self, lines: &mut dyn Lines, lights: &Lights, now: Instant) -> Result<(), GpioError> {
        // It begins with the light on.
        self.teaching = if lights.teaching { self.teaching.or(Some(now)) } else { None };
        let blinks = |begin: Instant| ((now - begin).as_millis() / BLINK.as_millis()).is_multiple_of(2);
        let blinks = self.teaching.is_some_and(blinks);
        let label = lights.label.as_deref();
        for lamp in &mut self.lamps {
            let on = match &lamp.shows {
                Shows::Class(class) => label == Some(class),
                Shows::Unknown => lights.unknown || label == Some(UNKNOWN),
                Shows::Drift => lights.drift,
                Shows::Teaching => blinks,
            };
            if on != lamp.is_on {
                lines.set(lamp.gpio, on)?;
                lamp.is_on = on;
            }
        }
        Ok(())
    }

    /// Switches all off, as far as that goes: it is the end, or the lines have failed.
    pub(super) fn off(&self, lines: &mut dyn Lines) {
        for lamp in self.lamps.iter().filter(|lamp| lamp.is_on) {
            let _ = lines.set(lamp.gpio, false);
        }
    }
}
