//! What a small screen beside the camera shows: its picture, what is seen in it, how probable each class is, and the state.
//!
//! A frame is composed in memory, by the drawing of embedded-graphics, and goes to the screen in one piece, each pixel
//! once: nothing flickers, and a slow bus carries no pixel twice.
//!
//! | module | what |
//! |---|---|
//! | [`canvas`] | a picture in memory that can be drawn on |
//! | [`theme`] | colours, and how a screen's pixels take them |
//! | [`settings`] | which screen, on which pins: `st7789:dc=9,backlight=13` |
//! | [`screen`] | the screens: SPI, I2C, framebuffer, PNG file |
//! | [`framebuffer`] | `/dev/fb0` without `unsafe` |
//!
//! ```
//! use embedded_graphics::pixelcolor::{BinaryColor, Rgb888};
//! use image::RgbImage;
//! use topgraft::live::display::{Canvas, State, Theme, View, draw};
//!
//! let frame = RgbImage::new(640, 480);
//! let bars = [("Äpfel", 0.93), ("Birnen", 0.05), ("Kirschen", 0.02)];
//! let view =
//!     View { frame: Some(&frame), label: "Äpfel", bars: &bars, state: State::Watching, footer: "12.5 fps  34 ms" };
//! let mut screen = Canvas::new(240, 240);
//! draw(&mut screen, &view, &Theme::DARK)?;
//! # Ok::<(), std::convert::Infallible>(())
//! ```

pub mod canvas;
pub mod framebuffer;
mod layout;
#[cfg(all(target_os = "linux", feature = "screen"))]
mod oled;
mod parts;
pub mod screen;
pub mod settings;
#[cfg(test)]
mod tests;
mod text;
#[cfg(all(target_os = "linux", feature = "screen"))]
mod tft;
pub mod theme;

use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{Point, Size};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use image::RgbImage;

pub use canvas::{Canvas, Rotation};
pub use screen::{Screen, ScreenError};
pub use settings::{Kind, ScreenSettings, SettingsError};
pub use theme::{Paint, Theme};

use layout::Layout;

/// What the screen is to show.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The camera's picture. It is scaled to its place, its aspect ratio kept.
    pub frame: Option<&'a RgbImage>,
    /// What is seen, or `unknown`.
    pub label: &'a str,
    /// Classes with their probabilities, 0 to 1, the most probable first. As many as there is room for are shown.
    pub bars: &'a [(&'a str, f32)],
    /// What the program is doing.
    pub state: State<'a>,
    /// Lesser facts, such as `12.5 fps  34 ms`. Where not all have room, those behind the last two spaces go first.
    pub footer: &'a str,
}

/// What the program is doing. Each state has a word, so that its colour is not the only cue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State<'a> {
    /// It classifies what it sees.
    Watching,
    /// It is being taught.
    Teaching {
        /// The class that it is shown.
        class: &'a str,
        /// Pictures of the class so far.
        count: usize,
    },
    /// What it sees is none of its classes.
    Unknown,
    /// What it sees has changed since it was taught.
    Drift,
    /// There is no picture.
    NoCamera,
    /// It has not been taught yet.
    NoHead,
}

impl State<'_> {
    /// The word on the screen.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Watching => "watching",
            Self::Teaching { .. } => "teaching",
            Self::Unknown => "unknown",
            Self::Drift => "drift",
            Self::NoCamera => "no camera",
            Self::NoHead => "not taught",
        }
    }
}

/// Draws the whole of a screen, of 72 x 40 to 800 x 480 pixels: each pixel is written once, row by row, in one call of
/// [`DrawTarget::fill_contiguous`]. On a larger or smaller screen nothing breaks, but it is not made for it.
///
/// # Errors
/// Those of the target.
pub fn draw<D>(target: &mut D, view: &View<'_>, theme: &Theme) -> Result<(), D::Error>
where
    D: DrawTarget<Color: Paint>,
{
    let area = target.bounding_box();
    let canvas = compose(area.size, view, theme);
    let pixels = canvas.picture().enumerate_pixels().map(|(x, y, pixel)| {
        let [r, g, b] = pixel.0;
        D::Color::paint(Rgb888::new(r, g, b), Point::new(x as i32, y as i32))
    });
    target.fill_contiguous(&area, pixels)
}

/// The frame, before the pixels of a screen.
fn compose(size: Size, view: &View<'_>, theme: &Theme) -> Canvas {
    let mut canvas = Canvas::new(size.width, size.height);
    canvas.fill(theme.paper);
    let layout = Layout::new(size, view.frame.map_or([4, 3], |frame| [frame.width(), frame.height()]), view.bars.len());
    if let Some(place) = layout.picture {
        parts::picture(&mut canvas, place, view.frame, &layout, theme);
    }
    parts::label(&mut canvas, view, &layout, theme);
    parts::bars(&mut canvas, view, &layout, theme);
    parts::state_line(&mut canvas, view, &layout, theme);
    canvas
}

/// Of black and white the one that is readable on a colour. To the eye the middle between them is darker than half.
fn readable_on(colour: Rgb888) -> Rgb888 {
    if theme::luma(colour) > 105 { Rgb888::BLACK } else { Rgb888::WHITE }
}
