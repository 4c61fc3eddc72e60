//! A photo file to upright RGB pixels.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};
use thiserror::Error;

use super::jpeg;

/// The file endings that a folder scan takes for photos, in lower case.
pub const EXTENSIONS: &[&str] = &["bmp", "gif", "jpeg", "jpg", "png", "webp"];

/// The largest file read, in bytes.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

/// The most pixels decoded: above any camera, and 600 MB as RGB.
pub const MAX_PIXELS: u64 = 200_000_000;

/// The longest side decoded, in pixels: JPEG's own maximum. Without it a PNG of 200,000,000 x 1 pixels would pass, and
/// the resizer's table of weights, which grows with the side, would take gigabytes.
pub const MAX_SIDE: u32 = 65_535;

/// The most memory for the pixels as the file stores them, in bytes: 200 megapixels of RGBA fit, 16-bit ones do not.
pub const MAX_MEMORY: u64 = 1 << 30;

/// Why bytes are no photo.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// There are no bytes at all.
    #[error("it is empty; copy the photo again")]
    Empty,
    /// The content begins like no format that is read here, whatever the file's name says.
    #[error("its content is not JPEG, PNG, WebP, BMP or GIF; convert it to JPEG or PNG")]
    UnknownFormat,
    /// The header promises more than [`MAX_SIDE`], [`MAX_PIXELS`] or [`MAX_MEMORY`].
    #[error(
        "{width} x {height} pixels are more than is decoded ({} megapixels, {MAX_SIDE} a side, {} MB); make it smaller",
        MAX_PIXELS / 1_000_000, MAX_MEMORY >> 20
    )]
    TooLarge {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// The data ends early.
    #[error("its data ends too early; copy the photo again")]
    Truncated,
    /// The data breaks the format's rules, or uses a rare part of them that is not read here.
    #[error("it cannot be decoded ({reason}); copy the photo again, or convert it to PNG")]
    Damaged {
        /// The decoder's words, on one line.
        reason: String,
    },
}

/// Why a file gives no photo; the message names the file and says what to do.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file is not there, or may not be read.
    #[error("cannot read {}: {error}; check that the file exists and that you may read it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// The path is a folder's.
    #[error("cannot read {}: it is a folder; give the path of a photo in it", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// The file has more than [`MAX_FILE_BYTES`].
    #[error("cannot read {}: it is larger than {} MB; save the photo smaller", path.display(), MAX_FILE_BYTES >> 20)]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The file was read, but it is no photo.
    #[error("cannot decode {}: {error}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What is wrong with the content.
        error: DecodeError,
    },
}

/// Reads a photo file: upright RGB, 8 bits a channel.
///
/// See [`decode`] for what is done to the pixels. A 12-megapixel JPEG takes 36 MB, twice that while it is turned by a
/// quarter.
///
/// # Errors
/// [`OpenError`], with the path.
pub fn open(path: &Path) -> Result<RgbImage, OpenError> {
    let bytes = read(path)?;
    // By value: the file's bytes are freed before the pixels are allocated where the decoder keeps a copy of its own.
    decode_bytes(bytes).map_err(|error| OpenError::Decode { path: path.into(), error })
}

/// Decodes a photo in memory: upright RGB, 8 bits a channel.
///
/// The format goes by the content. Of an animation it is the first frame; the EXIF orientation is applied;
/// transparency is laid over white; 16 bits a channel are rounded to 8; CMYK is converted without a colour profile, as
/// Pillow does.
///
/// # Errors
/// [`DecodeError`].
///
/// ```
/// use topgraft::vision::{DecodeError, decode};
///
/// assert_eq!(decode(b"just a note, named photo.jpg"), Err(DecodeError::UnknownFormat));
/// ```
pub fn decode(bytes: &[u8]) -> Result<RgbImage, DecodeError> {
    decode_bytes(bytes)
}

/// Width and height of a photo file in pixels, as stored: before the EXIF orientation, which may swap them.
///
/// Only the header is read, so that a caller can plan memory (3 bytes a pixel) for a folder of photos.
///
/// # Errors
/// [`OpenError`], with the path. No limit applies: the photo may still be [`TooLarge`](DecodeError::TooLarge).
pub fn dimensions(path: &Path) -> Result<(u32, u32), OpenError> {
    let failed = |error| read_error(path, error);
    let refused = |error| OpenError::Decode { path: path.into(), error };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let size = match format(file.fill_buf().map_err(failed)?).map_err(refused)? {
        ImageFormat::Jpeg => jpeg::dimensions(&mut file).map_err(ImageError::from),
        format => ImageReader::with_format(file, format).into_dimensions(),
    };
    size.map_err(|error| refused(damage(error)))
}

