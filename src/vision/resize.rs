//! Crop and resize, as Pillow does.

use fast_image_resize::images::{CroppedImage, Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions};
use image::RgbImage;
use topgraft_core::preprocess::{Filter, Preprocess, Resize};

/// Crops and resizes photos to the input's size; owns the buffers that this takes.
pub(super) struct Resizer {
    inner: fast_image_resize::Resizer,
    options: ResizeOptions,
    crop: Resize,
    /// The last photo at the input's width and its own height.
    narrowed: Vec<u8>,
    /// The last photo at the input's size.
    resized: Image<'static>,
}

impl Resizer {
    pub(super) fn new(preprocess: &Preprocess) -> Self {
        // "Convolution" widens the filter's support when it shrinks the photo (antialiasing); "interpolation" would not.
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(match preprocess.filter {
            Filter::Bilinear => FilterType::Bilinear,
            Filter::Bicubic => FilterType::CatmullRom,
        }));
        let resized = Image::new(preprocess.width.into(), preprocess.height.into(), PixelType::U8x3);
        Self {
            inner: fast_image_resize::Resizer::new(),
            options,
            crop: preprocess.resize,
            narrowed: Vec::new(),
            resized,
        }
    }

    /// The photo at the input's size: `[height, width, 3]` u8, RGB. The same as Pillow's `crop` and `resize`, but that
    /// a value may be one level off: the weights have 16 bits here and 22 there.
    ///
    /// # Panics
    /// If the photo has no pixels.
    pub(super) fn resize(&mut self, photo: &RgbImage) -> &[u8] {
        let (width, height) = photo.dimensions();
        assert!(width > 0 && height > 0, "a photo has at least one pixel");
        let [left, top, crop_w, crop_h] =
            crop_box([width, height], [self.resized.width(), self.resized.height()], self.crop);
        let source = ImageRef::new(width, height, photo.as_raw(), PixelType::U8x3).expect("three bytes a pixel");
        let cropped = CroppedImage::new(&source, left, top, crop_w, crop_h).expect("the crop lies in the photo");
        // Pillow narrows the photo first, then shortens it, and clips to 0..=255 in between. In one call the resizer
        // would go the other way, which bicubic's overshoot at edges makes differ by up to 16 levels on real photos.
        self.narrowed.resize(3 * self.resized.width() as usize * crop_h as usize, 0);
        let mut narrowed = Image::from_slice_u8(self.resized.width(), crop_h, &mut self.narrowed, PixelType::U8x3)
            .expect("three bytes a pixel");
        self.inner.resize(&cropped, &mut narrowed, &self.options).expect("both have three bytes a pixel");
        self.inner.resize(&narrowed, &mut self.resized, &self.options).expect("both have three bytes a pixel");
        self.resized.buffer()
    }
}

/// Left, top, width, height of the part of a photo that is resized, in pixels; both sizes are `[width, height]`.
fn crop_box(photo: [u32; 2], input: [u32; 2], resize: Resize) -> [u32; 4] {
    let [w, h] = photo;
    let Resize::CenterCrop { fraction } = resize else { return [0, 0, w, h] };
    let aspect = f64::from(input[0]) / f64::from(input[1]);
    let side = |fitting: f64, longest: u32| {
        // In f32, where 0.9 times 100 is 90; in f64 the fraction would show as 0.89999998, and the floor be 89.
        ((fitting as f32 * fraction) as u32).clamp(1, longest)
    };
    let crop_w = side(f64::from(w).min(f64::from(h) * aspect), w);
    let crop_h = side(f64::from(h).min(f64::from(w) / aspect), h);
    [(w - crop_w) / 2, (h - crop_h) / 2, crop_w, crop_h]
}
