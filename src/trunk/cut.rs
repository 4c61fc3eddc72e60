//! The frozen part of a backbone before the cut: a picture's input tensor in, features out.

use ndarray::Array4;
use sha2::{Digest, Sha256};
use topgraft_core::kernel::Kernels;
use topgraft_core::preprocess::{Layout, Preprocess};

use super::engine::Plan;
use super::error::{NeckError, RunError};
use super::layers::{Layer, Pooling};
use super::neck::Neck;

/// A backbone cut at a layer and frozen, ready to run.
///
/// Running takes `&self` and one thread, so one trunk serves all cores: give each thread its own pictures.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::path::Path;
/// use ndarray::Array4;
/// use topgraft::trunk::Backbone;
///
/// let backbone = Backbone::open(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.onnx")))?;
/// let (preprocess, _) = backbone.preprocess();
/// let trunk = backbone.cut(&backbone.penultimate()?.output, &preprocess)?;
/// let features = trunk.features(Array4::zeros((1, 3, 16, 16)))?;
/// assert_eq!(features.len(), trunk.feature_dim());
/// # Ok(())
/// # }
/// ```
pub struct Trunk {
    pub(super) body: Body,
    pub(super) backbone: String,
    /// Of what is before the neck.
    pub(super) fingerprint: [u8; 32],
    pub(super) preprocess: Preprocess,
    pub(super) neck: Option<Neck>,
}

/// What makes features, before the neck.
pub(super) enum Body {
    /// A network, up to a layer.
    Network { plan: Plan, layer: Layer },
    /// Pixels as they are.
    Pixels { cut: String },
    /// Numbers of a table's row as they are.
    Rows { columns: usize, cut: String },
}

impl Trunk {
    /// Features `[feature_dim]` of one picture's input tensor `[1, 3, height, width]` (or `[1, height, width, 3]`, as the
    /// preprocessing says). The same input gives the same bits on the same kind of CPU.
    ///
    /// # Errors
    /// [`RunError::Shape`] if the tensor is not of the trunk's input shape, [`RunError::InputNotFinite`] or
    /// [`RunError::NotFinite`] if it or a feature is NaN or infinite, [`RunError::Failed`] if a layer fails,
    /// [`RunError::Kind`] if the trunk takes rows.
    pub fn features(&self, input: Array4<f32>) -> Result<Vec<f32>, RunError> {
        let features = match &self.body {
            Body::Network { plan, layer } => run(plan, input, &self.preprocess, std::slice::from_ref(layer), self)?,
            Body::Pixels { .. } => {
                check_input(&input, &self.preprocess, self)?;
                input.into_iter().collect()
            }
            Body::Rows { .. } => return Err(self.of_another_kind("rows of numbers", "photos")),
        };
        self.through_neck(features)
    }

    /// Features `[feature_dim]` of a table's row, of a trunk that takes such ([`rows`](Self::rows)).
    ///
    /// # Errors
    /// [`RunError::Columns`] if the row is of another length, [`RunError::InputNotFinite`] or [`RunError::NotFinite`] if a
    /// number or a feature is NaN or infinite, [`RunError::Kind`] if the trunk takes photos.
    pub fn row_features(&self, row: &[f32]) -> Result<Vec<f32>, RunError> {
        let Body::Rows { columns, .. } = self.body else {
            return Err(self.of_another_kind("photos", "rows of numbers"));
        };
        if row.len() != columns {
            return Err(RunError::Columns { trunk: self.to_string(), expected: columns, found: row.len() });
        }
        if let Some(index) = row.iter().position(|x| !x.is_finite()) {
            return Err(RunError::InputNotFinite { trunk: self.to_string(), index });
        }
        self.through_neck(row.to_vec())
    }

    fn of_another_kind(&self, takes: &'static str, given: &'static str) -> RunError {
        RunError::Kind { trunk: self.to_string(), takes, given }
    }

