//! Where a trunk ends: the layers whose outputs are read, and how each is pooled.

use super::layers::Layer;
use super::pooling::Pooling;

/// A layer's output, pooled to features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The layer.
    pub layer: Layer,
    /// How its map becomes features.
    pub pooling: Pooling,
}

impl Part {
    /// How many features it gives.
    pub fn feature_dim(&self) -> usize {
        self.layer.feature_dim * self.pooling.per_channel()
    }
}

/// What is read of a pass as features: a layer's output, pooled, or those of several layers, one after the other.
///
/// It is written as the layer's name; with another pooling than the usual one (the average of a map) behind a colon; and
/// several with a plus between them: `b7_add`, `b7_add:max`, `b7_add:pyramid+features`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap {
    /// At least one.
    parts: Vec<Part>,
}

impl Tap {
    /// The most layers that are joined.
    pub const MAX_PARTS: usize = 8;

    /// `parts` is not empty.
    pub(super) fn new(parts: Vec<Part>) -> Self {
        assert!(!parts.is_empty(), "a tap reads something");
        Self { parts }
    }

    /// What is read, in the order of the features.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The layer and its pooling, if there is only one.
    pub fn only(&self) -> Option<&Part> {
        if let [part] = &self.parts[..] { Some(part) } else { None }
    }

    /// Both, this one's features first; `None` if that would be too many layers.
    pub fn joined(&self, other: &Self) -> Option<Self> {
        let parts = [&self.parts[..], &other.parts].concat();
        (parts.len() <= Self::MAX_PARTS).then_some(Self { parts })
    }

    /// How many features a picture gives.
    pub fn feature_dim(&self) -> usize {
        self.parts.iter().map(Part::feature_dim).sum()
    }

    /// Multiplications with additions up to the deepest of the layers: see [`Layer::multiply_adds`].
    pub fn multiply_adds(&self) -> u64 {
        self.parts.iter().map(|part| part.layer.multiply_adds).max().unwrap_or(0)
    }

    /// Weights up to the deepest of the layers: see [`Layer::parameters`].
    pub fn parameters(&self) -> u64 {
        self.parts.iter().map(|part| part.layer.parameters).max().unwrap_or(0)
    }

    /// As it is written, with `name` for each layer.
    pub(super) fn written<'a>(&'a self, name: impl Fn(&'a Layer) -> &'a str) -> String {
        let part = |part: &'a Part| match part.pooling == part.layer.pooling() {
            true => name(&part.layer).to_owned(),
            false => format!("{}:{}", name(&part.layer), part.pooling.name()),
        };
        self.parts.iter().map(part).collect::<Vec<_>>().join("+")
    }
}

/// As it is written, each layer by the name of its output tensor.
impl std::fmt::Display for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.written(|layer| &layer.output))
    }
}
