//! Text -> words, and words -> rows of the vectors.

use unicode_segmentation::UnicodeSegmentation;

use super::table::Vectors;

/// Which form of a word is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fold {
    /// Lower case: for vectors that have no upper case, such as GloVe 6B.
    Lower = 0,
    /// As it is written, and if that is unknown in lower case: for vectors that have both, such as GoogleNews.
    Cased = 1,
}

impl Fold {
    /// What the vectors need.
    pub fn of(vectors: &Vectors) -> Self {
        if vectors.is_cased() { Self::Cased } else { Self::Lower }
    }

    /// `lower`, `cased`
    pub fn name(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Cased => "cased",
        }
    }
}

/// The words and signs of a text, by the word boundaries of Unicode (UAX #29), without the spaces between them.
///
/// ```
/// use topgraft::words::tokens;
/// assert_eq!(tokens("It isn't 3.5 €, né?").collect::<Vec<_>>(), ["It", "isn't", "3.5", "€", ",", "né", "?"]);
/// ```
pub fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split_word_bounds().filter(|token| !token.chars().all(char::is_whitespace))
}

/// What the Penn Treebank's rules, by which GloVe's corpora were split, make tokens of their own: `is` `n't`, `it` `'s`.
const ENDINGS: [&str; 7] = ["n't", "'s", "'re", "'ve", "'ll", "'d", "'m"];

/// Finds the words of texts in vectors.
pub(super) struct Finder<'a> {
    vectors: &'a Vectors,
    fold: Fold,
    /// The token as it is looked up.
    folded: String,
}

impl<'a> Finder<'a> {
    pub fn new(vectors: &'a Vectors, fold: Fold) -> Self {
        Self { vectors, fold, folded: String::new() }
    }

    /// Gives `take` each word of a text, as it is looked up, with its number if the vectors have it. A token that they do not
    /// have is taken apart first: `isn't` into `is` and `n't`, `e-mail` and `example.org` at their signs.
    pub fn find(&mut self, text: &str, mut take: impl FnMut(&str, Option<usize>)) {
        for token in tokens(text) {
            self.token(token, &mut take);
        }
    }

    fn token(&mut self, token: &str, take: &mut impl FnMut(&str, Option<usize>)) {
        if let Some(number) = self.look_up(token) {
            return take(&self.folded, Some(number));
        }
        if token.chars().all(char::is_alphanumeric) {
            return take(&self.folded, None);
        }
        let plain = self.folded.replace('’', "'");
        let ending = ENDINGS.iter().find_map(|ending| plain.strip_suffix(ending).map(|stem| (stem, *ending)));
        if let Some((stem, ending)) = ending.filter(|(stem, ending)| {
            !stem.is_empty() && self.vectors.find(stem).is_some() && self.vectors.find(ending).is_some()
        }) {
            take(stem, self.vectors.find(stem));
            return take(ending, self.vectors.find(ending));
        }
        let mut pieces = plain.split(|letter: char| !letter.is_alphanumeric()).filter(|piece| !piece.is_empty());
        let Some(first) = pieces.next() else { return take(&plain, None) };
        for piece in std::iter::once(first).chain(pieces) {
            take(piece, self.vectors.find(piece));
        }
    }

    /// The number of a word; `folded` is then the form that was found, or the last that was tried.
    fn look_up(&mut self, word: &str) -> Option<usize> {
        self.folded.clear();
        self.folded.push_str(word);
        if self.fold == Fold::Cased
            && let Some(number) = self.vectors.find(word)
        {
            return Some(number);
        }
        match word.is_ascii() {
            true => self.folded.make_ascii_lowercase(),
            false => self.folded = word.to_lowercase(),
        }
        self.vectors.find(&self.folded)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, VectorReader};
    use super::*;
    use std::path::Path;

    fn vectors(words: &[&str]) -> Vectors {
        let text: String = words.iter().map(|word| format!("{word} 1 2\n")).collect();
        let reader = VectorReader::new("v.txt", text.as_bytes()).expect("sound");
        Vectors::read(reader, Path::new("v.txt"), &Limits::default()).expect("sound")
    }

    fn found(vectors: &Vectors, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        Finder::new(vectors, Fold::of(vectors)).find(text, |word, number| {
            found.push(if number.is_some() { word.to_owned() } else { format!("-{word}") });
        });
        found
    }

    #[test]
    fn words_are_looked_up_in_the_case_that_the_vectors_have() {
        let lower = vectors(&["paris", "é", "the"]);
        assert_eq!(found(&lower, "The PARIS É Rome"), ["the", "paris", "é", "-rome"]);
        let cased = vectors(&["Paris", "the"]);
        assert_eq!(found(&cased, "The Paris paris"), ["the", "Paris", "-paris"]);
    }

    #[test]
    fn unknown_tokens_are_taken_apart() {
        let treebank = vectors(&["is", "n't", "it", "'s", "mail", "example", "org", ",", "t"]);
        assert_eq!(found(&treebank, "It’s, isn't"), ["it", "'s", ",", "is", "n't"]);
        assert_eq!(found(&treebank, "mail_example.org"), ["mail", "example", "org"]);
        assert_eq!(found(&treebank, "can't"), ["-can", "t"]);
        assert_eq!(found(&treebank, " \t\n"), Vec::<String>::new());
        assert_eq!(found(&treebank, "☺"), ["-☺"]);
        assert_eq!(found(&vectors(&["isn't"]), "isn't"), ["isn't"]);
    }
}
