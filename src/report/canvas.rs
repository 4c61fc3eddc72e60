//! What the pictures are drawn on: shapes by plotters, text by the font of this folder.

use std::io::Cursor;

use image::RgbImage;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::imageops::thumbnail;
use plotters::backend::{BitMapBackend, RGBPixel};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::style::{Color as _, RGBColor, ShapeStyle};

use super::font;

/// Shapes are drawn this many times as large, then made smaller: smooth edges.
const OVERSAMPLING: u32 = 2;

/// Red, green, blue.
pub(super) type Colour = [u8; 3];

/// Colours of a picture. Those of the series are out of the palette that all kinds of colour vision tell apart (Okabe & Ito
/// 2008, "Color universal design"); each series has a marker and a line of its own besides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Theme {
    pub paper: Colour,
    pub ink: Colour,
    /// Lesser text, axes.
    pub grey: Colour,
    pub grid: Colour,
    /// What is to be looked at: transfer, after calibration, right answers.
    pub first: Colour,
    /// What it is compared to: pixels, before calibration, wrong answers.
    pub second: Colour,
    /// A third thing: the recommended cut.
    pub third: Colour,
}

impl Theme {
    pub const LIGHT: Self = Self {
        paper: [255, 255, 255],
        ink: [28, 28, 28],
        grey: [95, 95, 95],
        grid: [225, 225, 225],
        first: [0, 114, 178],
        second: [213, 94, 0],
        third: [0, 158, 115],
    };
    pub const DARK: Self = Self {
        paper: [24, 26, 27],
        ink: [236, 236, 236],
        grey: [170, 170, 170],
        grid: [62, 64, 66],
        first: [86, 180, 233],
        second: [230, 159, 0],
        third: [0, 190, 138],
    };
}

/// Where a text stands beside its point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Anchor {
    Left,
    Middle,
    Right,
}

/// A shape that tells a series from the others, whatever the colours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Marker {
    Circle,
    Triangle,
    Square,
    Diamond,
}

/// A line's style.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Line {
    Solid,
    Dashed,
    Dotted,
}

struct Text {
    at: [f32; 2],
    size: f32,
    colour: Colour,
    text: String,
    upwards: bool,
}

/// A picture in the making; all lengths are pixels of the finished one.
pub(super) struct Canvas {
    size: [u32; 2],
    shapes: Vec<u8>,
    texts: Vec<Text>,
    pub theme: Theme,
}

impl Canvas {
    pub fn new(width: u32, height: u32, theme: Theme) -> Self {
        let pixels = (width * OVERSAMPLING * height * OVERSAMPLING) as usize;
        Self { size: [width, height], shapes: theme.paper.repeat(pixels), texts: Vec::new(), theme }
    }

