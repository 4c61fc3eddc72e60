//! Crop and resize, as Pillow does.

use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions};
use image::RgbImage;
use topgraft_core::preprocess::{Filter, Preprocess, Resize};

/// Crops and resizes photos to the input's size; owns the buffers that this takes.
pub(super) struct Resizer {
    inner: fast_image_resize::Resizer,
    options: ResizeOptions,
    crop: Resize,
    /// Width and height of the input.
    input: [u32; 2],
    /// The last photo at the input's width and its own height.
    narrowed: Vec<u8>,
    /// The last photo at the input's size.
    resized: Vec<u8>,
}

impl Resizer {
    pub(super) fn new(preprocess: &Preprocess) -> Self {
        // "Convolution" widens the filter's support where it shrinks the photo (antialiasing), "interpolation" not.
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(match preprocess.filter {
            Filter::Bilinear => FilterType::Bilinear,
            Filter::Bicubic => FilterType::CatmullRom,
        }));
        let input = [preprocess.width, preprocess.height].map(u32::from);
        Self {
            inner: fast_image_resize::Resizer::new(),
            options,
            crop: preprocess.resize,
            input,
            narrowed: Vec::new(),
            resized: vec![0; 3 * input[0] as usize * input[1] as usize],
        }
    }

    /// The photo at the input's size: `[height, width, 3]` u8, RGB. The same as Pillow's `crop` and `resize`, but for a
    /// value here and there that is one level off: the weights have 16 bits here and 22 there.
    ///
    /// # Panics
    /// If the photo has no pixels.
    pub(super) fn resize(&mut self, photo: &RgbImage) -> &[u8] {
        let (width, height) = photo.dimensions();
        assert!(width > 0 && height > 0, "a photo has at least one pixel");
        let input_w = self.input[0];
        let crop = crop_box([width, height], self.input, self.crop);
        let crop_h = crop[3];
        // Pillow makes the photo as wide as the input, then as high, and clips to 0..=255 in between (13.0 goes the
        // other way for a photo that grows wider and lower). In one call the resizer would always go the other way,
        // and bicubic, which overshoots at edges, would differ by up to 16 levels.
        self.narrowed.resize(3 * input_w as usize * crop_h as usize, 0);
        let (inner, options) = (&mut self.inner, &self.options);
        stretch(inner, options, photo.as_raw(), [width, height], crop, &mut self.narrowed, [input_w, crop_h]);
        let whole = [0, 0, input_w, crop_h];
        stretch(inner, options, &self.narrowed, [input_w, crop_h], whole, &mut self.resized, self.input);
        &self.resized
    }
}

