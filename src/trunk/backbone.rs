//! A pretrained network as it came: opened from an ONNX file, its layers listed, to be cut into trunks.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use topgraft_core::preprocess::{Channels, Layout, Preprocess};

use super::catalog::{Catalog, Entry};
use super::cut::{Body, Trunk, fingerprint, input_shape, nearest, tensors};
use super::engine::{Network, Plan, unsupported};
use super::error::{CutError, NoDefaultCut, OpenError};
use super::layers::{self, Ends, Layer};
use super::onnx::{self, Input};
use super::pooling::Pooling;
use super::tap::{Part, Tap};
use super::taps::Taps;

/// The ONNX file that is part of this program.
#[cfg(feature = "embed-backbone")]
pub(crate) static EMBEDDED: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/efficientnet_lite0.f16.onnx"));

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
    /// Name of the input tensor.
    input: String,
    layers: Vec<Layer>,
    ends: Ends,
    /// For each layer whether all that comes later goes through it.
    bottlenecks: Vec<bool>,
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
        // Rather than after two gigabytes have been read.
        if file.metadata().is_ok_and(|file| file.len() > onnx::MAX_BYTES) {
            return Err(OpenError::TooLarge { model, limit: onnx::MAX_BYTES });
        }
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
        Self::from_bytes("efficientnet_lite0", EMBEDDED)
    }

    fn build(
        model: &str,
        name: &str,
        path: Option<&Path>,
        reader: impl Read,
        size: Option<(u16, u16)>,
    ) -> Result<Self, OpenError> {
        let (mut proto, sha256) = onnx::parse(model, reader, onnx::MAX_BYTES)?;
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
            bottlenecks: layers::bottlenecks(&graph, &layers),
            layers,
            network,
            input: graph.input.name,
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

    /// Whether the ONNX file holds all weights, and none are in files beside it.
    pub(crate) fn is_one_file(&self) -> bool {
        self.weights_sha256 == self.sha256
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

    /// The network's own classifier: a cut at this layer gives the classes' logits, or else their probabilities, as
    /// [`gives_logits`](Self::gives_logits) says. `None` if the network has none, or if its output is no layer that can be
    /// cut at.
    pub fn classifier(&self) -> Option<&Layer> {
        self.ends.classes.map(|at| &self.layers[at])
    }

    /// Whether the [`classifier`](Self::classifier) gives logits, for a softmax to make probabilities of. If not, the
    /// network does that itself: by a softmax, or by a sigmoid, whose probabilities do not sum to 1.
    pub fn gives_logits(&self) -> bool {
        self.ends.logits
    }

    /// Cuts at `cut`: a layer, given by its node's name or its output tensor's, of which `[1, C, H, W]` will be averaged to
    /// `C` features, or several, or pooled otherwise, as [`Tap`] says. `preprocess` is what the pictures will go through; the
    /// fingerprint covers it. For a [`Layer`] of this backbone give its `output`: its name may be another's too.
    ///
    /// # Errors
    /// As [`tap`](Self::tap); [`CutError::Preprocess`] and [`CutError::Input`] if the
    /// preprocessing is out of range or makes another input, [`CutError::Compile`] if a layer cannot be run.
    pub fn cut(&self, cut: &str, preprocess: &Preprocess) -> Result<Trunk, CutError> {
        let tap = self.tap(cut)?;
        let plan = self.compile(std::slice::from_ref(&tap), preprocess)?;
        Ok(Trunk {
            fingerprint: fingerprint(self.weights_sha256, &tap, preprocess),
            body: Body::Network { plan, cut: tap.to_string(), tap },
            backbone: self.name.clone(),
            preprocess: *preprocess,
            neck: None,
            passes: Default::default(),
        })
    }

    /// What [`cut`](Self::cut) takes for a layer of this backbone: the name of its node, unless that means another layer or
    /// several, else that of its output.
    pub fn cut_name<'l>(&self, layer: &'l Layer) -> &'l str {
        match self.layer(&layer.name) {
            Ok(found) if found.output == layer.output => &layer.name,
            _ => &layer.output,
        }
    }

    /// As [`cut_name`](Self::cut_name), for several layers or with a pooling.
    pub fn tap_name(&self, tap: &Tap) -> String {
        tap.written(|layer| self.cut_name(layer))
    }

    /// What a cut reads, written as [`Tap`] says.
    ///
    /// # Errors
    /// As [`layer`](Self::layer); [`CutError::Pooling`] if no map is to be pooled, [`CutError::TooManyLayers`],
    /// [`CutError::Twice`].
    pub fn tap(&self, cut: &str) -> Result<Tap, CutError> {
        // Names may have colons and plus signs themselves, so a layer of the whole name comes first.
        let unknown = match self.layer(cut) {
            Ok(layer) => return Ok(Tap::new(vec![Part { layer: layer.clone(), pooling: layer.pooling() }])),
            Err(unknown) => unknown,
        };
        let parts: Vec<&str> = cut.split('+').collect();
        let is_nameless = |part: &&str| part.is_empty() || part.starts_with(':');
        match parts[..] {
            _ if parts.iter().any(is_nameless) => {
                Err(CutError::Nameless { backbone: self.name.clone(), cut: cut.to_owned() })
            }
            [_] if !cut.contains(':') => Err(unknown),
            _ if parts.len() > Tap::MAX_PARTS => {
                Err(CutError::TooManyLayers { backbone: self.name.clone(), layers: parts.len(), most: Tap::MAX_PARTS })
            }
            _ => {
                let read = parts.iter().map(|part| self.part(part)).collect::<Result<Vec<_>, _>>()?;
                match (1..read.len()).find(|&at| read[..at].contains(&read[at])) {
                    Some(at) => {
                        let (backbone, part) = (self.name.clone(), parts[at].to_owned());
                        Err(CutError::Twice { backbone, cut: cut.to_owned(), part })
                    }
                    None => Ok(Tap::new(read)),
                }
            }
        }
    }

    fn part(&self, written: &str) -> Result<Part, CutError> {
        let unknown = match self.layer(written) {
            Ok(layer) => return Ok(Part { layer: layer.clone(), pooling: layer.pooling() }),
            Err(unknown) => unknown,
        };
        let Some((name, pooling)) = written.rsplit_once(':') else { return Err(unknown) };
        let Some(pooling) = Pooling::from_name(pooling) else {
            return Err(match self.layer(name) {
                Ok(_) => CutError::UnknownPooling { layer: name.to_owned(), pooling: pooling.to_owned() },
                Err(_) => unknown,
            });
        };
        let layer = self.layer(name)?.clone();
        match layer.shape[..] {
            [_, _, height, width] if pooling != Pooling::Pyramid || height > 1 && width > 1 => {
                Ok(Part { layer, pooling })
            }
            _ => Err(CutError::Pooling {
                backbone: self.name.clone(),
                layer: layer.name,
                shape: layer.shape,
                pooling: pooling.name(),
            }),
        }
    }

    /// Reads several cuts in one pass, each given as for [`cut`](Self::cut).
    ///
    /// # Errors
    /// As [`cut`](Self::cut).
    pub fn taps(&self, cuts: &[impl AsRef<str>], preprocess: &Preprocess) -> Result<Taps, CutError> {
        let list = cuts.iter().map(|cut| self.tap(cut.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let plan = self.compile(&list, preprocess)?;
        Ok(Taps { plan, list, backbone: self.name.clone(), preprocess: *preprocess })
    }

    fn compile(&self, taps: &[Tap], preprocess: &Preprocess) -> Result<Plan, CutError> {
        let (expected, found) = (input_shape(&self.preprocess), input_shape(preprocess));
        preprocess.check()?;
        if found != expected {
            return Err(CutError::Input { backbone: self.name.clone(), expected, found });
        }
        self.network.compile(&tensors(taps)).map_err(|reason| CutError::Compile {
            backbone: self.name.clone(),
            layer: taps.iter().map(|tap| self.tap_name(tap)).collect::<Vec<_>>().join(", "),
            reason,
        })
    }

    /// Up to `most` layers that are worth a try as the cut: through each goes all that comes later, so none is inside of a
    /// block with a way around it. The [default cut](Self::penultimate) is the last of them, the others are spread evenly
    /// over the multiplications before it.
    pub fn candidates(&self, most: usize) -> Vec<&Layer> {
        let last = self.ends.features.unwrap_or(self.layers.len() - 1);
        layers::candidates(&self.layers[..=last], &self.bottlenecks, most)
    }

    /// The layer of that node name or output tensor name. Tensor names are unique, so they come first.
    ///
    /// # Errors
    /// [`CutError::UnknownLayer`] with the nearest names; [`CutError::BeforeFirst`] for the input; [`CutError::Ambiguous`] for a
    /// node name of several layers.
    pub fn layer(&self, name: &str) -> Result<&Layer, CutError> {
        if let Some(layer) = self.layers.iter().find(|l| l.output == name) {
            return Ok(layer);
        }
        let (backbone, layer) = (self.name.clone(), name.to_owned());
        let named: Vec<&Layer> = self.layers.iter().filter(|l| l.name == name).collect();
        match named[..] {
            [layer] => Ok(layer),
            [] if name == self.input => {
                let first = self.layers[0].name.clone();
                Err(CutError::BeforeFirst { backbone, input: layer, first })
            }
            [] => {
                let nearest = nearest(name, self.layers.iter().flat_map(|l| [l.name.as_str(), &l.output]));
                Err(CutError::UnknownLayer { backbone, layer, nearest })
            }
            _ => {
                let outputs = named.iter().map(|l| l.output.clone()).collect();
                Err(CutError::Ambiguous { backbone, layer, outputs })
            }
        }
    }
}

impl std::fmt::Debug for Backbone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backbone").field("name", &self.name).field("layers", &self.layers).finish_non_exhaustive()
    }
}

