//! Lines of a character device: the kernel's interface to GPIO, in its second version.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use gpiocdev::chip::Chip;
use gpiocdev::line::{Bias, EdgeDetection, EdgeKind, Value};
use gpiocdev::request::{Builder, Request};

use super::header::{self, kind, text};
use super::{Active, Edge, GpioError, GpioSettings, Lines};

/// As what other programs see the lines in use.
const CONSUMER: &str = "topgraft";

/// Lines of a chip, until it is dropped.
#[derive(Debug)]
pub struct CharacterDevice {
    path: PathBuf,
    /// The buttons, if there are any.
    buttons: Option<Request>,
    /// The lights, if there are any.
    lights: Option<Request>,
    is_debounced: bool,
}

impl CharacterDevice {
    /// Takes the lines of the settings: buttons as inputs, lights as outputs that are off.
    ///
    /// # Errors
    /// [`GpioError`].
    pub fn open(settings: &GpioSettings) -> Result<Self, GpioError> {
        let chip = header::open(&settings.gpio.chip)?;
        let path = chip.path().to_path_buf();
        let failed = |doing: &str, error: &gpiocdev::Error| GpioError::Failed {
            path: path.clone(),
            doing: doing.to_owned(),
            what: text(error),
        };
        let lines = chip.info().map_err(|error| failed("read about it", &error))?.num_lines;
        let of_buttons: Vec<u32> = settings.button.iter().map(|button| button.gpio).collect();
        let of_lights: Vec<u32> = settings.light.iter().map(|light| light.gpio).collect();
        if let Some(&gpio) = of_buttons.iter().chain(&of_lights).find(|gpio| **gpio >= lines) {
            return Err(GpioError::Beyond { gpio, path, last: lines.saturating_sub(1) });
        }
        let refused = |error: gpiocdev::Error, gpios: &[u32]| match kind(&error) {
            Some(ErrorKind::ResourceBusy) => busy(&chip, gpios).unwrap_or_else(|| failed("take the lines", &error)),
            Some(ErrorKind::PermissionDenied) => GpioError::Permission { path: path.clone() },
            Some(ErrorKind::InvalidInput) => GpioError::Refused { path: path.clone(), what: text(&error) },
            _ => failed("take the lines", &error),
        };

        let debounce = settings.gpio.debounce_time();
        let mut is_debounced = !debounce.is_zero();
        let mut buttons = None;
        if !of_buttons.is_empty() {
            let mut taken = inputs(&path, settings, is_debounced.then_some(debounce)).request();
            // The kernel debounces what the chip does not, but a chip may refuse a time that it could not keep.
            if is_debounced && taken.as_ref().is_err_and(|error| kind(error) != Some(ErrorKind::ResourceBusy)) {
                is_debounced = false;
                taken = inputs(&path, settings, None).request();
            }
            buttons = Some(taken.map_err(|error| refused(error, &of_buttons))?);
        }
        let mut lights = None;
        if !of_lights.is_empty() {
            lights = Some(outputs(&path, settings).request().map_err(|error| refused(error, &of_lights))?);
        }
        Ok(Self { path, buttons, lights, is_debounced })
    }

    fn failed(&self, doing: &str, error: &gpiocdev::Error) -> GpioError {
        GpioError::Failed { path: self.path.clone(), doing: doing.to_owned(), what: text(error) }
    }

    fn unknown(&self, gpio: u32) -> GpioError {
        GpioError::Failed {
            path: self.path.clone(),
            doing: format!("use GPIO {gpio}"),
            what: "it was not taken".to_owned(),
        }
    }
}

impl Lines for CharacterDevice {
    fn next(&mut self, timeout: Duration) -> Result<Option<Edge>, GpioError> {
        let Some(buttons) = &self.buttons else {
            thread::sleep(timeout);
            return Ok(None);
        };
        let failed = |error| self.failed("read the buttons", &error);
        match buttons.wait_edge_event(timeout) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) if kind(&error) == Some(ErrorKind::Interrupted) => return Ok(None),
            Err(error) => return Err(failed(error)),
        }
        // Not `read_edge_event`: in 0.8.0 it reads up to eight and drops all but the first.
        let mut words = vec![0; buttons.edge_event_u64_size()];
        let event = buttons.read_edge_events_into_slice(&mut words);
        let event = event.and_then(|n| buttons.edge_event_from_slice(&words[..n])).map_err(failed)?;
        // The kernel knows at which level a button is pressed.
        Ok(Some(Edge { gpio: event.offset, pressed: event.kind == EdgeKind::Rising, number: event.seqno }))
    }

    fn set(&mut self, gpio: u32, on: bool) -> Result<(), GpioError> {
        let lights = self.lights.as_ref().ok_or_else(|| self.unknown(gpio))?;
        let switch = || format!("switch the light of GPIO {gpio}");
        lights.set_value(gpio, Value::from(on)).map_err(|error| self.failed(&switch(), &error))
    }

    fn pressed(&mut self, gpio: u32) -> Result<bool, GpioError> {
        let buttons = self.buttons.as_ref().ok_or_else(|| self.unknown(gpio))?;
        let read = || format!("read the button of GPIO {gpio}");
        buttons.value(gpio).map(bool::from).map_err(|error| self.failed(&read(), &error))
    }

    fn is_debounced(&self) -> bool {
        self.is_debounced
    }
}

/// The request for the buttons.
fn inputs(path: &PathBuf, settings: &GpioSettings, debounce: Option<Duration>) -> Builder {
    let mut request = Request::builder();
    request.on_chip(path).with_consumer(CONSUMER);
    for button in &settings.button {
        request.with_line(button.gpio).as_input().with_edge_detection(EdgeDetection::BothEdges);
        let pull = match button.active {
            Active::Low => Bias::PullUp,
            Active::High => Bias::PullDown,
        };
        request.with_bias(if settings.gpio.pull { pull } else { Bias::Disabled });
        if button.active == Active::Low {
            request.as_active_low();
        }
        if let Some(debounce) = debounce {
            request.with_debounce_period(debounce);
        }
    }
    request
}

/// The request for the lights.
fn outputs(path: &PathBuf, settings: &GpioSettings) -> Builder {
    let mut request = Request::builder();
    request.on_chip(path).with_consumer(CONSUMER);
    for light in &settings.light {
        request.with_line(light.gpio).as_output(Value::Inactive);
        if light.active == Active::Low {
            request.as_active_low();
        }
    }
    request
}

/// Which of the lines is in use, and by whom: they are taken all at once or not at all.
fn busy(chip: &Chip, gpios: &[u32]) -> Option<GpioError> {
    let mut infos = gpios.iter().filter_map(|&gpio| Some((gpio, chip.line_info(gpio).ok()?)));
    let (gpio, info) = infos.find(|(_, info)| info.used)?;
    let consumer = if info.consumer.is_empty() { "the kernel".to_owned() } else { info.consumer };
    Some(GpioError::Busy { gpio, consumer })
}
