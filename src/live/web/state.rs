//! What the page shows beside the picture.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use serde_json::{Value, json};

use crate::learn::{Evaluation, Model};
use crate::live::session::Seen;
use crate::store::{Limits, SampleStore, SampleStoreError};
use crate::trunk::Trunk;

use super::About;

/// `/api/state`, ready to send.
#[derive(Debug)]
pub struct State {
    limits: Option<Limits>,
    /// Of the samples.
    pub revision: Option<i64>,
    /// Names of the classes, sorted.
    pub classes: Vec<String>,
    pub json: Bytes,
}

/// What the head's thread knows: the revision that the head is of, and how good it is, once that was measured.
pub struct Head {
    pub revision: i64,
    pub measured: Option<(Arc<Model>, Arc<Evaluation>)>,
}

impl State {
    /// Before anything is known.
    pub fn new(limits: Option<Limits>) -> Self {
        Self { limits, revision: None, classes: Vec::new(), json: Bytes::new() }
    }

    /// How much the store may hold, if there is one.
    pub fn limits(&self) -> Option<Limits> {
        self.limits
    }

    pub fn with_store(
        &self,
        about: &About,
        trunk: &Trunk,
        store: &SampleStore,
        labels: &[String],
        Head { revision, measured }: Head,
    ) -> Result<Self, SampleStoreError> {
        let (classes, usage, undo) = (store.classes()?, store.usage()?, store.next_undo()?);
        let version = store.heads()?.first().map(|head| head.version);
        let limits = self.limits.unwrap_or_default();
        let unmeasured = match &measured {
            Some(_) => None,
            None if classes.len() < 2 => Some("a head needs two classes".to_owned()),
            None => {
                classes.iter().find(|(_, n)| *n == 1).map(|(name, _)| format!("class `{name}` needs a second sample"))
            }
        };
        let mut json = head_json(about, trunk);
        json["can_teach"] = json!(true);
        json["revision"] = json!(revision);
        // A head that was learned together with others may know more.
        let others = labels.iter().filter(|label| !classes.iter().any(|(name, _)| name == *label));
        let all = classes.iter().map(|(name, samples)| (name, *samples)).chain(others.map(|label| (label, 0)));
        let mut all: Vec<_> = all.collect();
        all.sort();
        json["classes"] = all.into_iter().map(|(name, samples)| json!({ "name": name, "samples": samples })).collect();
        json["store"] = json!({
            "samples": usage.samples,
            "removed": usage.removed,
            "pending": usage.pending,
            "bytes": usage.bytes,
            "most_samples": limits.samples,
            "most_bytes": limits.bytes,
            "heads": usage.heads,
        });
        json["undo"] = json!(undo);
        json["measured"] =
            measured.map_or(Value::Null, |(model, evaluation)| measured_json(&evaluation, &model, version));
        json["unmeasured"] = json!(unmeasured);
        let classes = classes.into_iter().map(|(name, _)| name).collect();
        Ok(Self { limits: self.limits, revision: Some(revision), classes, json: Bytes::from(json.to_string()) })
    }

    pub fn without_store(&self, about: &About, trunk: &Trunk, labels: &[String]) -> Self {
        let mut json = head_json(about, trunk);
        json["can_teach"] = json!(false);
        json["revision"] = Value::Null;
        json["classes"] = labels.iter().map(|name| json!({ "name": name, "samples": null })).collect();
        for name in ["store", "undo", "measured", "unmeasured"] {
            json[name] = Value::Null;
        }
        Self { limits: None, revision: None, classes: labels.to_vec(), json: Bytes::from(json.to_string()) }
    }
}

fn head_json(about: &About, trunk: &Trunk) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "camera": about.camera,
        "backbone": trunk.backbone_name(),
        "cut": trunk.cut(),
        "feature_dim": trunk.feature_dim(),
    })
}

fn measured_json(evaluation: &Evaluation, model: &Model, version: Option<i64>) -> Value {
    let [low, high] = evaluation.interval();
    let rows = model.labels.iter().zip(evaluation.confusion()).enumerate();
    json!({
        "version": version,
        "correct": evaluation.correct(),
        "samples": evaluation.n_samples(),
        "accuracy": evaluation.accuracy(),
        "low": low,
        "high": high,
        "majority": evaluation.majority(),
        "classes": rows.map(|(class, (name, row))| {
            json!({ "name": name, "samples": row.iter().sum::<u32>(), "right": row[class] })
        }).collect::<Value>(),
    })
}

/// What is sent of each frame.
pub fn seen_json(seen: &Seen) -> Value {
    let prediction = seen.prediction.as_ref();
    json!({
        "frame": seen.number,
        "time": seconds(seen.time),
        "label": seen.label,
        "unknown": prediction.and_then(|prediction| prediction.unknown),
        "classes": prediction.map_or_else(|| json!([]), |prediction| classes_json(&seen.labels, &prediction.probabilities)),
        "drift": seen.drift,
        "teaching": seen.teaching.as_ref().map(|(class, samples)| json!({ "class": class, "samples": samples })),
        "fps": rounded(seen.fps, 10.0),
        "trunk_ms": rounded(seen.trunk_time.as_secs_f64() * 1e3, 100.0),
        "head_ms": rounded(seen.head_time.as_secs_f64() * 1e3, 100.0),
        "dropped": seen.counts.dropped,
    })
}

pub fn classes_json(labels: &[String], probabilities: &[f32]) -> Value {
    let pairs = labels.iter().zip(probabilities);
    pairs.map(|(name, p)| json!({ "name": name, "probability": rounded(f64::from(*p), 1e4) })).collect()
}

fn rounded(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

/// Since 1970.
pub fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as f64 / 1e3
}
