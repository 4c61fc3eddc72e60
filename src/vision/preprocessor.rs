//! RGB pixels to the input tensor.

use image::RgbImage;
use ndarray::Array4;
use topgraft_core::preprocess::{Channels, Layout, Preprocess, PreprocessError};

use super::resize::Resizer;

/// A network's input, batch of one: `[1, 3, height, width]` or `[1, height, width, 3]` f32, as [`Layout`] says.
pub type InputTensor = Array4<f32>;

/// Turns photos into input tensors; owns the resizer and its buffers, so keep one a thread.
///
/// ```
/// use topgraft::vision::Preprocessor;
/// use topgraft_core::preprocess::{Layout, Preprocess};
///
/// let preprocess = Preprocess { layout: Layout::Nhwc, mean: [127.5; 3], scale: [127.5; 3], ..Preprocess::IMAGENET };
/// let mut preprocessor = Preprocessor::new(&preprocess)?;
/// let white = image::RgbImage::from_pixel(640, 480, image::Rgb([255; 3]));
/// let input = preprocessor.apply(&white);
/// assert_eq!(input.shape(), [1, 224, 224, 3]);
/// assert!(input.iter().all(|&value| value == 1.0));
/// # Ok::<(), topgraft_core::preprocess::PreprocessError>(())
/// ```
pub struct Preprocessor {
    resizer: Resizer,
    layout: Layout,
    shape: [usize; 4],
    /// One a channel of the tensor, in its order.
    channels: [Channel; 3],
}

/// Where a channel of the tensor comes from.
struct Channel {
    /// Its index in an RGB pixel.
    source: usize,
    /// `(pixel - mean) / scale` of every pixel value: one division each, instead of one a pixel.
    normalised: [f32; 256],
}

impl Preprocessor {
    /// Prepares for photos of any size.
    ///
    /// # Errors
    /// [`PreprocessError`] if a number is out of range ([`Preprocess::check`]).
    pub fn new(preprocess: &Preprocess) -> Result<Self, PreprocessError> {
        preprocess.check()?;
        let (height, width) = (preprocess.height.into(), preprocess.width.into());
        let channel = |index: usize| Channel {
            source: match preprocess.channels {
                Channels::Rgb => index,
                Channels::Bgr => 2 - index,
            },
            normalised: std::array::from_fn(|pixel| (pixel as f32 - preprocess.mean[index]) / preprocess.scale[index]),
        };
        Ok(Self {
            resizer: Resizer::new(preprocess),
            layout: preprocess.layout,
            shape: match preprocess.layout {
                Layout::Nchw => [1, 3, height, width],
                Layout::Nhwc => [1, height, width, 3],
            },
            channels: std::array::from_fn(channel),
        })
    }

    /// The photo's input tensor.
    ///
    /// # Panics
    /// If the photo has no pixels; [`open`](super::open) and [`decode`](super::decode) give none such.
    pub fn apply(&mut self, photo: &RgbImage) -> InputTensor {
        let pixels = self.resizer.resize(photo);
        let mut values = Vec::with_capacity(pixels.len());
        match self.layout {
            Layout::Nchw => {
                for Channel { source, normalised } in &self.channels {
                    values.extend(pixels[*source..].iter().step_by(3).map(|&value| normalised[usize::from(value)]));
                }
            }
            Layout::Nhwc => {
                for pixel in pixels.chunks_exact(3) {
                    values.extend(self.channels.iter().map(|c| c.normalised[usize::from(pixel[c.source])]));
                }
            }
        }
        Array4::from_shape_vec(self.shape, values).expect("three values a pixel")
    }
}
