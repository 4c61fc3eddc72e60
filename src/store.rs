//! Samples, their features and heads in one SQLite file: what was taught outlives the power.
//!
//! A photo is a sample once, by its content. Its features are kept by the fingerprint of the trunk that made them, so the trunk
//! runs once on each. Nothing is thrown away when a sample is moved or removed: what was done is in a log, and can be undone.
//!
//! ```
//! use std::time::SystemTime;
//! use topgraft::store::{NewSample, SampleStore};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("pets.store");
//! let mut store = SampleStore::open_or_create(&path)?;
//! let photo = topgraft::vision::encode_jpeg(&image::RgbImage::new(64, 48));
//! let sample = NewSample { photo: &photo, class: "cat", source: "camera", time: SystemTime::now(), features: None };
//! let lessons = store.teach(&[sample], "teach cat", None, None)?;
//! store.relabel(&[lessons.taught[0].id()], "crane")?;
//! assert_eq!(store.classes()?, [("crane".to_owned(), 1)]);
//! assert_eq!(store.undo()?.what, "relabel 1 sample as crane");
//! assert_eq!(store.classes()?, [("cat".to_owned(), 1)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod error;
mod export;
mod features;
mod heads;
mod limits;
mod log;
mod merge;
mod open;
mod pending;
mod samples;
#[cfg(test)]
mod tests;

pub use check::Fault;
pub use error::SampleStoreError;
pub use export::ExportError;
pub use features::{Featured, Features};
pub use heads::HeadVersion;
pub use limits::{Limits, MadeRoom, Usage};
pub use log::{Batch, Undone};
pub use merge::Merged;
pub use open::SampleStore;
pub use pending::{NewPending, Pending};
pub use samples::{Lessons, NewSample, StoredSample, Taught, UNKNOWN, check_name};
