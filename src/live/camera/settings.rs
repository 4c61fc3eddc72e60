//! How to capture.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use super::CameraError;

/// The longest side of a frame, in pixels.
const MAX_SIDE: u32 = 8192;

/// Whether a side of a frame can be so long: the colours of raw frames are of two pixels each way.
pub(super) fn is_side(side: u32) -> bool {
    (2..=MAX_SIDE).contains(&side) && side.is_multiple_of(2)
}

/// What `rpicam-vid` sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RpicamCodec {
    /// Raw frames: the least work. The width has to be a multiple of 128.
    #[default]
    Yuv420,
    /// JPEGs of any even size.
    Mjpeg,
}

/// How to capture. Frames of URLs, of videos and of the Raspberry Pi's cameras have exactly the size, cut in the middle to
/// its aspect ratio; a USB camera gives the nearest that it has; photos and standard input keep their own.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Pixels, even.
    pub width: u32,
    /// Pixels, even.
    pub height: u32,
    /// Frames a second: of folders and videos, exactly; of cameras on the network and of USB cameras, at most; of the Raspberry
    /// Pi's cameras, what they are asked for. Standard input goes by its own.
    pub fps: f64,
    /// What `rpicam-vid` sends.
    pub rpicam_codec: RpicamCodec,
    /// Whether `rpicam-vid` mirrors left and right; with `vflip` too, it turns by 180 degrees.
    pub hflip: bool,
    /// Whether `rpicam-vid` mirrors top and bottom.
    pub vflip: bool,
    /// Whether a folder or a video begins again at its end.
    pub repeat: bool,
    /// How long to wait before the first restart of a source that failed; doubled for each further one.
    pub least_backoff: Duration,
    /// The most to wait before a restart.
    pub most_backoff: Duration,
    /// A camera without a frame for so long, or for two frames' time if that is longer, is started again. One that has given
    /// frames for so long waits [`least_backoff`](Settings::least_backoff) again when it fails.
    pub stall: Duration,
    /// Folders to find programs in, as in the environment's `PATH`, which it is if this is none.
    pub path: Option<OsString>,
}

impl Default for Settings {
    /// 640 x 480, 10 a second, raw, not mirrored, once; restarts after 0.5 to 30 seconds, and after 10 without a frame.
    fn default() -> Self {
        Self {
            width: 640,
            height: 480,
            fps: 10.0,
            rpicam_codec: RpicamCodec::default(),
            hflip: false,
            vflip: false,
            repeat: false,
            least_backoff: Duration::from_millis(500),
            most_backoff: Duration::from_secs(30),
            stall: Duration::from_secs(10),
            path: None,
        }
    }
}

impl Settings {
    /// Whether they are in range.
    ///
    /// # Errors
    /// [`CameraError::Setting`], the first that is not.
    pub fn check(&self) -> Result<(), CameraError> {
        let refuse = |name, value, allowed| Err(CameraError::Setting { name, value, allowed });
        for (name, side) in [("width", self.width), ("height", self.height)] {
            if !is_side(side) {
                return refuse(name, side.to_string(), "an even number of pixels from 2 to 8192");
            }
        }
        if !(0.01..=1000.0).contains(&self.fps) {
            return refuse("rate", self.fps.to_string(), "0.01 to 1000 frames a second");
        }
        if self.least_backoff.is_zero() {
            return refuse("back-off", "0".to_owned(), "more than 0 seconds");
        }
        if self.stall.is_zero() {
            return refuse("stall time-out", "0".to_owned(), "more than 0 seconds");
        }
        Ok(())
    }
}

/// Lets through frames of a source that has more than are wanted.
pub(super) struct Pace {
    interval: Duration,
    due: Option<Instant>,
}

impl Pace {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { interval: Duration::from_secs_f64(1.0 / settings.fps), due: None }
    }

    /// Whether to take the frame that came at this time.
    pub(super) fn takes(&mut self, now: Instant) -> bool {
        let due = self.due.unwrap_or(now);
        // A little early is not early: a source of just this rate is let through, even if its frames are not quite regular.
        if now + self.interval / 4 < due {
            return false;
        }
        // On average it is the rate; but what was missed is not made up for.
        self.due = Some((due + self.interval).max(now));
        true
    }
}

/// How long to wait before the next restart.
pub(super) struct Backoff {
    least: Duration,
    most: Duration,
    /// A source that ran so long is well.
    well: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(settings: &Settings) -> Self {
        let least = settings.least_backoff;
        Self { least, most: settings.most_backoff.max(least), well: settings.stall, next: least }
    }

    /// After a run of that length.
    pub(super) fn after(&mut self, run: Duration) -> Duration {
        if run >= self.well {
            self.next = self.least;
        }
        let wait = self.next;
        self.next = wait.saturating_mul(2).min(self.most);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_until_a_run_went_well() {
        let mut backoff = Backoff::new(&Settings::default());
        let short = Duration::from_secs(9);
        let waits: Vec<_> = (0..8).map(|_| backoff.after(short).as_secs_f64()).collect();
        assert_eq!(waits, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
        assert_eq!(backoff.after(Duration::from_secs(10)).as_secs_f64(), 0.5);
        assert_eq!(backoff.after(short).as_secs_f64(), 1.0);
        let most_backoff = Duration::ZERO;
        let mut backoff = Backoff::new(&Settings { most_backoff, ..Settings::default() });
        assert_eq!([backoff.after(short), backoff.after(short)], [Duration::from_millis(500); 2]);
    }

    #[test]
    fn faster_sources_are_slowed_down_and_others_left_alone() {
        let taken = |times: &mut dyn Iterator<Item = u64>| {
            let (mut pace, begin) = (Pace::new(&Settings::default()), Instant::now());
            times.filter(|&time| pace.takes(begin + Duration::from_millis(time))).collect::<Vec<_>>()
        };
        // Ten a second of 25, of 10 that are not quite regular, and of 4.
        assert_eq!(taken(&mut (0..1000).step_by(40)), [0, 80, 200, 280, 400, 480, 600, 680, 800, 880]);
        assert_eq!(taken(&mut (0..50).map(|i| 100 * i + i * 7 % 20)).len(), 50);
        assert_eq!(taken(&mut (0..5000).step_by(250)).len(), 20);
        // A pause, and then all at once.
        assert_eq!(taken(&mut [0, 1000, 1001, 1002, 1100, 1200].into_iter()), [0, 1000, 1001, 1100, 1200]);
    }

    #[test]
    fn settings_without_sense_are_refused() {
        assert!(Settings::default().check().is_ok());
        let cases = [
            (Settings { width: 0, ..Settings::default() }, "a width of 0 does not do; give an even number"),
            (Settings { height: 481, ..Settings::default() }, "a height of 481"),
            (Settings { least_backoff: Duration::ZERO, ..Settings::default() }, "more than 0 seconds"),
            (Settings { width: 8194, ..Settings::default() }, "from 2 to 8192"),
            (Settings { fps: f64::NAN, ..Settings::default() }, "a rate of NaN"),
            (Settings { fps: 0.0, ..Settings::default() }, "0.01 to 1000 frames a second"),
            (Settings { stall: Duration::ZERO, ..Settings::default() }, "a stall time-out of 0"),
        ];
        for (settings, expected) in cases {
            let message = settings.check().unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
