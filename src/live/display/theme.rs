//! Colours, and how the pixels of a screen take them.

use embedded_graphics::geometry::Point;
use embedded_graphics::pixelcolor::{BinaryColor, PixelColor, Rgb565, Rgb666, Rgb888, RgbColor};

use super::State;

/// Colours of the screen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Theme {
    /// Behind all.
    pub paper: Rgb888,
    /// Behind the picture where it does not fill its place, and the rest of each bar.
    pub panel: Rgb888,
    /// Text.
    pub ink: Rgb888,
    /// Lesser text.
    pub grey: Rgb888,
    /// The bar of the most probable class.
    pub first: Rgb888,
    /// The bars of the others.
    pub others: Rgb888,
    /// The states: watching, teaching, unknown, drift, no camera or not taught.
    pub states: [Rgb888; 5],
    /// Pictures become black and white dots: their contrast is raised, and the rest of each bar is dotted.
    pub is_one_bit: bool,
}

impl Theme {
    /// Light on dark, for screens with colours. Those of the states are out of the palette that all kinds of colour vision
    /// tell apart (Okabe & Ito 2008, "Color universal design").
    pub const DARK: Self = Self {
        paper: Rgb888::new(14, 17, 20),
        panel: Rgb888::new(44, 49, 54),
        ink: Rgb888::new(240, 242, 244),
        grey: Rgb888::new(158, 166, 174),
        first: Rgb888::new(86, 180, 233),
        others: Rgb888::new(112, 128, 142),
        states: [
            Rgb888::new(0, 190, 138),
            Rgb888::new(86, 180, 233),
            Rgb888::new(240, 228, 66),
            Rgb888::new(230, 159, 0),
            Rgb888::new(240, 122, 60),
        ],
        is_one_bit: false,
    };

    /// White on black, for screens of one bit.
    pub const MONO: Self = Self {
        paper: Rgb888::BLACK,
        panel: Rgb888::BLACK,
        ink: Rgb888::WHITE,
        grey: Rgb888::WHITE,
        first: Rgb888::WHITE,
        others: Rgb888::WHITE,
        states: [Rgb888::WHITE; 5],
        is_one_bit: true,
    };

    /// The colour of a state.
    #[must_use]
    pub fn state(&self, state: &State<'_>) -> Rgb888 {
        let index = match state {
            State::Watching => 0,
            State::Teaching { .. } => 1,
            State::Unknown => 2,
            State::Drift => 3,
            State::NoCamera | State::NoHead => 4,
        };
        self.states[index]
    }
}

/// A pixel that can take any colour, exactly or nearly.
pub trait Paint: PixelColor {
    /// The colours that suit such pixels.
    const THEME: Theme;

    /// The pixel at a point of the screen for a colour.
    fn paint(colour: Rgb888, at: Point) -> Self;
}

impl Paint for Rgb888 {
    const THEME: Theme = Theme::DARK;

    fn paint(colour: Rgb888, _: Point) -> Self {
        colour
    }
}

impl Paint for Rgb666 {
    const THEME: Theme = Theme::DARK;

    fn paint(colour: Rgb888, _: Point) -> Self {
        colour.into()
    }
}

impl Paint for Rgb565 {
    const THEME: Theme = Theme::DARK;

    fn paint(colour: Rgb888, _: Point) -> Self {
        colour.into()
    }
}

/// On or off by ordered dithering (Bayer 1973, "An optimum method for two-level rendition of continuous-tone pictures"):
/// unlike error diffusion, a still camera's noise does not make its dots crawl over the whole picture. White is always on,
/// and black off.
impl Paint for BinaryColor {
    const THEME: Theme = Theme::MONO;

    fn paint(colour: Rgb888, at: Point) -> Self {
        Self::from(luma(colour) > 4 * bayer(at.x as u8, at.y as u8) + 1)
    }
}

/// How light a colour is to the eye (ITU-R BT.601).
pub(super) fn luma(colour: Rgb888) -> u8 {
    let [r, g, b] = [colour.r(), colour.g(), colour.b()].map(u32::from);
    ((299 * r + 587 * g + 114 * b + 500) / 1000) as u8
}

/// The matrix of 8 x 8 thresholds, 0 to 63: the bits of `x ^ y` and `y`, interlaced, the lowest first.
fn bayer(x: u8, y: u8) -> u8 {
    (0..3).fold(0, |threshold, bit| {
        let (across, down) = ((x ^ y) >> bit & 1, y >> bit & 1);
        threshold << 2 | across << 1 | down
    })
}

#[cfg(test)]
mod tests {
    use embedded_graphics::mock_display::MockDisplay;
    use embedded_graphics::prelude::*;
    use embedded_graphics::primitives::Rectangle;

    use super::*;

    #[test]
    fn every_threshold_once() {
        let mut all: Vec<u8> = (0..64).map(|i| bayer(i % 8, i / 8)).collect();
        assert_eq!(all[..4], [0, 32, 8, 40]);
        all.sort_unstable();
        assert_eq!(all, (0..64).collect::<Vec<u8>>());
    }

    #[test]
    fn shades_become_dots() {
        let mut display = MockDisplay::new();
        for (x, grey) in [0, 60, 128, 200, 255].into_iter().enumerate() {
            let place = Rectangle::new(Point::new(4 * x as i32, 0), Size::new(4, 4));
            let pixels = place.points().map(|at| Pixel(at, BinaryColor::paint(Rgb888::new(grey, grey, grey), at)));
            display.draw_iter(pixels).unwrap();
        }
        display.assert_pattern(&[
            "....#.#.#.#.########", //
            ".........#.#.#.#####",
            "....#.#.#.#.########", //
            ".........#.#.#.#####",
        ]);
    }
}
