//! The file that a trunk was made of, to carry the trunk elsewhere: as plain operations, or as an ONNX file with other
//! layers behind it.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

#[cfg(feature = "embed-backbone")]
use super::backbone::EMBEDDED;
use super::backbone::known;
use super::catalog::Entry;
use super::cut::{Trunk, fingerprint, input_shape};
use super::error::{CarryError, OpenError};
use super::onnx::{self, rewrite};
use super::operations::{Operations, Tail};
use super::tap::Tap;

/// The oldest version of ONNX's operators that layers are put behind: from it on, shapes are broadcast as in numpy.
const OLDEST_OPSET: i64 = 7;

/// An ONNX file, read whole.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::path::Path;
/// use topgraft::trunk::{Backbone, Source};
///
/// let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.onnx"));
/// let backbone = Backbone::open(path)?;
/// let trunk = backbone.cut("features", &backbone.preprocess().0)?;
/// let operations = Source::open(path)?.operations(&trunk)?;
/// assert_eq!(operations.nodes.last().unwrap().operator, "Flatten");
/// # Ok(())
/// # }
/// ```
pub struct Source {
    model: String,
    folder: Option<PathBuf>,
    proto: onnx::ModelProto,
    weights_sha256: [u8; 32],
    entry: Option<Entry>,
    /// Names of the nodes by their first output.
    names: HashMap<String, String>,
}

impl Source {
    /// Reads an ONNX file of at most 2 GiB.
    ///
    /// # Errors
    /// As [`Backbone::open`](super::Backbone::open) for the file's structure.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let model = path.display().to_string();
        let file = File::open(path).map_err(|source| OpenError::Read { model: model.clone(), source })?;
        Self::build(model, Some(path), file)
    }

    /// The backbone that is part of this program.
    ///
    /// # Errors
    /// None, unless the program was built with another file in its place.
    #[cfg(feature = "embed-backbone")]
    pub fn embedded() -> Result<Self, OpenError> {
        Self::build("efficientnet_lite0".into(), None, EMBEDDED)
    }

    fn build(model: String, path: Option<&Path>, reader: impl Read) -> Result<Self, OpenError> {
        let (mut proto, sha256) = onnx::parse(&model, reader, onnx::MAX_BYTES)?;
        let graph = onnx::graph(&model, &mut proto)?;
        let folder = path.and_then(Path::parent);
        let weights_sha256 = onnx::weights_sha256(&model, folder, &proto, sha256)?;
        let names = graph.nodes.into_iter().map(|mut node| (node.outputs.swap_remove(0), node.name)).collect();
        let (entry, _) = known(&model, path, sha256)?;
        Ok(Self { model, folder: folder.map(Path::to_owned), proto, weights_sha256, entry, names })
    }

    /// What the catalog says about the network: its licence, its source.
    pub fn entry(&self) -> Option<&Entry> {
        self.entry.as_ref()
    }

    /// The layers of `trunk` as plain data; of several that it is cut at, the first is the output.
    ///
    /// # Errors
    /// [`CarryError::Other`] if the trunk was made of another file, [`CarryError::Weights`] if a weight cannot be read,
    /// [`CarryError::NotANetwork`] if the trunk has a neck, or no network.
    pub fn operations(mut self, trunk: &Trunk) -> Result<Operations, CarryError> {
        self.keep(trunk)?;
        rewrite::operations(&self.proto, cuts(trunk)[0], &self.names).map_err(|reason| self.weights(reason))
    }

    /// The bytes of an ONNX file with the layers of `trunk` and `tail` behind them, all weights inside.
    ///
    /// # Errors
    /// As [`operations`](Self::operations); [`CarryError::Opset`] if the file is too old for layers behind it,
    /// [`CarryError::TooLarge`] if it would not fit 2 GiB.
    pub fn extended(mut self, trunk: &Trunk, tail: &Tail) -> Result<Vec<u8>, CarryError> {
        self.keep(trunk)?;
        let opset = rewrite::opset(&self.proto);
        if opset < OLDEST_OPSET {
            return Err(CarryError::Opset { model: self.model, opset, oldest: OLDEST_OPSET });
        }
        let bytes = rewrite::extended(self.proto, &cuts(trunk), &self.names, input_shape(trunk.preprocess()), tail);
        match bytes.len() as u64 {
            ..onnx::MAX_BYTES => Ok(bytes),
            _ => Err(CarryError::TooLarge { model: self.model }),
        }
    }

    fn keep(&mut self, trunk: &Trunk) -> Result<(), CarryError> {
        let (Some(tap), None) = (trunk.tap(), trunk.neck()) else {
            return Err(CarryError::NotANetwork { trunk: trunk.to_string() });
        };
        if fingerprint(self.weights_sha256, tap, trunk.preprocess()) != trunk.fingerprint() {
            return Err(CarryError::Other { model: self.model.clone() });
        }
        rewrite::keep_up_to(&mut self.proto, self.folder.as_deref(), &cuts(trunk))
            .map_err(|reason| self.weights(reason))
    }

    fn weights(&self, reason: String) -> CarryError {
        CarryError::Weights { model: self.model.clone(), reason }
    }
}

/// The tensors that a trunk is cut at.
fn cuts(trunk: &Trunk) -> Vec<&str> {
    trunk.tap().into_iter().flat_map(Tap::parts).map(|part| part.layer.output.as_str()).collect()
}
