//! Text -> features: the vectors of its words, pooled.

use sha2::{Digest, Sha256};
use topgraft_core::kernel::Kernels;

use super::component::{self, Gram};
use super::error::WordsError;
use super::table::Vectors;
use super::tokenizer::{Finder, Fold};

/// How the vectors of a text's words become its features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TextPooling {
    /// Their mean, `[dims]`.
    Mean = 0,
    /// Of each number the largest, then the mean: `[2 * dims]` (Shen et al. 2018, "Baseline needs more love", SWEM-concat).
    MaxMean = 1,
    /// Their mean, frequent words counting less, without what all texts have in common: `[dims]`. Smooth inverse frequency (Arora
    /// et al. 2017): a word counts a / (a + p), a = 0.001; p is its frequency by Zipf's law, 1 / (rank H), as the words of
    /// a file stand by frequency and the file has no counts. Of the texts that are learned from the first principal component
    /// is taken, not centred, and removed.
    Sif = 2,
    /// Not of words at all: the mean of what a sentence encoder gives for the pieces of the text. [`Embedder`]s have the others.
    Encoder = 3,
}

impl TextPooling {
    /// All of word vectors.
    pub const ALL: [Self; 3] = [Self::Mean, Self::MaxMean, Self::Sif];

    /// `mean`, `max+mean`, `sif`, `encoder`
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::MaxMean => "max+mean",
            Self::Sif => "sif",
            Self::Encoder => "encoder",
        }
    }
}

/// The constant of the smooth inverse frequency.
const SIF_A: f32 = 1e-3;

/// How texts become features, with the vectors that it is for: what a head file holds of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Name of the file of vectors, or of the encoder's network, without its folder.
    pub file: String,
    /// Their [`Vectors::digest`]; of an encoder the SHA-256 of that of its weights and that of its tokenizer.
    pub digest: [u8; 32],
    /// Words of the file that were taken, from the first on; of an encoder the most pieces of a text.
    pub words: u64,
    /// Numbers of each vector.
    pub dims: usize,
    /// Which form of a word is looked up.
    pub fold: Fold,
    /// How the vectors are pooled.
    pub pooling: TextPooling,
    /// `[dims]`, of length 1, for [`TextPooling::Sif`]: what is removed. Else empty.
    pub component: Vec<f32>,
}

/// What is wrong with the bytes of a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RecipeError(pub &'static str);