/// The catalog's entry for a file: the built-in catalog goes by its bytes, one beside it by its name.
pub(super) fn known(
    model: &str,
    path: Option<&Path>,
    sha256: [u8; 32],
) -> Result<(Option<Entry>, Provenance), OpenError> {
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
    let (n_channels, layout, width, height) = match (a, c) {
        (Some(3), _) => (3, Layout::Nchw, c, b),
        (_, Some(3)) => (3, Layout::Nhwc, b, a),
        (Some(1), _) => (1, Layout::Nchw, c, b),
        (_, Some(1)) => (1, Layout::Nhwc, b, a),
        _ => return Err(wrong()),
    };
    let stated = entry.map(Entry::preprocess);
    if !input.is_f32 {
        return Err(wrong());
    }
    if let Some(stated) = stated.filter(|s| s.layout != layout || s.channels.count() != n_channels) {
        return Err(OpenError::Layout {
            model: model.into(),
            catalog: Path::new(model).with_file_name("catalog.toml"),
            stated: match (stated.layout, stated.channels.count()) {
                (Layout::Nchw, 1) => "nchw of one channel",
                (Layout::Nchw, _) => "nchw of three channels",
                (Layout::Nhwc, 1) => "nhwc of one channel",
                (Layout::Nhwc, _) => "nhwc of three channels",
            },
            found: found(),
        });
    }
    let stated_size = || stated.map(|s| (s.width, s.height));
    let own_size = || Some((u16::try_from(width?).ok()?, u16::try_from(height?).ok()?));
    let size = size.or_else(stated_size).or_else(own_size);
    let Some((width, height)) = size.filter(|&(w, h)| w > 0 && h > 0) else {
        return Err(OpenError::OpenSize { model: model.into(), found: found() });
    };
    let preprocess = Preprocess { width, height, layout, ..stated.unwrap_or(assumed(n_channels)) };
    let too_large = |source| OpenError::InputSize { model: model.into(), found: found(), source };
    preprocess.check().map_err(too_large)?;
    Ok(preprocess)
}