/// The `crop` of a picture at another size. Buffers have three bytes a pixel, sizes are `[width, height]`.
///
/// By the types of one kind of pixel and of view: the resizer's other entry points, which choose among all kinds when they
/// run, take minutes to compile.
fn stretch(
    resizer: &mut fast_image_resize::Resizer,
    options: &ResizeOptions,
    from: &[u8],
    [width, height]: [u32; 2],
    [left, top, crop_w, crop_h]: [u32; 4],
    to: &mut [u8],
    [to_w, to_h]: [u32; 2],
) {
    let from = TypedImageRef::<U8x3>::from_buffer(width, height, from).expect("three bytes a pixel");
    let from = TypedCroppedImage::new(from, left, top, crop_w, crop_h).expect("the crop lies in the picture");
    let mut to = TypedImage::<U8x3>::from_buffer(to_w, to_h, to).expect("three bytes a pixel");
    resizer.resize_typed(&from, &mut to, options).expect("the crop lies in the picture");
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

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn resizer(width: u16, height: u16, resize: Resize, filter: Filter) -> Resizer {
        Resizer::new(&Preprocess { width, height, resize, filter, ..Preprocess::IMAGENET })
    }

    /// Every value from a fixed sequence of random numbers.
    fn noise(width: u32, height: u32) -> RgbImage {
        let mut state = 1_u32;
        RgbImage::from_fn(width, height, |_, _| {
            Rgb([(); 3].map(|()| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            }))
        })
    }

    #[test]
    fn the_crop_is_centred_and_has_the_inputs_aspect_ratio() {
        let crop = |photo, input, fraction| crop_box(photo, input, Resize::CenterCrop { fraction });
        assert_eq!(crop([640, 480], [224, 224], 1.0), [80, 0, 480, 480]);
        assert_eq!(crop([640, 480], [224, 224], 0.875), [110, 30, 420, 420]);
        assert_eq!(crop([301, 173], [224, 224], 0.875), [75, 11, 151, 151]);
        assert_eq!(crop([4000, 3000], [320, 240], 1.0), [0, 0, 4000, 3000]);
        assert_eq!(crop([3000, 4000], [320, 240], 1.0), [0, 875, 3000, 2250]);
        assert_eq!(crop([100, 100], [1, 1], 0.9), [5, 5, 90, 90]);
        assert_eq!(crop([1, 1], [224, 224], 0.01), [0, 0, 1, 1]);
        assert_eq!(crop([1, 5000], [224, 224], 0.5), [0, 2499, 1, 1]);
        assert_eq!(crop([65_535, 1], [65_535, 1], 1.0), [0, 0, 65_535, 1]);
        assert_eq!(crop_box([640, 480], [224, 224], Resize::Squeeze), [0, 0, 640, 480]);
    }

    #[test]
    fn a_photo_of_the_inputs_size_stays_as_it_is() {
        let photo = noise(31, 17);
        for filter in [Filter::Bilinear, Filter::Bicubic] {
            assert_eq!(resizer(31, 17, Resize::Squeeze, filter).resize(&photo), photo.as_raw());
        }
    }

    #[test]
    fn one_colour_stays_one_colour_at_every_size() {
        for filter in [Filter::Bilinear, Filter::Bicubic] {
            for resize in [Resize::Squeeze, Resize::CenterCrop { fraction: 0.875 }] {
                let mut resizer = resizer(33, 20, resize, filter);
                for (width, height) in [(1, 1), (1, 9), (9, 1), (2, 3), (33, 20), (500, 400), (1, 65_535), (65_535, 1)]
                {
                    let photo = RgbImage::from_pixel(width, height, Rgb([3, 128, 255]));
                    let same = resizer.resize(&photo).chunks_exact(3).all(|pixel| pixel == [3, 128, 255]);
                    assert!(same, "{width} x {height}, {filter:?}, {resize:?}");
                }
            }
        }
    }

    #[test]
    fn shrinking_is_antialiased() {
        let checks = RgbImage::from_fn(128, 128, |x, y| Rgb([255 * ((x ^ y) & 1) as u8; 3]));
        for filter in [Filter::Bilinear, Filter::Bicubic] {
            let mut resizer = resizer(16, 16, Resize::Squeeze, filter);
            assert!(resizer.resize(&checks).iter().all(|value| (125..=130).contains(value)), "{filter:?}");
        }
    }

    /// The resizer picks its instructions at run time; this value is the same for its scalar, SSE4.1 and AVX2 code.
    #[test]
    fn the_same_bits_on_every_cpu() {
        let mut hash = 0xCBF2_9CE4_8422_2325_u64; // FNV-1a
        for filter in [Filter::Bilinear, Filter::Bicubic] {
            for (width, height) in [(1, 1), (3, 50), (64, 64), (301, 173), (700, 500)] {
                let mut resizer = resizer(67, 45, Resize::CenterCrop { fraction: 0.9 }, filter);
                for &value in resizer.resize(&noise(width, height)) {
                    hash = (hash ^ u64::from(value)).wrapping_mul(0x0100_0000_01B3);
                }
            }
        }
        assert_eq!(hash, 0x5DC4_08A6_9E9D_D40A);
    }
}
