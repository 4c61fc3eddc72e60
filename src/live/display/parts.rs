//! The parts of a frame: picture, label, bars, state line.

use embedded_graphics::geometry::{Point, Size};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::primitives::{PrimitiveStyleBuilder, Rectangle, RoundedRectangle, StyledDrawable};
use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};

use super::layout::{Layout, Row, area};
use super::text::{Font, printable};
use super::{Canvas, State, Theme, View, readable_on};

/// The camera's picture, or that there is none.
pub(super) fn picture(canvas: &mut Canvas, place: Rectangle, frame: Option<&RgbImage>, layout: &Layout, theme: &Theme) {
    let Some(frame) = frame.filter(|frame| !frame.is_empty()) else {
        block(canvas, place, theme.panel, layout.gap);
        if theme.is_one_bit {
            outline(canvas, place, theme.ink);
        }
        let text = layout.font.cut("no picture", place.size.width);
        let at = centred(place, layout.font, &text);
        return layout.font.draw(canvas, &text, at, theme.grey);
    };
    let Size { width, height } = place.size;
    let is_smaller = width <= frame.width() && height <= frame.height();
    let mut scaled =
        if is_smaller { shrunk(frame, [width, height]) } else { resize(frame, width, height, FilterType::Triangle) };
    if theme.is_one_bit {
        raise_contrast(&mut scaled);
    }
    canvas.put(&scaled, place.top_left);
}

/// What is seen, as large as it can be.
pub(super) fn label(canvas: &mut Canvas, view: &View<'_>, layout: &Layout, theme: &Theme) {
    let Rectangle { top_left, size: Size { width, height } } = layout.label;
    let (font, lines) = Font::of_label(&printable(view.label), width, height, layout.font);
    let line = font.height() as i32;
    let top = top_left.y + (height as i32 - line * lines.len() as i32) / 2;
    // A label that has no room is not drawn over its neighbours.
    if top >= top_left.y {
        for (index, text) in lines.iter().enumerate() {
            font.draw(canvas, text, Point::new(top_left.x, top + index as i32 * line), theme.ink);
        }
    }
}

/// Classes with their probabilities: name and per cent, and a bar below.
pub(super) fn bars(canvas: &mut Canvas, view: &View<'_>, layout: &Layout, theme: &Theme) {
    let (font, row) = (layout.font, Row::of(layout.font));
    for (index, (place, (class, probability))) in layout.rows(view.bars.len()).into_iter().zip(view.bars).enumerate() {
        let Rectangle { top_left: Point { x, y }, size: Size { width, .. } } = place;
        let per_cent =
            if probability.is_nan() { "--".to_owned() } else { format!("{:.0}%", 100.0 * share(*probability)) };
        let per_cent = font.cut(&per_cent, width);
        let number_width = font.width(&per_cent);
        let name = font.cut(&printable(class), (width - number_width).saturating_sub(font.letter()));
        let is_first = index == 0 && view.state != State::Unknown;
        font.draw(canvas, &name, Point::new(x, y), if is_first { theme.ink } else { theme.grey });
        let at = Point::new(x + (width - number_width) as i32, y);
        font.draw(canvas, &per_cent, at, if is_first { theme.ink } else { theme.grey });

        let (top, thickness) = (y + row.bar_top, row.bar);
        let filled = (f64::from(width) * f64::from(share(*probability))).round() as i32;
        let colour = if is_first { theme.first } else { theme.others };
        if theme.is_one_bit {
            // The rest of a bar would be as black as what is around it.
            for dot in (0..width as i32).step_by(3).filter(|dot| *dot > filled) {
                canvas.blend(Point::new(x + dot, top + thickness - 1), colour, 1.0);
            }
            block(canvas, area(x, top, filled, thickness), colour, 0);
        } else {
            block(canvas, area(x, top, width as i32, thickness), theme.panel, thickness / 2);
            block(canvas, area(x, top, filled, thickness), colour, thickness / 2);
        }
    }
}