    /// Draws on the large picture.
    fn draw(&mut self, shape: impl FnOnce(&DrawingArea<BitMapBackend<'_, RGBPixel>, Shift>) -> bool) {
        let size = (self.size[0] * OVERSAMPLING, self.size[1] * OVERSAMPLING);
        let area = BitMapBackend::with_buffer(&mut self.shapes, size).into_drawing_area();
        assert!(shape(&area), "memory takes every shape");
    }

    pub fn rectangle(&mut self, [left, top]: [f32; 2], [right, bottom]: [f32; 2], colour: Colour) {
        let rectangle = Rectangle::new([large([left, top]), large([right, bottom])], rgb(colour).filled());
        self.draw(|area| area.draw(&rectangle).is_ok());
    }

    /// A line through the points, `width` pixels thick.
    pub fn line(&mut self, points: &[[f32; 2]], colour: Colour, width: f32, line: Line) {
        let style = stroke(colour, width);
        let pieces: Vec<Vec<[f32; 2]>> = match line {
            Line::Solid => vec![points.to_vec()],
            Line::Dashed => dashes(points, 5.0 * width, 3.5 * width),
            Line::Dotted => dashes(points, 1.2 * width, 2.5 * width),
        };
        for piece in pieces.iter().filter(|piece| piece.len() >= 2) {
            let path = PathElement::new(piece.iter().map(|point| large(*point)).collect::<Vec<_>>(), style);
            self.draw(|area| area.draw(&path).is_ok());
        }
    }

    /// An upright bar with a short line at each end.
    pub fn interval(&mut self, x: f32, [from, to]: [f32; 2], colour: Colour) {
        self.line(&[[x, from], [x, to]], colour, 2.5, Line::Solid);
        for y in [from, to] {
            self.line(&[[x - 5.0, y], [x + 5.0, y]], colour, 2.5, Line::Solid);
        }
    }

    /// A marker with a rim in the colour of the paper, that parts it from what lies below.
    pub fn marker(&mut self, marker: Marker, at: [f32; 2], radius: f32, colour: Colour) {
        let paper = self.theme.paper;
        for (radius, colour) in [(radius + 2.0, paper), (radius, colour)] {
            let style = rgb(colour).filled();
            let corners = |corners: &[[f32; 2]]| -> Vec<(i32, i32)> {
                corners.iter().map(|[x, y]| large([at[0] + x * radius, at[1] + y * radius])).collect()
            };
            let corners = match marker {
                Marker::Circle => {
                    let circle = Circle::new(large(at), radius * OVERSAMPLING as f32, style);
                    self.draw(|area| area.draw(&circle).is_ok());
                    continue;
                }
                Marker::Triangle => corners(&[[0.0, -1.2], [1.15, 0.85], [-1.15, 0.85]]),
                Marker::Square => corners(&[[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]]),
                Marker::Diamond => corners(&[[0.0, -1.35], [1.35, 0.0], [0.0, 1.35], [-1.35, 0.0]]),
            };
            let polygon = Polygon::new(corners, style);
            self.draw(|area| area.draw(&polygon).is_ok());
        }
    }

    /// A text, centred on the height of its small letters at `at`. All texts lie over all shapes.
    pub fn text(&mut self, text: &str, at: [f32; 2], size: f32, colour: Colour, anchor: Anchor) {
        let left = at[0] - shift(text, size, anchor);
        self.texts.push(Text { at: [left, at[1] + 0.36 * size], size, colour, text: text.to_owned(), upwards: false });
    }

    /// A text that runs upwards, beginning, centred or ending at `at`.
    pub fn upwards(&mut self, text: &str, at: [f32; 2], size: f32, colour: Colour, anchor: Anchor) {
        let bottom = at[1] + shift(text, size, anchor);
        self.texts.push(Text { at: [at[0] + 0.36 * size, bottom], size, colour, text: text.to_owned(), upwards: true });
    }

    /// The finished picture.
    pub fn png(self) -> Vec<u8> {
        let Self { size: [width, height], shapes, texts, .. } = self;
        let shapes = RgbImage::from_raw(width * OVERSAMPLING, height * OVERSAMPLING, shapes).expect("of that size");
        let mut picture = thumbnail(&shapes, width, height);
        for Text { at: [x, y], size, colour, text, upwards } in &texts {
            let (x, y) = (x.round() as i32, y.round() as i32);
            font::rasterise(text, *size, |right, down, cover| {
                let (px, py) = if *upwards { (x + down, y - right) } else { (x + right, y + down) };
                let Some(pixel) = u32::try_from(px).ok().zip(u32::try_from(py).ok()) else { return };
                let Some(pixel) = picture.get_pixel_mut_checked(pixel.0, pixel.1) else { return };
                // A few steps are as smooth to the eye, and pack better.
                let cover = (cover * 12.0).round() / 12.0;
                for (below, above) in pixel.0.iter_mut().zip(colour) {
                    *below = (f32::from(*below) * (1.0 - cover) + f32::from(*above) * cover).round() as u8;
                }
            });
        }
        let mut png = Cursor::new(Vec::new());
        // Flat colours: twice as small as with the encoder's usual haste.
        let encoder = PngEncoder::new_with_quality(&mut png, CompressionType::Best, FilterType::Adaptive);
        picture.write_with_encoder(encoder).expect("memory takes every picture");
        png.into_inner()
    }
}

/// `share` of `above`, the rest of `below`.
pub(super) fn mixed(below: Colour, above: Colour, share: f32) -> Colour {
    std::array::from_fn(|i| (f32::from(below[i]) * (1.0 - share) + f32::from(above[i]) * share).round() as u8)
}

/// Of two colours the one that stands out more from a background.
pub(super) fn readable(background: Colour, candidates: [Colour; 2]) -> Colour {
    let light = |[r, g, b]: Colour| 0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b);
    let contrast = |colour: &Colour| (light(*colour) - light(background)).abs();
    if contrast(&candidates[0]) >= contrast(&candidates[1]) { candidates[0] } else { candidates[1] }
}

