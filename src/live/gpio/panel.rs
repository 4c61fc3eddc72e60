//! Buttons and lights on a thread of their own.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::shared::Shared;
use super::worker::Worker;
use super::{Action, GpioError, GpioSettings, Lights, Lines};

/// Buttons and lights that work. What fails is tried again every ten seconds: a chip that is not there yet, a line that
/// another program has.
///
/// Dropping it releases what is held, switches the lights off and waits for that, up to 50 ms and what the callback takes.
pub struct Panel {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Panel {
    /// Starts with the chip of the settings. `act` is called on the panel's thread, and is not to block: while it does, buttons
    /// wait. Who drops the panel is not to hold what `act` waits for.
    ///
    /// # Errors
    /// [`GpioError::Settings`], [`GpioError::Thread`]. What is wrong with the chip comes by [`messages`](Self::messages).
    pub fn start(settings: GpioSettings, act: impl FnMut(Action) + Send + 'static) -> Result<Self, GpioError> {
        Self::with(settings, open, act)
    }

    /// As [`start`](Self::start), with other lines; `open` is called again after they have failed.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn with(
        settings: GpioSettings,
        open: impl FnMut(&GpioSettings) -> Result<Box<dyn Lines>, GpioError> + Send + 'static,
        act: impl FnMut(Action) + Send + 'static,
    ) -> Result<Self, GpioError> {
        settings.check()?;
        let shared = Arc::new(Shared::default());
        let worker = Worker::new(settings, Box::new(open), Box::new(act), Box::new(Instant::now), Arc::clone(&shared));
        let thread =
            thread::Builder::new().name("gpio".to_owned()).spawn(move || worker.run()).map_err(GpioError::Thread)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// What the lights are to tell, from now on.
    pub fn show(&self, lights: Lights) {
        self.shared.show(lights);
    }

    /// Why they have ceased to work, or what is wrong with a button: each once, the oldest first.
    pub fn messages(&self) -> Vec<String> {
        self.shared.said.drain()
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        self.shared.end();
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(target_os = "linux")]
fn open(settings: &GpioSettings) -> Result<Box<dyn Lines>, GpioError> {
    Ok(Box::new(super::CharacterDevice::open(settings)?))
}

#[cfg(not(target_os = "linux"))]
fn open(_: &GpioSettings) -> Result<Box<dyn Lines>, GpioError> {
    Err(GpioError::NotLinux)
}
