//! The font of the pictures.
//!
//! `font/dejavu_sans.ttf` is a part of DejaVu Sans 2.37 (Debian's fonts-dejavu-core), Latin, Greek and Cyrillic, made by
//!
//! ```text
//! pyftsubset DejaVuSans.ttf --output-file=dejavu_sans.ttf --no-hinting --layout-features= \
//!   --drop-tables+=FFTM,GDEF,GPOS,GSUB,kern --unicodes=U+0020-007E,U+00A0-017F,U+0218-021B,U+0300-0304,U+0306-030C,\
//!   U+0327,U+0328,U+0386-03CE,U+0400-045F,U+0490-0491,U+1E9E,U+1EA0-1EF9,U+2013,U+2014,U+2018-201E,U+2022,U+2026,\
//!   U+2190-2193,U+2212,U+20AC,U+25A1
//! ```
//!
//! Its licence is `font/LICENSE-dejavu.txt`. No system font is asked for, so that a picture is the same everywhere.

use std::sync::OnceLock;

use ab_glyph::{Font, FontRef, Glyph, PxScaleFont, ScaleFont, point};

use super::text::shown;

/// Characters of a name in a picture, before its width is looked at.
const MAX_NAME: usize = 60;

fn font() -> &'static FontRef<'static> {
    static FONT: OnceLock<FontRef<'static>> = OnceLock::new();
    FONT.get_or_init(|| FontRef::try_from_slice(include_bytes!("font/dejavu_sans.ttf")).expect("a sound font"))
}

fn scaled(size: f32) -> PxScaleFont<&'static FontRef<'static>> {
    // The size is that of an em, as elsewhere; the crate means the height of a line.
    let em = font().units_per_em().unwrap_or(2048.0);
    font().into_scaled(size * font().height_unscaled() / em)
}

/// Width of a text in pixels; `size` is that of an em.
pub(super) fn width(text: &str, size: f32) -> f32 {
    let font = scaled(size);
    text.chars().map(|c| font.h_advance(font.glyph_id(c))).sum()
}

/// Calls `draw` with x and y from the left end of the text's baseline, in pixels, and how much of the pixel is covered, 0..=1.
pub(super) fn rasterise(text: &str, size: f32, mut draw: impl FnMut(i32, i32, f32)) {
    let font = scaled(size);
    let mut x = 0.0;
    for c in text.chars() {
        let id = font.glyph_id(c);
        let glyph = Glyph { id, scale: font.scale(), position: point(x, 0.0) };
        x += font.h_advance(id);
        let Some(outline) = font.outline_glyph(glyph) else { continue };
        let bounds = outline.px_bounds();
        let [left, top] = [bounds.min.x as i32, bounds.min.y as i32];
        outline.draw(|x, y, cover| draw(left + x as i32, top + y as i32, cover.clamp(0.0, 1.0)));
    }
}

/// A name of class `number`, from 1, as the font can show it. What it has no letters for becomes a box; a name that is mostly
/// such becomes the class's number, by which the tables of the report have it.
pub(super) fn name(name: &str, number: usize) -> String {
    let name = shown(name, MAX_NAME);
    let has = |c: char| font().glyph_id(c).0 != 0;
    let missing = name.chars().filter(|c| !has(*c)).count();
    if name.trim().is_empty() || 2 * missing > name.chars().count() {
        return format!("class {number}");
    }
    name.chars().map(|c| if has(c) { c } else { '\u{25a1}' }).collect()
}

/// As much of a text as fits in so many pixels, with an ellipsis for the rest.
pub(super) fn fitted(text: &str, size: f32, pixels: f32) -> String {
    if width(text, size) <= pixels {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    loop {
        let shortened: String = kept.iter().collect::<String>().trim_end().to_owned() + "…";
        if kept.is_empty() || width(&shortened, size) <= pixels {
            return shortened;
        }
        kept.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_what_the_font_has_letters_for() {
        assert_eq!(name("Größe Ελιά щенок", 1), "Größe Ελιά щенок");
        assert_eq!(name("日本語", 3), "class 3");
        assert_eq!(name("cat 猫", 3), "cat □");
        assert_eq!(name(" ", 2), "class 2");
        assert_eq!(name("a\u{1b}[31m", 1), "a\\u{1b}[31m");
    }

    #[test]
    fn what_does_not_fit_ends_in_an_ellipsis() {
        assert_eq!(fitted("short", 20.0, 500.0), "short");
        let long = fitted(&"long ".repeat(50), 20.0, 120.0);
        assert!(long.ends_with('…') && width(&long, 20.0) <= 120.0 && width(&long, 20.0) > 90.0, "{long}");
        assert_eq!(fitted("none", 20.0, 1.0), "…");
    }

    #[test]
    fn letters_cover_pixels_above_the_baseline() {
        let (mut covered, mut below) = (0.0, 0.0);
        rasterise("Hill", 40.0, |_, y, cover| {
            covered += cover;
            below += if y >= 0 { cover } else { 0.0 };
        });
        assert!(covered > 200.0 && below < 0.02 * covered, "{covered} {below}");
        let [narrow, wide] = [width("ill", 40.0), width("mmm", 40.0)];
        assert!(narrow > 20.0 && wide > 2.5 * narrow, "{narrow} {wide}");
    }
}
