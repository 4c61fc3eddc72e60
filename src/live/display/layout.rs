//! Where each part of a frame stands.

use embedded_graphics::geometry::{Point, Size};
use embedded_graphics::primitives::Rectangle;

use super::text::Font;

/// Bars below each other that a look takes in.
const MAX_BARS: i32 = 6;
/// Screens that are wider than this many hundredths of their height have the picture at the left, others at the top.
const WIDE: i32 = 120;
/// A picture that is less than this high or wide, pixels, shows nothing.
const LEAST_PICTURE: i32 = 40;
/// Below this height the label stands over the bars, above it over the whole width of the screen.
const LOW: i32 = 100;

/// Where each part stands. No part overlaps another, nor leaves the screen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Layout {
    /// Of the picture with its aspect ratio; none if the screen has no room for one.
    pub picture: Option<Rectangle>,
    pub label: Rectangle,
    pub bars: Rectangle,
    pub state: Rectangle,
    /// Of all but the label.
    pub font: Font,
    /// Between parts, pixels.
    pub gap: i32,
}

impl Layout {
    /// For a screen, a picture of an `aspect`, width and height, and a number of classes.
    pub fn new(size: Size, aspect: [u32; 2], classes: usize) -> Self {
        let (width, height) = (size.width as i32, size.height as i32);
        let short = width.min(height);
        let font = Font::of_screen(short as u32);
        let gap = (short / 32).clamp(1, 16);
        let state_height = font.height() as i32 + 2 * if short < 48 { 0 } else { (short / 96).max(1) };
        let state = area(gap, height - gap - state_height, width - 2 * gap, state_height);

        let body = Body { left: gap, top: gap, right: width - gap, bottom: state.top_left.y - gap };
        let plan = Plan { aspect, classes: classes as i32, font, gap };
        let has_room = body.width() >= LEAST_PICTURE && body.height() >= LEAST_PICTURE;
        let least_stack = LEAST_PICTURE + 2 * Row::of(font).pitch() + font.height() as i32 + 2 * gap;
        let (picture, label, bars) = match width * 100 > height * WIDE {
            true if has_room && body.height() < LOW => plan.picture_beside_column(body),
            true if has_room => plan.picture_beside_bars(body),
            false if has_room && body.height() >= least_stack => plan.picture_above(body),
            _ => plan.no_picture(body),
        };
        Self { picture, label, bars, state, font, gap }
    }

    /// The rows of at most `number` bars: as many as there is room for, further apart if there is more.
    pub fn rows(&self, number: usize) -> Vec<Rectangle> {
        let row = Row::of(self.font);
        let (width, height) = (self.bars.size.width as i32, self.bars.size.height as i32);
        let number = row.fitting(height).min(number as i32);
        let pitch = ((height + row.gap) / number.max(1)).clamp(row.pitch(), row.pitch() * 3 / 2);
        let Point { x, y } = self.bars.top_left;
        (0..number).map(|index| area(x, y + index * pitch, width, row.bar_top + row.bar)).collect()
    }
}

/// Lengths of a row of the bars, pixels.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// From the top of the text to the bar: below the letters that reach deepest.
    pub bar_top: i32,
    /// How thick the bar is.
    pub bar: i32,
    /// To the next row.
    gap: i32,
}

impl Row {
    pub fn of(font: Font) -> Self {
        let line = font.height() as i32;
        Self { bar_top: line + 1, bar: (line * 2 / 7).max(2), gap: (line / 3).max(2) }
    }

    fn pitch(self) -> i32 {
        self.bar_top + self.bar + self.gap
    }

    /// How many have room.
    fn fitting(self, height: i32) -> i32 {
        ((height + self.gap) / self.pitch()).clamp(0, MAX_BARS)
    }
}

/// What is above the state line, or a part of it.
#[derive(Clone, Copy)]
struct Body {
    left: i32,
    top: i32,
    right: i32,
    bottom: i32,
}

impl Body {
    fn width(self) -> i32 {
        self.right - self.left
    }

    fn height(self) -> i32 {
        self.bottom - self.top
    }

    fn area(self) -> Rectangle {
        area(self.left, self.top, self.width(), self.height())
    }
}

/// Picture, label, bars.
type Parts = (Option<Rectangle>, Rectangle, Rectangle);

/// What the arrangements are made from.
struct Plan {
    aspect: [u32; 2],
    classes: i32,
    font: Font,
    gap: i32,
}

impl Plan {
    /// For low screens: the picture at the left, the label above the bars at the right.
    fn picture_beside_column(&self, body: Body) -> Parts {
        let [width, height] = fit(self.aspect, [body.width() / 2, body.height()]);
        let [label, bars] = self.column(Body { left: body.left + width + 3 * self.gap, ..body });
        (Some(area(body.left, body.top + (body.height() - height) / 2, width, height)), label, bars)
    }

    /// For wide screens: the picture at the left, the bars at the right, and below both the label.
    fn picture_beside_bars(&self, body: Body) -> Parts {
        let most_width = if self.classes > 0 { body.width() * 55 / 100 } else { body.width() };
        let [width, height] = fit(self.aspect, [most_width, body.height() - self.gap - 2 * self.font.height() as i32]);
        let bottom = body.top + height;
        let bars = Body { left: (body.left + width + 2 * self.gap).min(body.right), bottom, ..body };
        let label = Body { top: bottom + self.gap, ..body };
        (Some(area(body.left, body.top, width, height)), label.area(), bars.area())
    }

