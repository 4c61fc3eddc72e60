//! Whether the camera still sees what was taught: it may have been moved, it may be night, the lens may be dirty.
//!
//! Each step takes one frame's score, how much it looks like the classes, and asks what share of the left-out samples look as little
//! like theirs: a conformal p-value, evenly spread while frames are as the samples were (Vovk et al. 2003, "Testing exchangeability
//! on-line"). The bet `1 / (2 √p)` on small ones is worth 1 on average then, and with `R ← (R + 1) · bet`, a
//! Shiryaev-Roberts detector (Shin, Ramdas & Rinaldo 2022, "E-detectors"), it takes `c` steps on average or more until R
//! comes to `c` by chance. So the rate of false alarms is what one asks for, whatever the distribution. `cargo bench --bench live -- drift` counts
//! them.

use std::time::Duration;

use super::out_of_range::OutOfRange;

/// When to say that what is seen has changed.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriftSettings {
    /// Seconds between frames that count; those between say the same again. 0 switches the alarm off.
    pub every: f64,
    /// Days to the first false alarm, on average or more, if frames are as the samples were.
    pub false_alarm_days: f64,
}

impl Default for DriftSettings {
    fn default() -> Self {
        Self { every: 10.0, false_alarm_days: 30.0 }
    }
}

impl DriftSettings {
    /// Whether they are in range.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), OutOfRange> {
        let Self { every, false_alarm_days: days } = *self;
        OutOfRange::check(
            "drift",
            [
                ((0.0..=86_400.0).contains(&every), "every", every.to_string(), "within 0 and 86400 seconds"),
                ((1e-3..=36_500.0).contains(&days), "false_alarm_days", days.to_string(), "within 0.001 and 36500"),
            ],
        )
    }

    /// Steps between false alarms.
    fn steps(&self) -> f64 {
        (self.false_alarm_days * 86_400.0 / self.every).max(1.0)
    }
}

/// The alarm is off again when the evidence has fallen to this share of what set it off.
const RELEASE: f64 = 0.1;
/// And evidence is not heaped up beyond this multiple, so that it can fall.
const MOST: f64 = 2.0;

/// Sees one score after the other.
///
/// ```
/// use std::time::Duration;
/// use topgraft::live::{Drift, DriftSettings};
///
/// let mut drift = Drift::new(DriftSettings { every: 1.0, false_alarm_days: 1.0 });
/// drift.set_reference((0..100).map(|i| i as f32 / 100.0).collect());
/// let second = |i: u64| Duration::from_secs(i);
/// assert!(!(0..20).any(|i| drift.see(0.5, second(i))));
/// assert!((20..40).any(|i| drift.see(-1.0, second(i))), "lower than any of the samples");
/// ```
#[derive(Clone, Debug)]
pub struct Drift {
    settings: DriftSettings,
    /// Scores of left-out samples, the lowest first.
    reference: Vec<f32>,
    last: Option<Duration>,
    evidence: f64,
    is_alarm: bool,
}

impl Drift {
    /// Says nothing before it has a reference.
    pub fn new(settings: DriftSettings) -> Self {
        Self { settings, reference: Vec::new(), last: None, evidence: 0.0, is_alarm: false }
    }

    /// Takes the scores of samples that were left out, and begins anew.
    pub fn set_reference(&mut self, mut scores: Vec<f32>) {
        scores.sort_by(f32::total_cmp);
        *self = Self { reference: scores, last: self.last, ..Self::new(self.settings) };
    }

    /// Sees the score of a frame at a time, since any beginning; whether there is an alarm now. Frames that come too soon after the
    /// last one that counted do not count.
    pub fn see(&mut self, score: f32, time: Duration) -> bool {
        let is_early = self.last.is_some_and(|last| time.saturating_sub(last).as_secs_f64() < self.settings.every);
        if self.reference.is_empty() || self.settings.every == 0.0 || is_early {
            return self.is_alarm;
        }
        self.last = Some(time);
        let limit = self.settings.steps();
        self.evidence = ((self.evidence + 1.0) * bet(self.p(score))).min(MOST * limit);
        self.is_alarm = self.evidence >= if self.is_alarm { RELEASE * limit } else { limit };
        self.is_alarm
    }

