//! What the camera sees and what it has learned, and how this is written.

use serde_json::{Map, Value, json};

/// What the camera sees and what it has learned, as the loop has it after a frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// The smoothed label, if there is one.
    pub label: Option<String>,
    /// Whether what is seen is none of the classes.
    pub unknown: Option<bool>,
    /// How sure the head is of the label, 0..1.
    pub confidence: Option<f32>,
    /// Classes and their probabilities, 0..1.
    pub probabilities: Vec<(String, f32)>,
    /// Whether what is seen is not what was taught.
    pub drift: bool,
    /// Classes and how many samples each has.
    pub classes: Vec<(String, usize)>,
    /// Accuracy on samples that the head has not seen, and its 95 % interval: value, low, high, 0..1.
    pub accuracy: Option<[f64; 3]>,
    /// Version of the head in the store.
    pub head: Option<i64>,
    /// Frames a second.
    pub fps: f64,
}

impl State {
    /// `{"label": "cat", "confidence": 0.93, "unknown": false}`
    pub(super) fn seen(&self) -> Value {
        json!({ "label": self.label, "confidence": self.confidence.map(rounded), "unknown": self.unknown })
    }

    /// `{"cat": 0.93, "dog": 0.07}`
    pub(super) fn probabilities(&self) -> Value {
        let entries = self.probabilities.iter().map(|(class, probability)| (class.clone(), rounded(*probability)));
        Value::Object(entries.collect::<Map<_, _>>())
    }

    /// `{"samples": 24, "classes": {"cat": 12, "dog": 12}, "head": 4, "accuracy": 0.917, "low": 0.742, "high": 0.977}`
    pub(super) fn learned(&self) -> Value {
        let samples = self.classes.iter().fold(0usize, |sum, (_, samples)| sum.saturating_add(*samples));
        let classes: Map<_, _> = self.classes.iter().map(|(class, samples)| (class.clone(), json!(samples))).collect();
        let [accuracy, low, high] =
            self.accuracy.map_or([Value::Null, Value::Null, Value::Null], |all| all.map(rounded));
        json!({
            "samples": samples, "classes": classes, "head": self.head, "accuracy": accuracy, "low": low, "high": high,
        })
    }
}

/// To four decimals, as more would be noise to read; what is no number is `null`.
fn rounded(value: impl Into<f64>) -> Value {
    json!((value.into() * 1e4).round() / 1e4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_written_as_the_page_of_topics_says() {
        let state = State {
            label: Some("cat".into()),
            unknown: Some(false),
            confidence: Some(0.93),
            probabilities: vec![("cat".into(), 0.93), ("a \"dog\"".into(), f32::NAN)],
            classes: vec![("cat".into(), 12), ("dog".into(), 13)],
            accuracy: Some([0.917, 0.742, 0.977]),
            head: Some(4),
            ..State::default()
        };
        assert_eq!(state.seen().to_string(), r#"{"label":"cat","confidence":0.93,"unknown":false}"#);
        assert_eq!(state.probabilities().to_string(), r#"{"cat":0.93,"a \"dog\"":null}"#);
        let learned =
            r#"{"samples":25,"classes":{"cat":12,"dog":13},"head":4,"accuracy":0.917,"low":0.742,"high":0.977}"#;
        assert_eq!(state.learned().to_string(), learned);
        assert_eq!(State::default().seen().to_string(), r#"{"label":null,"confidence":null,"unknown":null}"#);
        let learned = r#"{"samples":0,"classes":{},"head":null,"accuracy":null,"low":null,"high":null}"#;
        assert_eq!(State::default().learned().to_string(), learned);
    }
}