    fn through_neck(&self, mut features: Vec<f32>) -> Result<Vec<f32>, RunError> {
        let Some(neck) = &self.neck else { return Ok(features) };
        let hidden = neck.apply(Kernels::detect(), &mut features);
        match hidden.iter().position(|x| !x.is_finite()) {
            Some(index) => Err(RunError::NotFinite { trunk: self.to_string(), index }),
            None => Ok(hidden),
        }
    }

    /// The same trunk with a neck behind it, which makes the features of it.
    ///
    /// # Errors
    /// [`NeckError`] if the neck is for another trunk.
    pub fn with_neck(self, neck: Neck) -> Result<Self, NeckError> {
        if neck.trunk != self.fingerprint() || neck.feature_dim() != self.feature_dim() {
            return Err(NeckError { trunk: self.to_string() });
        }
        Ok(Self { neck: Some(neck), ..self })
    }

    /// What was developed behind the network, if it has that.
    pub fn neck(&self) -> Option<&Neck> {
        self.neck.as_ref()
    }

    /// Numbers in a row, of a trunk that takes rows and not photos.
    pub fn columns(&self) -> Option<usize> {
        match self.body {
            Body::Rows { columns, .. } => Some(columns),
            _ => None,
        }
    }

    /// How many features a picture gives.
    pub fn feature_dim(&self) -> usize {
        match (&self.neck, &self.body) {
            (Some(neck), _) => neck.hidden_dim(),
            (None, Body::Network { layer, .. }) => layer.feature_dim,
            (None, Body::Pixels { .. }) => input_shape(&self.preprocess).iter().product(),
            (None, Body::Rows { columns, .. }) => *columns,
        }
    }

    /// Name of the cut layer's output tensor, the one that the fingerprint covers; without a network what the features are.
    pub fn cut(&self) -> &str {
        match &self.body {
            Body::Network { layer, .. } => &layer.output,
            Body::Pixels { cut } | Body::Rows { cut, .. } => cut,
        }
    }

    /// The layer that the network ends with; `None` without a network.
    pub fn layer(&self) -> Option<&Layer> {
        match &self.body {
            Body::Network { layer, .. } => Some(layer),
            _ => None,
        }
    }

    /// How that layer's output becomes features.
    pub fn pooling(&self) -> Pooling {
        self.layer().map_or(Pooling::None, Layer::pooling)
    }

    /// Name of the backbone.
    pub fn backbone_name(&self) -> &str {
        &self.backbone
    }

    /// Names everything that the features depend on; see the [module's docs](super#the-fingerprint) for the recipe.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.neck.as_ref().map_or(self.fingerprint, Neck::fingerprint)
    }

    /// How a picture becomes this trunk's input.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }
}

/// `efficientnet_lite0/features`, `efficientnet_lite0/features with a neck of 256`
impl std::fmt::Display for Trunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.backbone, self.cut())?;
        match &self.neck {
            Some(neck) => write!(f, " with a neck of {}", neck.hidden_dim()),
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for Trunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trunk").field("backbone", &self.backbone).field("cut", &self.cut()).finish_non_exhaustive()
    }
}

/// Features of each of `layers`, one after the other, which `plan` gives of one input tensor; `trunk` names it.
pub(super) fn run(
    plan: &Plan,
    input: Array4<f32>,
    preprocess: &Preprocess,
    layers: &[Layer],
    trunk: &impl ToString,
) -> Result<Vec<f32>, RunError> {
    check_input(&input, preprocess, trunk)?;
    let trunk = || trunk.to_string();
    let mut outputs = plan.run(input).map_err(|reason| RunError::Failed { trunk: trunk(), reason })?;
    for (output, layer) in outputs.iter_mut().zip(layers) {
        if layer.pooling() == Pooling::Average {
            *output = average(output, layer.feature_dim);
        }
    }
    let features = if let [_] = layers { outputs.swap_remove(0) } else { outputs.concat() };
    match features.iter().position(|f| !f.is_finite()) {
        Some(index) => Err(RunError::NotFinite { trunk: trunk(), index }),
        None => Ok(features),
    }
}

