//! A pretrained network as it came: opened from an ONNX file, its layers listed, to be cut into trunks.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use topgraft_core::preprocess::{Layout, Preprocess};

use super::catalog::{Catalog, Entry};
use super::cut::{Trunk, fingerprint, input_shape, nearest};
use super::engine::{Network, unsupported};
use super::error::{CutError, NoDefaultCut, OpenError};
use super::layers::{self, Ends, Layer};
use super::onnx::{self, Input};

/// Where a backbone's preprocessing comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provenance {
    /// The built-in catalog knows these very bytes.
    BuiltIn,
    /// A `catalog.toml` beside the file has an entry of that file name.
    Beside,
    /// Nobody said it: ImageNet's usual preprocessing with the network's own input. Worth a warning, since features of
    /// pictures that are scaled otherwise than in training are poor.
    Assumed,
}

/// A pretrained network, analysed and ready to be cut. It holds the weights once; drop it after cutting.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::path::Path;
/// use topgraft::trunk::Backbone;
///
/// let backbone = Backbone::open(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.onnx")))?;
/// for layer in backbone.layers() {
///     println!("{} {:?}: {} features, {} parameters", layer.name, layer.shape, layer.feature_dim, layer.parameters);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Backbone {
    name: String,
    sha256: [u8; 32],
    weights_sha256: [u8; 32],
    preprocess: Preprocess,
    provenance: Provenance,
    entry: Option<Entry>,
    layers: Vec<Layer>,
    ends: Ends,
    network: Network,
}

impl Backbone {
    /// Opens an ONNX file of at most 2 GiB, whose input is one f32 picture `[N, 3, H, W]` or `[N, H, W, 3]`. `N` becomes 1
    /// whatever the file says. Weights in files beside it (external data) are read too.
    ///
    /// # Errors
    /// One variant of [`OpenError`] each for what can be wrong with the file.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_at(path, None)
    }

    /// As [`open`](Self::open), for pictures of `width` x `height` pixels, at least 1 each: needed if the file leaves them
    /// open, and good for running a network at another size than it was exported with (fewer pixels are faster).
    ///
    /// # Errors
    /// As `open`; [`OpenError::Analysis`] if the network cannot be run at that size.
    pub fn open_sized(path: &Path, width: u16, height: u16) -> Result<Self, OpenError> {
        Self::open_at(path, Some((width, height)))
    }

    fn open_at(path: &Path, size: Option<(u16, u16)>) -> Result<Self, OpenError> {
        let model = path.display().to_string();
        let file = File::open(path).map_err(|source| OpenError::Read { model: model.clone(), source })?;
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
        Self::build(&model, &name, Some(path), file, size)
    }

    /// Opens a network that is in memory, under a name for messages. Weights in other files cannot be found.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, OpenError> {
        Self::build(name, name, None, bytes, None)
    }

    /// The backbone that is part of this program: EfficientNet-Lite0, 224 x 224, 1280 features, ImageNet's 1000 classes.
    ///
    /// # Errors
    /// None, unless the program was built with another file in its place.
    #[cfg(feature = "embed-backbone")]
    pub fn embedded() -> Result<Self, OpenError> {
        let bytes = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/efficientnet_lite0.f16.onnx"));
        Self::from_bytes("efficientnet_lite0", bytes)
    }

    fn build(
        model: &str,
        name: &str,
        path: Option<&Path>,
        reader: impl Read,
        size: Option<(u16, u16)>,
    ) -> Result<Self, OpenError> {
        let (mut proto, sha256) = onnx::parse(model, reader)?;
        let graph = onnx::graph(model, &mut proto)?;
        if let Some(node) = unsupported(&graph) {
            let (operator, layer) = (node.operator.clone(), node.name.clone());
            return Err(OpenError::UnsupportedOperator { model: model.into(), operator, layer });
        }
        let folder = path.and_then(Path::parent);
        let weights_sha256 = onnx::weights_sha256(model, folder, &proto, sha256)?;
        let (entry, provenance) = known(model, path, sha256)?;
        let preprocess = preprocess(model, &graph.input, entry.as_ref(), size)?;

        let input = input_shape(&preprocess);
        let failed = |reason| OpenError::Analysis { model: model.into(), input, reason };
        let (mut network, facts) = Network::analyse(proto, folder, &graph, input).map_err(failed)?;
        let layers = layers::list(&graph, &facts);
        if layers.is_empty() {
            return Err(OpenError::NoLayers { model: model.into() });
        }
        network.keep(layers.iter().map(|l| l.output.clone()).collect()).map_err(failed)?;
        Ok(Self {
            name: entry.as_ref().map_or(name, |e| &e.name).into(),
            sha256,
            weights_sha256,
            preprocess,
            provenance,
            entry,
            ends: layers::ends(&graph, &facts, &layers),
            layers,
            network,
        })
    }

    /// The catalog's name of the backbone, or else the file's without its extension.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the ONNX file's bytes.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// What the catalog says about the backbone: its licence, its source, its classes, good cuts.
    pub fn entry(&self) -> Option<&Entry> {
        self.entry.as_ref()
    }

    /// How a picture becomes the backbone's input, and who says so.
    pub fn preprocess(&self) -> (Preprocess, Provenance) {
        (self.preprocess, self.provenance)
    }

    /// The layers that the backbone can be cut at, in the order of the file.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The layer to cut at by default: what the last fully connected layer takes in, or, if the network ends in features
    /// already, its last layer.
    ///
    /// # Errors
    /// [`NoDefaultCut`] if the network ends in something else, boxes for instance.
    pub fn penultimate(&self) -> Result<&Layer, NoDefaultCut> {
        let layer = self.ends.features.map(|at| &self.layers[at]);
        layer.ok_or_else(|| NoDefaultCut { backbone: self.name.clone() })
    }

    /// The network's own classifier: a cut at this layer gives the classes' probabilities if [`Layer::is_softmax`], else
    /// their logits. `None` if the network has none, or if its output is no layer that can be cut at.
    pub fn classifier(&self) -> Option<&Layer> {
        self.ends.classes.map(|at| &self.layers[at])
    }

    /// Cuts at `layer`, given by its node's name or its output tensor's; `[1, C, H, W]` will be averaged to `C` features.
    /// `preprocess` is what the pictures will go through; the fingerprint covers it.
    ///
    /// # Errors
    /// [`CutError::UnknownLayer`] with the nearest names, [`CutError::Preprocess`] and [`CutError::Input`] if the
    /// preprocessing is out of range or makes another input, [`CutError::Compile`] if a layer cannot be run.
    pub fn cut(&self, layer: &str, preprocess: &Preprocess) -> Result<Trunk, CutError> {
        let (expected, found) = (input_shape(&self.preprocess), input_shape(preprocess));
        preprocess.check()?;
        if found != expected {
            return Err(CutError::Input { backbone: self.name.clone(), expected, found });
        }
        let layer = self.layer(layer)?;
        let plan = self.network.compile(&layer.output).map_err(|reason| CutError::Compile {
            backbone: self.name.clone(),
            layer: layer.name.clone(),
            reason,
        })?;
        Ok(Trunk {
            plan,
            fingerprint: fingerprint(self.weights_sha256, layer, preprocess),
            layer: layer.clone(),
            backbone: self.name.clone(),
            preprocess: *preprocess,
        })
    }

    /// The layer of that node name or output tensor name. Tensor names are unique, so they come first.
    ///
    /// # Errors
    /// [`CutError::UnknownLayer`] with the nearest names.
    pub fn layer(&self, name: &str) -> Result<&Layer, CutError> {
        let mut layers = self.layers.iter();
        let found = layers.clone().find(|l| l.output == name).or_else(|| layers.find(|l| l.name == name));
        found.ok_or_else(|| CutError::UnknownLayer {
            backbone: self.name.clone(),
            layer: name.into(),
            nearest: nearest(name, self.layers.iter().flat_map(|l| [l.name.as_str(), &l.output])),
        })
    }
}

