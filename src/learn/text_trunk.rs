//! What makes features of texts: word vectors, or a sentence encoder.

use std::path::Path;

use crate::words::{Embedder, Recipe, TextFeatures, Vectors, WordsError};

#[cfg(feature = "encoder")]
use super::sentence_encoder::SentenceEncoder;

/// The frozen part before a head for texts.
#[derive(Debug)]
#[non_exhaustive]
pub enum TextTrunk {
    /// Word vectors, pooled.
    Words(Box<Embedder>),
    /// A network that reads whole texts.
    #[cfg(feature = "encoder")]
    Encoder(Box<SentenceEncoder>),
}

/// Why a text has no features.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The vectors cannot be read.
    #[error(transparent)]
    Words(#[from] WordsError),
    /// The text cannot be taken apart.
    #[cfg(feature = "encoder")]
    #[error(transparent)]
    Pieces(#[from] crate::words::PiecesError),
    /// The network fails on it.
    #[cfg(feature = "encoder")]
    #[error(transparent)]
    Encoder(#[from] crate::trunk::EncoderError),
}

impl TextTrunk {
    /// How texts become features: for a head file.
    pub fn recipe(&self) -> &Recipe {
        match self {
            Self::Words(embedder) => embedder.recipe(),
            #[cfg(feature = "encoder")]
            Self::Encoder(encoder) => encoder.recipe(),
        }
    }

    /// Features `[feature_dim]` of a text.
    ///
    /// # Errors
    /// [`TextError`].
    pub fn features(&self, text: &str) -> Result<TextFeatures, TextError> {
        match self {
            Self::Words(embedder) => Ok(embedder.features(text)?),
            #[cfg(feature = "encoder")]
            Self::Encoder(encoder) => encoder.features(text),
        }
    }

    /// The word vectors, if it is such.
    pub fn vectors(&self) -> Option<&Vectors> {
        match self {
            Self::Words(embedder) => Some(embedder.vectors()),
            #[cfg(feature = "encoder")]
            Self::Encoder(_) => None,
        }
    }

    /// What pools the word vectors, if it is such.
    pub fn into_words(self) -> Option<Embedder> {
        match self {
            Self::Words(embedder) => Some(*embedder),
            #[cfg(feature = "encoder")]
            Self::Encoder(_) => None,
        }
    }

    /// Name of the vectors' or the network's file, without its ending.
    pub fn name(&self) -> String {
        let stem = Path::new(&self.recipe().file).file_stem();
        stem.unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl From<Embedder> for TextTrunk {
    fn from(embedder: Embedder) -> Self {
        Self::Words(Box::new(embedder))
    }
}
