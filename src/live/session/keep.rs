//! Frames that the head is not sure of, kept to be labelled.

use std::time::Instant;

use topgraft_core::kernel::Kernels;

use crate::learn::Teacher;
use crate::live::event::LiveEvent;
use crate::store::{Features, NewPending, SampleStoreError};
use crate::vision::encode_jpeg;

use super::head::Current;
use super::{KeepSettings, Seen};

/// Chooses them.
pub(super) struct Keeper {
    settings: KeepSettings,
    /// When one was looked at more closely last.
    last: Option<Instant>,
}

impl Keeper {
    pub fn new(settings: KeepSettings) -> Self {
        Self { settings, last: None }
    }

    /// Keeps a frame that the head is not sure of, unless it is too soon, or one like it is there.
    ///
    /// # Errors
    /// [`SampleStoreError`]; the next is tried as late as if it had been kept.
    pub fn keep(
        &mut self,
        teacher: &mut Teacher,
        current: &Current,
        seen: &Seen,
        source: &str,
    ) -> Result<Option<LiveEvent>, SampleStoreError> {
        let KeepSettings { frames, every, below, alike } = self.settings;
        let Some(prediction) = &seen.prediction else { return Ok(None) };
        let class = usize::from(prediction.class());
        let probability = prediction.probabilities[class];
        let is_early = self.last.is_some_and(|when| when.elapsed().as_secs_f64() < every);
        let is_sure = probability >= below && prediction.unknown != Some(true);
        let numbers = &current.features;
        if frames == 0 || is_early || is_sure || teacher.likest(numbers).is_none_or(|cosine| cosine >= alike) {
            return Ok(None);
        }
        // Also if it is not kept: the frames that wait are read for each.
        self.last = Some(Instant::now());
        let trunk = teacher.trunk().fingerprint();
        let guess = &seen.labels[class];
        let kept = match teacher.store().pending_features(trunk, numbers.len()) {
            Ok(kept) if is_like_one(numbers, &kept, alike) => return Ok(None),
            Ok(_) => {
                let photo = &encode_jpeg(&current.image);
                let features = Features { trunk, numbers };
                let frame = NewPending { photo, source, time: current.time, guess, probability, features };
                teacher.store_mut().keep_pending(&frame, frames)
            }
            Err(error) => Err(error),
        };
        Ok(kept?.map(|id| LiveEvent::Kept { id, guess: guess.clone() }))
    }
}

/// Whether the cosine between features and those of one of `rows [n, feature_dim]` is so large.
fn is_like_one(features: &[f32], rows: &[f32], alike: f32) -> bool {
    rows.chunks_exact(features.len().max(1)).any(|row| cosine(features, row) >= alike)
}

/// Cosine of two rows of features; 0 if one is of zeros.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let kernels = Kernels::detect();
    let squares = kernels.dot(a, a) * kernels.dot(b, b);
    if squares > 0.0 { kernels.dot(a, b) / squares.sqrt() } else { 0.0 }
}
