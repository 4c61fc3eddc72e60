//! A photo file to upright RGB pixels.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};
use thiserror::Error;

use super::jpeg;
use crate::panics::caught;

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

/// Where fewer pixels are taken than [`MAX_PIXELS`], the most bytes for each: of red, green, blue and alpha, not of 16 bits.
const MOST_BYTES_A_PIXEL: u64 = 5;

/// The most memory for what a PNG says beside its pixels, in bytes: colour profile and texts, which a small file can inflate
/// without an end. A larger profile is passed over, as all are here; a larger chunk makes the file unreadable.
const MAX_METADATA: u64 = 16 << 20;

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
    /// The header promises more pixels than are taken here.
    #[error("{width} x {height} pixels are more than the {} megapixels that are taken here; make it smaller", most / 1_000_000)]
    TooManyPixels {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// The most pixels.
        most: u64,
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
    decode_bytes(bytes, MAX_PIXELS).map_err(|error| OpenError::Decode { path: path.into(), error })
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
    decode_bytes(bytes, MAX_PIXELS)
}

/// The same for at most so many pixels: for photos from strangers, where a small file may hold a large picture.
///
/// # Errors
/// [`DecodeError`], before anything is decoded where it says that it has more.
pub fn decode_within(bytes: &[u8], most_pixels: u64) -> Result<RgbImage, DecodeError> {
    decode_bytes(bytes, most_pixels.min(MAX_PIXELS))
}

/// Width and height of a photo file in pixels, as stored: before the EXIF orientation, which may swap them.
///
/// Only the header is read, so that a caller can plan memory (3 bytes a pixel) for a folder of photos.
///
/// # Errors
/// [`OpenError`], with the path. No limit applies: the photo may still be [`TooLarge`](DecodeError::TooLarge).
pub fn dimensions(path: &Path) -> Result<(u32, u32), OpenError> {
    header(path).map(|Header { width, height, .. }| (width, height))
}

/// Bytes that [`open`]ing a photo file takes at most, by its header and its length: 84 MB for 12 megapixels of baseline
/// JPEG, 120 MB of progressive JPEG. For planning how many to open at a time.
///
/// # Errors
/// As [`dimensions`].
pub fn decoding_memory(path: &Path) -> Result<u64, OpenError> {
    let Header { width, height, bytes_per_pixel, metadata } = header(path)?;
    let file_len = path.metadata().map_err(|error| read_error(path, error))?.len();
    let pixels = (u64::from(width) * u64::from(height)).saturating_mul(bytes_per_pixel);
    Ok(pixels.saturating_add(metadata).saturating_add(file_len))
}

/// What can be known before decoding.
struct Header {
    width: u32,
    height: u32,
    /// What decoding holds at most at a time.
    bytes_per_pixel: u64,
    /// And bytes beside the pixels.
    metadata: u64,
}

fn header(path: &Path) -> Result<Header, OpenError> {
    let failed = |error| read_error(path, error);
    let refused = |error| OpenError::Decode { path: path.into(), error };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let header = match format(file.fill_buf().map_err(failed)?).map_err(refused)? {
        // The picture, and another while it is turned; or the coefficients that a progressive one is made from.
        ImageFormat::Jpeg => jpeg::frame(&mut file).map_err(ImageError::from).map(|frame| {
            let jpeg::Frame { width, height, progressive } = frame;
            Header { width, height, bytes_per_pixel: if progressive { 10 } else { 7 }, metadata: 0 }
        }),
        // Not by the decoder, which inflates the texts and the profile before the pixels.
        ImageFormat::Png => {
            let mut start = [0; 24];
            file.read_exact(&mut start).map_err(ImageError::from).map(|()| {
                // Signature, length and kind of the first chunk, which is the header, width, height.
                let side = |at: usize| u32::from_be_bytes([start[at], start[at + 1], start[at + 2], start[at + 3]]);
                Header { width: side(16), height: side(20), bytes_per_pixel: 11, metadata: MAX_METADATA }
            })
        }
        // At worst 16 bits of red, green, blue and alpha, then 8 bits of red, green and blue.
        format => caught(|| ImageReader::with_format(file, format).into_dimensions())
            .map_err(|_| refused(panicked()))?
            .map(|(width, height)| Header { width, height, bytes_per_pixel: 11, metadata: 0 }),
    };
    header.map_err(|error| refused(damage(error)))
}

