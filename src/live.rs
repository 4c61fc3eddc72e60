//! A camera that is watched and taught all the time.
//!
//! ```text
//! camera --newest frame--> trunk --newest features--> head --Seen--> screen, terminal
//!                                                       ^ teach, undo, roll back
//! ```
//!
//! [`Session`] joins a [`camera`], a [`Teacher`](crate::learn::Teacher) and who looks; [`display`] is a small screen beside it. [`Config`]
//! is the file that says all of it.

pub mod camera;
mod config;
pub mod display;
mod drift;
mod event;
#[cfg(feature = "mqtt")]
pub mod fleet;
#[cfg(feature = "gpio")]
pub mod gpio;
mod latest;
mod log;
#[cfg(feature = "mqtt")]
pub mod mqtt;
mod names;
mod out_of_range;
mod session;
mod smoothing;
#[cfg(feature = "web")]
pub mod web;

pub use config::{CameraConfig, Config, ConfigError, ConfigFault, LimitsConfig};
pub use drift::{Drift, DriftSettings};
pub use event::LiveEvent;
pub use latest::{Latest, Newer};
pub use names::{MOST_CLASSES, NameFault, check_new_name};
pub use out_of_range::OutOfRange;
pub use session::{
    Classified, Frames, KeepSettings, Mind, NamedCamera, Seen, Session, SessionError, SessionSettings,
    TeachingSettings, UNKNOWN,
};
pub use smoothing::{Smoother, SmoothingSettings};