/// The state's word on its colour, what is being taught, and at the right what of the footer has room.
pub(super) fn state_line(canvas: &mut Canvas, view: &View<'_>, layout: &Layout, theme: &Theme) {
    let (place, font) = (layout.state, layout.font);
    let Rectangle { top_left: Point { x, y }, size: Size { width, height } } = place;
    let colour = theme.state(&view.state);
    let padding = font.letter() / 2;
    let word = font.cut(view.state.word(), width.saturating_sub(2 * padding));
    let badge = font.width(&word) + 2 * padding;
    let radius = if theme.is_one_bit { 1 } else { layout.gap / 2 };
    block(canvas, area(x, y, badge as i32, height as i32), colour, radius);
    let top = centred(place, font, "").y;
    font.draw(canvas, &word, Point::new(x + padding as i32, top), readable_on(colour));

    let mut left = badge + font.letter();
    if let State::Teaching { class, count } = view.state {
        let number = format!(" {count}");
        let room = width.saturating_sub(left + font.width(&number));
        let taught = font.cut(&printable(class), room) + &number;
        let taught = font.cut(taught.trim_start(), width.saturating_sub(left));
        font.draw(canvas, &taught, Point::new(x + left as i32, top), theme.ink);
        left += font.width(&taught) + font.letter();
    }
    let footer = printable(view.footer);
    let room = width.saturating_sub(left);
    let ends = footer.match_indices("  ").map(|(end, _)| end).chain([footer.len()]);
    if let Some(footer) = ends.map(|end| &footer[..end]).take_while(|part| font.width(part) <= room).last() {
        let at = Point::new(x + (width - font.width(footer)) as i32, top);
        font.draw(canvas, footer, at, theme.grey);
    }
}

/// A probability as a share: none if it is no number.
fn share(probability: f32) -> f32 {
    if probability.is_nan() { 0.0 } else { probability.clamp(0.0, 1.0) }
}

/// Where a text begins that stands in the middle of its place.
fn centred(place: Rectangle, font: Font, text: &str) -> Point {
    let room = [place.size.width as i32 - font.width(text) as i32, place.size.height as i32 - font.height() as i32];
    place.top_left + Point::new(room[0] / 2, room[1] / 2)
}

/// A filled rectangle with round corners.
fn block(canvas: &mut Canvas, place: Rectangle, colour: Rgb888, radius: i32) {
    let style = PrimitiveStyleBuilder::new().fill_color(colour).build();
    let shape = RoundedRectangle::with_equal_corners(place, Size::new_equal(radius.max(0) as u32));
    let Ok(()) = shape.draw_styled(&style, canvas);
}

fn outline(canvas: &mut Canvas, place: Rectangle, colour: Rgb888) {
    let style = PrimitiveStyleBuilder::new().stroke_color(colour).stroke_width(1).build();
    let Ok(()) = place.draw_styled(&style, canvas);
}

/// A picture made smaller: the mean of the pixels that become one.
fn shrunk(frame: &RgbImage, [width, height]: [u32; 2]) -> RgbImage {
    let shares = |index: u32, parts: u32, whole: u32| {
        let end = |index: u32| (u64::from(index) * u64::from(whole) / u64::from(parts)) as usize;
        end(index)..end(index + 1)
    };
    let (pixels, _) = frame.as_raw().as_chunks::<3>();
    RgbImage::from_fn(width, height, |x, y| {
        let columns = shares(x, width, frame.width());
        let rows = shares(y, height, frame.height());
        let number = (columns.len() * rows.len()) as u64;
        let mut sums = [number / 2; 3];
        for row in rows {
            for pixel in &pixels[row * frame.width() as usize..][columns.clone()] {
                sums.iter_mut().zip(pixel).for_each(|(sum, part)| *sum += u64::from(*part));
            }
        }
        Rgb(sums.map(|sum| (sum / number) as u8))
    })
}

/// Spreads the shades over all there are between black and white, but for the two lightest and darkest per cent.
fn raise_contrast(picture: &mut RgbImage) {
    let mut shades: Vec<u8> = picture.pixels().flat_map(|pixel| pixel.0).collect();
    shades.sort_unstable();
    let at = |per_cent| f32::from(shades[(shades.len() - 1) * per_cent / 100]);
    let (black, white) = (at(2), at(98));
    let range = (white - black).max(32.0);
    for shade in picture.pixels_mut().flat_map(|pixel| &mut pixel.0) {
        *shade = (255.0 * (f32::from(*shade) - black) / range).clamp(0.0, 255.0).round() as u8;
    }
}
