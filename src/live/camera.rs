//! Pictures of a camera, as they come.
//!
//! ```text
//! source --reading thread--> newest picture --capturing thread--> newest frame --Camera::next--> RGB
//! ```
//!
//! The newest frame wins: between the threads there is one place each, and never a queue. Who takes a second for a frame gets
//! one that is new, and those between are not even decoded. What does not come is started again: a program that ends, a
//! connection that is lost, a device that is unplugged, a stream that stands still; [`Camera::events`] tells of it.
//!
//! Cameras of the Raspberry Pi are read by `rpicam-vid`, those on the network and videos by `ffmpeg` (5.1 or later), as
//! programs beside this one: what fails in them fails there, and is started again. USB cameras are read by V4L2 directly.
//! There was no camera to test this with: `rpicam-vid` was a script that writes what it writes, and of V4L2 only the choices
//! and the conversion were tested.
//!
//! ```no_run
//! use std::time::Duration;
//! use topgraft::live::camera::{Camera, Next, Settings};
//!
//! let camera = Camera::start(&"rpicam".parse()?, Settings::default())?;
//! loop {
//!     match camera.next(Duration::from_secs(1)) {
//!         Next::Frame(frame) => {
//!             println!("{} x {} pixels", frame.image.width(), frame.image.height());
//!             camera.recycle(frame);
//!         }
//!         Next::Nothing => println!("waiting"),
//!         Next::Over => break,
//!     }
//!     camera.events().iter().for_each(|event| eprintln!("{event}"));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod capture;
mod error;
mod event;
mod huffman;
mod mjpeg;
mod pool;
mod process;
mod program;
mod route;
mod run;
mod settings;
mod slot;
mod source;
mod url;
#[cfg(target_os = "linux")]
mod v4l2;
mod yuv;

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use image::RgbImage;

use capture::Capture;
pub use error::CameraError;
pub use event::{Event, EventKind};
use route::Route;
use run::Shared;
pub use settings::{RpicamCodec, Settings};
use slot::Taken;
pub use source::{Source, SourceError};
pub use url::Url;

/// A frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// RGB, 8 bits.
    pub image: RgbImage,
    /// How many came from the source before it; the numbers of those that were dropped are missing.
    pub number: u64,
    /// When it came.
    pub time: SystemTime,
}

/// What [`Camera::next`] found.
#[derive(Debug)]
pub enum Next {
    /// The newest frame.
    Frame(Frame),
    /// There is no new one yet.
    Nothing,
    /// The folder, the video or standard input has ended, and its last frame was taken.
    Over,
}

/// Frames since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Came from the source, without those that are more than [`Settings::fps`].
    pub captured: u64,
    /// Of these, made place for a newer one.
    pub dropped: u64,
    /// Could not be decoded.
    pub damaged: u64,
}

/// A source that is captured. Dropping it ends the capture and the program behind it within a second.
pub struct Camera {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Camera {
    /// Starts to capture.
    ///
    /// # Errors
    /// [`CameraError`], for what is wrong before the first frame is asked for: a program that is not installed, a file that
    /// is not there, a setting out of range.
    pub fn start(source: &Source, settings: Settings) -> Result<Self, CameraError> {
        let route = Route::plan(source, &settings)?;
        let shared = Arc::new(Shared::new());
        let capture = Capture { route, settings, shared: Arc::clone(&shared) };
        let thread = thread::Builder::new()
            .name("camera".to_owned())
            .spawn(move || capture.run())
            .map_err(CameraError::Thread)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The newest frame that was not taken yet; waits for one at most so long.
    pub fn next(&self, timeout: Duration) -> Next {
        match self.shared.frames.take(timeout) {
            Taken::Value(frame) => Next::Frame(frame),
            Taken::Nothing => Next::Nothing,
            Taken::Closed => Next::Over,
        }
    }

    /// Gives a frame's memory back for further ones.
    pub fn recycle(&self, frame: Frame) {
        self.shared.pool.give(frame.image.into_raw());
    }

    /// What happened since the last call, the oldest first; of very many the last 256.
    pub fn events(&self) -> Vec<Event> {
        self.shared.log.drain()
    }

    /// Frames since the start.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.shared.frames.close();
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}
