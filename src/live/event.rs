//! What happens while the loop runs, beside what is seen.

use std::fmt;
use std::path::PathBuf;

use super::camera::EventKind;
use crate::store::MadeRoom;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum LiveEvent {
    /// To the camera.
    Camera(EventKind),
    /// The trunk fails on frames; said once until it succeeds.
    Trunk(String),
    /// A frame was taught while its class is held.
    Taught {
        /// The class.
        class: String,
        /// Samples that it has now.
        samples: usize,
    },
    /// A frame could not be taught, or the store could not be read; the head that there was goes on.
    Store(String),
    /// Samples went to make room.
    MadeRoom(MadeRoom),
    /// Another program has changed the samples, and the head is that of these.
    Refreshed,
    /// Photos got features of this trunk.
    Extracted {
        /// How many are left.
        left: usize,
    },
    /// The head was measured.
    Measured {
        /// Its version in the store; `None` if the samples have changed since.
        version: Option<i64>,
        /// Left-out samples that were right,
        correct: u32,
        /// of so many.
        samples: u32,
        /// 95 % interval of the accuracy.
        interval: [f64; 2],
    },
    /// The head could not be measured, or its file not be written.
    Head(String),
    /// Its file was written.
    HeadWritten(PathBuf),
    /// What is seen has changed, or is again as the samples were.
    Drift(bool),
    /// A frame was kept to be labelled.
    Kept {
        /// Its number in the store.
        id: i64,
        /// What it was taken for.
        guess: String,
    },
}

impl fmt::Display for LiveEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Camera(kind) => write!(f, "camera: {kind}"),
            Self::Trunk(error) => write!(f, "trunk: {error}"),
            Self::Taught { class, samples } => write!(f, "taught `{class}`, {samples} now"),
            Self::Store(error) => write!(f, "{error}; the head goes on as it was"),
            Self::MadeRoom(made) => {
                let samples = made.samples.len();
                write!(f, "made room in the store: {samples} old samples are gone, {} removed ones", made.removed)
            }
            Self::Refreshed => write!(f, "the samples were changed by another program"),
            Self::Extracted { left: 0 } => write!(f, "all samples have features of this trunk"),
            Self::Extracted { left } => write!(f, "{left} samples are left without features of this trunk"),
            Self::Measured { version, correct, samples, interval: [from, to] } => {
                let percent = 100.0 * f64::from(*correct) / f64::from((*samples).max(1));
                let (from, to) = (100.0 * from, 100.0 * to);
                write!(f, "measured: {percent:.1} % right on left-out samples, 95 % interval {from:.1} to {to:.1} %")?;
                version.map_or(Ok(()), |version| write!(f, "; head {version}"))
            }
            Self::Head(error) => write!(f, "the head: {error}"),
            Self::HeadWritten(path) => write!(f, "written {}", path.display()),
            Self::Drift(true) => write!(
                f,
                "drift: what the camera sees is not what was taught; was it moved, is it dark, is the lens clean? `topgraft store \
                 pending` lists frames to teach it with"
            ),
            Self::Drift(false) => write!(f, "drift: over"),
            Self::Kept { id, guess } => write!(f, "kept frame {id} to be labelled, it may be `{guess}`"),
        }
    }
}
