//! A picture in memory that can be drawn on.

use std::convert::Infallible;
use std::io::Cursor;

use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{Dimensions, OriginDimensions, Point, Size};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::primitives::{PointsIter, Rectangle};
use image::{ImageFormat, Rgb, RgbImage, imageops};

/// How far a screen is turned, clockwise.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Rotation {
    /// Not at all.
    #[default]
    Deg0,
    /// A quarter.
    Deg90,
    /// Upside down.
    Deg180,
    /// Three quarters.
    Deg270,
}

impl Rotation {
    /// Width and height once turned.
    #[must_use]
    pub fn turned(self, size: Size) -> Size {
        match self {
            Self::Deg0 | Self::Deg180 => size,
            Self::Deg90 | Self::Deg270 => Size::new(size.height, size.width),
        }
    }
}

/// A picture in memory that embedded-graphics draws on. What would be beyond its edges is left out.
///
/// ```
/// use embedded_graphics::pixelcolor::Rgb888;
/// use embedded_graphics::prelude::*;
/// use topgraft::live::display::Canvas;
///
/// let mut canvas = Canvas::new(320, 240);
/// canvas.clear(Rgb888::WHITE)?;
/// assert_eq!(canvas.picture().get_pixel(319, 239).0, [255; 3]);
/// std::fs::write(std::env::temp_dir().join("white.png"), canvas.png())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Canvas {
    picture: RgbImage,
}

impl Canvas {
    /// A black picture, of at least one pixel.
    #[must_use]
    pub fn new(width: u32, height: u32) -> Self {
        Self { picture: RgbImage::new(width.max(1), height.max(1)) }
    }

    /// The picture so far.
    #[must_use]
    pub fn picture(&self) -> &RgbImage {
        &self.picture
    }

    /// The picture as a PNG file.
    ///
    /// # Panics
    /// Never: memory takes every picture.
    #[must_use]
    pub fn png(&self) -> Vec<u8> {
        let mut png = Cursor::new(Vec::new());
        self.picture.write_to(&mut png, ImageFormat::Png).expect("memory takes every picture");
        png.into_inner()
    }

    /// The picture for a screen that is turned.
    #[must_use]
    pub fn rotated(self, rotation: Rotation) -> Self {
        let picture = match rotation {
            Rotation::Deg0 => self.picture,
            Rotation::Deg90 => imageops::rotate90(&self.picture),
            Rotation::Deg180 => imageops::rotate180(&self.picture),
            Rotation::Deg270 => imageops::rotate270(&self.picture),
        };
        Self { picture }
    }

    /// Makes all of it one colour.
    pub(super) fn fill(&mut self, colour: Rgb888) {
        self.picture.pixels_mut().for_each(|pixel| *pixel = rgb(colour));
    }

    /// Puts another picture into it.
    pub(super) fn put(&mut self, picture: &RgbImage, at: Point) {
        imageops::replace(&mut self.picture, picture, at.x.into(), at.y.into());
    }

    /// Lays a colour over a pixel; of its 0 to 1 `cover` is not seen through.
    pub(super) fn blend(&mut self, at: Point, colour: Rgb888, cover: f32) {
        if let Some(pixel) = self.pixel(at) {
            let mixed =
                |below: u8, above: u8| (f32::from(below) + (f32::from(above) - f32::from(below)) * cover).round() as u8;
            let above = rgb(colour).0;
            pixel.0 = std::array::from_fn(|i| mixed(pixel.0[i], above[i]));
        }
    }

    fn pixel(&mut self, at: Point) -> Option<&mut Rgb<u8>> {
        let (x, y) = (at.x.try_into().ok()?, at.y.try_into().ok()?);
        self.picture.get_pixel_mut_checked(x, y)
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.picture.width(), self.picture.height())
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(at, colour) in pixels {
            if let Some(pixel) = self.pixel(at) {
                *pixel = rgb(colour);
            }
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, colour: Rgb888) -> Result<(), Infallible> {
        let area = area.intersection(&self.bounding_box());
        self.draw_iter(area.points().map(|at| Pixel(at, colour)))
    }
}

fn rgb(colour: Rgb888) -> Rgb<u8> {
    Rgb([colour.r(), colour.g(), colour.b()])
}
