//! What an exported file says of itself, in the words of `topgraft inspect --json`.

use serde_json::{Value, json};
use topgraft_core::preprocess::{Channels, Filter, Layout, Preprocess, Resize};
use topgraft_core::rejection::Rejection;

use crate::learn::{Model, Scaling};
use crate::trunk::{Entry, Neck, hex};

/// Keys and values of `model` on a network that the catalog describes by `entry`; docs/export.md lists them. Texts stand as
/// they are, everything else as JSON.
pub(super) fn metadata(model: &Model, entry: Option<&Entry>) -> Vec<(String, String)> {
    let text = |text: &str| Some(text.to_owned());
    let known = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let json = |value: Value| Some(value.to_string());
    let temperature = model.calibration.map_or(1.0, |calibration| calibration.temperature);
    let entries = [
        ("labels", json(json!(model.labels))),
        ("head", text(model.kind.name())),
        ("l2", json(json!(shortest(model.l2)))),
        ("scaling", text(Scaling::of(&model.scaler).name())),
        ("temperature", json(json!(shortest(temperature)))),
        ("unknown", model.rejection.as_ref().and_then(|_| json(unknown_json(model)))),
        ("preprocess", json(preprocess_json(&model.preprocess))),
        ("backbone", text(&model.backbone)),
        ("backbone_licence", entry.and_then(|entry| known(&entry.licence))),
        ("backbone_source", entry.and_then(|entry| known(&entry.source))),
        ("cut", text(&model.cut)),
        ("fingerprint", text(&hex(&model.fingerprint))),
        ("producer", text(concat!("topgraft ", env!("CARGO_PKG_VERSION")))),
    ];
    entries.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// What makes a photo unknown to this head; null if nothing does.
pub fn unknown_json(model: &Model) -> Value {
    model.rejection.as_ref().map_or(Value::Null, |Rejection { threshold, scale, rate, auroc, .. }| {
        json!({
            "threshold": shortest(*threshold),
            "scale": shortest(*scale),
            "rate": shortest(*rate),
            "auroc": auroc.map(shortest),
        })
    })
}

/// What was developed behind the network.
pub fn neck_json(neck: &Neck) -> Value {
    json!({
        "trunk": hex(&neck.trunk),
        "feature_dim": neck.feature_dim(),
        "hidden_dim": neck.hidden_dim(),
        "scaling": Scaling::of(&neck.scaler).name(),
    })
}

/// The catalog's word for the layout.
pub fn layout(preprocess: &Preprocess) -> &'static str {
    match preprocess.layout {
        Layout::Nchw => "nchw",
        Layout::Nhwc => "nhwc",
    }
}

/// The catalog's word for the channels.
pub fn channels(preprocess: &Preprocess) -> &'static str {
    match preprocess.channels {
        Channels::Rgb => "rgb",
        Channels::Bgr => "bgr",
        Channels::Grey => "grey",
    }
}

/// The catalog's word for the filter.
pub fn filter(preprocess: &Preprocess) -> &'static str {
    match preprocess.filter {
        Filter::Bilinear => "bilinear",
        Filter::Bicubic => "bicubic",
    }
}

/// A preprocessing in the words of models/catalog.toml, as `topgraft inspect --json` has it.
pub fn preprocess_json(preprocess: &Preprocess) -> Value {
    json!({
        "width": preprocess.width,
        "height": preprocess.height,
        "layout": layout(preprocess),
        "channels": channels(preprocess),
        "resize": match preprocess.resize {
            Resize::Squeeze => json!({ "rule": "squeeze" }),
            Resize::CenterCrop { fraction } => json!({ "rule": "center-crop", "fraction": shortest(fraction) }),
        },
        "filter": filter(preprocess),
        "mean": preprocess.mean.map(shortest),
        "scale": preprocess.scale.map(shortest),
    })
}

/// The shortest decimal that is this f32, for JSON: 0.1 and not 0.10000000149011612.
pub fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_keep_their_digits() {
        assert_eq!(shortest(0.1), 0.1);
        assert_eq!(shortest(3.16e-4), 3.16e-4);
        assert!(shortest(f32::NAN).is_nan());
    }
}