/// Whether a tensor is of the shape that a preprocessing makes, and finite.
fn check_input(input: &Array4<f32>, preprocess: &Preprocess, trunk: &impl ToString) -> Result<(), RunError> {
    let (expected, (n, a, b, c)) = (input_shape(preprocess), input.dim());
    let found = [n, a, b, c];
    if found != expected {
        return Err(RunError::Shape { trunk: trunk.to_string(), expected, found });
    }
    // Activations like Relu can make a 0 of a NaN, so the features alone would not tell.
    match input.iter().position(|x| !x.is_finite()) {
        Some(index) => Err(RunError::InputNotFinite { trunk: trunk.to_string(), index }),
        None => Ok(()),
    }
}

/// Shape of the tensor that a preprocessing makes.
pub(super) fn input_shape(preprocess: &Preprocess) -> [usize; 4] {
    let (width, height) = (preprocess.width.into(), preprocess.height.into());
    match preprocess.layout {
        Layout::Nchw => [1, preprocess.channels.count(), height, width],
        Layout::Nhwc => [1, height, width, preprocess.channels.count()],
    }
}

/// Mean of each of `channels` maps that lie one after the other; summed in f64, since early maps are large.
fn average(maps: &[f32], channels: usize) -> Vec<f32> {
    let area = maps.len() / channels;
    maps.chunks_exact(area).map(|map| (map.iter().map(|&x| f64::from(x)).sum::<f64>() / area as f64) as f32).collect()
}

/// The recipe in the [module's docs](super#the-fingerprint).
pub(super) fn fingerprint(weights_sha256: [u8; 32], layer: &Layer, preprocess: &Preprocess) -> [u8; 32] {
    let mut sha256 = Sha256::new_with_prefix(weights_sha256);
    sha256.update((layer.output.len() as u32).to_le_bytes());
    sha256.update(&layer.output);
    sha256.update([layer.pooling() as u8]);
    sha256.update(preprocess.to_bytes());
    sha256.finalize().into()
}

/// The three of `names` most like `wanted`: first those that contain it (or lie in it), then by edit distance.
pub(super) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    // Longer names differ anyway, and the distance takes time by the product of the lengths.
    let folded = |name: &str| name.to_lowercase().chars().take(64).collect::<Vec<char>>();
    let wanted = folded(wanted);
    let within = |a: &[char], b: &[char]| !a.is_empty() && b.windows(a.len()).any(|w| w == a);
    let mut ranked: Vec<(bool, usize, &str)> = names
        .map(|name| {
            let letters = folded(name);
            let apart = !within(&wanted, &letters) && !within(&letters, &wanted);
            (apart, distance(&wanted, &letters), name)
        })
        .collect();
    ranked.sort();
    ranked.dedup();
    ranked.into_iter().take(3).map(|(_, _, name)| name.to_string()).collect()
}

/// Levenshtein's edit distance, one row at a time.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_are_those_that_contain_it_then_by_edits() {
        let names = ["conv1", "conv2", "features", "/head/conv1_out", "gap"];
        let near = |wanted: &str| nearest(wanted, names.into_iter());
        assert_eq!(near("conv1"), ["conv1", "/head/conv1_out", "conv2"]);
        assert_eq!(near("featurs")[0], "features");
        assert_eq!(near("GAP")[0], "gap");
        assert_eq!(near("").len(), 3);
        assert!(nearest("x", std::iter::empty()).is_empty());
        let long = "é".repeat(100_000);
        assert_eq!(nearest(&long, [long.as_str()].into_iter()).len(), 1);
    }

    #[test]
    fn distance_counts_edits() {
        let d = |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!([d("kitten", "sitting"), d("", "abc"), d("abc", ""), d("same", "same")], [3, 3, 3, 0]);
    }

    #[test]
    fn maps_are_averaged_one_by_one() {
        assert_eq!(average(&[1.0, 3.0, -2.0, 0.0], 2), [2.0, -1.0]);
    }

    #[test]
    fn trunks_are_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Trunk>();
    }
}
