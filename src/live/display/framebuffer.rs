//! The framebuffer of Linux, by reading and writing files only: what it is like is read from sysfs, and a frame is composed
//! in memory and written row by row.

use std::fs::{File, OpenOptions, read_to_string};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use embedded_graphics::geometry::{Point, Size};
use embedded_graphics::pixelcolor::raw::ToBytes;
use embedded_graphics::pixelcolor::{Rgb565, Rgb888};
use image::Rgb;

use super::screen::{Panel, ScreenError};
use super::{Canvas, Paint, Rotation, Theme, View, compose};

/// Of its pixels in memory, little-endian.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Format {
    Rgb565,
    Xrgb8888,
}

/// A framebuffer.
#[derive(Debug)]
pub struct Framebuffer {
    path: PathBuf,
    file: File,
    /// What the driver calls itself.
    name: String,
    size: Size,
    format: Format,
    /// From the begin of a row to that of the next.
    stride: u64,
    rotation: Rotation,
}

impl Framebuffer {
    /// Opens a device, such as `/dev/fb0`, that `sysfs`, `/sys/class/graphics`, tells about in a folder of its name.
    ///
    /// # Errors
    /// [`ScreenError`]: it is not there, may not be written, or has pixels of neither 16 nor 32 bits.
    pub fn open(device: &Path, sysfs: &Path, rotation: Rotation) -> Result<Self, ScreenError> {
        let advice = "is a screen connected? `ls /dev/fb*` lists what there is";
        let opening = |source| ScreenError::opening(device, source, "video", advice);
        let file = OpenOptions::new().write(true).open(device).map_err(opening)?;
        // A link may give it another name.
        let path = device.canonicalize().map_err(opening)?;
        let folder = sysfs.join(path.file_name().unwrap_or_default());
        let told = |name: &str| {
            let path = folder.join(name);
            let text = read_to_string(&path).map_err(|source| ScreenError::opening(&path, source, "video", advice))?;
            Ok((path, text.trim().to_owned()))
        };
        let odd = |(path, value), wanted| ScreenError::Geometry { path, value, wanted };

        let bits = told("bits_per_pixel")?;
        let (format, bytes) = match bits.1.as_str() {
            "16" => (Format::Rgb565, 2),
            "32" => (Format::Xrgb8888, 4),
            _ => return Err(odd(bits, "set the screen to 16 or 32 bits per pixel")),
        };
        let virtual_size = told("virtual_size")?;
        let all = pair(&virtual_size.1, ',')
            .filter(|size| size.width.min(size.height) > 0 && size.width.max(size.height) <= 8192);
        let all = all.ok_or_else(|| odd(virtual_size, "wanted is width,height"))?;
        // With two frames in memory it is twice as high as what is seen. Not every driver tells what is.
        let mode = told("modes").ok().and_then(|(_, modes)| visible(&modes));
        let size = mode.filter(|seen| seen.width <= all.width && seen.height <= all.height).unwrap_or(all);
        let stride = told("stride")?;
        let row = u64::from(all.width) * bytes;
        let stride = match stride.1.parse() {
            Ok(stride) if (row..=16 * row).contains(&stride) => stride,
            _ => return Err(odd(stride, "wanted are the bytes of a row")),
        };
        let name = told("name").map(|(_, name)| name).unwrap_or_default();
        Ok(Self { path: device.to_path_buf(), file, name, size, format, stride, rotation })
    }

    /// What its driver calls itself.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes a picture of its size, as it is before the screen is turned.
    fn write(&mut self, canvas: &Canvas) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        for (y, row) in (0u64..).zip(canvas.picture().rows()) {
            bytes.clear();
            for Rgb([r, g, b]) in row {
                match self.format {
                    Format::Rgb565 => bytes.extend(Rgb565::paint(Rgb888::new(*r, *g, *b), Point::zero()).to_le_bytes()),
                    Format::Xrgb8888 => bytes.extend([*b, *g, *r, 0xff]),
                }
            }
            self.file.seek(SeekFrom::Start(y * self.stride))?;
            self.file.write_all(&bytes)?;
        }
        Ok(())
    }
}

impl Panel for Framebuffer {
    fn size(&self) -> Size {
        self.rotation.turned(self.size)
    }

