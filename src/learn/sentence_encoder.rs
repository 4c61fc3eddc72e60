//! A tokenizer and a network that reads its pieces: trunk and words meet here.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::text_trunk::TextError;
use crate::trunk::Encoder;
use crate::words::{Fold, Pieces, Recipe, TextFeatures, TextPooling};

/// A pretrained sentence encoder, with the tokenizer that it was trained with.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::path::Path;
/// use topgraft::learn::SentenceEncoder;
/// let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/encoder/model.onnx"));
/// let encoder = SentenceEncoder::open(path, None)?;
/// let text = encoder.features("A good meal.")?;
/// assert_eq!((text.features.len(), text.tokens, text.known), (32, 4, 4));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SentenceEncoder {
    pieces: Pieces,
    encoder: Encoder,
    recipe: Recipe,
}

impl SentenceEncoder {
    /// Opens an ONNX network ([`Encoder`]) and its `tokenizer.json`, by default the one beside it.
    ///
    /// # Errors
    /// [`TextError`], what is wrong with either.
    pub fn open(model: &Path, tokenizer: Option<&Path>) -> Result<Self, TextError> {
        let beside: PathBuf = model.with_file_name("tokenizer.json");
        let encoder = Encoder::open(model)?;
        let pieces = Pieces::open(tokenizer.unwrap_or(&beside))?;
        let digest = Sha256::new_with_prefix(encoder.weights_sha256()).chain_update(pieces.sha256());
        let recipe = Recipe {
            file: model.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            digest: digest.finalize().into(),
            words: pieces.most() as u64,
            dims: encoder.feature_dim(),
            fold: Fold::Cased,
            pooling: TextPooling::Encoder,
            component: Vec::new(),
        };
        Ok(Self { pieces, encoder, recipe })
    }

    /// How texts become features.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Features `[feature_dim]` of a text; its pieces count as words. Of a text without any that is known they are 0.
    ///
    /// # Errors
    /// [`TextError`].
    pub fn features(&self, text: &str) -> Result<TextFeatures, TextError> {
        let encoded = self.pieces.encode(text)?;
        let features = match encoded.known {
            0 => vec![0.0; self.encoder.feature_dim()],
            _ => self.encoder.features(&encoded.ids, &encoded.types)?,
        };
        Ok(TextFeatures { features, tokens: encoded.tokens, known: encoded.known })
    }
}
