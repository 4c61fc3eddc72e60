//! What word may come next.

use std::collections::HashMap;

use topgraft_core::kernel::Kernels;

use super::error::WordsError;
use super::table::Vectors;
use super::tokenizer::{Finder, Fold};

/// Words before a word that its context is made of.
const CONTEXT: usize = 5;
/// L2 penalty, as a share of the mean of the Gram matrix's diagonal.
const L2: f64 = 1e-3;
/// A text in so many is held out by [`Suggester::measure`], and at most so many of their words are asked for.
const HOLD_OUT: usize = 10;
const MOST_ASKED: usize = 2000;

/// Suggests the next word of a text, one of those of the texts that it was fitted to: a linear map from the vectors of the last words
/// to the vector of the next, by ridge regression in closed form, whose output is read as the nearest words. The context is
/// the vector of the last word, the mean of the last five, and 1, all of length 1 before: `[2 * dims + 1]`. Vectors are
/// compared less the mean of the words that come next, as what all have in common says nothing; a word's score is the cosine
/// times [`WEIGHT`](Self::WEIGHT) and the logarithm of how often it came next.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::path::Path;
/// use topgraft::words::{Fold, Limits, Suggester, VectorReader, Vectors};
/// let reader = VectorReader::new("v.txt", "red 1 0 0\nwine 0 1 0\nglass 0 0 1\n".as_bytes())?;
/// let vectors = Vectors::read(reader, Path::new("v.txt"), &Limits::default())?;
/// let suggester = Suggester::fit(&vectors, Fold::Lower, ["glass red wine", "red wine glass"])?;
/// let next = suggester.suggest("A glass! Red ...", 1)?;
/// assert_eq!(vectors.word(next[0].number), "wine");
/// # Ok(())
/// # }
/// ```
pub struct Suggester<'a> {
    vectors: &'a Vectors,
    fold: Fold,
    /// `[dims, context]`
    map: Vec<f32>,
    /// Mean of the next words, `[dims]`.
    mean: Vec<f32>,
    /// Words that came next, the most frequent first, with how often.
    words: Vec<(usize, u32)>,
    /// Their vectors less the mean, of length 1: `[n_words, dims]`.
    centred: Vec<f32>,
}

/// A word that may come next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suggestion {
    /// Number of the word.
    pub number: usize,
    /// Cosine of the angle between what is expected and its vector, both less the mean.
    pub cosine: f32,
    /// What it is ranked by.
    pub score: f32,
}

/// How often the word that came next was among those suggested, for texts that were held out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suggested {
    /// Words that were asked for.
    pub asked: u32,
    /// Of these the suggestion was right with the first 1, 10 and 100 words.
    pub right: [u32; 3],
    /// The same if always the most frequent words of the other texts are suggested.
    pub by_frequency: [u32; 3],
}

impl Suggested {
    /// Suggestions that count.
    pub const TOP: [usize; 3] = [1, 10, 100];
}

/// Numbers of the known words of a text, in their order.
fn known(vectors: &Vectors, fold: Fold, text: &str) -> Vec<usize> {
    let mut known = Vec::new();
    Finder::new(vectors, fold).find(text, |_, number| known.extend(number));
    known
}

/// Writes the vector of a word at length 1.
fn unit(vectors: &Vectors, number: usize, row: &mut [f32]) -> Result<(), WordsError> {
    vectors.row(number, row)?;
    to_unit(row);
    Ok(())
}

/// A vector less the mean, at length 1.
fn less_mean(vector: &[f32], mean: &[f32]) -> Vec<f32> {
    let mut less: Vec<f32> = vector.iter().zip(mean).map(|(x, mean)| x - mean).collect();
    to_unit(&mut less);
    less
}

/// Makes a vector one of length 1; one of length 0 stays so.
fn to_unit(vector: &mut [f32]) {
    let kernels = Kernels::detect();
    let length = kernels.dot(vector, vector).sqrt();
    vector.iter_mut().for_each(|x| *x = if length > 0.0 { *x / length } else { 0.0 });
}

