//! Photos as plain pixels: what a model without a trunk has to learn from.

use std::path::Path;

use ndarray::Array2;
use topgraft_core::preprocess::{Channels, Filter, Layout, Preprocess, Resize};

use super::extract::{ExtractError, for_each_photo};

/// Width and height that photos are squeezed to, in pixels, as the small photos of CIFAR-10 have.
pub const PIXEL_SIDE: u16 = 32;

/// How a photo becomes its pixels.
const PREPROCESS: Preprocess = Preprocess {
    width: PIXEL_SIDE,
    height: PIXEL_SIDE,
    layout: Layout::Nchw,
    channels: Channels::Rgb,
    resize: Resize::Squeeze,
    filter: Filter::Bilinear,
    mean: [127.5; 3],
    scale: [127.5; 3],
};

/// The whole of each photo in [`PIXEL_SIDE`] x [`PIXEL_SIDE`] pixels, `[n_photos, 3 * PIXEL_SIDE * PIXEL_SIDE]`: red, then green,
/// then blue, -1..=1.
///
/// # Errors
/// The first photo that cannot be read.
///
/// ```
/// use topgraft::learn::pixels;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("photo.png");
/// image::RgbImage::from_pixel(64, 48, image::Rgb([255, 0, 0])).save(&path)?;
/// let rows = pixels(&[path])?;
/// assert_eq!((rows.dim(), rows[[0, 0]], rows[[0, 1024]]), ((1, 3072), 1.0, -1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pixels(paths: &[impl AsRef<Path> + Sync]) -> Result<Array2<f32>, ExtractError> {
    let rows = for_each_photo(&PREPROCESS, paths, || {}, |input| Ok(input.into_raw_vec_and_offset().0));
    let rows: Vec<Vec<f32>> = rows.into_iter().collect::<Result<_, _>>()?;
    let length = 3 * usize::from(PIXEL_SIDE) * usize::from(PIXEL_SIDE);
    Ok(Array2::from_shape_vec((rows.len(), length), rows.concat()).expect("a row of as many pixels for each photo"))
}
