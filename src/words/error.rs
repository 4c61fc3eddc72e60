//! What can be wrong with word vectors.

use std::path::PathBuf;

/// Where in a file of word vectors something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of a text, from 1 on.
    Line(u64),
    /// A byte of a binary file, from 0 on: where the record begins that is wrong.
    Byte(u64),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Byte(byte) => write!(f, "byte {byte}"),
        }
    }
}

/// What is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// There is no vector.
    #[error("no word vector in it; give a file as written by GloVe, word2vec or fastText")]
    Empty,
    /// The first line is neither a header nor a vector.
    #[error(
        "neither a header, `words dimensions`, nor a word and its numbers; give a file as written by GloVe, word2vec or fastText"
    )]
    NotVectors,
    /// A table, where a file of another program should be.
    #[error("a table already, as made by `topgraft words convert`; give the file that it was made of")]
    Table,
    /// Fewer words of a table than it has.
    #[error(
        "a table of {words} words, which is taken whole; make one of fewer words by `topgraft words convert --top-words`"
    )]
    Whole {
        /// Its words.
        words: u64,
    },
    /// The header has numbers that cannot be.
    #[error(
        "the header says {words} words of {dims} numbers; at most {} words of {} can be read",
        super::MAX_WORDS,
        super::MAX_DIMS
    )]
    Header {
        /// Words, as it says.
        words: u64,
        /// Numbers a word, as it says.
        dims: u64,
    },
    /// A word has more or fewer numbers than the header or the first word.
    #[error("{}, and the words before have {expected}: the line is damaged or cut short", numbers(*found))]
    Dimensions {
        /// Numbers that a word should have.
        expected: usize,
        /// Numbers of this one.
        found: usize,
    },
    /// Something else than a number.
    #[error("`{text}` is not a number")]
    NotANumber {
        /// What stands there.
        text: String,
    },
    /// NaN or infinity.
    #[error("a number of `{word}` is NaN or infinite, or beyond float16")]
    NotFinite {
        /// The word.
        word: String,
    },
    /// A word that is not UTF-8.
    #[error("the word is not UTF-8; --skip-bad-words leaves it out")]
    NotUtf8,
    /// A word with spaces in it.
    #[error("the word `{word}` has a space in it, so no text has it; --skip-bad-words leaves it out")]
    Space {
        /// The word.
        word: String,
    },
    /// No word before the numbers.
    #[error("numbers without a word")]
    NoWord,
    /// A word that was there before.
    #[error("the word `{word}` was there before; --skip-bad-words takes the first of the two")]
    Duplicate {
        /// The word.
        word: String,
    },
    /// A line or a word that goes on and on.
    #[error("goes on for more than {limit} bytes; this is no file of word vectors, or a damaged one")]
    TooLong {
        /// Bytes that were read of it.
        limit: usize,
    },
    /// More words than the header says.
    #[error("more words than the {words} of the header; correct the header")]
    MoreWords {
        /// Words, as the header says.
        words: u64,
    },
    /// The file ends before all words of the header.
    #[error("the file ends after {found} of the {words} words of its header; take another copy")]
    FewerWords {
        /// Words, as the header says.
        words: u64,
        /// Words that are there.
        found: u64,
    },
    /// More words than can be read.
    #[error("more than {} words; take the most frequent ones by --top-words", super::MAX_WORDS)]
    TooManyWords,
    /// More than fits the memory that may be used.
    #[error("the vectors take more than {} MB of memory; take fewer by --top-words, or make a table of them by `topgraft words convert`", limit >> 20)]
    Memory {
        /// Bytes that may be used.
        limit: u64,
    },
    /// A table, as written by [`convert`](super::convert), that is damaged.
    #[error("a damaged table: {what}; make it again by `topgraft words convert`")]
    Damaged {
        /// What is wrong with it.
        what: &'static str,
    },
}

/// `1 number`, `2 numbers`
fn numbers(count: usize) -> String {
    if count == 1 { "1 number".to_owned() } else { format!("{count} numbers") }
}

/// Why word vectors cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WordsError {
    /// The file is not there or cannot be read.
    #[error("{}: {source}; give a file of word vectors", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What is in it is wrong.
    #[error("{}: {place}: {fault}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Where.
        place: Place,
        /// What.
        fault: Fault,
    },
    /// A zip archive that has no such file, several, or one that cannot be unpacked here.
    #[error("{}: {reason}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A table cannot be written.
    #[error("{}: {source}; the table was not written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl WordsError {
    /// Whether the machine failed us, and not what was given.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Write { .. })
    }
}
