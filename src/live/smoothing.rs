//! From a prediction a frame to a label that does not flicker.

use std::collections::VecDeque;

use super::out_of_range::OutOfRange;

/// How predictions are smoothed.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmoothingSettings {
    /// Frames that vote, 1 or more.
    pub frames: usize,
    /// Share of them that a label needs to be shown, above a half.
    pub enter: f32,
    /// Share below which it is shown no more, at most `enter`.
    pub leave: f32,
}

impl Default for SmoothingSettings {
    fn default() -> Self {
        Self { frames: 8, enter: 0.6, leave: 0.4 }
    }
}

impl SmoothingSettings {
    /// Whether they are in range.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), OutOfRange> {
        let Self { frames, enter, leave } = *self;
        OutOfRange::check(
            "smoothing",
            [
                ((1..=1000).contains(&frames), "frames", frames.to_string(), "within 1 and 1000"),
                (enter > 0.5 && enter <= 1.0, "enter", enter.to_string(), "above 0.5 and up to 1"),
                (leave > 0.0 && leave <= enter, "leave", leave.to_string(), "above 0 and up to enter"),
            ],
        )
    }
}

/// Majority of the last frames with hysteresis: a label comes with a share of `enter` and goes below one of `leave`, so that a
/// share that wavers between both changes nothing. `unknown` is voted for as any label is.
///
/// ```
/// use topgraft::live::{Smoother, SmoothingSettings};
///
/// let mut smoother = Smoother::new(SmoothingSettings { frames: 4, enter: 0.75, leave: 0.5 });
/// let mut shown = Vec::new();
/// for label in ["cat", "dog", "cat", "cat", "dog", "dog", "dog"] {
///     shown.push(smoother.see(Some(label)).map(str::to_owned));
/// }
/// assert_eq!(shown[1], None);
/// assert_eq!(shown[3].as_deref(), Some("cat"));
/// assert_eq!(shown[5].as_deref(), Some("cat"), "two of four are enough to stay");
/// assert_eq!(shown[6].as_deref(), Some("dog"));
/// ```
#[derive(Clone, Debug)]
pub struct Smoother {
    settings: SmoothingSettings,
    /// The last labels, `None` where there was none, as without a head.
    votes: VecDeque<Option<String>>,
    shown: Option<String>,
}

impl Smoother {
    /// Has seen nothing yet.
    pub fn new(settings: SmoothingSettings) -> Self {
        Self { settings, votes: VecDeque::new(), shown: None }
    }

    /// Sees the label of a frame; returns the one to show, if there is any.
    pub fn see(&mut self, label: Option<&str>) -> Option<&str> {
        let full = self.settings.frames.max(1);
        while self.votes.len() >= full {
            self.votes.pop_front();
        }
        self.votes.push_back(label.map(str::to_owned));
        // Of all that vote, so that one frame alone decides nothing.
        let share = |label: &str| {
            let votes = self.votes.iter().filter(|vote| vote.as_deref() == Some(label)).count();
            votes as f32 / full as f32
        };
        if let Some(label) = label.filter(|label| share(label) >= self.settings.enter) {
            if self.shown.as_deref() != Some(label) {
                self.shown = Some(label.to_owned());
            }
        } else if self.shown.as_deref().is_some_and(|shown| share(shown) < self.settings.leave) {
            self.shown = None;
        }
        self.shown()
    }

    /// The label to show, if there is any.
    pub fn shown(&self) -> Option<&str> {
        self.shown.as_deref()
    }

    /// Forgets what it has seen: the classes are others now.
    pub fn clear(&mut self) {
        self.votes.clear();
        self.shown = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_between_the_thresholds_changes_nothing() {
        let mut smoother = Smoother::new(SmoothingSettings { frames: 10, enter: 0.6, leave: 0.4 });
        let mut see = |label: &str, times: usize| {
            let mut shown = None;
            (0..times).for_each(|_| shown = smoother.see(Some(label)).map(str::to_owned));
            shown
        };
        assert_eq!(see("cat", 5), None);
        assert_eq!(see("cat", 1).as_deref(), Some("cat"));
        assert_eq!(see("cat", 4).as_deref(), Some("cat"));
        assert_eq!(see("dog", 5).as_deref(), Some("cat"));
        assert_eq!(see("dog", 1).as_deref(), Some("dog"));
        // Half and half for ever.
        for _ in 0..20 {
            assert_eq!(see("cat", 1).as_deref(), Some("dog"));
            assert_eq!(see("dog", 1).as_deref(), Some("dog"));
        }
        assert_eq!(see("owl", 2).as_deref(), Some("dog"));
        assert_eq!(see("fox", 2), None, "three dogs of ten are too few to stay, and nothing else has six");
    }

    #[test]
    fn without_labels_nothing_is_shown() {
        let mut smoother = Smoother::new(SmoothingSettings::default());
        (0..20).for_each(|_| assert_eq!(smoother.see(None), None));
        (0..5).for_each(|_| drop(smoother.see(Some("cat")).map(str::to_owned)));
        assert_eq!(smoother.see(None), Some("cat"));
        smoother.clear();
        assert_eq!(smoother.see(None), None);
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let of = |frames, enter, leave| SmoothingSettings { frames, enter, leave }.check();
        assert!(SmoothingSettings::default().check().is_ok() && of(1, 1.0, 1.0).is_ok());
        for wrong in
            [of(0, 0.6, 0.4), of(8, 0.5, 0.4), of(8, 1.1, 0.4), of(8, 0.6, 0.7), of(8, f32::NAN, 0.4), of(8, 0.6, 0.0)]
        {
            assert!(wrong.is_err(), "{wrong:?}");
        }
    }
}
