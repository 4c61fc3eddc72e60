//! The thread that keeps a source running, and decodes what it gives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Frame;
use super::event::{self, EventKind};
use super::route::Route;
use super::run::{Picture, Run, Shared};
use super::settings::{Backoff, Settings};
use super::slot::Taken;

/// How often to look whether the camera is still wanted.
const TICK: Duration = Duration::from_millis(100);

/// Ends with the source, or when the frames' slot is closed.
pub(super) struct Capture {
    pub route: Route,
    pub settings: Settings,
    pub shared: Arc<Shared>,
}

impl Drop for Capture {
    /// Even after a panic, nobody waits for a frame.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.log_end("a fault of the program, which was reported", None);
        }
        self.shared.frames.close();
    }
}

impl Capture {
    pub(super) fn run(self) {
        let mut backoff = Backoff::new(&self.settings);
        loop {
            let well = match Run::begin(&self.route, &self.settings, &self.shared) {
                Ok(run) => self.watch(run),
                Err(error) => {
                    self.log_end(&format!("cannot start: {error}"), None);
                    Duration::ZERO
                }
            };
            if self.route.is_finite() || self.is_stopped(Duration::ZERO) {
                return;
            }
            let after = backoff.after(well);
            event::add(&self.shared.log, EventKind::Restarting { after });
            if self.is_stopped(after) {
                return;
            }
        }
    }

    /// Takes pictures until the source ends, stalls, or is not wanted any more. How long it gave frames.
    fn watch(&self, run: Run) -> Duration {
        let begin = Instant::now();
        // Of the last frame.
        let mut last = None;
        let stall = self.stall();
        loop {
            let next = run.next(TICK);
            if self.is_stopped(Duration::ZERO) {
                run.stop();
                break;
            }
            match next {
                Taken::Value(picture) => {
                    if self.publish(picture) {
                        if last.is_none() {
                            event::add(&self.shared.log, EventKind::Started);
                        }
                        last = Some(Instant::now());
                    }
                }
                Taken::Closed => {
                    let (how, last_line) = run.end();
                    self.log_end(&how, last_line.as_deref());
                    break;
                }
                Taken::Nothing => {}
            }
            // Damaged frames are none.
            if stall.is_some_and(|stall| last.unwrap_or(begin).elapsed() >= stall) {
                event::add(&self.shared.log, EventKind::Stalled { after: self.settings.stall });
                run.stop();
                break;
            }
        }
        last.map_or(Duration::ZERO, |last| last - begin)
    }

    /// Decodes a picture, and puts it where the newest frame is taken from; whether it was sound.
    fn publish(&self, picture: Picture) -> bool {
        let Picture { pixels, number, time } = picture;
        let image = match pixels.decode(&self.shared.pool) {
            Ok(image) => image,
            Err(reason) => {
                self.shared.add_damage(1, reason);
                return false;
            }
        };
        if let Ok(Some(before)) = self.shared.frames.put(Frame { image, number, time }) {
            self.shared.drop_buffer(before.image.into_raw());
        }
        true
    }

    /// How long to wait for a frame, if the source can be started again.
    fn stall(&self) -> Option<Duration> {
        // Two frames apart, at the slowest rates.
        let interval = Duration::from_secs_f64(2.0 / self.settings.fps);
        (!self.route.is_finite()).then(|| self.settings.stall.max(interval))
    }

    fn log_end(&self, how: &str, last_line: Option<&str>) {
        let last_line = last_line.map(|line| self.route.redact(line));
        event::add(&self.shared.log, EventKind::Ended { how: self.route.redact(how), last_line });
    }

    fn is_stopped(&self, within: Duration) -> bool {
        self.shared.frames.is_closed_within(within)
    }
}
