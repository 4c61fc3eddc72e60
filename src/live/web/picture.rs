//! JPEGs for the page: the live picture, and thumbnails.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use image::RgbImage;
use jpeg_encoder::{ColorType, Encoder};

/// The longest side of a thumbnail, in pixels,
const THUMBNAIL: u32 = 128;
/// of the live picture,
const LIVE: u32 = 640;
/// and of a photo that is kept: no trunk takes more.
const KEPT: u32 = 1280;
/// Quality, 1..=100: of what is looked at once.
const QUALITY: u8 = 75;
/// Bytes of thumbnails that are remembered.
const REMEMBERED: usize = 2 << 20;

/// Thumbnails that were asked for not long ago, and the newest frame.
#[derive(Default)]
pub struct Pictures {
    thumbnails: Mutex<VecDeque<(i64, Bytes)>>,
    frame: Mutex<Option<(u64, Bytes)>>,
}

impl Pictures {
    /// The thumbnail of a sample, if it is remembered.
    pub fn remembered(&self, id: i64) -> Option<Bytes> {
        let thumbnails = self.thumbnails.lock().unwrap_or_else(PoisonError::into_inner);
        thumbnails.iter().find(|(known, _)| *known == id).map(|(_, bytes)| bytes.clone())
    }

    /// The thumbnail of a sample, whose photo never changes; made if it is not remembered.
    pub fn thumbnail<E>(&self, id: i64, photo: impl FnOnce() -> Result<RgbImage, E>) -> Result<Bytes, E> {
        if let Some(bytes) = self.remembered(id) {
            return Ok(bytes);
        }
        let bytes = encode(&shrunk(&photo()?, THUMBNAIL));
        let mut thumbnails = self.thumbnails.lock().unwrap_or_else(PoisonError::into_inner);
        thumbnails.push_back((id, bytes.clone()));
        let mut held: usize = thumbnails.iter().map(|(_, bytes)| bytes.len()).sum();
        while held > REMEMBERED
            && let Some((_, oldest)) = thumbnails.pop_front()
        {
            held -= oldest.len();
        }
        Ok(bytes)
    }

    /// The newest frame, which is encoded once however many ask for it.
    pub fn frame(&self, number: u64, frame: &RgbImage) -> Bytes {
        let mut newest = self.frame.lock().unwrap_or_else(PoisonError::into_inner);
        match &*newest {
            Some((known, bytes)) if *known == number => bytes.clone(),
            _ => {
                let bytes = live(frame);
                *newest = Some((number, bytes.clone()));
                bytes
            }
        }
    }
}

/// The live picture of a frame.
pub fn live(frame: &RgbImage) -> Bytes {
    match frame.width().max(frame.height()) > LIVE {
        true => encode(&shrunk(frame, LIVE)),
        false => encode(frame),
    }
}

/// A photo as it is kept, or `None` if it is kept as it came: a phone's has many more pixels than any trunk takes.
pub fn kept(photo: &RgbImage) -> Option<RgbImage> {
    (photo.width().max(photo.height()) > KEPT).then(|| shrunk(photo, KEPT))
}

fn shrunk(image: &RgbImage, longest: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    if width.max(height) <= longest {
        return image.clone();
    }
    let side = |side: u32| (u64::from(side) * u64::from(longest) / u64::from(width.max(height))).max(1) as u32;
    image::imageops::thumbnail(image, side(width), side(height))
}

fn encode(image: &RgbImage) -> Bytes {
    let mut bytes = Vec::with_capacity(image.as_raw().len() / 16);
    let side = |side: u32| u16::try_from(side).expect("a side of no more than a photo's");
    let [width, height] = [image.width(), image.height()].map(side);
    let encoder = Encoder::new(&mut bytes, QUALITY);
    encoder.encode(image, width, height, ColorType::Rgb).expect("pixels of that size");
    Bytes::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::decode;

    #[test]
    fn pictures_keep_their_shape_and_are_made_once() {
        let photo = RgbImage::from_pixel(2000, 500, image::Rgb([200, 30, 30]));
        let pictures = Pictures::default();
        let mut made = 0;
        for _ in 0..3 {
            let bytes = pictures.thumbnail(7, || {
                made += 1;
                Ok::<_, ()>(photo.clone())
            });
            assert_eq!(decode(&bytes.expect("made")).expect("a photo").dimensions(), (128, 32));
        }
        assert_eq!(made, 1);
        assert_eq!(decode(&live(&photo)).expect("a photo").dimensions(), (640, 160));
        assert_eq!(kept(&photo).expect("too large").dimensions(), (1280, 320));
        assert!(kept(&RgbImage::new(1280, 3)).is_none());
        assert_eq!(shrunk(&RgbImage::new(3000, 1), 128).dimensions(), (128, 1));
    }

    #[test]
    fn no_more_thumbnails_are_remembered_than_there_is_room_for() {
        let pictures = Pictures::default();
        let noise =
            RgbImage::from_fn(128, 128, |x, y| image::Rgb([(x * 31 + y * y * 17) as u8, (x * y) as u8, (x ^ y) as u8]));
        for id in 0..400 {
            pictures.thumbnail(id, || Ok::<_, ()>(noise.clone())).expect("made");
        }
        let thumbnails = pictures.thumbnails.lock().expect("free");
        assert!(thumbnails.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() <= REMEMBERED);
        assert!(thumbnails.len() > 50 && thumbnails.back().is_some_and(|(id, _)| *id == 399));
    }
}