impl Recipe {
    /// The bytes, little-endian: version 1 (u8), fold (u8), pooling (u8), 0 (u8), `dims` (u32), `words` (u64), digest (32 bytes), the component
    /// if the pooling has one (`dims` f32), length of the file's name (u32), that name (UTF-8).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.features_bytes();
        bytes.extend((self.file.len() as u32).to_le_bytes());
        bytes.extend(self.file.as_bytes());
        bytes
    }

    /// All that the features depend on.
    fn features_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![1, self.fold as u8, self.pooling as u8, 0];
        bytes.extend((self.dims as u32).to_le_bytes());
        bytes.extend(self.words.to_le_bytes());
        bytes.extend(self.digest);
        bytes.extend(self.component.iter().flat_map(|x| x.to_le_bytes()));
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gives.
    ///
    /// # Errors
    /// [`RecipeError`], what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecipeError> {
        const SHORT: RecipeError = RecipeError("the recipe of texts is cut short");
        let (head, rest) = bytes.split_first_chunk::<48>().ok_or(SHORT)?;
        let [version, fold, pooling, zero, ..] = *head;
        if version != 1 || zero != 0 {
            return Err(RecipeError("a recipe of texts of a newer version"));
        }
        let fold = [Fold::Lower, Fold::Cased].into_iter().find(|known| *known as u8 == fold);
        let fold = fold.ok_or(RecipeError("how the recipe of texts folds case"))?;
        let pooling = TextPooling::ALL.into_iter().chain([TextPooling::Encoder]).find(|known| *known as u8 == pooling);
        let pooling = pooling.ok_or(RecipeError("how the recipe of texts pools"))?;
        let dims = u32::from_le_bytes(head[4..8].try_into().expect("four bytes")) as usize;
        if !(1..=super::MAX_DIMS).contains(&dims) {
            return Err(RecipeError("the numbers of a word in the recipe of texts"));
        }
        let words = u64::from_le_bytes(head[8..16].try_into().expect("eight bytes"));
        let digest = head[16..].try_into().expect("32 bytes");
        let floats = if pooling == TextPooling::Sif { dims } else { 0 };
        let (component, rest) = rest.split_at_checked(4 * floats).ok_or(SHORT)?;
        let component: Vec<f32> = component.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
        // Of length 1, or 0 if no text had a known word.
        if !component.iter().all(|x| x.abs() <= 1.001) {
            return Err(RecipeError("the component in the recipe of texts"));
        }
        let (len, name) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
        if name.len() != u32::from_le_bytes(*len) as usize {
            return Err(SHORT);
        }
        let file = std::str::from_utf8(name).ok().filter(|name| topgraft_core::format::is_plain(name));
        let file = file.ok_or(RecipeError("the name of the vectors in the recipe of texts"))?.to_owned();
        Ok(Self { file, digest, words, dims, fold, pooling, component })
    }

    /// Names all that the features depend on: SHA-256 of `topgraft words`, a zero byte, and the [bytes](Self::to_bytes) without
    /// the name of the file.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::new_with_prefix(b"topgraft words\0").chain_update(self.features_bytes()).finalize().into()
    }

    /// How many features a text gives.
    pub fn feature_dim(&self) -> usize {
        match self.pooling {
            TextPooling::Mean | TextPooling::Sif | TextPooling::Encoder => self.dims,
            TextPooling::MaxMean => 2 * self.dims,
        }
    }

    /// `mean of words, lower case`: what a head file says of its cut.
    pub fn cut(&self) -> String {
        if self.pooling == TextPooling::Encoder {
            return format!("mean of up to {} pieces", self.words);
        }
        let case = match self.fold {
            Fold::Lower => "lower case",
            Fold::Cased => "as written",
        };
        format!("{} of words, {case}", self.pooling.name())
    }
}

/// Makes features of texts.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::path::Path;
/// use topgraft::words::{Embedder, Limits, TextPooling, VectorReader, Vectors};
/// let reader = VectorReader::new("v.txt", "good 1 0\nmovie 0 1\n".as_bytes())?;
/// let vectors = Vectors::read(reader, Path::new("v.txt"), &Limits::default())?;
/// let embedder = Embedder::fit(vectors, TextPooling::Mean, None, &[])?;
/// let text = embedder.features("A good, GOOD movie")?;
/// assert_eq!(text.features, [2.0 / 3.0, 1.0 / 3.0]);
/// assert_eq!((text.tokens, text.known), (5, 3));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Embedder {
    vectors: Vectors,
    recipe: Recipe,
    /// Sum of 1 / rank over all words.
    harmonic: f32,
}

/// Features of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct TextFeatures {
    /// `[feature_dim]`; 0 if no word is known.
    pub features: Vec<f32>,
    /// Words and signs of the text.
    pub tokens: usize,
    /// Those of them that the vectors have.
    pub known: usize,
}

/// The recipe is for other vectors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("taught with the words of `{wanted}`, and `{found}` has other words or other numbers")]
pub struct WrongVectors {
    /// File of the recipe.
    pub wanted: String,
    /// File that was given.
    pub found: String,
}