    /// Begins anew: what was seen does not count any more.
    pub fn reset(&mut self) {
        (self.evidence, self.is_alarm) = (0.0, false);
    }

    /// Whether there is an alarm.
    pub fn is_alarm(&self) -> bool {
        self.is_alarm
    }

    /// Of the left-out samples and this one, the share whose score is as low. A score that is no number is lower than any.
    fn p(&self, score: f32) -> f64 {
        let as_low = if score.is_nan() { 0 } else { self.reference.partition_point(|other| *other <= score) };
        (as_low + 1) as f64 / (self.reference.len() + 1) as f64
    }
}

/// What the bet on a small p pays: its integral over all p is 1.
fn bet(p: f64) -> f64 {
    0.5 / p.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topgraft_core::random::SplitMix64;

    fn drift(samples: usize, steps: f64) -> Drift {
        let mut drift = Drift::new(DriftSettings { every: 1.0, false_alarm_days: steps / 86_400.0 });
        drift.set_reference((0..samples).map(|i| (i as f32 + 0.5) / samples as f32).collect());
        drift
    }

    #[test]
    fn false_alarms_are_as_rare_as_asked_for() {
        let mut random = SplitMix64(1);
        for (samples, most) in [(20, f64::INFINITY), (200, 5000.0)] {
            let mut total = 0;
            for _ in 0..200 {
                let mut drift = drift(samples, 500.0);
                let alarm = (0..20_000).position(|step| drift.see(random.unit(), Duration::from_secs(step)));
                total += alarm.unwrap_or(20_000);
            }
            // Few samples have no small p-values, and so fewer alarms still.
            let mean = total as f64 / 200.0;
            assert!(mean > 500.0 && mean < most, "{samples} samples: {mean} steps");
        }
    }

    #[test]
    fn an_alarm_comes_soon_after_a_change_and_goes_when_it_is_over() {
        let mut drift = drift(50, 259_200.0);
        let mut time = 0;
        let mut see = |drift: &mut Drift, score: f32, times: u64| {
            let mut alarm = None;
            for step in 0..times {
                time += 1;
                if drift.see(score, Duration::from_secs(time)) && alarm.is_none() {
                    alarm = Some(step);
                }
            }
            alarm
        };
        assert_eq!(see(&mut drift, 0.4, 1000), None);
        let alarm = see(&mut drift, -1.0, 100).expect("nothing like it was taught");
        assert!(alarm < 15, "{alarm}");
        see(&mut drift, f32::NAN, 5);
        assert!(drift.is_alarm());
        see(&mut drift, 0.6, 60);
        assert!(!drift.is_alarm());
        see(&mut drift, -1.0, 20);
        drift.set_reference(vec![-1.0; 30]);
        assert!(!drift.is_alarm(), "it was taught now");
        assert_eq!(see(&mut drift, -1.0, 100), None);
    }

    #[test]
    fn frames_that_come_at_once_count_once() {
        let mut drift = drift(50, 100.0);
        assert!(!(0..1000).any(|i| drift.see(-1.0, Duration::from_micros(i))));
        let mut off = Drift::new(DriftSettings { every: 0.0, ..DriftSettings::default() });
        off.set_reference(vec![1.0; 50]);
        assert!(!(0..1000).any(|i| off.see(-1.0, Duration::from_secs(i))));
        assert!(DriftSettings { every: -1.0, ..DriftSettings::default() }.check().is_err());
        assert!(DriftSettings { false_alarm_days: f64::NAN, ..DriftSettings::default() }.check().is_err());
    }
}
