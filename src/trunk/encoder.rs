//! Sentence encoders: the pieces of a text in, features out.

use std::fs::File;
use std::path::Path;

use super::engine::{SequencePlan, unsupported_operator};
use super::error::{EncoderError, OpenError};
use super::onnx;

/// What an input of the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Which piece.
    Ids,
    /// 1: there is no padding.
    Mask,
    /// Which of two sentences.
    Types,
}

/// A pretrained network that reads the pieces of a text: ONNX with inputs `input_ids`, `attention_mask` and perhaps
/// `token_type_ids`, `[batch, pieces]` i64, and an output `last_hidden_state` `[batch, pieces, width]` f32, as BERT and its kin are
/// exported. Its features are the mean over the pieces (Reimers and Gurevych 2019, "Sentence-BERT").
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::path::Path;
/// use topgraft::trunk::Encoder;
/// let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/encoder/model.onnx"));
/// let encoder = Encoder::open(path)?;
/// assert_eq!(encoder.features(&[2, 7, 8, 3], &[0, 0, 0, 0])?.len(), encoder.feature_dim());
/// # Ok(())
/// # }
/// ```
pub struct Encoder {
    name: String,
    weights_sha256: [u8; 32],
    plan: SequencePlan,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Encoder {
    /// Opens an ONNX file of at most 2 GiB; weights in files beside it (external data) are read too.
    ///
    /// # Errors
    /// [`EncoderError`] with what is wrong with the file.
    pub fn open(path: &Path) -> Result<Self, EncoderError> {
        let model = path.display().to_string();
        let file = File::open(path).map_err(|source| OpenError::Read { model: model.clone(), source })?;
        let (proto, sha256) = onnx::parse(&model, file, onnx::MAX_BYTES)?;
        let folder = path.parent();
        let weights_sha256 = onnx::weights_sha256(&model, folder, &proto, sha256)?;
        if let Some((operator, layer)) = unsupported_operator(&proto) {
            return Err(OpenError::UnsupportedOperator { model, operator, layer }.into());
        }
        let inputs = input_names(&proto);
        let role = |name: &String| match name.as_str() {
            "input_ids" => Some(Role::Ids),
            "attention_mask" => Some(Role::Mask),
            "token_type_ids" => Some(Role::Types),
            _ => None,
        };
        let roles: Option<Vec<Role>> = inputs.iter().map(role).collect();
        let roles = roles.filter(|roles| roles.contains(&Role::Ids));
        let roles = roles.ok_or_else(|| EncoderError::Inputs { model: model.clone(), inputs: inputs.clone() })?;
        let outputs: Vec<&str> = proto.graph.iter().flat_map(|graph| &graph.output).map(|o| o.name.as_str()).collect();
        let output = outputs.iter().position(|name| *name == "last_hidden_state").unwrap_or(0);
        let failed = |reason| EncoderError::Analysis { model: model.clone(), reason };
        let plan = SequencePlan::new(proto, folder, &roles, output).map_err(failed)?;
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Self { name, weights_sha256, plan })
    }

    /// Name of the file without its ending.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of all that decides the network's numbers.
    pub fn weights_sha256(&self) -> [u8; 32] {
        self.weights_sha256
    }

    /// How many features a text gives.
    pub fn feature_dim(&self) -> usize {
        self.plan.width()
    }

    /// Features `[feature_dim]` of the pieces of a text, by their numbers `ids`, and `types`, which of two sentences each is of, as
    /// many: the mean of what the network gives for each piece. The same pieces give the same bits on the same kind of CPU.
    ///
    /// # Errors
    /// [`EncoderError::Run`] if there is no piece, more than the network takes, one that it does not know, or a number comes out
    /// that is not finite.
    pub fn features(&self, ids: &[u32], types: &[u32]) -> Result<Vec<f32>, EncoderError> {
        let failed = |reason: String| EncoderError::Run { model: self.name.clone(), pieces: ids.len(), reason };
        if ids.is_empty() || ids.len() != types.len() {
            return Err(failed("no pieces".to_owned()));
        }
        let hidden = self.plan.run(ids, types).map_err(failed)?;
        let width = self.feature_dim();
        let mut features = vec![0.0; width];
        for piece in hidden.chunks_exact(width) {
            features.iter_mut().zip(piece).for_each(|(sum, x)| *sum += x);
        }
        features.iter_mut().for_each(|sum| *sum /= ids.len() as f32);
        match features.iter().all(|x| x.is_finite()) {
            true => Ok(features),
            false => Err(failed("a feature is NaN or infinite".to_owned())),
        }
    }
}

/// Inputs that are no weights, in their order.
fn input_names(proto: &onnx::ModelProto) -> Vec<String> {
    let Some(graph) = &proto.graph else { return Vec::new() };
    let is_weight = |name: &str| graph.initializer.iter().any(|weight| weight.name == name);
    graph.input.iter().map(|input| input.name.clone()).filter(|name| !is_weight(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_of_sequences_are_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Encoder>();
    }

    #[test]
    fn what_is_no_encoder_says_why() {
        let data = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
        let error = |name: &str| Encoder::open(&data(name)).expect_err("no encoder");
        assert!(matches!(error("tiny.onnx"), EncoderError::Inputs { inputs, .. } if inputs.len() == 1));
        assert!(matches!(error("golden.graft"), EncoderError::Open(OpenError::NotOnnx { .. })));
        assert!(matches!(error("nowhere.onnx"), EncoderError::Open(OpenError::Read { .. })));
        let encoder = Encoder::open(&data("encoder/model.onnx")).expect("sound");
        assert!(matches!(encoder.features(&[], &[]), Err(EncoderError::Run { pieces: 0, .. })));
        // More than it has positions for, and a piece that it does not know.
        assert!(matches!(encoder.features(&[2; 100], &[0; 100]), Err(EncoderError::Run { pieces: 100, .. })));
        assert!(matches!(encoder.features(&[9999], &[0]), Err(EncoderError::Run { pieces: 1, .. })));
    }
}
