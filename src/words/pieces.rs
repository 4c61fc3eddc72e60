//! Text -> pieces, as a sentence encoder was trained on.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokenizers::{Tokenizer, TruncationParams};

use crate::panics::{brief, caught};

/// The largest tokenizer.json that is read; those with a quarter of a million pieces are 17 MB.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// The most pieces of a text: what encoders of BERT's kind have positions for.
const MOST: usize = 512;

/// Takes texts apart as a `tokenizer.json` says.
pub struct Pieces {
    path: PathBuf,
    tokenizer: Box<Tokenizer>,
    sha256: [u8; 32],
    most: usize,
    unknown: Option<u32>,
}

/// Pieces of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Number of each piece.
    pub ids: Vec<u32>,
    /// Which of two sentences each is of: the first.
    pub types: Vec<u32>,
    /// Pieces that come from the text, and not from the tokenizer.
    pub tokens: usize,
    /// Those of them that it knows.
    pub known: usize,
}

/// Why a tokenizer cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PiecesError {
    /// The file is not there or cannot be read.
    #[error("{}: {source}; give the tokenizer.json that belongs to the encoder", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is too large.
    #[error("{}: larger than 64 MiB, so it is no tokenizer.json", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is no tokenizer, or fails on a text.
    #[error("{}: {reason}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pieces").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Pieces {
    /// Reads a `tokenizer.json`, as the library of that name writes it. Its padding is not taken over; nor is where it cuts texts
    /// off, if that is above 512 pieces.
    ///
    /// # Errors
    /// [`PiecesError`].
    pub fn open(path: &Path) -> Result<Self, PiecesError> {
        let read = |source| PiecesError::Read { path: path.to_owned(), source };
        let wrong = |reason: String| PiecesError::Tokenizer { path: path.to_owned(), reason };
        let mut bytes = Vec::new();
        File::open(path).map_err(read)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(read)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(PiecesError::TooLarge { path: path.to_owned() });
        }
        let parsed = caught(|| Tokenizer::from_bytes(&bytes));
        let parsed = parsed.map_err(|_| wrong("no tokenizer.json that can be used".to_owned()))?;
        let mut tokenizer =
            parsed.map_err(|error| wrong(format!("no tokenizer.json: {}", brief(&error.to_string()))))?;
        let most = tokenizer.get_truncation().map_or(MOST, |own| own.max_length.clamp(1, MOST));
        tokenizer.with_padding(None);
        let truncation = TruncationParams { max_length: most, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(|error| wrong(brief(&error.to_string())))?;
        let unknown = ["[UNK]", "<unk>"].iter().find_map(|name| tokenizer.token_to_id(name));
        let sha256 = Sha256::digest(&bytes).into();
        Ok(Self { path: path.to_owned(), tokenizer: Box::new(tokenizer), sha256, most, unknown })
    }

    /// SHA-256 of the file.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// The most pieces of a text; what comes after them is cut off.
    pub fn most(&self) -> usize {
        self.most
    }

    /// The pieces of a text, with those that mark its ends.
    ///
    /// # Errors
    /// [`PiecesError::Tokenizer`].
    pub fn encode(&self, text: &str) -> Result<Encoded, PiecesError> {
        let wrong = |reason: String| PiecesError::Tokenizer { path: self.path.clone(), reason };
        let encoded = caught(|| self.tokenizer.encode(text, true)).map_err(|_| wrong("fails on a text".to_owned()))?;
        let encoded = encoded.map_err(|error| wrong(brief(&error.to_string())))?;
        let (ids, types) = (encoded.get_ids().to_vec(), encoded.get_type_ids().to_vec());
        let of_text = || ids.iter().zip(encoded.get_special_tokens_mask()).filter(|(_, special)| **special == 0);
        let known = of_text().filter(|(id, _)| Some(**id) != self.unknown).count();
        Ok(Encoded { tokens: of_text().count(), known, ids, types })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_taken_apart_and_bad_files_refused() {
        let data = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
        let pieces = Pieces::open(&data("encoder/tokenizer.json")).expect("sound");
        let found = pieces.encode("A good meal.").expect("encodes");
        assert_eq!((found.ids.len(), found.tokens, found.known), (6, 4, 4));
        let unknown = pieces.encode("☺").expect("encodes");
        assert_eq!((unknown.tokens, unknown.known), (1, 0));
        assert_eq!(pieces.encode("").expect("encodes").tokens, 0);
        assert_eq!((pieces.most(), pieces.encode(&"good ".repeat(100)).expect("encodes").ids.len()), (32, 32));
        assert!(matches!(Pieces::open(&data("nowhere.json")), Err(PiecesError::Read { .. })));
        assert!(matches!(Pieces::open(&data("mood.tsv")), Err(PiecesError::Tokenizer { .. })));
        assert!(matches!(Pieces::open(&data("encoder/expected.json")), Err(PiecesError::Tokenizer { .. })));
    }
}
