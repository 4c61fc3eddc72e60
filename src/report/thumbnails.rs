//! The photos that one learns most from: those that the head is sure and wrong about, and those that it calls unknown.

use std::io::Cursor;
use std::path::Path;

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::thumbnail;

use super::Photo;
use super::text::shown;
use crate::vision;

/// Photos of each kind.
const MAX_PHOTOS: usize = 24;
/// Width and height that they fit in, pixels.
const SIDE: u32 = 224;
/// Of the JPEG, 1..=100.
const QUALITY: u8 = 80;
/// Characters of a file's name.
const MAX_NAME: usize = 100;

/// A small picture of a photo, and what the head says of it.
#[derive(Debug)]
pub(super) struct Thumbnail {
    /// Its path below the folder of photos.
    pub name: String,
    pub truth: u16,
    pub predicted: u16,
    /// Of the predicted class, 0..=1.
    pub probability: f32,
    pub is_unknown: bool,
    /// `None` if the photo cannot be read any more.
    pub picture: Option<Picture>,
}

#[derive(Debug)]
pub(super) struct Picture {
    pub jpeg: Vec<u8>,
    /// Width and height, pixels.
    pub size: [u32; 2],
}

/// Photos whose label is wrong, the surest first.
pub(super) fn worst(photos: &[Photo<'_>], folder: &Path) -> Vec<Thumbnail> {
    surest(photos.iter().filter(|photo| photo.truth != photo.predicted), folder)
}

/// Photos that the head calls unknown, but for those among the worst.
pub(super) fn unknown(photos: &[Photo<'_>], folder: &Path) -> Vec<Thumbnail> {
    surest(photos.iter().filter(|photo| photo.is_unknown && photo.truth == photo.predicted), folder)
}

fn surest<'a>(photos: impl Iterator<Item = &'a Photo<'a>>, folder: &Path) -> Vec<Thumbnail> {
    let mut photos: Vec<&Photo> = photos.collect();
    photos.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(a.path.cmp(b.path)));
    photos.truncate(MAX_PHOTOS);
    // One after the other: a large photo takes much memory.
    photos.into_iter().map(|photo| Thumbnail::new(photo, folder)).collect()
}

impl Thumbnail {
    fn new(photo: &Photo<'_>, folder: &Path) -> Self {
        let Photo { path, truth, predicted, probability, is_unknown } = *photo;
        let below = path.strip_prefix(folder).unwrap_or(path);
        let picture = vision::open(path).ok().and_then(|photo| Picture::new(&photo));
        Self { name: shown(&below.to_string_lossy(), MAX_NAME), truth, predicted, probability, is_unknown, picture }
    }
}

impl Picture {
    fn new(photo: &RgbImage) -> Option<Self> {
        let [width, height] = [photo.width(), photo.height()];
        let longest = width.max(height).max(1);
        // A small photo stays as it is.
        let side = |side: u32| (u64::from(side) * u64::from(SIDE.min(longest)) / u64::from(longest)).max(1) as u32;
        let size = [side(width), side(height)];
        let small = thumbnail(photo, size[0], size[1]);
        let mut jpeg = Cursor::new(Vec::new());
        JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&small).ok()?;
        Some(Self { jpeg: jpeg.into_inner(), size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_mistakes_come_first_and_what_is_gone_is_told_without_a_picture() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.png");
        RgbImage::from_pixel(500, 100, image::Rgb([9, 90, 200])).save(&path).expect("saved");
        let gone = folder.path().join("gone.png");
        let photo = |path, truth, probability, is_unknown| Photo { path, truth, predicted: 1, probability, is_unknown };
        let photos = [
            photo(path.as_path(), 0, 0.5, false),
            photo(gone.as_path(), 2, 0.9, true),
            photo(path.as_path(), 1, 0.99, false),
            photo(path.as_path(), 1, 0.4, true),
        ];
        let worst = worst(&photos, folder.path());
        assert_eq!(worst.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["gone.png", "a.png"]);
        assert!(worst[0].picture.is_none());
        let picture = worst[1].picture.as_ref().expect("a picture");
        let decoded = image::load_from_memory(&picture.jpeg).expect("a JPEG").to_rgb8();
        assert_eq!(([decoded.width(), decoded.height()], picture.size), ([224, 44], [224, 44]));
        assert!(decoded.pixels().all(|p| p.0.iter().zip([9, 90, 200]).all(|(a, b)| a.abs_diff(b) < 6)));
        assert_eq!(unknown(&photos, folder.path()).iter().map(|t| t.truth).collect::<Vec<_>>(), [1]);
        let many: Vec<Photo> = (0..100u8).map(|i| photo(path.as_path(), 0, f32::from(i) / 100.0, false)).collect();
        let worst = super::worst(&many, folder.path());
        assert_eq!((worst.len(), worst[0].probability, worst[23].probability), (24, 0.99, 0.76));
    }
}