    /// For upright and square screens: picture, label, bars, one above the other.
    fn picture_above(&self, body: Body) -> Parts {
        let row = Row::of(self.font);
        let rows = self.classes.min(if body.height() < 230 { 2 } else { 3 });
        let label = self.font.height() as i32 * 3 / 2;
        let [width, height] =
            fit(self.aspect, [body.width(), body.height() - label - rows * row.pitch() - 2 * self.gap]);
        let picture = area(body.left + (body.width() - width) / 2, body.top, width, height);
        let [label, bars] = self.column(Body { top: body.top + height + self.gap, ..body });
        (Some(picture), label, bars)
    }

    /// The label above the bars, or beside them where there is no height.
    fn no_picture(&self, body: Body) -> Parts {
        if body.width() > 4 * body.height() && self.classes > 0 {
            let half = (body.width() - 3 * self.gap) / 2;
            let [label, bars] = [Body { right: body.left + half, ..body }, Body { left: body.right - half, ..body }];
            return (None, label.area(), bars.area());
        }
        let [label, bars] = self.column(body);
        (None, label, bars)
    }

    /// The label above the bars: of the height it has a third, and what makes no whole row.
    fn column(&self, body: Body) -> [Rectangle; 2] {
        let row = Row::of(self.font);
        let rows = row.fitting(body.height() * 2 / 3 + row.gap).min(self.classes);
        let top = body.bottom - (rows * row.pitch() - row.gap).max(0);
        let label = Body { bottom: if rows > 0 { (top - row.gap).max(body.top) } else { body.bottom }, ..body };
        [label.area(), Body { top, ..body }.area()]
    }
}

/// The largest size of an aspect ratio that fits into a box, at least one pixel.
fn fit([width, height]: [u32; 2], [most_width, most_height]: [i32; 2]) -> [i32; 2] {
    let (width, height) = (i64::from(width.max(1)), i64::from(height.max(1)));
    let (most_width, most_height) = (i64::from(most_width), i64::from(most_height));
    let fitted = if most_width * height <= most_height * width {
        [most_width, most_width * height / width]
    } else {
        [most_height * width / height, most_height]
    };
    fitted.map(|length| length.max(1) as i32)
}

/// A rectangle; what would be less than nothing is nothing.
pub(super) fn area(left: i32, top: i32, width: i32, height: i32) -> Rectangle {
    Rectangle::new(Point::new(left, top), Size::new(width.max(0) as u32, height.max(0) as u32))
}

#[cfg(test)]
mod tests {
    use embedded_graphics::prelude::*;

    use super::*;

    const ASPECTS: [[u32; 2]; 7] = [[640, 480], [480, 640], [96, 96], [1920, 1080], [1000, 1], [1, 1000], [0, 0]];

    #[test]
    fn parts_lie_apart_within_the_screen() {
        for (width, height) in
            (72..=800).step_by(8).flat_map(|width| (40..=480).step_by(4).map(move |height| (width, height)))
        {
            for (index, aspect) in ASPECTS.into_iter().enumerate() {
                let size = Size::new(width, height);
                let layout = Layout::new(size, aspect, index);
                let screen = Rectangle::new(Point::zero(), size);
                let parts: Vec<_> =
                    layout.picture.into_iter().chain([layout.label, layout.bars, layout.state]).collect();
                for (index, part) in parts.iter().enumerate() {
                    assert_eq!(screen.intersection(part).size, part.size, "{width}x{height} {aspect:?} {layout:?}");
                    let overlap =
                        parts[..index].iter().map(|other| part.intersection(other)).find(|area| !area.is_zero_sized());
                    assert_eq!(overlap, None, "{width}x{height} {aspect:?} {layout:?}");
                }
                for row in layout.rows(12) {
                    assert_eq!(layout.bars.intersection(&row), row, "{width}x{height} {aspect:?} {layout:?}");
                }
            }
        }
    }

    #[test]
    fn what_has_no_room_goes() {
        let has_picture = |width, height| Layout::new(Size::new(width, height), [4, 3], 5).picture.is_some();
        assert!(has_picture(128, 64));
        assert!(has_picture(64, 128));
        assert!(has_picture(240, 240));
        assert!(!has_picture(128, 32));
        assert!(!has_picture(72, 40));
        assert_eq!(Layout::new(Size::new(128, 32), [4, 3], 5).rows(5).len(), 2);
        assert_eq!(Layout::new(Size::new(128, 64), [4, 3], 5).rows(5).len(), 3);
    }

    #[test]
    fn keeps_the_aspect_ratio() {
        assert_eq!(fit([640, 480], [100, 100]), [100, 75]);
        assert_eq!(fit([480, 640], [100, 100]), [75, 100]);
        assert_eq!(fit([1, 10_000], [100, 100]), [1, 100]);
        assert_eq!(fit([0, 0], [0, -3]), [1, 1]);
    }
}
