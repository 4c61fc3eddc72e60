//! The frozen part of a backbone before the cut: a picture's input tensor in, features out.

use std::sync::atomic::{AtomicU64, Ordering};

use ndarray::Array4;
use sha2::{Digest, Sha256};
use topgraft_core::kernel::Kernels;
use topgraft_core::preprocess::{Layout, Preprocess};

use super::engine::Plan;
use super::error::{NeckError, RunError};
use super::neck::Neck;
use super::tap::Tap;

/// A backbone cut at a layer and frozen, ready to run.
///
/// Running takes `&self`, so one trunk serves all cores: give each of rayon's threads its own pictures. A pass that no thread of rayon's asks for
/// is spread over the cores itself.
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
    pub(super) passes: AtomicU64,
    pub(super) neck: Option<Neck>,
}

/// What makes features, before the neck.
pub(super) enum Body {
    /// A network, up to where it is cut.
    Network { plan: Plan, tap: Tap, cut: String },
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
        self.passes.fetch_add(1, Ordering::Relaxed);
        let features = match &self.body {
            Body::Network { plan, tap, .. } => run(plan, input, &self.preprocess, std::slice::from_ref(tap), self)?,
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

    /// How many pictures have been put through so far.
    pub fn passes(&self) -> u64 {
        self.passes.load(Ordering::Relaxed)
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
            (None, Body::Network { tap, .. }) => tap.feature_dim(),
            (None, Body::Pixels { .. }) => input_shape(&self.preprocess).iter().product(),
            (None, Body::Rows { columns, .. }) => *columns,
        }
    }

    /// The cut as [`Tap`] says that it is written, each layer by the name of its output tensor, which the fingerprint covers;
    /// without a network what the features are.
    pub fn cut(&self) -> &str {
        match &self.body {
            Body::Network { cut, .. } | Body::Pixels { cut } | Body::Rows { cut, .. } => cut,
        }
    }

    /// The layers that the network ends with; `None` without a network.
    pub fn tap(&self) -> Option<&Tap> {
        match &self.body {
            Body::Network { tap, .. } => Some(tap),
            _ => None,
        }
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

/// The tensors that `taps` read, each once, in the order in which they are met.
pub(super) fn tensors(taps: &[Tap]) -> Vec<&str> {
    let mut tensors = Vec::new();
    for part in taps.iter().flat_map(Tap::parts) {
        if !tensors.contains(&part.layer.output.as_str()) {
            tensors.push(&part.layer.output);
        }
    }
    tensors
}

/// Features of each of `taps`, one after the other, which `plan`, made for their [`tensors`], gives of one input tensor;
/// `trunk` names it.
pub(super) fn run(
    plan: &Plan,
    input: Array4<f32>,
    preprocess: &Preprocess,
    taps: &[Tap],
    trunk: &impl ToString,
) -> Result<Vec<f32>, RunError> {
    check_input(&input, preprocess, trunk)?;
    let trunk = || trunk.to_string();
    let outputs = plan.run(input).map_err(|reason| RunError::Failed { trunk: trunk(), reason })?;
    let tensors = tensors(taps);
    let mut features = Vec::with_capacity(taps.iter().map(Tap::feature_dim).sum());
    for part in taps.iter().flat_map(Tap::parts) {
        let at = tensors.iter().position(|tensor| *tensor == part.layer.output).expect("is one of them");
        features.extend(part.pooling.apply(&outputs[at], &part.layer.shape));
    }
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

/// The recipe in the [module's docs](super#the-fingerprint).
pub(super) fn fingerprint(weights_sha256: [u8; 32], tap: &Tap, preprocess: &Preprocess) -> [u8; 32] {
    let mut sha256 = Sha256::new_with_prefix(weights_sha256);
    for part in tap.parts() {
        sha256.update((part.layer.output.len() as u32).to_le_bytes());
        sha256.update(&part.layer.output);
        sha256.update([part.pooling as u8]);
    }
    sha256.update(preprocess.to_bytes());
    sha256.finalize().into()
}

/// The three of `names` most like `wanted`: first those that contain it (or lie in it), then by edit distance.
pub(crate) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
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
    fn trunks_are_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Trunk>();
    }
}
