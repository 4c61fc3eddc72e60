//! Word vectors that somebody else learned from a large corpus (word2vec, GloVe, fastText), as the frozen trunk for texts.
//!
//! ```text
//! glove.txt, vectors.bin, cc.en.vec(.gz) --VectorReader--> Vectors in memory
//!                                        --convert-------> table on disk --Vectors::open--> rows, read as they are needed
//! text --tokens--> words --Vectors--> [n_words, dims] --TextPooling--> features [feature_dim]
//! ```
//!
//! An [`Embedder`] makes features of texts as its [`Recipe`] says, which a head file holds: whose vectors, which case, how
//! they are pooled. [`Vectors::nearest`] and [`Coverage`] tell what the vectors know.

mod archive;
mod component;
mod coverage;
mod embedder;
mod error;
mod neighbours;
#[cfg(feature = "encoder")]
mod pieces;
mod precision;
mod reader;
mod suggest;
mod table;
mod tokenizer;
mod vocabulary;

pub use coverage::Coverage;
pub use embedder::{Embedder, Recipe, RecipeError, TextFeatures, TextPooling, WrongVectors};
pub use error::{Fault, Place, WordsError};
pub use neighbours::Neighbour;
#[cfg(feature = "encoder")]
pub use pieces::{Encoded, Pieces, PiecesError};
pub use precision::Precision;
pub use reader::{Encoding, Record, VectorReader};
pub use suggest::{Suggested, Suggester, Suggestion};
pub use table::{Converted, Limits, Vectors, convert};
pub use tokenizer::{Fold, tokens};

/// The most numbers that a vector has.
pub const MAX_DIMS: usize = 4096;
/// The most words that are read.
pub const MAX_WORDS: usize = 1 << 24;
