//! How much of some texts the vectors know.

use std::collections::HashMap;

use super::table::Vectors;
use super::tokenizer::{Finder, Fold};

/// What vectors know of some texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Texts.
    pub texts: usize,
    /// Words and signs in them.
    pub tokens: u64,
    /// Those of them that the vectors have.
    pub known: u64,
    /// Texts of which no word is known.
    pub unknown_texts: usize,
    /// Words that the vectors do not have, the most frequent first, with how often they stand in the texts.
    pub missing: Vec<(String, u64)>,
}

impl Coverage {
    /// Looks all words of the texts up.
    pub fn new<'a>(vectors: &Vectors, fold: Fold, texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut finder = Finder::new(vectors, fold);
        let mut coverage = Self::default();
        let mut missing: HashMap<String, u64> = HashMap::new();
        for text in texts {
            let before = coverage.known;
            finder.find(text, |word, number| {
                coverage.tokens += 1;
                match number {
                    Some(_) => coverage.known += 1,
                    None => *missing.entry(word.to_owned()).or_default() += 1,
                }
            });
            coverage.texts += 1;
            coverage.unknown_texts += usize::from(coverage.known == before);
        }
        coverage.missing = missing.into_iter().collect();
        coverage.missing.sort_by(|(a, often_a), (b, often_b)| often_b.cmp(often_a).then_with(|| a.cmp(b)));
        coverage
    }

    /// Share of the words that is known, 0..=1; 0 without words.
    pub fn share(&self) -> f64 {
        self.known as f64 / self.tokens.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, VectorReader};
    use super::*;
    use std::path::Path;

    #[test]
    fn missing_words_are_counted() {
        let reader = VectorReader::new("v.txt", "the 1\ncat 2\n".as_bytes()).expect("sound");
        let vectors = Vectors::read(reader, Path::new("v.txt"), &Limits::default()).expect("sound");
        let coverage = Coverage::new(&vectors, Fold::Lower, ["The cat sat", "sat on mat", ""]);
        assert_eq!((coverage.texts, coverage.tokens, coverage.known, coverage.unknown_texts), (3, 6, 2, 2));
        let missing: Vec<(&str, u64)> = coverage.missing.iter().map(|(word, often)| (word.as_str(), *often)).collect();
        assert_eq!(missing, [("sat", 2), ("mat", 1), ("on", 1)]);
        assert_eq!(coverage.share(), 2.0 / 6.0);
        assert_eq!(Coverage::new(&vectors, Fold::Lower, []).share(), 0.0);
    }
}