/// Name of the vectors' file.
fn file_name(vectors: &Vectors) -> String {
    vectors.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl Embedder {
    /// For texts to learn from, of which [`TextPooling::Sif`] takes what they have in common; `fold` is, unless given, what the
    /// vectors need.
    ///
    /// # Errors
    /// [`WordsError`] if a table cannot be read.
    ///
    /// # Panics
    /// If the pooling is [`TextPooling::Encoder`].
    pub fn fit(vectors: Vectors, pooling: TextPooling, fold: Option<Fold>, texts: &[&str]) -> Result<Self, WordsError> {
        let recipe = Recipe {
            file: file_name(&vectors),
            digest: vectors.digest(),
            words: vectors.len() as u64,
            dims: vectors.dims(),
            fold: fold.unwrap_or_else(|| Fold::of(&vectors)),
            pooling: TextPooling::Mean,
            component: Vec::new(),
        };
        Self { harmonic: harmonic(&vectors), vectors, recipe }.repooled(pooling, texts)
    }

    /// The same vectors, pooled in another way; `texts` as for [`fit`](Self::fit).
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn repooled(mut self, pooling: TextPooling, texts: &[&str]) -> Result<Self, WordsError> {
        assert_ne!(pooling, TextPooling::Encoder, "these are word vectors");
        self.recipe.pooling = pooling;
        self.recipe.component = Vec::new();
        if pooling == TextPooling::Sif {
            let mut gram = Gram::new(self.vectors.dims());
            for text in texts {
                gram.add(&self.features(text)?.features);
            }
            self.recipe.component = component::first(gram);
        }
        Ok(self)
    }

    /// As a head file says.
    ///
    /// # Errors
    /// [`WrongVectors`] if that was taught on others.
    pub fn of_recipe(vectors: Vectors, recipe: Recipe) -> Result<Self, WrongVectors> {
        let is_same = vectors.digest() == recipe.digest && vectors.dims() == recipe.dims;
        if !is_same || recipe.pooling == TextPooling::Encoder {
            return Err(WrongVectors { wanted: recipe.file, found: vectors.path().display().to_string() });
        }
        Ok(Self { harmonic: harmonic(&vectors), vectors, recipe })
    }

    /// How texts become features.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The vectors.
    pub fn vectors(&self) -> &Vectors {
        &self.vectors
    }

    /// Features `[feature_dim]` of a text.
    ///
    /// # Errors
    /// [`WordsError`] if a table cannot be read any more.
    pub fn features(&self, text: &str) -> Result<TextFeatures, WordsError> {
        let (vectors, dims, kernels) = (&self.vectors, self.vectors.dims(), Kernels::detect());
        let mut features = vec![0.0; self.recipe.feature_dim()];
        let (mut tokens, mut known) = (0, 0);
        let (mut row, mut failed) = (Vec::new(), None);
        let (first, second) = features.split_at_mut(dims);
        Finder::new(vectors, self.recipe.fold).find(text, |_, number| {
            tokens += 1;
            let Some(number) = number else { return };
            let row = match vectors.row_or_read(number, &mut row) {
                Ok(row) => row,
                Err(error) => {
                    failed.get_or_insert(error);
                    return;
                }
            };
            match self.recipe.pooling {
                TextPooling::Mean => kernels.axpy(1.0, row, first),
                TextPooling::Encoder => {}
                TextPooling::Sif => kernels.axpy(self.weight(number), row, first),
                TextPooling::MaxMean => {
                    for (largest, x) in first.iter_mut().zip(row) {
                        *largest = if known == 0 { *x } else { largest.max(*x) };
                    }
                    kernels.axpy(1.0, row, second);
                }
            }
            known += 1;
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let mean = if self.recipe.pooling == TextPooling::MaxMean { second } else { first };
        for x in mean.iter_mut().filter(|_| known > 0) {
            *x /= known as f32;
        }
        if !self.recipe.component.is_empty() {
            let share = kernels.dot(&features, &self.recipe.component);
            kernels.axpy(-share, &self.recipe.component, &mut features);
        }
        Ok(TextFeatures { features, tokens, known })
    }

    /// a / (a + p)
    fn weight(&self, number: usize) -> f32 {
        SIF_A / (SIF_A + 1.0 / ((number + 1) as f32 * self.harmonic))
    }
}

fn harmonic(vectors: &Vectors) -> f32 {
    (1..=vectors.len()).map(|rank| 1.0 / rank as f64).sum::<f64>() as f32
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, VectorReader};
    use super::*;
    use std::path::Path;

    fn vectors() -> Vectors {
        let text = "the 1 0 0\nking 0 2 0\nqueen 0 0 -3\n";
        let reader = VectorReader::new("v.txt", text.as_bytes()).expect("sound");
        Vectors::read(reader, Path::new("dir/v.txt"), &Limits::default()).expect("sound")
    }

    #[test]
    fn words_are_pooled_as_the_recipe_says() {
        let features = |pooling, text| {
            let embedder = Embedder::fit(vectors(), pooling, None, &["the king", "the queen"]).expect("in memory");
            embedder.features(text).expect("in memory")
        };
        let known = features(TextPooling::Mean, "The king, the Queen!");
        assert_eq!((known.features, known.tokens, known.known), (vec![0.5, 0.5, -0.75], 6, 4));
        let known = features(TextPooling::MaxMean, "queen the");
        assert_eq!(known.features, [1.0, 0.0, 0.0, 0.5, 0.0, -1.5]);
        for pooling in TextPooling::ALL {
            let nothing = features(pooling, "xyzzy");
            assert!(nothing.features.iter().all(|x| *x == 0.0));
            assert_eq!((nothing.tokens, nothing.known), (1, 0));
            assert_eq!(features(pooling, "").tokens, 0);
        }
    }

    /// By the definition, in other words than the code's: weights a / (a + p), and nothing left along the component.
    #[test]
    fn sif_weighs_by_zipf_and_removes_the_first_component() {
        let texts = ["the king", "the queen", "king queen", "the the"];
        let embedder = Embedder::fit(vectors(), TextPooling::Sif, None, &texts).expect("in memory");
        let component = embedder.recipe().component.clone();
        let length: f32 = component.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-6, "{length}");
        let harmonic = 1.0 + 1.0 / 2.0 + 1.0 / 3.0;
        let weight = |rank: f64| 1e-3 / (1e-3 + 1.0 / (rank * harmonic));
        let plain = [weight(1.0) / 2.0, weight(2.0) * 2.0 / 2.0, 0.0];
        let along: f64 = plain.iter().zip(&component).map(|(x, c)| x * f64::from(*c)).sum();
        let found = embedder.features("the king").expect("in memory").features;
        for ((x, c), found) in plain.iter().zip(&component).zip(&found) {
            assert!((x - along * f64::from(*c) - f64::from(*found)).abs() < 1e-9, "{found}");
        }
        // The first component explains most of the sum of squares: no other direction more.
        let rows: Vec<Vec<f32>> = texts
            .iter()
            .map(|text| {
                let unfitted = Embedder::fit(vectors(), TextPooling::Sif, None, &[]).expect("in memory");
                unfitted.features(text).expect("in memory").features
            })
            .collect();
        let energy = |direction: &[f32]| -> f32 {
            rows.iter().map(|row| row.iter().zip(direction).map(|(x, d)| x * d).sum::<f32>().powi(2)).sum()
        };
        for step in 0..360 {
            let angle = step as f32;
            let direction = [angle.cos() * (0.7 * angle).sin(), angle.sin() * (0.7 * angle).sin(), (0.7 * angle).cos()];
            assert!(energy(&direction) <= energy(&component) * 1.0001);
        }
    }

    #[test]
    fn a_recipe_survives_its_bytes_and_damaged_ones_are_refused() {
        for pooling in TextPooling::ALL {
            let embedder = Embedder::fit(vectors(), pooling, Some(Fold::Cased), &["the king"]).expect("in memory");
            let recipe = embedder.recipe().clone();
            let bytes = recipe.to_bytes();
            assert_eq!(Recipe::parse(&bytes), Ok(recipe.clone()));
            assert_eq!(recipe.file, "v.txt");
            for len in 0..bytes.len() {
                assert!(Recipe::parse(&bytes[..len]).is_err(), "{len} bytes of it");
            }
            for at in (0..4).chain(5..8) {
                let mut damaged = bytes.clone();
                damaged[at] = 0xee;
                assert!(Recipe::parse(&damaged).is_err(), "byte {at}");
            }
            let again = Embedder::of_recipe(vectors(), recipe.clone()).expect("the same vectors");
            assert_eq!(again.features("king the").ok(), embedder.features("king the").ok());
            let other = Recipe { digest: [0; 32], ..recipe };
            assert!(Embedder::of_recipe(vectors(), other).is_err());
        }
    }
}
