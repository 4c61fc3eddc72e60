//! Text of one line, in the fonts of embedded-graphics.

use embedded_graphics::geometry::{OriginDimensions, Point};
use embedded_graphics::image::GetPixel;
use embedded_graphics::mono_font::MonoFont;
use embedded_graphics::mono_font::iso_8859_1::{
    FONT_5X7, FONT_6X10, FONT_6X13_BOLD, FONT_7X13, FONT_8X13_BOLD, FONT_9X15, FONT_9X18_BOLD, FONT_10X20,
};
use embedded_graphics::pixelcolor::{BinaryColor, Rgb888};

use super::canvas::Canvas;

/// What ends a text that was cut. The fonts have no ellipsis of one letter.
const CUT: &str = "..";

/// A font, and how many times as large as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Font {
    mono: &'static MonoFont<'static>,
    scale: u32,
}

/// For labels, the largest first. Those of the library end at 20 pixels: larger ones are made out of them.
const LABELS: [Font; 10] = [
    Font { mono: &FONT_9X18_BOLD, scale: 4 },
    Font { mono: &FONT_9X18_BOLD, scale: 3 },
    Font { mono: &FONT_9X18_BOLD, scale: 2 },
    Font { mono: &FONT_8X13_BOLD, scale: 2 },
    Font { mono: &FONT_10X20, scale: 1 },
    Font { mono: &FONT_9X18_BOLD, scale: 1 },
    Font { mono: &FONT_8X13_BOLD, scale: 1 },
    Font { mono: &FONT_6X13_BOLD, scale: 1 },
    Font { mono: &FONT_6X10, scale: 1 },
    Font { mono: &FONT_5X7, scale: 1 },
];

impl Font {
    /// For all but the label, on a screen whose shorter side is of so many pixels.
    pub fn of_screen(short: u32) -> Self {
        let mono = match short {
            ..96 => &FONT_5X7,
            96..180 => &FONT_6X10,
            180..300 => &FONT_7X13,
            300..420 => &FONT_9X15,
            _ => &FONT_10X20,
        };
        Self { mono, scale: 1 }
    }

    /// The largest for a label in which it fits, on one line or on two, and its lines. If it fits in none that is at least
    /// as large as `least`, it is cut.
    pub fn of_label(text: &str, width: u32, height: u32, least: Self) -> (Self, Vec<String>) {
        let fonts = LABELS.iter().filter(|font| font.height() >= least.height()).chain([&least]);
        let fitting = fonts.map(|font| (*font, font.wrapped(text, width))).find(|(font, lines)| {
            font.height() * lines.len() as u32 <= height && lines.iter().all(|line| font.width(line) <= width)
        });
        fitting.unwrap_or_else(|| (least, vec![least.cut(text, width)]))
    }

    /// The text on one line if it has room, else on two, parted at the space that makes them the most alike.
    fn wrapped(self, text: &str, width: u32) -> Vec<String> {
        if self.width(text) > width {
            let halves = text.match_indices(' ').map(|(at, _)| [text[..at].trim_end(), text[at..].trim_start()]);
            if let Some(halves) = halves.min_by_key(|halves| self.width(halves[0]).max(self.width(halves[1]))) {
                return halves.map(str::to_owned).to_vec();
            }
        }
        vec![text.to_owned()]
    }

    /// Of a line, pixels.
    pub fn height(self) -> u32 {
        self.mono.character_size.height * self.scale
    }

    /// Of a letter, pixels.
    pub fn letter(self) -> u32 {
        self.mono.character_size.width * self.scale
    }

    /// Of a printable text, pixels.
    pub fn width(self, text: &str) -> u32 {
        self.letter() * text.chars().count() as u32
    }

    /// The text, or as much of it as fits.
    pub fn cut(self, text: &str, width: u32) -> String {
        cut(text, (width / self.letter()) as usize)
    }

    /// Draws a printable text; `at` is the top left of its first letter. The edges of enlarged letters are smooth.
    pub fn draw(self, canvas: &mut Canvas, text: &str, at: Point, colour: Rgb888) {
        let scale = self.scale as f32;
        for (index, character) in text.chars().enumerate() {
            let left = at.x + (index as u32 * self.letter()) as i32;
            let dot = self.dots(character);
            for (down, across) in (0..self.height()).flat_map(|y| (0..self.letter()).map(move |x| (y, x))) {
                let cover = match self.scale {
                    1 => f32::from(u8::from(dot(across as i32, down as i32))),
                    _ => smooth(&dot, [across, down].map(|pixel| (pixel as f32 + 0.5) / scale - 0.5), scale),
                };
                if cover > 0.0 {
                    canvas.blend(Point::new(left + across as i32, at.y + down as i32), colour, cover);
                }
            }
        }
    }

    /// Whether the letter has a dot at x, y.
    fn dots(self, character: char) -> impl Fn(i32, i32) -> bool {
        let MonoFont { image, character_size: size, glyph_mapping, .. } = self.mono;
        let per_row = image.size().width / size.width;
        let index = glyph_mapping.index(character) as u32;
        let corner = Point::new((index % per_row * size.width) as i32, (index / per_row * size.height) as i32);
        move |x, y| {
            let is_inside = (0..size.width as i32).contains(&x) && (0..size.height as i32).contains(&y);
            is_inside && image.pixel(corner + Point::new(x, y)) == Some(BinaryColor::On)
        }
    }
}