/// Whether a folder scan takes the file for a photo: it has one of the [`EXTENSIONS`], in any case, and is not hidden
/// (a Mac leaves a `._photo.jpg` that is no photo beside each `photo.jpg` on a memory card).
///
/// ```
/// use std::path::Path;
/// use topgraft::vision::is_photo_name;
///
/// assert!(is_photo_name(Path::new("pets/IMG_0001.JPG")));
/// assert!(!is_photo_name(Path::new("pets/._IMG_0001.JPG")));
/// assert!(!is_photo_name(Path::new("pets/notes.txt")));
/// ```
pub fn is_photo_name(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|ending| EXTENSIONS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

/// The file's bytes, at most [`MAX_FILE_BYTES`] of them.
fn read(path: &Path) -> Result<Vec<u8>, OpenError> {
    let failed = |error| read_error(path, error);
    let file = File::open(path).map_err(failed)?;
    // The length is a hint for the allocation only: the file may grow, and a pipe has none.
    let expected = file.metadata().map_err(failed)?.len().min(MAX_FILE_BYTES);
    let mut bytes = Vec::with_capacity(expected as usize + 1);
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(OpenError::TooLong { path: path.into() });
    }
    Ok(bytes)
}

fn read_error(path: &Path, error: io::Error) -> OpenError {
    let path = path.into();
    match error.kind() {
        io::ErrorKind::IsADirectory => OpenError::Folder { path },
        _ => OpenError::Read { path, error },
    }
}

fn decode_bytes(bytes: impl AsRef<[u8]>) -> Result<RgbImage, DecodeError> {
    let format = format(bytes.as_ref())?;
    if is_cut(bytes.as_ref(), format) {
        return Err(DecodeError::Truncated);
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_MEMORY);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(damage)?;

    // Before anything is allocated for the pixels.
    let (width, height) = decoder.dimensions();
    let too_large = DecodeError::TooLarge { width, height };
    if width.max(height) > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(too_large);
    }
    if width == 0 || height == 0 {
        return Err(DecodeError::Damaged { reason: "it has no pixels".into() });
    }
    // `from_decoder` below does not count the pixels themselves.
    if limits.reserve(decoder.total_bytes()).and_then(|()| decoder.set_limits(limits)).is_err() {
        return Err(too_large);
    }

    // A photo with broken metadata is a photo still.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(|error| match error {
        ImageError::Limits(_) => too_large,
        error => damage(error),
    })?;
    // Over white first: turning is then 3 bytes a pixel.
    let mut image = DynamicImage::ImageRgb8(over_white(image));
    image.apply_orientation(orientation);
    Ok(image.into_rgb8())
}

/// The format that the first bytes tell, if it is one of those read here.
fn format(bytes: &[u8]) -> Result<ImageFormat, DecodeError> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, WebP};
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    match image::guess_format(bytes) {
        Ok(format @ (Bmp | Gif | Jpeg | Png | WebP)) => Ok(format),
        _ => Err(DecodeError::UnknownFormat),
    }
}

/// Whether the file ends early in a way that its decoder would pass over: JPEG's paints the missing part grey, WebP's
/// the last blocks wrong. The others notice.
fn is_cut(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        ImageFormat::Jpeg => !jpeg::is_whole(bytes),
        // "RIFF", then the number of the bytes that follow, little-endian.
        ImageFormat::WebP => {
            let promised = bytes.get(4..8).map(|len| u32::from_le_bytes([len[0], len[1], len[2], len[3]]));
            promised.is_none_or(|promised| u64::from(promised) > bytes.len() as u64 - 8)
        }
        _ => false,
    }
}

fn damage(error: ImageError) -> DecodeError {
    match error {
        ImageError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => DecodeError::Truncated,
        error => DecodeError::Damaged { reason: error.to_string().replace('\n', " ") },
    }
}

/// RGB without a copy if the image is so already; alpha is composited over white.
fn over_white(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let rgba = image.into_rgba8();
    let (width, height) = rgba.dimensions();
    let mut bytes = rgba.into_raw();
    let n_pixels = bytes.len() / 4;
    // In place: pixel `i` is written below where pixel `i + 1` is read.
    for i in 0..n_pixels {
        let alpha = u32::from(bytes[4 * i + 3]);
        for channel in 0..3 {
            let colour = u32::from(bytes[4 * i + channel]);
            // Rounded to nearest; colour and white are weighted alpha : 255 - alpha.
            bytes[3 * i + channel] = ((colour * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        }
    }
    bytes.truncate(3 * n_pixels);
    RgbImage::from_raw(width, height, bytes).expect("three bytes a pixel")
}