impl<'a> Suggester<'a> {
    /// Fits the map to the words of some texts that follow another. Words that the vectors do not have are passed over.
    ///
    /// # Errors
    /// [`WordsError`] if a table cannot be read.
    pub fn fit<'t>(
        vectors: &'a Vectors,
        fold: Fold,
        texts: impl IntoIterator<Item = &'t str>,
    ) -> Result<Self, WordsError> {
        let (dims, width) = (vectors.dims(), 2 * vectors.dims() + 1);
        let kernels = Kernels::detect();
        let (mean, words, centred) = (vec![0.0; dims], Vec::new(), Vec::new());
        let mut suggester = Self { vectors, fold, map: vec![0.0; dims * width], mean, words, centred };
        let (mut counts, mut pairs) = (HashMap::<usize, u32>::new(), 0u32);
        let (mut gram, mut targets) = (vec![0.0f32; width * width], vec![0.0f32; dims * width]);
        let mut next = vec![0.0; dims];
        for text in texts {
            let words = known(vectors, fold, text);
            for at in 1..words.len() {
                let context = suggester.context(&words[..at])?;
                unit(vectors, words[at], &mut next)?;
                kernels.ger(1.0, &context, &context, &mut gram);
                kernels.ger(1.0, &next, &context, &mut targets);
                kernels.axpy(1.0, &next, &mut suggester.mean);
                *counts.entry(words[at]).or_default() += 1;
                pairs += 1;
            }
        }
        let trace: f64 = (0..width).map(|at| f64::from(gram[at * width + at])).sum();
        let l2 = (L2 * trace / width as f64).max(f64::from(f32::MIN_POSITIVE)) as f32;
        (0..width).for_each(|at| gram[at * width + at] += l2);
        // Without a pair of words there is nothing to map.
        if trace > 0.0 && kernels.cholesky(width, &mut gram).is_ok() {
            kernels.solve_upper_transposed([width, dims], &gram, &mut targets);
            kernels.solve_upper([width, dims], &gram, &mut targets);
            suggester.map = targets;
        }
        suggester.mean.iter_mut().for_each(|sum| *sum /= pairs.max(1) as f32);
        suggester.words = counts.into_iter().collect();
        suggester.words.sort_by(|(i, a), (j, b)| b.cmp(a).then(i.cmp(j)));
        for (number, _) in &suggester.words {
            unit(vectors, *number, &mut next)?;
            suggester.centred.extend(less_mean(&next, &suggester.mean));
        }
        Ok(suggester)
    }

    /// `[2 * dims + 1]` of the last of these words.
    fn context(&self, words: &[usize]) -> Result<Vec<f32>, WordsError> {
        let dims = self.vectors.dims();
        let mut context = vec![0.0; 2 * dims + 1];
        let last = &words[words.len().saturating_sub(CONTEXT)..];
        let mut row = vec![0.0; dims];
        for number in last {
            unit(self.vectors, *number, &mut row)?;
            context[..dims].copy_from_slice(&row);
            context[dims..2 * dims].iter_mut().zip(&row).for_each(|(sum, x)| *sum += x / last.len() as f32);
        }
        context[2 * dims] = 1.0;
        Ok(context)
    }

    /// What a cosine of 1 is worth beside the logarithm of a word's frequency; by trial on questions and short messages;
    /// docs/texts.md has how often it is right with it.
    pub const WEIGHT: f32 = 4.0;

    /// The `k` words that are most likely to come next, the likeliest first; none if no word of the text is known.
    ///
    /// # Errors
    /// [`WordsError`] if a table cannot be read.
    pub fn suggest(&self, text: &str, k: usize) -> Result<Vec<Suggestion>, WordsError> {
        match &known(self.vectors, self.fold, text)[..] {
            [] => Ok(Vec::new()),
            words => self.after(words, k),
        }
    }

    fn after(&self, words: &[usize], k: usize) -> Result<Vec<Suggestion>, WordsError> {
        let (kernels, dims, context) = (Kernels::detect(), self.vectors.dims(), self.context(words)?);
        let mut expected = vec![0.0; dims];
        kernels.gemv([dims, context.len()], &self.map, &context, &mut expected);
        let expected = less_mean(&expected, &self.mean);
        let mut cosines = vec![0.0; self.words.len()];
        kernels.gemv([self.words.len(), dims], &self.centred, &expected, &mut cosines);
        let suggestion = |((number, count), cosine): (&(usize, u32), f32)| Suggestion {
            number: *number,
            cosine,
            score: Self::WEIGHT * cosine + (*count as f32).ln(),
        };
        let mut suggested: Vec<Suggestion> = self.words.iter().zip(cosines).map(suggestion).collect();
        suggested.sort_by(|a, b| b.score.total_cmp(&a.score));
        suggested.truncate(k);
        Ok(suggested)
    }

    /// Fits to nine of ten texts, and asks for words of the tenth, at most 2,000.
    ///
    /// # Errors
    /// [`WordsError`] if a table cannot be read.
    pub fn measure(vectors: &Vectors, fold: Fold, texts: &[&str]) -> Result<Suggested, WordsError> {
        let is_out = |at: &usize| at % HOLD_OUT == HOLD_OUT - 1;
        let taught = texts.iter().enumerate().filter(|(at, _)| !is_out(at)).map(|(_, text)| *text);
        let suggester = Suggester::fit(vectors, fold, taught)?;
        let most = Suggested::TOP[2];
        let frequent: Vec<usize> = suggester.words.iter().take(most).map(|(word, _)| *word).collect();
        let mut found = Suggested::default();
        for (_, text) in texts.iter().enumerate().filter(|(at, _)| is_out(at)) {
            let words = known(vectors, fold, text);
            for at in 1..words.len() {
                if found.asked as usize == MOST_ASKED {
                    return Ok(found);
                }
                let suggested = suggester.after(&words[..at], most)?;
                let place = suggested.iter().position(|near| near.number == words[at]);
                let often = frequent.iter().position(|word| *word == words[at]);
                found.asked += 1;
                for (i, top) in Suggested::TOP.into_iter().enumerate() {
                    found.right[i] += u32::from(place.is_some_and(|place| place < top));
                    found.by_frequency[i] += u32::from(often.is_some_and(|place| place < top));
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, VectorReader};
    use super::*;
    use std::path::Path;

    #[test]
    fn what_always_follows_is_suggested_and_measured() {
        // Twelve words that follow each other in a circle, by vectors that tell nothing of it.
        let mut text = String::new();
        for word in 0..12u32 {
            let numbers = (0..12u32).map(|at| f64::from((word * 31 + at * 17) * (at + 3) % 23) - 11.0);
            text += &format!("w{word} {}\n", numbers.map(|x| x.to_string()).collect::<Vec<_>>().join(" "));
        }
        let reader = VectorReader::new("v.txt", text.as_bytes()).expect("sound");
        let vectors = Vectors::read(reader, Path::new("v.txt"), &Limits::default()).expect("sound");
        let round = |start: usize| (0..6).map(|at| format!("w{}", (start + at) % 12)).collect::<Vec<_>>().join(" ");
        let texts: Vec<String> = (0..40).map(round).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let suggester = Suggester::fit(&vectors, Fold::Lower, texts.iter().copied()).expect("in memory");
        let next = suggester.suggest("nothing W3 w4?", 2).expect("in memory");
        assert_eq!((vectors.word(next[0].number), next.len()), ("w5", 2));
        assert!(suggester.suggest("xyzzy", 2).expect("in memory").is_empty());
        let found = Suggester::measure(&vectors, Fold::Lower, &texts).expect("in memory");
        assert_eq!(found.asked, 4 * 5);
        assert!(found.right[0] >= 18 && found.by_frequency[0] <= 6 && found.right[2] == 20, "{found:?}");
        let nothing = Suggester::fit(&vectors, Fold::Lower, []).expect("in memory");
        assert!(nothing.suggest("w1", 3).expect("in memory").is_empty());
    }
}