impl std::fmt::Debug for Backbone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backbone").field("name", &self.name).field("layers", &self.layers).finish_non_exhaustive()
    }
}

/// The catalog's entry for a file: the built-in catalog goes by its bytes, one beside it by its name.
fn known(model: &str, path: Option<&Path>, sha256: [u8; 32]) -> Result<(Option<Entry>, Provenance), OpenError> {
    if let Some(entry) = Catalog::builtin().find_by_sha256(sha256) {
        return Ok((Some(entry.clone()), Provenance::BuiltIn));
    }
    let Some(file) = path.and_then(Path::file_name).and_then(|f| f.to_str()) else {
        return Ok((None, Provenance::Assumed));
    };
    let beside = path.map(|p| p.with_file_name("catalog.toml")).filter(|p| p.is_file());
    let Some(beside) = beside else { return Ok((None, Provenance::Assumed)) };
    let Some(entry) = Catalog::open(&beside)?.find_by_file(file).cloned() else {
        return Ok((None, Provenance::Assumed));
    };
    match entry.sha256 {
        Some(expected) if expected != sha256 => Err(OpenError::Checksum {
            model: model.into(),
            catalog: beside,
            expected: hex(&expected),
            found: hex(&sha256),
        }),
        _ => Ok((Some(entry), Provenance::Beside)),
    }
}

/// The entry's preprocessing, or ImageNet's, in the layout that the file declares and at the size that was asked for, else
/// the entry's, else the file's.
fn preprocess(
    model: &str,
    input: &Input,
    entry: Option<&Entry>,
    size: Option<(u16, u16)>,
) -> Result<Preprocess, OpenError> {
    let found = || input.to_string();
    let wrong = || OpenError::Input { model: model.into(), found: found() };
    let [_, a, b, c] = input.dims[..] else { return Err(wrong()) };
    let (layout, width, height) = match (a, c) {
        (Some(3), _) => (Layout::Nchw, c, b),
        (_, Some(3)) => (Layout::Nhwc, b, a),
        _ => return Err(wrong()),
    };
    let stated = entry.map(Entry::preprocess);
    if !input.is_f32 || stated.is_some_and(|s| s.layout != layout) {
        return Err(wrong());
    }
    let stated_size = || stated.map(|s| (s.width, s.height));
    let own_size = || Some((u16::try_from(width?).ok()?, u16::try_from(height?).ok()?));
    let size = size.or_else(stated_size).or_else(own_size);
    let Some((width, height)) = size.filter(|&(w, h)| w > 0 && h > 0) else {
        return Err(OpenError::OpenSize { model: model.into(), found: found() });
    };
    Ok(Preprocess { width, height, layout, ..stated.unwrap_or(Preprocess::IMAGENET) })
}

/// Lower-case hexadecimal, as `sha256sum` prints it.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
