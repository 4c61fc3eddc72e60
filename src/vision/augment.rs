//! Further views of a photo, as the camera might have seen the same thing.

use image::RgbImage;
use image::imageops::{crop_imm, flip_horizontal};

/// The least share of a photo's area that a crop keeps, and how far the ratio of its sides is from the photo's.
const LEAST_AREA: f64 = 0.5;
const MOST_STRETCH: f64 = 4.0 / 3.0;
/// How far brightness, contrast and saturation are from what they were.
const MOST_COLOR: f64 = 0.3;

/// What is changed at random: the usual transformations of image classification (Krizhevsky et al. 2012; Howard 2013, "Some
/// improvements on deep convolutional neural network based image classification"; the crops as Szegedy et al. 2014).
///
/// ```
/// use topgraft::vision::Augment;
/// let photo = image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([6 * x as u8, 8 * y as u8, 0]));
/// let flip = Augment { flip: true, ..Augment::default() };
/// // Numbers from 0 to 1 say what happens; below a half, the photo is flipped.
/// assert_eq!(flip.apply(&photo, &mut || 0.3), image::imageops::flip_horizontal(&photo));
/// assert_eq!(flip.apply(&photo, &mut || 0.7), photo);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Augment {
    /// Left and right change places, half of the time. Not for things that differ by that: letters, signs, left and right
    /// hands.
    pub flip: bool,
    /// A part of at least half the area, a little wider or higher.
    pub crop: bool,
    /// Brightness, contrast and saturation by up to 30 %.
    pub color: bool,
}

impl Augment {
    /// A view of `photo`; `uniform` gives random numbers from 0 to 1.
    pub fn apply(&self, photo: &RgbImage, uniform: &mut dyn FnMut() -> f64) -> RgbImage {
        let mut view = match self.flip && uniform() < 0.5 {
            true => flip_horizontal(photo),
            false => photo.clone(),
        };
        if self.crop {
            view = crop(&view, uniform);
        }
        if self.color {
            color(&mut view, uniform);
        }
        view
    }
}

fn crop(photo: &RgbImage, uniform: &mut dyn FnMut() -> f64) -> RgbImage {
    let area = LEAST_AREA + (1.0 - LEAST_AREA) * uniform();
    let stretch = MOST_STRETCH.powf(2.0 * uniform() - 1.0);
    let side = |length: u32, share: f64| ((f64::from(length) * share.sqrt()).round() as u32).clamp(1, length.max(1));
    let (width, height) = (side(photo.width(), area * stretch), side(photo.height(), area / stretch));
    let mut place = |free: u32| (f64::from(free) * uniform()).round() as u32;
    let (x, y) = (place(photo.width() - width), place(photo.height() - height));
    crop_imm(photo, x, y, width, height).to_image()
}

fn color(photo: &mut RgbImage, uniform: &mut dyn FnMut() -> f64) {
    let mut factor = || (1.0 + MOST_COLOR * (2.0 * uniform() - 1.0)) as f32;
    let (brightness, contrast, saturation) = (factor(), factor(), factor());
    let luma = |pixel: &image::Rgb<u8>| {
        let [r, g, b] = pixel.0.map(f32::from);
        0.299 * r + 0.587 * g + 0.114 * b
    };
    let mean = photo.pixels().map(|pixel| f64::from(luma(pixel))).sum::<f64>() / photo.pixels().len().max(1) as f64;
    let mean = mean as f32 * brightness;
    for pixel in photo.pixels_mut() {
        let grey = luma(pixel);
        let change = |value: u8| {
            let saturated = grey + (f32::from(value) - grey) * saturation;
            // Rounds, and stays in 0..=255.
            (mean + (saturated * brightness - mean) * contrast).round() as u8
        };
        pixel.0 = pixel.0.map(change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Augment = Augment { flip: true, crop: true, color: true };

    fn photo() -> RgbImage {
        RgbImage::from_fn(60, 40, |x, y| image::Rgb([(4 * x) as u8, (6 * y) as u8, 90]))
    }

    #[test]
    fn a_crop_keeps_half_the_area_and_stays_inside() {
        let crop_only = Augment { crop: true, ..Augment::default() };
        for step in 0..=20 {
            let mut numbers = (0..).map(|i| f64::from((step * 7 + i * 5) % 21) / 20.0);
            let view = crop_only.apply(&photo(), &mut || numbers.next().expect("endless"));
            let area = view.width() * view.height();
            // A side that the stretch would make longer than the photo's is as long as that.
            assert!(area >= 60 * 40 * 4 / 10 && view.width() <= 60 && view.height() <= 40, "{:?}", view.dimensions());
        }
        assert_eq!(crop_only.apply(&RgbImage::new(1, 1), &mut || 1.0).dimensions(), (1, 1));
    }

    #[test]
    fn middling_numbers_leave_the_colours_as_they_are() {
        let color_only = Augment { color: true, ..Augment::default() };
        assert_eq!(color_only.apply(&photo(), &mut || 0.5), photo());
        let bright = color_only.apply(&photo(), &mut || 1.0);
        let sum = |photo: &RgbImage| photo.pixels().map(|pixel| u64::from(pixel[1])).sum::<u64>();
        assert!(sum(&bright) > sum(&photo()));
    }

    #[test]
    fn the_same_numbers_give_the_same_view_and_nothing_asked_for_changes_nothing() {
        assert_eq!(ALL.apply(&photo(), &mut || 0.2), ALL.apply(&photo(), &mut || 0.2));
        assert_eq!(Augment::default().apply(&photo(), &mut || 0.2), photo());
    }
}
