//! RGB pixels to the input tensor.

use image::RgbImage;
use ndarray::Array4;
use topgraft_core::preprocess::{Channels, Layout, Preprocess, PreprocessError};

use super::resize::Resizer;

/// A network's input, batch of one: `[1, channels, height, width]` or `[1, height, width, channels]` f32, as [`Layout`] says.
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
    channels: Vec<Channel>,
}

/// Where a channel of the tensor comes from.
struct Channel {
    source: From,
    /// `(pixel - mean) / scale` of every pixel value: one division each, instead of one a pixel.
    normalised: [f32; 256],
}

/// What of an RGB pixel it is.
#[derive(Clone, Copy)]
enum From {
    /// One of its numbers.
    Index(usize),
    /// Luma, rounded as Pillow does.
    Luma,
}

impl From {
    fn of(self, pixel: &[u8]) -> u8 {
        match self {
            Self::Index(index) => pixel[index],
            Self::Luma => {
                let share = |index: usize, weight: u32| u32::from(pixel[index]) * weight;
                ((share(0, 19595) + share(1, 38470) + share(2, 7471) + 0x8000) >> 16) as u8
            }
        }
    }
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
                Channels::Rgb => From::Index(index),
                Channels::Bgr => From::Index(2 - index),
                Channels::Grey => From::Luma,
            },
            normalised: std::array::from_fn(|pixel| (pixel as f32 - preprocess.mean[index]) / preprocess.scale[index]),
        };
        let n_channels = preprocess.channels.count();
        Ok(Self {
            resizer: Resizer::new(preprocess),
            layout: preprocess.layout,
            shape: match preprocess.layout {
                Layout::Nchw => [1, n_channels, height, width],
                Layout::Nhwc => [1, height, width, n_channels],
            },
            channels: (0..n_channels).map(channel).collect(),
        })
    }

    /// The photo's input tensor.
    ///
    /// # Panics
    /// If the photo has no pixels; [`open`](super::open) and [`decode`](super::decode) give none such.
    pub fn apply(&mut self, photo: &RgbImage) -> InputTensor {
        let pixels = self.resizer.resize(photo);
        let mut values = Vec::with_capacity(self.shape.iter().product());
        match self.layout {
            Layout::Nchw => {
                for Channel { source, normalised } in &self.channels {
                    values.extend(pixels.chunks_exact(3).map(|pixel| normalised[usize::from(source.of(pixel))]));
                }
            }
            Layout::Nhwc => {
                for pixel in pixels.chunks_exact(3) {
                    values.extend(self.channels.iter().map(|c| c.normalised[usize::from(c.source.of(pixel))]));
                }
            }
        }
        Array4::from_shape_vec(self.shape, values).expect("as many values as pixels and channels")
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use topgraft_core::preprocess::Resize;

    use super::*;

    /// For a photo of 3 x 2 pixels that is not resized.
    fn preprocess(layout: Layout, channels: Channels) -> Preprocess {
        Preprocess {
            width: 3,
            height: 2,
            layout,
            channels,
            resize: Resize::Squeeze,
            mean: [1.5, 100.0, 0.0],
            scale: [2.0, 58.395, -1.0],
            ..Preprocess::IMAGENET
        }
    }

    #[test]
    fn every_layout_and_channel_order_holds_the_normalised_pixels() {
        let photo = RgbImage::from_fn(3, 2, |x, y| Rgb([x as u8, 100 + y as u8, 200 + (x * y) as u8]));
        for layout in [Layout::Nchw, Layout::Nhwc] {
            for channels in [Channels::Rgb, Channels::Bgr] {
                let p = preprocess(layout, channels);
                let input = Preprocessor::new(&p).unwrap().apply(&photo);
                for (x, y, pixel) in photo.enumerate_pixels() {
                    for c in 0..3 {
                        let source = if channels == Channels::Rgb { c } else { 2 - c };
                        let expected = (f32::from(pixel[source]) - p.mean[c]) / p.scale[c];
                        let (x, y) = (x as usize, y as usize);
                        let at = if layout == Layout::Nchw { [0, c, y, x] } else { [0, y, x, c] };
                        assert_eq!(input[at], expected, "{layout:?} {channels:?} {at:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn grey_is_the_luma_of_pillow() {
        // Image.new("RGB", (1, 1), pixel).convert("L")
        let pixels = [([255, 0, 0], 76), ([0, 255, 0], 150), ([0, 0, 255], 29), ([10, 200, 37], 125), ([255; 3], 255)];
        let photo = RgbImage::from_fn(5, 1, |x, _| Rgb(pixels[x as usize].0));
        for layout in [Layout::Nchw, Layout::Nhwc] {
            let p = Preprocess { width: 5, height: 1, ..preprocess(layout, Channels::Grey) };
            let input = Preprocessor::new(&p).unwrap().apply(&photo);
            assert_eq!(input.shape(), if layout == Layout::Nchw { [1, 1, 1, 5] } else { [1, 1, 5, 1] });
            let expected = pixels.map(|(_, luma)| (luma as f32 - 1.5) / 2.0);
            assert!(input.iter().eq(&expected), "{input}");
        }
    }

    #[test]
    fn one_preprocessor_takes_photos_of_any_size() {
        let mut preprocessor = Preprocessor::new(&Preprocess::IMAGENET).unwrap();
        let first = preprocessor.apply(&RgbImage::from_pixel(300, 200, Rgb([9, 8, 7])));
        for (width, height) in [(1, 1), (1, 4000), (4000, 1), (640, 480)] {
            let photo = RgbImage::from_pixel(width, height, Rgb([9, 8, 7]));
            assert_eq!(preprocessor.apply(&photo), first, "{width} x {height}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let p = Preprocess { width: 0, ..Preprocess::IMAGENET };
        assert_eq!(Preprocessor::new(&p).err(), Some(PreprocessError::OutOfRange("width")));
    }

    #[test]
    #[should_panic = "at least one pixel"]
    fn a_photo_without_pixels_is_a_mistake_of_the_caller() {
        Preprocessor::new(&Preprocess::IMAGENET).unwrap().apply(&RgbImage::new(0, 9));
    }
}
