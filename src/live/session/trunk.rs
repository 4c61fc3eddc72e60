//! The trunk's thread: newest frame -> features.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::live::camera::{Counts, Frame, Next};
use crate::live::event::LiveEvent;
use crate::trunk::Trunk;
use crate::vision::Preprocessor;

use super::{CloseOnPanic, Frames, Shared};

/// How long a thread waits before it looks whether the session ends.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);

/// A frame with what the trunk made of it.
pub(super) struct Featured {
    pub frame: Frame,
    /// `[feature_dim]`
    pub features: Vec<f32>,
    pub trunk_time: Duration,
    pub counts: Counts,
}

/// Until the session ends, or there are no more frames.
pub(super) fn run(mut frames: impl Frames, trunk: &Arc<Trunk>, shared: &Arc<Shared>) {
    let _close = CloseOnPanic(shared.clone());
    let mut preprocessor = Preprocessor::new(trunk.preprocess()).expect("a trunk has checked its preprocessing");
    let (mut failed, mut passed_over) = (false, 0);
    while !shared.is_closed() {
        shared.leave_quietly(|inbox| inbox.trunk_turned = Some(Instant::now()));
        shared.spare().into_iter().for_each(|frame| frames.recycle(frame));
        frames.events().into_iter().for_each(|event| shared.say(LiveEvent::Camera(event.kind)));
        let frame = match frames.next(PATIENCE) {
            Next::Frame(frame) => frame,
            Next::Nothing => continue,
            Next::Over => break,
        };
        let start = Instant::now();
        match trunk.features(preprocessor.apply(&frame.image)) {
            Ok(features) => {
                failed = false;
                let mut counts = frames.counts();
                counts.dropped += passed_over;
                let featured = Featured { frame, features, trunk_time: start.elapsed(), counts };
                let mut late = None;
                shared.leave(|inbox| late = inbox.featured.replace(featured));
                if let Some(late) = late {
                    passed_over += 1;
                    frames.recycle(late.frame);
                }
            }
            // Once, and not with every frame.
            Err(error) if !failed => {
                failed = true;
                shared.say(LiveEvent::Trunk(error.to_string()));
            }
            Err(_) => {}
        }
    }
    frames.events().into_iter().for_each(|event| shared.say(LiveEvent::Camera(event.kind)));
    shared.leave(|inbox| inbox.is_over = true);
}