    fn show(&mut self, view: &View<'_>) -> Result<(), ScreenError> {
        let canvas = compose(self.size(), view, &Theme::DARK).rotated(self.rotation);
        self.write(&canvas).map_err(|source| ScreenError::Io { path: self.path.clone(), source })
    }
}

/// Of `U:800x480p-60`, the first of the modes.
fn visible(modes: &str) -> Option<Size> {
    let mode = modes.lines().next()?.split_once(':')?.1;
    pair(mode.split(|letter: char| !letter.is_ascii_digit() && letter != 'x').next()?, 'x')
}

fn pair(text: &str, between: char) -> Option<Size> {
    let (width, height) = text.split_once(between)?;
    Some(Size::new(width.parse().ok()?, height.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::display::State;

    const VIEW: View<'_> =
        View { frame: None, label: "owl", bars: &[("owl", 0.9)], state: State::Watching, footer: "" };

    /// A device and its folder in sysfs.
    fn faked(files: &[(&str, &str)], bytes: usize) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let (device, sysfs) = (root.path().join("fb1"), root.path().join("graphics"));
        std::fs::create_dir_all(sysfs.join("fb1")).unwrap();
        std::fs::write(&device, vec![0xaa; bytes]).unwrap();
        for (name, value) in files {
            std::fs::write(sysfs.join("fb1").join(name), format!("{value}\n")).unwrap();
        }
        (root, device, sysfs)
    }

    #[test]
    fn sixteen_bits_with_padding() {
        let files = [
            ("bits_per_pixel", "16"),
            ("virtual_size", "160,256"),
            ("stride", "336"),
            ("name", "fb_st7735r"),
            ("modes", "U:160x128p-60"),
        ];
        let (_root, device, sysfs) = faked(&files, 336 * 256);
        let mut framebuffer = Framebuffer::open(&device, &sysfs, Rotation::Deg0).unwrap();
        assert_eq!((framebuffer.size(), framebuffer.name()), (Size::new(160, 128), "fb_st7735r"));
        framebuffer.show(&VIEW).unwrap();
        let bytes = std::fs::read(&device).unwrap();
        assert_eq!(bytes.len(), 336 * 256);
        let paper = u16::from_le_bytes([bytes[0], bytes[1]]);
        assert_eq!(paper, (2 << 11) | (4 << 5) | 2);
        let is_untouched = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0xaa);
        assert!(bytes.chunks(336).take(128).all(|row| is_untouched(&row[320..]) && !is_untouched(&row[..320])));
        assert!(is_untouched(&bytes[336 * 128..]), "nothing is written where nothing is seen");
    }

    #[test]
    fn thirty_two_bits_turned() {
        let files = [("bits_per_pixel", "32"), ("virtual_size", "320,240"), ("stride", "1280")];
        let (_root, device, sysfs) = faked(&files, 1280 * 240);
        let mut framebuffer = Framebuffer::open(&device, &sysfs, Rotation::Deg90).unwrap();
        assert_eq!(framebuffer.size(), Size::new(240, 320));
        framebuffer.show(&VIEW).unwrap();
        let upright = compose(Size::new(240, 320), &VIEW, &Theme::DARK);
        let bytes = std::fs::read(&device).unwrap();
        for (x, y, pixel) in upright.picture().enumerate_pixels() {
            let at = (x * 320 + 319 - y) as usize * 4;
            assert_eq!(bytes[at..at + 4], [pixel[2], pixel[1], pixel[0], 0xff]);
        }
    }

    #[test]
    fn what_cannot_be_drawn_on_is_told() {
        let good = [("bits_per_pixel", "32"), ("virtual_size", "320,240"), ("stride", "1280")];
        for (name, value) in [
            ("bits_per_pixel", "8"),
            ("virtual_size", "320"),
            ("virtual_size", "0,240"),
            ("stride", "640"),
            ("stride", ""),
        ] {
            let mut files = good.to_vec();
            files.push((name, value));
            let (_root, device, sysfs) = faked(&files, 0);
            let error = Framebuffer::open(&device, &sysfs, Rotation::Deg0).unwrap_err();
            assert!(matches!(&error, ScreenError::Geometry { path, .. } if path.ends_with(name)), "{error}");
        }
        let (_root, device, sysfs) = faked(&[], 0);
        assert!(matches!(Framebuffer::open(&device, &sysfs, Rotation::Deg0), Err(ScreenError::Missing { .. })));
    }
}