/// Names of pictures that cannot be read. A folder scan takes them too: better a photo that is named as skipped than one
/// that is lost without a word.
const FOREIGN_EXTENSIONS: &[&str] = &["avif", "heic", "heif", "tif", "tiff"];

/// Whether a folder scan takes the file for a photo: it has one of the [`EXTENSIONS`] or that of another picture format
/// (HEIC, AVIF, TIFF), in any case, and is not hidden
/// (a Mac leaves a `._photo.jpg` that is no photo beside each `photo.jpg` on a memory card).
///
/// ```
/// use std::path::Path;
/// use topgraft::vision::is_photo_name;
///
/// assert!(is_photo_name(Path::new("pets/IMG_0001.JPG")));
/// assert!(!is_photo_name(Path::new("pets/._IMG_0001.JPG")));
/// assert!(is_photo_name(Path::new("pets/IMG_0002.heic")));
/// assert!(!is_photo_name(Path::new("pets/notes.txt")));
/// ```
pub fn is_photo_name(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden
        && path.extension().is_some_and(|ending| {
            EXTENSIONS.iter().chain(FOREIGN_EXTENSIONS).any(|known| ending.eq_ignore_ascii_case(known))
        })
}

/// The bytes of a photo's file, at most [`MAX_FILE_BYTES`] of them, not decoded.
///
/// # Errors
/// [`OpenError`], with the path.
pub fn read(path: &Path) -> Result<Vec<u8>, OpenError> {
    let failed = |error| read_error(path, error);
    let too_long = || OpenError::TooLong { path: path.into() };
    let file = File::open(path).map_err(failed)?;
    let len = file.metadata().map_err(failed)?.len();
    if len > MAX_FILE_BYTES {
        return Err(too_long());
    }
    let mut bytes = Vec::with_capacity(len as usize + 1);
    // That length binds nobody: a file may grow, and a pipe has none.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_long());
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

fn decode_bytes(bytes: impl AsRef<[u8]>, most: u64) -> Result<RgbImage, DecodeError> {
    let format = format(bytes.as_ref())?;
    if is_cut(bytes.as_ref(), format) {
        return Err(DecodeError::Truncated);
    }
    // image-webp 0.2.4 panics on some damaged files, and one bad photo must not end the scan of a folder.
    caught(|| decode_as(format, bytes, most)).unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> DecodeError {
    DecodeError::Damaged { reason: "the decoder panicked".into() }
}

/// The decoder of a format, the first chunks read.
fn decoder<'a>(format: ImageFormat, bytes: impl AsRef<[u8]> + 'a) -> Result<impl ImageDecoder + 'a, DecodeError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let is_png = format == ImageFormat::Png;
    reader.limits(limits(if is_png { MAX_METADATA } else { MAX_MEMORY }));
    reader.into_decoder().map_err(|error| match error {
        ImageError::Limits(_) if is_png => DecodeError::Damaged {
            reason: format!("what it holds beside pixels is larger than {} MB", MAX_METADATA >> 20),
        },
        error => damage(error),
    })
}

fn limits(bytes: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(bytes);
    limits
}

