//! RGB pixels to the bytes of a photo file.

use image::RgbImage;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// Quality of the JPEGs that are kept, 1..=100.
const QUALITY: u8 = 92;

/// A frame as a JPEG file, of high quality: what is taught is this, decoded, so that it gives the same features at any time.
///
/// # Panics
/// If a side has no pixels, or more than 65,535.
///
/// ```
/// let frame = image::RgbImage::from_pixel(64, 48, image::Rgb([200, 40, 40]));
/// let photo = topgraft::vision::decode(&topgraft::vision::encode_jpeg(&frame))?;
/// assert_eq!(photo.dimensions(), (64, 48));
/// assert!(photo.pixels().all(|pixel| pixel[0].abs_diff(200) <= 2));
/// # Ok::<(), topgraft::vision::DecodeError>(())
/// ```
pub fn encode_jpeg(frame: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(frame.as_raw().len() / 8);
    let mut encoder = Encoder::new(&mut bytes, QUALITY);
    // Colours as fine as the rest, which the encoder does only at higher qualities by itself.
    encoder.set_sampling_factor(SamplingFactor::F_1_1);
    let side = |side: u32| u16::try_from(side).expect("a side that a JPEG can have");
    let [width, height] = [frame.width(), frame.height()].map(side);
    encoder.encode(frame, width, height, ColorType::Rgb).expect("pixels of that size");
    bytes
}
