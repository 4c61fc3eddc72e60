//! How a photo becomes the trunk's input tensor: plain data, the same in the catalog and in the head file.

/// Memory order of the input tensor, batch of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[1, channels, height, width]`
    Nchw,
    /// `[1, height, width, channels]`
    Nhwc,
}

/// The channels and their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red, as Caffe models expect.
    Bgr,
    /// One: luma, 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601), as Pillow's `L`.
    Grey,
}

impl Channels {
    /// How many: 3, or 1.
    pub const fn count(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Grey => 1,
        }
    }
}

/// Which part of the photo is resized to the input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Resize {
    /// The whole photo, its aspect ratio lost.
    Squeeze,
    /// The centred rectangle of the input's aspect ratio whose size is `fraction` (0..=1] of the largest one that fits.
    CenterCrop {
        /// Share of the largest fitting rectangle's side, e.g. 0.875 = 224 / 256.
        fraction: f32,
    },
}

/// Resampling filter; downscaling widens the support as Pillow does (antialiasing).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Triangle, support 1.
    Bilinear,
    /// Catmull-Rom (a = -0.5), support 2: Pillow's `BICUBIC`.
    Bicubic,
}

/// How a photo becomes an input tensor: crop, resize, then `(pixel - mean) / scale` for each channel, pixel in 0..=255.
///
/// ```
/// use topgraft_core::preprocess::Preprocess;
/// let p = Preprocess::IMAGENET;
/// assert_eq!(Preprocess::from_bytes(&p.to_bytes()), Ok(p));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preprocess {
    /// Input width in pixels, 1..=[`MAX_SIDE`](Self::MAX_SIDE).
    pub width: u16,
    /// Input height in pixels, 1..=[`MAX_SIDE`](Self::MAX_SIDE).
    pub height: u16,
    /// Memory order of the tensor.
    pub layout: Layout,
    /// Channel order of the tensor; `mean` and `scale` are in that order too.
    pub channels: Channels,
    /// Which part of the photo is used.
    pub resize: Resize,
    /// Resampling filter.
    pub filter: Filter,
    /// Subtracted from each channel, in units of 0..=255; the first counts where there is one channel.
    pub mean: [f32; 3],
    /// Divides each channel, in units of 0..=255, finite and not 0; the first counts where there is one channel.
    pub scale: [f32; 3],
}

/// Why bytes are no [`Preprocess`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreprocessError {
    /// A code that this version does not know; the field's name.
    UnknownCode(&'static str),
    /// A number outside of its range; the field's name.
    OutOfRange(&'static str),
}

impl core::fmt::Display for PreprocessError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::UnknownCode(field) => write!(f, "preprocessing has an unknown code for {field}"),
            Self::OutOfRange(field) => write!(f, "preprocessing has {field} out of range"),
        }
    }
}

impl core::error::Error for PreprocessError {}

impl Preprocess {
    /// The largest width and height: what a hostile file may make us allocate is 200 MB, not 13 GB.
    pub const MAX_SIDE: u16 = 4096;

    /// Bytes of the encoding.
    pub const ENCODED_LEN: usize = 36;

    /// What most ImageNet models expect (torchvision's): 224 x 224 RGB, centre crop 0.875, bilinear.
    pub const IMAGENET: Self = Self {
        width: 224,
        height: 224,
        layout: Layout::Nchw,
        channels: Channels::Rgb,
        resize: Resize::CenterCrop { fraction: 0.875 },
        filter: Filter::Bilinear,
        mean: [123.675, 116.28, 103.53],
        scale: [58.395, 57.12, 57.375],
    };

    /// The encoding of the head file and of the trunk's fingerprint, little-endian (FORMAT.md).
    pub fn to_bytes(&self) -> [u8; Self::ENCODED_LEN] {
        let (resize, fraction) = match self.resize {
            Resize::Squeeze => (0, 1.0),
            Resize::CenterCrop { fraction } => (1, fraction),
        };
        let mut out = [0; Self::ENCODED_LEN];
        out[0..2].copy_from_slice(&self.width.to_le_bytes());
        out[2..4].copy_from_slice(&self.height.to_le_bytes());
        out[4] = self.layout as u8;
        out[5] = self.channels as u8;
        out[6] = resize;
        out[7] = self.filter as u8;
        let floats = core::iter::once(&fraction).chain(&self.mean).chain(&self.scale);
        for (at, value) in out[8..].chunks_exact_mut(4).zip(floats) {
            at.copy_from_slice(&value.to_le_bytes());
        }
        out
    }