/// What is supposed of a network of which nothing is known.
fn assumed(n_channels: usize) -> Preprocess {
    match n_channels {
        // ImageNet's, of grey pictures.
        1 => Preprocess { channels: Channels::Grey, mean: [114.5; 3], scale: [57.6; 3], ..Preprocess::IMAGENET },
        _ => Preprocess::IMAGENET,
    }
}

/// Lower-case hexadecimal, as `sha256sum` prints it.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trunk::RunError;
    use ndarray::Array4;
    use std::path::PathBuf;
    use topgraft_core::preprocess::PreprocessError;

    const TINY: &[u8] = include_bytes!("../../tests/data/tiny.onnx");

    fn data(file: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
    }

    fn tiny() -> Backbone {
        Backbone::open(&data("tiny.onnx")).unwrap()
    }

    /// `tiny.onnx` with the first occurrence of some bytes replaced.
    fn patched(from: &[u8], to: &[u8]) -> Vec<u8> {
        let at = TINY.windows(from.len()).position(|w| w == from).expect("tiny.onnx has these bytes");
        [&TINY[..at], to, &TINY[at + from.len()..]].concat()
    }

    /// The input's element type and shape as protobuf: f32, [1, 3, 16, 16].
    const INPUT: [u8; 20] = [8, 1, 18, 16, 10, 2, 8, 1, 10, 2, 8, 3, 10, 2, 8, 16, 10, 2, 8, 16];

    /// `tiny.onnx` with one byte of [`INPUT`] replaced.
    fn with_input(at: &[usize], value: u8) -> Vec<u8> {
        let mut input = INPUT;
        at.iter().for_each(|&i| input[i] = value);
        patched(&INPUT, &input)
    }

    #[test]
    fn layers_come_in_the_files_order_with_their_costs() {
        let backbone = tiny();
        assert_eq!(backbone.name(), "tiny");
        let all: Vec<_> =
            backbone.layers().iter().map(|l| (l.name.as_str(), l.feature_dim, l.parameters, l.multiply_adds)).collect();
        let (conv1, conv2) = (6 * 27 * 64, 8 * 54 * 64);
        assert_eq!(
            all,
            [
                ("conv1", 6, 168, conv1),
                ("relu1", 6, 168, conv1),
                ("conv2", 8, 608, conv1 + conv2),
                ("relu2", 8, 608, conv1 + conv2),
                ("gap", 8, 608, conv1 + conv2),
                ("features", 8, 608, conv1 + conv2),
                ("logits", 4, 644, conv1 + conv2 + 32),
            ]
        );
        assert_eq!(backbone.layers()[2].shape, [1, 8, 8, 8]);
        assert_eq!(backbone.layers()[6].operator, "Gemm");
    }

    #[test]
    fn the_default_cut_feeds_the_dense_layer_or_is_the_end() {
        let backbone = tiny();
        assert_eq!(backbone.penultimate().unwrap().name, "features");
        assert_eq!(backbone.classifier().unwrap().name, "logits");
        let no_dense = Backbone::open(&data("tiny_no_dense.onnx")).unwrap();
        assert_eq!(no_dense.penultimate().unwrap().name, "logits");
        assert!(no_dense.classifier().is_none());
    }

    #[test]
    fn a_cut_averages_maps_and_continues_to_the_logits() {
        let backbone = tiny();
        let (preprocess, provenance) = backbone.preprocess();
        assert_eq!(provenance, Provenance::Assumed);
        assert_eq!(preprocess, Preprocess { width: 16, height: 16, ..Preprocess::IMAGENET });
        let input = Array4::from_shape_fn((1, 3, 16, 16), |(_, c, y, x)| (c * 256 + y * 16 + x) as f32 / 768.0 - 0.5);
        let run = |layer| backbone.cut(layer, &preprocess).unwrap().features(input.clone()).unwrap();
        let (map, features, logits) = (run("relu2"), run("features"), run("logits"));
        assert_eq!((map.len(), features.len(), logits.len()), (8, 8, 4));
        assert!(map.iter().zip(&features).all(|(a, b)| (a - b).abs() < 1e-5), "{map:?} {features:?}");
        assert!(features.iter().any(|&f| f > 0.01));
    }

    #[test]
    fn the_fingerprint_follows_its_recipe() {
        use sha2::{Digest, Sha256};
        let backbone = tiny();
        let preprocess = backbone.preprocess().0;
        let trunk = backbone.cut("relu2", &preprocess).unwrap();
        let sha256 =
            Sha256::new_with_prefix(Sha256::digest(TINY)).chain_update([5, 0, 0, 0]).chain_update(b"relu2\x01");
        assert_eq!(trunk.fingerprint(), <[u8; 32]>::from(sha256.chain_update(preprocess.to_bytes()).finalize()));

        let fingerprint = |layer, p: &_| backbone.cut(layer, p).unwrap().fingerprint();
        let squeezed = Preprocess { resize: topgraft_core::preprocess::Resize::Squeeze, ..preprocess };
        let all = [fingerprint("relu2", &preprocess), fingerprint("gap", &preprocess), fingerprint("gap", &squeezed)];
        assert!(all[0] != all[1] && all[1] != all[2]);
        // The node is renamed to conv_, its output is not: both names give the same trunk.
        let renamed = Backbone::from_bytes("m", &patched(b"\x1a\x05conv2", b"\x1a\x05conv_")).unwrap();
        let by = |name| renamed.cut(name, &preprocess).unwrap().fingerprint();
        assert_eq!(renamed.layers()[2].name, "conv_");
        assert_eq!(by("conv_"), by("conv2"));
    }

    #[test]
    fn an_open_size_is_asked_for_and_any_fitting_size_runs() {
        let open = with_input(&[15, 19], 0);
        let error = Backbone::from_bytes("m", &open).unwrap_err();
        assert!(matches!(&error, OpenError::OpenSize { found, .. } if found == "input: f32 [1, 3, ?, ?]"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("open.onnx");
        std::fs::write(&path, open).unwrap();
        for path in [path, data("tiny.onnx")] {
            let backbone = Backbone::open_sized(&path, 24, 12).unwrap();
            assert_eq!(backbone.layers()[0].shape, [1, 6, 6, 12]);
            let trunk = backbone.cut("features", &backbone.preprocess().0).unwrap();
            assert_eq!(trunk.features(Array4::ones((1, 3, 12, 24))).unwrap().len(), 8);
            assert!(matches!(Backbone::open_sized(&path, 0, 12), Err(OpenError::OpenSize { .. })));
        }
        // The batch of the file does not matter.
        assert_eq!(Backbone::from_bytes("m", &with_input(&[7], 64)).unwrap().layers()[0].shape, [1, 6, 8, 8]);
    }

    #[test]
    fn taps_give_what_a_trunk_at_each_of_them_gives() {
        let backbone = Backbone::open(&data("tiny_separable.onnx")).unwrap();
        let (preprocess, _) = backbone.preprocess();
        let cuts = ["features", "stem", "residual"];
        let taps = backbone.taps(&cuts, &preprocess).unwrap();
        let input = Array4::from_shape_fn((1, 3, 24, 20), |(_, c, y, x)| (c * 480 + y * 20 + x) as f32 / 720.0 - 1.0);
        let trunks = cuts.map(|cut| backbone.cut(cut, &preprocess).unwrap().features(input.clone()).unwrap());
        let all = taps.features(input).unwrap();
        assert_eq!((taps.feature_dim(), all.len()), (12 + 8 + 6, 12 + 8 + 6));
        for (ours, trunk) in all.iter().zip(trunks.concat()) {
            assert!((ours - trunk).abs() <= 1e-5 * trunk.abs().max(1.0), "{ours} {trunk}");
        }
        let wrong = taps.features(Array4::zeros((1, 3, 24, 21))).unwrap_err();
        assert!(matches!(&wrong, RunError::Shape { trunk, .. } if trunk == "tiny_separable"), "{wrong}");
        assert!(matches!(backbone.taps(&["stem", "no"], &preprocess), Err(CutError::UnknownLayer { .. })));
    }

    #[test]
    fn cuts_pool_and_join() {
        let backbone = Backbone::open(&data("tiny_separable.onnx")).unwrap();
        let (preprocess, _) = backbone.preprocess();
        let input = Array4::from_shape_fn((1, 3, 24, 20), |(_, c, y, x)| (c * 480 + y * 20 + x) as f32 / 720.0 - 1.0);
        let cut = |cut: &str| backbone.cut(cut, &preprocess).unwrap();
        let features = |written: &str| cut(written).features(input.clone()).unwrap();
        // The usual pooling goes without saying.
        assert_eq!(cut("stem:average").cut(), "stem");
        assert_eq!(cut("stem:average").fingerprint(), cut("stem").fingerprint());
        let parts = ["stem:max", "dw:pyramid", "features"];
        assert_eq!(cut(parts[1]).feature_dim(), 4 * cut("dw").feature_dim());
        let joined = cut(&parts.join("+"));
        assert_eq!((joined.cut(), joined.feature_dim()), ("stem:max+dw:pyramid+features", 8 + 4 * 8 + 12));
        let alone = parts.map(features).concat();
        for (ours, alone) in joined.features(input.clone()).unwrap().iter().zip(&alone) {
            assert!((ours - alone).abs() <= 1e-5 * alone.abs().max(1.0), "{ours} {alone}");
        }
        let all = ["stem", "stem:max", "stem:pyramid", "stem+dw", "dw+stem"].map(|written| cut(written).fingerprint());
        assert!((0..5).all(|at| !all[..at].contains(&all[at])));

        let error = |written: &str| backbone.cut(written, &preprocess).unwrap_err().to_string();
        assert!(error("features:max").contains("no map at layer features to pool by max: its output is 1x12"));
        let pixel = tiny().cut("gap:pyramid", &tiny().preprocess().0).unwrap_err().to_string();
        assert!(pixel.contains("by pyramid: its output is 1x8x1x1"), "{pixel}");
        for (written, unknown) in [("no:mean", "no:mean"), ("no:max", "no"), ("stem+no", "no")] {
            let error = backbone.cut(written, &preprocess).unwrap_err();
            assert!(matches!(&error, CutError::UnknownLayer { layer, .. } if layer == unknown), "{written}: {error}");
        }
        assert!(error("stem:mean").contains("no pooling `mean` for layer stem"));
        for nameless in ["stem+", "+", ":max", "stem+:max"] {
            assert!(error(nameless).contains("a part of it names no layer"), "{nameless}");
        }
        assert!(error("stem+dw+stem:average").contains("has stem:average twice"));
        assert!(error(&["stem"; 9].join("+")).contains("9 layers at once; join at most 8"));
    }

    /// In tiny_separable `dw2` and `project` have the map before them as a way around.
    #[test]
    fn candidates_are_layers_that_all_goes_through() {
        let backbone = Backbone::open(&data("tiny_separable.onnx")).unwrap();
        let names = |most: usize| -> Vec<&str> {
            backbone.candidates(most).iter().map(|layer| layer.output.as_str()).collect()
        };
        assert_eq!(names(100), ["pool", "dw", "narrow", "mean", "flat", "features"]);
        assert_eq!(names(6).len(), 6);
        let few = names(3);
        assert!(few.len() == 3 && few[2] == "features" && few.iter().all(|name| names(100).contains(name)), "{few:?}");
        assert_eq!(names(1), ["features"]);
        for most in 0..20 {
            let layers = tiny().candidates(most).len();
            assert!((1..=most.max(1)).contains(&layers), "{most}: {layers}");
        }
    }

    #[test]
    fn grey_networks_take_grey_pictures() {
        let backbone = Backbone::open(&data("tiny_grey.onnx")).unwrap();
        let (preprocess, provenance) = backbone.preprocess();
        assert_eq!((preprocess.channels, provenance), (Channels::Grey, Provenance::Assumed));
        let trunk = backbone.cut("features", &preprocess).unwrap();
        assert_eq!(trunk.features(Array4::ones((1, 1, 24, 20))).unwrap().len(), 12);
        assert!(trunk.features(Array4::ones((1, 3, 24, 20))).is_err());
    }

    #[test]
    fn each_wrong_file_has_its_error() {
        let open = |file: &str| Backbone::open(&data(file)).unwrap_err();
        assert!(matches!(open("no_such.onnx"), OpenError::Read { .. }));
        assert!(matches!(open(""), OpenError::Read { .. }), "a folder");
        assert!(
            matches!(open("tiny_two_inputs.onnx"), OpenError::Inputs { inputs, .. } if inputs == ["input", "mask"])
        );

        let bytes = |bytes: &[u8]| Backbone::from_bytes("m", bytes).unwrap_err();
        assert!(matches!(bytes(b"hello"), OpenError::NotOnnx { .. }));
        assert!(matches!(bytes(&with_input(&[11], 2)), OpenError::Input { .. }), "two channels");
        let error = bytes(&with_input(&[1], 11));
        assert_eq!(
            error.to_string(),
            "m takes input: not f32 [1, 3, 16, 16] as its input, but a backbone takes f32 pictures [1, 3, height, width] \
             or [1, height, width, 3], or of one channel"
        );
        let error = bytes(&patched(b"Relu", b"Rely"));
        assert!(
            matches!(&error, OpenError::UnsupportedOperator { operator, layer, .. } if operator == "Rely" && layer == "relu1")
        );
        // The second convolution gets the weights of the first, which are for other channels.
        let error = bytes(&patched(b"conv2_w", b"conv1_w"));
        assert!(matches!(&error, OpenError::Analysis { input: [1, 3, 16, 16], .. }), "{error}");
    }

    #[test]
    fn an_input_larger_than_any_photo_is_made_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.onnx");
        std::fs::write(&path, TINY).unwrap();
        let error = Backbone::open_sized(&path, 5000, 16).unwrap_err();
        assert!(matches!(&error, OpenError::InputSize { .. }));
        assert!(error.to_string().contains("large.onnx takes input: f32 [1, 3, 16, 16]"), "{error}");
        assert!(error.to_string().contains("width out of range; export it with at most 4096 pixels a side"), "{error}");
    }

    #[test]
    fn a_network_of_integers_has_no_layers() {
        let field = |tag: u8, content: &[u8]| [&[tag << 3 | 2, content.len() as u8], content].concat();
        let node = [field(1, b"input"), field(2, b"size"), field(4, b"Size")].concat();
        let input = [field(1, b"input"), field(2, &field(1, &INPUT))].concat();
        let graph = [field(1, &node), field(11, &input), field(12, &field(1, b"size"))].concat();
        let bytes = [vec![8, 8], field(7, &graph), field(8, &[0x10, 13])].concat();
        let error = Backbone::from_bytes("m", &bytes).unwrap_err();
        assert!(matches!(error, OpenError::NoLayers { .. }), "{error}");
    }

    #[test]
    fn a_catalog_beside_the_file_says_how_its_input_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.onnx");
        std::fs::write(&path, TINY).unwrap();
        let catalog = |extra: &str| {
            let text = format!(
                "[[backbone]]\nname = 'my net'\nfile = 'mine.onnx'\nmean = [1, 2, 3]\nscale = [4, 5, 6]\n\
                 input = {{ width = 32, height = 16, layout = 'nchw', channels = 'bgr' }}\n\
                 resize = {{ rule = 'squeeze' }}\nfilter = 'bicubic'\n{extra}\n"
            );
            std::fs::write(folder.path().join("catalog.toml"), text).unwrap();
        };
        catalog("");
        let backbone = Backbone::open(&path).unwrap();
        let (preprocess, provenance) = backbone.preprocess();
        assert_eq!((backbone.name(), provenance), ("my net", Provenance::Beside));
        assert_eq!((preprocess.width, preprocess.mean), (32, [1.0, 2.0, 3.0]));
        assert_eq!(backbone.layers()[0].shape, [1, 6, 8, 16]);

        catalog(&format!("sha256 = '{}'", "0f".repeat(32)));
        assert!(
            matches!(Backbone::open(&path), Err(OpenError::Checksum { expected, .. }) if expected == "0f".repeat(32))
        );
        let text = std::fs::read_to_string(folder.path().join("catalog.toml")).unwrap();
        std::fs::write(folder.path().join("catalog.toml"), text.replace("nchw", "nhwc").replace("sha256", "# "))
            .unwrap();
        let error = Backbone::open(&path).unwrap_err().to_string();
        assert!(
            error.contains("catalog.toml says that ")
                && error.contains("mine.onnx has the layout nhwc of three channels"),
            "{error}"
        );
        assert!(error.contains("but it takes input: f32 [1, 3, 16, 16]; correct it"), "{error}");
        let grey = text.replace("'bgr'", "'grey'").replace("[1, 2, 3]", "[1]").replace("[4, 5, 6]", "[4]");
        std::fs::write(folder.path().join("catalog.toml"), grey.replace("sha256", "# ")).unwrap();
        let error = Backbone::open(&path).unwrap_err().to_string();
        assert!(error.contains("mine.onnx has the layout nchw of one channel"), "{error}");
        catalog("colour = 'red'");
        assert!(matches!(Backbone::open(&path), Err(OpenError::Catalog(_))));
        std::fs::rename(&path, folder.path().join("other.onnx")).unwrap();
        catalog("");
        let other = Backbone::open(&folder.path().join("other.onnx")).unwrap();
        assert_eq!(other.preprocess().1, Provenance::Assumed);
    }

    #[test]
    fn wrong_cuts_are_refused() {
        let backbone = tiny();
        let good = backbone.preprocess().0;
        let error = backbone.cut("Feature", &good).unwrap_err();
        assert_eq!(
            error.to_string(),
            "tiny has no layer Feature to cut at; the nearest names are features, relu1, relu2"
        );
        let wide = Preprocess { width: 17, ..good };
        let shapes = ([1, 3, 16, 16], [1, 3, 16, 17]);
        let error = backbone.cut("gap", &wide).unwrap_err();
        assert!(matches!(error, CutError::Input { expected, found, .. } if (expected, found) == shapes));
        let flat = Preprocess { scale: [0.0; 3], ..good };
        assert_eq!(backbone.cut("gap", &flat).err(), Some(CutError::Preprocess(PreprocessError::OutOfRange("scale"))));
    }

    #[test]
    fn wrong_inputs_are_refused() {
        let backbone = tiny();
        let trunk = backbone.cut("features", &backbone.preprocess().0).unwrap();
        let error = trunk.features(Array4::zeros((1, 3, 16, 8))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the trunk tiny/features takes an input of 1x3x16x16, not 1x3x16x8; make it with the trunk's own preprocessing"
        );
        // tract's Relu makes 0 of NaN: without the check of the input the features would look well.
        let mut nan = Array4::zeros((1, 3, 16, 16));
        nan[[0, 1, 0, 0]] = f32::NAN;
        assert!(matches!(trunk.features(nan), Err(RunError::InputNotFinite { index: 256, .. })));
        let huge = Array4::from_elem((1, 3, 16, 16), 3e38);
        assert!(matches!(trunk.features(huge), Err(RunError::NotFinite { .. })));
    }

    #[test]
    fn damaged_files_never_end_the_program() {
        let attempt = |bytes: &[u8]| {
            let Ok(backbone) = Backbone::from_bytes("m", bytes) else { return };
            for layer in [backbone.penultimate().ok(), backbone.layers().last()].into_iter().flatten() {
                let (preprocess, _) = backbone.preprocess();
                let [n, a, b, c] = input_shape(&preprocess);
                if let Ok(trunk) = backbone.cut(&layer.output, &preprocess) {
                    let _ = trunk.features(Array4::zeros((n, a, b, c)));
                }
            }
        };
        (0..TINY.len()).step_by(13).for_each(|len| attempt(&TINY[..len]));
        // Every bit of the structure would take minutes; a stride prime to 8 meets each kind of field.
        for bit in (0..TINY.len() * 8).step_by(21) {
            let mut bytes = TINY.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            attempt(&bytes);
        }
    }

    #[cfg(feature = "embed-backbone")]
    #[test]
    fn the_embedded_backbone_is_in_the_catalog() {
        let backbone = Backbone::embedded().unwrap();
        assert_eq!(backbone.preprocess().1, Provenance::BuiltIn);
        assert_eq!(backbone.entry().unwrap().labels().unwrap().unwrap().len(), 1000);
        assert_eq!(backbone.penultimate().unwrap().output, "features");
        assert_eq!(backbone.classifier().unwrap().feature_dim, 1000);
        // Its weights are f16 with a Cast each: constants, no layers.
        assert!(backbone.layers().iter().all(|l| l.operator != "Cast"));
        for cut in &backbone.entry().unwrap().cuts {
            assert_eq!(backbone.layer(&cut.layer).unwrap().feature_dim, cut.feature_dim);
        }
    }
}
