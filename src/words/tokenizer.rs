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
    // Most of a text is ASCII, whose few rules are faster than the tables of all of Unicode.
    pieces(text).flat_map(|piece| {
        let (ascii, rest) = if piece.is_ascii() { (piece, "") } else { ("", piece) };
        let of_unicode = rest.split_word_bounds().filter(|token| !token.chars().all(char::is_whitespace));
        AsciiTokens { text: ascii, at: 0 }.chain(of_unicode)
    })
}

/// A text that is ASCII, or the parts of another between its spaces, but for spaces that more than ASCII follows: a mark may
/// belong to them (WB4).
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let is_ascii = text.is_ascii();
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let bytes = text.as_bytes();
        let space =
            |at: &usize| bytes[*at] == b' ' && bytes.get(at + 1).is_none_or(|next| next.is_ascii() && *next != b' ');
        let end = if is_ascii { None } else { (0..bytes.len()).find(space) };
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

/// The rules of UAX #29 for ASCII alone.
struct AsciiTokens<'a> {
    text: &'a str,
    at: usize,
}

/// What is joined without conditions: letters, digits, underscores.
const IS_WORD: [bool; 256] = {
    let mut is_word = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        is_word[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'_';
        byte += 1;
    }
    is_word
};

fn is_word(byte: u8) -> bool {
    IS_WORD[usize::from(byte)]
}

impl<'a> Iterator for AsciiTokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        // As `char::is_whitespace`, which has the vertical tab too.
        let start = self.at + bytes[self.at..].iter().position(|byte| !matches!(byte, b' ' | b'\t'..=b'\r'))?;
        let mut end = start + 1;
        if is_word(bytes[start]) {
            loop {
                end += bytes[end..].iter().position(|byte| !is_word(*byte)).unwrap_or(bytes.len() - end);
                let (last, sign, next) = (bytes[end - 1], bytes.get(end), bytes.get(end + 1));
                end += match (sign, next) {
                    // WB6, WB7: between letters.
                    (Some(b':' | b'.' | b'\''), Some(next))
                        if last.is_ascii_alphabetic() && next.is_ascii_alphabetic() =>
                    {
                        2
                    }
                    // WB11, WB12: between digits.
                    (Some(b',' | b';' | b'.' | b'\''), Some(next))
                        if last.is_ascii_digit() && next.is_ascii_digit() =>
                    {
                        2
                    }
                    _ => break,
                };
            }
        }
        self.at = end;
        Some(&self.text[start..end])
    }
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
        if text.is_ascii() {
            // As below, without the checks which of the two it is.
            return AsciiTokens { text, at: 0 }.for_each(|token| self.token(token, &mut take));
        }
        tokens(text).for_each(|token| self.token(token, &mut take));
    }

    fn token(&mut self, token: &str, take: &mut impl FnMut(&str, Option<usize>)) {
        // As most words are.
        let is_folded = token.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
        if is_folded && let Some(number) = self.vectors.find(token) {
            return take(token, Some(number));
        }
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

    /// All strings of up to five of the signs that the rules tell apart, and all pairs of ASCII.
    #[test]
    fn ascii_is_split_as_the_tables_of_unicode_say() {
        let by_tables = |text: &str| -> Vec<String> {
            let bounds = text.split_word_bounds();
            bounds.filter(|token| !token.chars().all(char::is_whitespace)).map(str::to_owned).collect()
        };
        let check = |text: &str| assert_eq!(tokens(text).collect::<Vec<_>>(), by_tables(text), "{text:?}");
        let mut texts = vec![String::new()];
        for _ in 0..5 {
            let longer =
                |text: &String| "aB0_:.', \u{301}é".chars().map(|sign| format!("{text}{sign}")).collect::<Vec<_>>();
            texts = texts.iter().flat_map(longer).collect();
            texts.iter().for_each(|text| check(text));
        }
        let ascii = || (0..128u8).map(char::from);
        for (a, b) in ascii().flat_map(|a| ascii().map(move |b| (a, b))) {
            for text in [format!("{a}{b}"), format!("x{a}y{b}1"), format!("1{a}2{b}z")] {
                check(&text);
            }
        }
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