fn decode_as(format: ImageFormat, bytes: impl AsRef<[u8]>, most: u64) -> Result<RgbImage, DecodeError> {
    let mut decoder = decoder(format, bytes)?;
    // Few pixels can be of many bytes.
    let mut limits = limits(MAX_MEMORY.min(most.saturating_mul(MOST_BYTES_A_PIXEL)));

    // Before anything is allocated for the pixels.
    let (width, height) = decoder.dimensions();
    let too_large = DecodeError::TooLarge { width, height };
    if width.max(height) > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(too_large);
    }
    if u64::from(width) * u64::from(height) > most {
        return Err(DecodeError::TooManyPixels { width, height, most });
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

#[cfg(test)]
mod tests {
    use image::codecs::{gif, jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder};
    use image::{ExtendedColorType, Frame, ImageBuffer, ImageEncoder, Luma, LumaA, Rgb, Rgba};

    use super::*;

    /// A photo of 48 x 32 pixels whose quarters are grey: 30, 90 above 150, 210.
    fn quarters() -> RgbImage {
        RgbImage::from_fn(48, 32, |x, y| Rgb([30 + 60 * (x / 24) as u8 + 120 * (y / 16) as u8; 3]))
    }

    fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn png_chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
        let body = [kind, data].concat();
        let crc = !body.iter().fold(!0, |crc: u32, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
        });
        [&(data.len() as u32).to_be_bytes()[..], &body, &crc.to_be_bytes()].concat()
    }

    /// The header of a PNG and nothing else; `depth` bits a channel, RGBA.
    fn png_header(width: u32, height: u32, depth: u8) -> Vec<u8> {
        let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[depth, 6, 0, 0, 0]].concat();
        [b"\x89PNG\r\n\x1a\n".as_slice(), &png_chunk(b"IHDR", &header), &png_chunk(b"IDAT", &[])].concat()
    }

    #[test]
    fn every_orientation_comes_out_upright() {
        // The quarters of the stored photo, in the order in which they should appear.
        let upright = [
            [30, 90, 150, 210],
            [90, 30, 210, 150],
            [210, 150, 90, 30],
            [150, 210, 30, 90],
            [30, 150, 90, 210],
            [150, 30, 210, 90],
            [210, 90, 150, 30],
            [90, 210, 30, 150],
        ];
        let photo = quarters();
        for (orientation, expected) in (1..).zip(upright) {
            // A TIFF directory with one entry: tag 0x0112, one SHORT, the value.
            let exif =
                [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", &[orientation, 0, 0, 0, 0, 0, 0, 0][..]].concat();
            let (mut jpeg, mut png, mut webp) = (Vec::new(), Vec::new(), Vec::new());
            let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, 95);
            encoder.set_exif_metadata(exif.clone()).unwrap();
            encoder.write_image(&photo, 48, 32, ExtendedColorType::Rgb8).unwrap();
            let mut encoder = PngEncoder::new(&mut png);
            encoder.set_exif_metadata(exif.clone()).unwrap();
            encoder.write_image(&photo, 48, 32, ExtendedColorType::Rgb8).unwrap();
            let mut encoder = WebPEncoder::new_lossless(&mut webp);
            encoder.set_exif_metadata(exif).unwrap();
            encoder.write_image(&photo, 48, 32, ExtendedColorType::Rgb8).unwrap();
            for (format, bytes) in [("jpeg", jpeg), ("png", png), ("webp", webp)] {
                let image = decode(&bytes).unwrap();
                let (w, h) = image.dimensions();
                assert_eq!((w, h), if orientation < 5 { (48, 32) } else { (32, 48) }, "{format} {orientation}");
                let seen = [(w / 4, h / 4), (3 * w / 4, h / 4), (w / 4, 3 * h / 4), (3 * w / 4, 3 * h / 4)]
                    .map(|(x, y)| image.get_pixel(x, y)[0]);
                let near = seen.iter().zip(expected).all(|(&seen, expected)| seen.abs_diff(expected) <= 3);
                assert!(near, "{format} {orientation}: {seen:?}, expected {expected:?}");
            }
        }
    }

    #[test]
    fn a_cut_photo_is_an_error_wherever_it_is_cut() {
        use ImageFormat::{Bmp, Gif, Jpeg, Png, WebP};
        let noise = RgbImage::from_fn(90, 70, |x, y| Rgb([(x * 37 + y * 91) as u8, (x * x + y) as u8, (x ^ y) as u8]));
        for format in [Bmp, Gif, Jpeg, Png, WebP] {
            let whole = encode(noise.clone(), format);
            assert!(decode(&whole).is_ok());
            for percent in (0..100).step_by(5) {
                let cut = decode(&whole[..whole.len() * percent / 100]);
                assert!(cut.is_err(), "{format:?} cut to {percent} %");
            }
        }
        let whole = encode(noise, Jpeg);
        assert_eq!(decode(&whole[..whole.len() - 1]), Err(DecodeError::Truncated));
        assert!(decode(&[&whole[..], &[0; 999]].concat()).is_ok(), "padding after the photo");
    }

    #[test]
    fn a_header_that_promises_too_much_is_refused_before_anything_is_allocated() {
        let too_large = |width, height| Err(DecodeError::TooLarge { width, height });
        assert_eq!(decode(&png_header(60_000, 60_000, 8)), too_large(60_000, 60_000));
        assert_eq!(decode(&png_header(MAX_SIDE + 1, 1, 8)), too_large(MAX_SIDE + 1, 1));
        // 1.6 GB; 8 bits a channel would pass the header.
        assert_eq!(decode(&png_header(14_000, 14_000, 16)), too_large(14_000, 14_000));
        assert_eq!(decode(&png_header(14_000, 14_000, 8)), Err(DecodeError::Truncated));

        let mut jpeg = encode(quarters(), ImageFormat::Jpeg);
        let frame = jpeg.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
        jpeg[frame + 5..frame + 9].fill(0xFF);
        assert_eq!(decode(&jpeg), too_large(65_535, 65_535));
    }

    /// An iCCP or zTXt chunk's content that inflates to more than `len` zeros.
    fn inflating(len: usize) -> Vec<u8> {
        // A keyword, the method, then a zlib stream of one block with the fixed code: a literal 0, and matches of 258 bytes
        // at distance 1, 13 bits each.
        let (mut bytes, mut bits, mut n_bits) = (b"x\0\0\x78\x01".to_vec(), 0u32, 0);
        let mut put = |code: u32, len: u32| {
            // Codes are written from their highest bit on, into bytes from their lowest.
            (0..len).rev().for_each(|bit| {
                bits |= (code >> bit & 1) << n_bits;
                n_bits += 1;
                if n_bits == 8 {
                    bytes.push(std::mem::take(&mut bits) as u8);
                    n_bits = 0;
                }
            });
        };
        put(0b110, 3); // the last block, fixed code: 1, then 01 from the lowest bit on
        put(0b0011_0000, 8);
        let matches = len.div_ceil(258);
        (0..matches).for_each(|_| put(0b1100_0101 << 5, 13));
        put(0, 7);
        put(0, 7); // to the end of the byte at least
        let sum = (258 * matches + 1) as u32 % 65_521 * 65_536 + 1;
        bytes.extend(sum.to_be_bytes());
        bytes
    }

    #[test]
    fn a_profile_that_inflates_without_an_end_is_passed_over() {
        let sound = encode(quarters(), ImageFormat::Png);
        let with = |kind: &[u8], content: &[u8]| {
            let chunk = png_chunk(kind, content);
            // After the signature and the header.
            [&sound[..33], &chunk, &sound[33..]].concat()
        };
        let profile = |len| {
            let png = with(b"iCCP", &inflating(len));
            assert_eq!(decode(&png).unwrap(), quarters());
            decoder(ImageFormat::Png, &png).unwrap().icc_profile().unwrap().map(|profile| profile.len())
        };
        assert!(profile(1 << 20).is_some_and(|len| len > 1 << 20));
        assert_eq!(profile(MAX_METADATA as usize + 1), None);
        assert_eq!(decode(&with(b"zTXt", &inflating(MAX_METADATA as usize))).unwrap(), quarters());
        let text = [b"x\0".as_slice(), &vec![b'a'; MAX_METADATA as usize + 1]].concat();
        let error = decode(&with(b"tEXt", &text)).unwrap_err();
        assert!(error.to_string().contains("beside pixels is larger than 16 MB"), "{error}");
    }

    #[test]
    fn alpha_is_laid_over_white() {
        let pixels = [[255, 0, 0, 0], [255, 0, 0, 128], [255, 0, 0, 255], [0, 40, 80, 51]];
        let image = ImageBuffer::from_fn(4, 1, |x, _| Rgba::<u8>(pixels[x as usize]));
        let expected = [255, 255, 255, 255, 127, 127, 255, 0, 0, 204, 212, 220];
        assert_eq!(decode(&encode(image.clone(), ImageFormat::Png)).unwrap().as_raw(), &expected);
        assert_eq!(decode(&encode(image, ImageFormat::WebP)).unwrap().as_raw(), &expected);
        let deep = ImageBuffer::from_fn(2, 1, |x, _| LumaA::<u16>([257 * 100, 65_535 * x as u16]));
        assert_eq!(decode(&encode(deep, ImageFormat::Png)).unwrap().as_raw(), &[255, 255, 255, 100, 100, 100]);
    }

    #[test]
    fn sixteen_bits_are_rounded_to_eight_and_grey_is_spread_to_rgb() {
        let deep = ImageBuffer::from_fn(6, 1, |x, _| Luma::<u16>([[0, 128, 129, 385, 386, 65_535][x as usize]]));
        let eight = decode(&encode(deep, ImageFormat::Png)).unwrap();
        assert_eq!(eight.pixels().map(|p| p[1]).collect::<Vec<_>>(), [0, 0, 1, 1, 2, 255]);
        let grey = decode(&encode(ImageBuffer::from_pixel(1, 1, Luma::<u8>([77])), ImageFormat::Png)).unwrap();
        assert_eq!(grey.get_pixel(0, 0), &Rgb([77; 3]));
    }

    #[test]
    fn an_animation_is_its_first_frame_and_a_gif_may_have_no_pixels() {
        let mut bytes = Vec::new();
        let mut encoder = gif::GifEncoder::new(&mut bytes);
        for grey in [10, 200] {
            encoder.encode_frame(Frame::new(ImageBuffer::from_pixel(5, 4, Rgba([grey, grey, grey, 255])))).unwrap();
        }
        drop(encoder);
        assert_eq!(decode(&bytes).unwrap(), RgbImage::from_pixel(5, 4, Rgb([10; 3])));
        bytes[6..10].fill(0);
        assert!(matches!(decode(&bytes), Err(DecodeError::Damaged { .. })));
    }

    #[test]
    fn a_panic_of_the_decoder_is_an_error() {
        // The tables of a lossless WebP with one code too many: "index out of bounds" in image-webp 0.2.4.
        let hex = "524946467c000000574542505650384c700000002fff802a000d7521a2ffc19a808808f2b06d9b22b9b1b56fec7e2212\
                   8bab596ab18c036bf630bfccccccccccccccccef6666661e1e0f2ddb6392644b6eb5a4c6a2e488e7a8cc88c8ac9ecdd9\
                   d626479224491711318b880233378fc8868377f3febb799159613c13151e6e668a449809";
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        assert_eq!(decode(&bytes), Err(DecodeError::Damaged { reason: "the decoder panicked".into() }));
    }

    #[test]
    fn every_error_is_one_line_with_the_path_and_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let large = write("large.jpg", b"");
        File::options().write(true).open(&large).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
        let mut damaged = encode(quarters(), ImageFormat::Png);
        damaged[40..50].fill(0x55);
        let cases = [
            (folder.path().join("missing.jpg"), "check that the file exists"),
            (folder.path().into(), "it is a folder; give the path of a photo"),
            (large, "larger than 256 MB; save the photo smaller"),
            (write("empty.jpg", b""), "it is empty; copy the photo again"),
            (write("text.jpg", b"dear diary"), "not JPEG, PNG, WebP, BMP or GIF; convert it"),
            (write("tiff.jpg", b"II*\0\x08\0\0\0"), "not JPEG, PNG, WebP, BMP or GIF; convert it"),
            (write("huge.jpg", &png_header(60_000, 60_000, 8)), "60000 x 60000 pixels"),
            (write("cut.jpg", &encode(quarters(), ImageFormat::Jpeg)[..600]), "ends too early; copy the photo again"),
            (write("damaged.jpg", &damaged), "cannot be decoded ("),
        ];
        for (path, expected) in cases {
            let message = open(&path).unwrap_err().to_string();
            assert!(message.starts_with("cannot ") && message.contains(expected), "{message}");
            assert!(message.contains(path.to_str().unwrap()) && message.lines().count() == 1, "{message}");
        }
    }

    #[test]
    fn dimensions_need_the_header_only() {
        use ImageFormat::{Bmp, Gif, Jpeg, Png, WebP};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("photo");
        for format in [Bmp, Gif, Jpeg, Png, WebP] {
            std::fs::write(&path, encode(quarters(), format)).unwrap();
            assert_eq!(dimensions(&path).unwrap(), (48, 32), "{format:?}");
        }
        std::fs::write(&path, png_header(60_000, 50_000, 8)).unwrap();
        assert_eq!(dimensions(&path).unwrap(), (60_000, 50_000));
        std::fs::write(&path, png_header(u32::MAX, u32::MAX, 8)).unwrap();
        assert_eq!(decoding_memory(&path).unwrap(), u64::MAX);
        let jpeg = encode(quarters(), Jpeg);
        let scan = jpeg.windows(2).position(|marker| marker == [0xFF, 0xDA]).unwrap();
        std::fs::write(&path, &jpeg[..scan]).unwrap();
        assert_eq!(dimensions(&path).unwrap(), (48, 32));
        std::fs::write(&path, &jpeg[..20]).unwrap();
        assert!(matches!(dimensions(&path), Err(OpenError::Decode { error: DecodeError::Truncated, .. })));
        assert!(matches!(dimensions(folder.path()), Err(OpenError::Folder { .. })));
    }
}