    /// Reads [`to_bytes`](Self::to_bytes)' encoding and checks it.
    ///
    /// # Errors
    /// An unknown code, or a number out of the range that the field's doc states.
    pub fn from_bytes(bytes: &[u8; Self::ENCODED_LEN]) -> Result<Self, PreprocessError> {
        let float = |i: usize| {
            let at = 8 + 4 * i;
            f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let read = Self {
            width: u16::from_le_bytes([bytes[0], bytes[1]]),
            height: u16::from_le_bytes([bytes[2], bytes[3]]),
            layout: match bytes[4] {
                0 => Layout::Nchw,
                1 => Layout::Nhwc,
                _ => return Err(PreprocessError::UnknownCode("layout")),
            },
            channels: match bytes[5] {
                0 => Channels::Rgb,
                1 => Channels::Bgr,
                2 => Channels::Grey,
                _ => return Err(PreprocessError::UnknownCode("channels")),
            },
            resize: match bytes[6] {
                0 => Resize::Squeeze,
                1 => Resize::CenterCrop { fraction: float(0) },
                _ => return Err(PreprocessError::UnknownCode("resize")),
            },
            filter: match bytes[7] {
                0 => Filter::Bilinear,
                1 => Filter::Bicubic,
                _ => return Err(PreprocessError::UnknownCode("filter")),
            },
            mean: [float(1), float(2), float(3)],
            scale: [float(4), float(5), float(6)],
        };
        read.check().map(|()| read)
    }

    /// Checks that every number is in the range that its field's doc states.
    ///
    /// # Errors
    /// [`PreprocessError::OutOfRange`] with the field's name.
    pub fn check(&self) -> Result<(), PreprocessError> {
        let wrong = |field| Err(PreprocessError::OutOfRange(field));
        if !(1..=Self::MAX_SIDE).contains(&self.width) {
            return wrong("width");
        }
        if !(1..=Self::MAX_SIDE).contains(&self.height) {
            return wrong("height");
        }
        if let Resize::CenterCrop { fraction } = self.resize
            && !(fraction > 0.0 && fraction <= 1.0)
        {
            return wrong("fraction");
        }
        if self.mean.iter().any(|m| !m.is_finite()) {
            return wrong("mean");
        }
        if self.scale.iter().any(|s| !s.is_finite() || *s == 0.0) {
            return wrong("scale");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_bytes() {
        for layout in [Layout::Nchw, Layout::Nhwc] {
            for channels in [Channels::Rgb, Channels::Bgr, Channels::Grey] {
                for resize in [Resize::Squeeze, Resize::CenterCrop { fraction: 0.5 }] {
                    for filter in [Filter::Bilinear, Filter::Bicubic] {
                        let p = Preprocess { layout, channels, resize, filter, ..Preprocess::IMAGENET };
                        assert_eq!(Preprocess::from_bytes(&p.to_bytes()), Ok(p));
                    }
                }
            }
        }
    }

    #[test]
    fn unknown_codes_and_numbers_out_of_range_are_refused() {
        let good = Preprocess::IMAGENET.to_bytes();
        for (at, field) in [(4, "layout"), (5, "channels"), (6, "resize"), (7, "filter")] {
            let mut bytes = good;
            bytes[at] = 9;
            assert_eq!(Preprocess::from_bytes(&bytes), Err(PreprocessError::UnknownCode(field)));
        }
        for (at, field) in [(0, "width"), (2, "height"), (8, "fraction"), (24, "scale")] {
            let mut bytes = good;
            bytes[at..at + if at < 8 { 2 } else { 4 }].fill(0);
            assert_eq!(Preprocess::from_bytes(&bytes), Err(PreprocessError::OutOfRange(field)));
        }
        let wide = Preprocess { width: Preprocess::MAX_SIDE + 1, ..Preprocess::IMAGENET };
        assert_eq!(wide.check(), Err(PreprocessError::OutOfRange("width")));
        let mut bytes = good;
        bytes[12..16].copy_from_slice(&f32::NAN.to_le_bytes());
        assert_eq!(Preprocess::from_bytes(&bytes), Err(PreprocessError::OutOfRange("mean")));
    }
}
