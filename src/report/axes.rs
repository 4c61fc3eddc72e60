//! Axes of a chart: where numbers lie in the picture.

use super::canvas::{Anchor, Canvas, Line};
use super::font;

/// Size of letters, pixels of an em: a picture is 1000 pixels wide, and 400 on a phone.
pub(super) const TEXT: f32 = 25.0;
/// Of a title.
pub(super) const TITLE: f32 = 31.0;
/// Of lesser text.
pub(super) const SMALL: f32 = 21.0;

/// One axis: numbers from..to lie at pixels from..to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    pub numbers: [f64; 2],
    pub pixels: [f32; 2],
    pub is_log: bool,
}

impl Axis {
    pub fn at(&self, number: f64) -> f32 {
        let scale = |number: f64| if self.is_log { number.max(1e-300).ln() } else { number };
        let [from, to] = self.numbers.map(scale);
        let share = if to > from { ((scale(number) - from) / (to - from)).clamp(0.0, 1.0) } else { 0.5 };
        self.pixels[0] + (self.pixels[1] - self.pixels[0]) * share as f32
    }
}

/// Both axes.
pub(super) struct Axes {
    pub x: Axis,
    pub y: Axis,
}

impl Axes {
    pub fn at(&self, x: f64, y: f64) -> [f32; 2] {
        [self.x.at(x), self.y.at(y)]
    }

    /// Lines across at numbers of the y axis, with the numbers.
    pub fn rows(&self, canvas: &mut Canvas, ticks: &[(f64, String)]) {
        let ([left, right], theme) = (self.x.pixels, canvas.theme);
        for (number, label) in ticks {
            let y = self.y.at(*number);
            canvas.line(&[[left, y], [right, y]], theme.grid, 1.5, Line::Solid);
            canvas.text(label, [left - 12.0, y], SMALL, theme.grey, Anchor::Right);
        }
    }

    /// Numbers below the x axis, as far as they do not touch, with a short line each.
    pub fn columns(&self, canvas: &mut Canvas, ticks: &[(f64, String)]) {
        let (bottom, theme) = (self.y.pixels[0], canvas.theme);
        canvas.line(&[[self.x.pixels[0], bottom], [self.x.pixels[1], bottom]], theme.grey, 2.0, Line::Solid);
        let mut end = f32::NEG_INFINITY;
        for (number, label) in ticks {
            let (x, half) = (self.x.at(*number), font::width(label, SMALL) / 2.0);
            canvas.line(&[[x, bottom], [x, bottom + 7.0]], theme.grey, 2.0, Line::Solid);
            if x - half > end + 8.0 {
                canvas.text(label, [x, bottom + 24.0], SMALL, theme.grey, Anchor::Middle);
                end = x + half;
            }
        }
    }

    /// What the numbers are: below the x axis, and along the y axis.
    pub fn titles(&self, canvas: &mut Canvas, x: &str, y: &str) {
        let ([left, right], [bottom, top], theme) = (self.x.pixels, self.y.pixels, canvas.theme);
        canvas.text(x, [(left + right) / 2.0, bottom + 58.0], TEXT, theme.ink, Anchor::Middle);
        canvas.upwards(y, [26.0, (bottom + top) / 2.0], TEXT, theme.ink, Anchor::Middle);
    }
}

/// `0 %`, `20 %` ... `100 %`
pub(super) fn shares() -> Vec<(f64, String)> {
    (0..=5).map(|i| (f64::from(i) / 5.0, format!("{} %", 20 * i))).collect()
}

/// Round numbers within a range, some three to eight of them.
pub(super) fn round_numbers([from, to]: [f64; 2], is_log: bool) -> Vec<f64> {
    if is_log {
        let (low, high) = (from.log10().floor() as i32, to.log10().ceil() as i32);
        let mantissas: &[f64] = if high - low <= 3 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let numbers = (low..=high).flat_map(|power| mantissas.iter().map(move |m| m * 10f64.powi(power)));
        return numbers.filter(|number| (from * (1.0 - 1e-9)..=to * (1.0 + 1e-9)).contains(number)).collect();
    }
    let rough = ((to - from) / 5.0).max(1e-12);
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|step| *step >= rough).unwrap_or(power);
    let first = (from / step).ceil() as i64;
    (first..).map(|i| i as f64 * step).take_while(|number| *number <= to + 1e-9 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_numbers_are_few_and_within() {
        assert_eq!(round_numbers([0.0, 37.0], false), [0.0, 10.0, 20.0, 30.0]);
        assert_eq!(round_numbers([0.0, 4.1], false), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(round_numbers([7.0, 130.0], true), [10.0, 20.0, 50.0, 100.0]);
        assert_eq!(round_numbers([0.4, 30_000.0], true), [1.0, 10.0, 100.0, 1000.0, 10_000.0]);
        for to in [0.003, 0.7, 12.0, 1e6] {
            assert!((3..=8).contains(&round_numbers([0.0, to], false).len()), "{to}");
        }
    }

    #[test]
    fn numbers_lie_between_the_ends() {
        let axis = Axis { numbers: [1.0, 100.0], pixels: [50.0, 250.0], is_log: true };
        assert_eq!([1.0, 10.0, 100.0, 1e6].map(|x| axis.at(x)), [50.0, 150.0, 250.0, 250.0]);
        let upwards = Axis { numbers: [0.0, 1.0], pixels: [400.0, 0.0], is_log: false };
        assert_eq!([0.0, 0.25].map(|y| upwards.at(y)), [400.0, 300.0]);
        let point = Axis { numbers: [3.0, 3.0], ..upwards };
        assert_eq!(point.at(3.0), 200.0);
    }
}