fn rgb([r, g, b]: Colour) -> RGBColor {
    RGBColor(r, g, b)
}

fn stroke(colour: Colour, width: f32) -> ShapeStyle {
    rgb(colour).stroke_width(((width * OVERSAMPLING as f32).round() as u32).max(1))
}

/// A point of the large picture.
fn large([x, y]: [f32; 2]) -> (i32, i32) {
    let scale = OVERSAMPLING as f32;
    ((x * scale).round() as i32, (y * scale).round() as i32)
}

/// How far before its point a text begins.
fn shift(text: &str, size: f32, anchor: Anchor) -> f32 {
    match anchor {
        Anchor::Left => 0.0,
        Anchor::Middle => font::width(text, size) / 2.0,
        Anchor::Right => font::width(text, size),
    }
}

/// The pieces of a line of dashes.
fn dashes(points: &[[f32; 2]], dash: f32, gap: f32) -> Vec<Vec<[f32; 2]>> {
    let (mut pieces, mut piece, mut is_dash) = (Vec::new(), points[..points.len().min(1)].to_vec(), true);
    let mut left = dash;
    for pair in points.windows(2) {
        let [from, to] = [pair[0], pair[1]];
        let length = (to[0] - from[0]).hypot(to[1] - from[1]);
        let at = |distance: f32| [0, 1].map(|axis| from[axis] + (to[axis] - from[axis]) * distance / length);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            piece.push(at(done));
            if is_dash {
                pieces.push(std::mem::take(&mut piece));
            }
            is_dash = !is_dash;
            left = if is_dash { dash } else { gap };
            piece = vec![at(done)];
        }
        left -= length - done;
        piece.push(to);
    }
    if is_dash {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// How many pixels of a PNG have a colour.
    pub fn count(png: &[u8], colour: Colour) -> usize {
        image::load_from_memory(png).expect("a picture").to_rgb8().pixels().filter(|pixel| pixel.0 == colour).count()
    }

    #[test]
    fn shapes_and_texts_leave_their_colours() {
        for theme in [Theme::LIGHT, Theme::DARK] {
            let mut canvas = Canvas::new(200, 100, theme);
            canvas.rectangle([10.0, 10.0], [40.0, 30.0], theme.second);
            canvas.marker(Marker::Circle, [100.0, 50.0], 10.0, theme.first);
            canvas.text("text", [150.0, 50.0], 20.0, theme.ink, Anchor::Middle);
            canvas.upwards("up", [10.0, 90.0], 20.0, theme.third, Anchor::Left);
            let png = canvas.png();
            assert!((540..=660).contains(&count(&png, theme.second)));
            assert!((200..=330).contains(&count(&png, theme.first)));
            assert!(count(&png, theme.ink) > 10 && count(&png, theme.third) > 5 && count(&png, theme.paper) > 10_000);
        }
    }

    #[test]
    fn what_lies_beyond_the_edge_is_cut_off() {
        let mut canvas = Canvas::new(60, 40, Theme::LIGHT);
        canvas.text(&"wide ".repeat(50), [30.0, 20.0], 30.0, [0; 3], Anchor::Middle);
        canvas.upwards(&"high ".repeat(50), [30.0, 20.0], 30.0, [0; 3], Anchor::Middle);
        canvas.line(&[[-500.0, 20.0], [500.0, 20.0]], [0; 3], 3.0, Line::Dashed);
        assert!(count(&canvas.png(), [0; 3]) > 50);
    }

    #[test]
    fn dashes_cover_their_share_of_a_line() {
        let pieces = dashes(&[[0.0, 0.0], [30.0, 0.0], [30.0, 70.0]], 6.0, 4.0);
        let length = |piece: &Vec<[f32; 2]>| -> f32 {
            piece.windows(2).map(|p| (p[1][0] - p[0][0]).hypot(p[1][1] - p[0][1])).sum()
        };
        let total: f32 = pieces.iter().map(length).sum();
        assert_eq!((pieces.len(), total), (10, 60.0));
        assert!(dashes(&[], 5.0, 5.0).iter().all(Vec::is_empty));
    }
}