/// How much of a pixel an enlarged letter covers, 0 to 1: its dots are the coefficients of a quadratic B-spline, a soft hill
/// whose edge is where it is half as high.
fn smooth(dot: &impl Fn(i32, i32) -> bool, [x, y]: [f32; 2], scale: f32) -> f32 {
    let (column, row) = (x.round(), y.round());
    let weights = |off: f32| [(0.5 - off).powi(2) / 2.0, 0.75 - off * off, (0.5 + off).powi(2) / 2.0];
    let (across, down) = (weights(x - column), weights(y - row));
    let at = |i: usize, j: usize| f32::from(u8::from(dot(column as i32 + i as i32 - 1, row as i32 + j as i32 - 1)));
    let height: f32 = (0..9).map(|cell| at(cell % 3, cell / 3) * across[cell % 3] * down[cell / 3]).sum();
    ((height - 0.5) * scale + 0.5).clamp(0.0, 1.0)
}

/// The text, or as many of its letters as there are columns for.
fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    match columns.checked_sub(CUT.len()) {
        // Of so few letters each counts.
        None | Some(0) => text.chars().take(columns).collect(),
        Some(kept) => format!("{}{CUT}", text.chars().take(kept).collect::<String>().trim_end()),
    }
}

/// The text in letters that the fonts have. Letters with marks of their own become such (macOS writes the names of folders
/// so), other Latin ones lose their marks, and what is left becomes `?`.
pub(super) fn printable(text: &str) -> String {
    let mut letters = String::with_capacity(text.len());
    for letter in text.trim().chars() {
        match letter {
            // Invisible.
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' => {}
            ' '..='~' | '\u{a1}'..='\u{ff}' => letters.push(letter),
            '\u{300}'..='\u{36f}' => {
                let marked = letters.pop().map(|base| marked(base, letter).unwrap_or(base));
                letters.extend(marked);
            }
            '\u{100}'..='\u{17f}' => letters.push(char::from(PLAIN.as_bytes()[letter as usize - 0x100])),
            '‘' | '’' => letters.push('\''),
            '“' | '”' | '„' => letters.push('"'),
            '‐'..='―' => letters.push('-'),
            '…' => letters.push_str(CUT),
            _ if letter.is_whitespace() || letter.is_control() => letters.push(' '),
            _ => letters.push('?'),
        }
    }
    letters
}

/// The letters of U+0100 to U+017F without their marks.
const PLAIN: &str = "AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIiJjJjKkkLlLlLlL\
                     lLlNnNnNnnNnOoOoOoOoRrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs";

/// The letter that a letter and a mark behind it make.
fn marked(base: char, mark: char) -> Option<char> {
    let pairs = match mark {
        '\u{300}' => "AÀEÈIÌOÒUÙaàeèiìoòuù",
        '\u{301}' => "AÁEÉIÍOÓUÚYÝaáeéiíoóuúyý",
        '\u{302}' => "AÂEÊIÎOÔUÛaâeêiîoôuû",
        '\u{303}' => "AÃNÑOÕaãnñoõ",
        '\u{308}' => "AÄEËIÏOÖUÜaäeëiïoöuüyÿ",
        '\u{30a}' => "AÅaå",
        '\u{327}' => "CÇcç",
        _ => return None,
    };
    let mut letters = pairs.chars();
    std::iter::from_fn(|| letters.next().zip(letters.next()))
        .find(|(plain, _)| *plain == base)
        .map(|(_, marked)| marked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts() {
        assert_eq!(cut("sparrow", 7), "sparrow");
        assert_eq!(cut("sparrow", 6), "spar..");
        assert_eq!(cut("red kite", 6), "red..");
        assert_eq!(cut("sparrow", 2), "sp");
        assert_eq!(cut("sparrow", 0), "");
        assert_eq!(cut("", 0), "");
        assert_eq!(Font::of_screen(64).cut("Äpfel und Birnen", 44), "Äpfel..");
    }

    #[test]
    fn letters_that_the_fonts_have() {
        assert_eq!(PLAIN.len(), 128);
        assert_eq!(printable("Äpfel"), "Äpfel");
        assert_eq!(printable("A\u{308}pfel, cafe\u{301}"), "Äpfel, café");
        assert_eq!(printable("jabłko, Žluťoučký, ŒŸſ"), "jablko, Zlutoucký, OYs");
        assert_eq!(printable(" don’t – “so”…\t\u{1f34e}\u{fe0f}\n"), "don't - \"so\".. ?");
        assert_eq!(printable("りんご"), "???");
    }

    #[test]
    fn the_largest_that_fits() {
        let label = |text: &str, width, height| {
            let (font, lines) = Font::of_label(text, width, height, Font::of_screen(240));
            (font.height(), lines.join("|"))
        };
        assert_eq!(label("apple", 226, 80), (72, "apple".to_owned()));
        assert_eq!(label("apple", 226, 30), (26, "apple".to_owned()));
        assert_eq!(label("Magnificent frigatebird", 226, 80), (36, "Magnificent|frigatebird".to_owned()));
        assert_eq!(label("a thing of many short words", 226, 40), (20, "a thing of many|short words".to_owned()));
        assert_eq!(label(&"m".repeat(99), 226, 40), (13, "m".repeat(30) + ".."));
        assert_eq!(label("apple", 0, 0), (13, String::new()));
        assert_eq!(label("", 226, 40), (36, String::new()));
    }
}
