//! How the words of texts are pooled: as suits these texts.

use ndarray::Axis;
use topgraft_core::head::Kind;

use super::dataset::Dataset;
use super::fit::{LearnError, Settings, fit_with};
use super::scaling::Scaling;
use super::text_trunk::{TextError, TextTrunk};
use super::texts::Texts;
use crate::words::{Embedder, TextPooling, WordsError};

/// Why no pooling could be chosen.
#[derive(Debug, thiserror::Error)]
pub enum PoolingError {
    /// The vectors cannot be read.
    #[error(transparent)]
    Words(#[from] WordsError),
    /// A text has no features.
    #[error(transparent)]
    Text(#[from] TextError),
    /// No head can be fitted.
    #[error(transparent)]
    Learn(#[from] LearnError),
}

/// The scaling that suits features of this pooling. Of means the direction tells more than the length; the largest numbers have
/// each a mean and a spread of its own.
pub fn scaling_of(pooling: TextPooling) -> Scaling {
    match pooling {
        TextPooling::Mean | TextPooling::Sif | TextPooling::Encoder => Scaling::L2,
        TextPooling::MaxMean => Scaling::Standard,
    }
}

/// The pooling, mean or max+mean, whose head has the lower left-out log-loss on the texts of `dataset`, which are all or some of
/// `texts`. `scalings` are tried with either; `None` is [that of the pooling](scaling_of). docs/texts.md has what the choice gains.
///
/// # Errors
/// [`PoolingError`].
///
/// # Panics
/// If a sample of `dataset` is not one of `texts`.
pub fn choose_pooling(
    embedder: Embedder,
    texts: &Texts,
    dataset: &Dataset,
    scalings: Option<&[Scaling]>,
    kinds: &[Kind],
) -> Result<Embedder, PoolingError> {
    let labels: Vec<u16> = dataset.samples.iter().map(|sample| sample.label).collect();
    let mut embedder = embedder;
    let mut best: Option<(f64, TextPooling)> = None;
    for pooling in [TextPooling::Mean, TextPooling::MaxMean] {
        let trunk = TextTrunk::from(embedder.repooled(pooling, &[])?);
        let (rows, _) = texts.rows(&trunk, || {})?;
        let index = rows.index();
        let chosen: Vec<usize> = dataset.samples.iter().map(|sample| index[sample.path.as_path()]).collect();
        let features = rows.values.select(Axis(0), &chosen);
        let own = [scaling_of(pooling)];
        let settings = Settings { scalings: scalings.unwrap_or(&own), kinds, ..Settings::default() };
        let loss = fit_with(features.view(), &labels, dataset.classes.len(), &settings)?.left_out.log_loss();
        if best.is_none_or(|(least, _)| loss < least) {
            best = Some((loss, pooling));
        }
        embedder = trunk.into_words().expect("is of words");
    }
    Ok(embedder.repooled(best.map_or(TextPooling::Mean, |(_, pooling)| pooling), &[])?)
}
