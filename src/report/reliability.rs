//! Whether probabilities mean what they say: reliability diagram, before and after calibration.

use super::axes::{Axes, Axis, SMALL, TEXT, TITLE, shares};
use super::canvas::{Anchor, Canvas, Line, Marker, Theme, mixed};
use super::font;
use super::text::{interval, percent};
use crate::learn::{ECE_BINS, ReliabilityBin, wilson};

pub(super) const SIZE: [u32; 2] = [1000, 860];

/// Photos in bins of confidence, and the calibration error.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reliability {
    pub bins: [ReliabilityBin; ECE_BINS],
    /// 0..=1
    pub error: f64,
}

/// Draws both; one alone if the temperature is 1.
pub(super) fn chart(before: &Reliability, after: Option<&Reliability>, theme: Theme) -> Vec<u8> {
    let mut canvas = Canvas::new(SIZE[0], SIZE[1], theme);
    canvas.text("Confidence and what it is worth", [24.0, 34.0], TITLE, theme.ink, Anchor::Left);
    canvas.text("bars: 95 % interval", [976.0, 34.0], SMALL, theme.grey, Anchor::Right);
    let x = Axis { numbers: [0.0, 1.0], pixels: [112.0, 944.0], is_log: false };
    let axes = Axes { x, y: Axis { numbers: [0.0, 1.0], pixels: [540.0, 120.0], is_log: false } };
    axes.rows(&mut canvas, &shares());
    axes.columns(&mut canvas, &[]);
    canvas.upwards("share of right answers", [26.0, 330.0], TEXT, theme.ink, Anchor::Middle);
    canvas.line(&[axes.at(0.0, 0.0), axes.at(1.0, 1.0)], theme.grey, 3.0, Line::Dotted);

    let series: Vec<(&Reliability, _, _, _, f32)> = match after {
        None => vec![(before, theme.first, Marker::Circle, "as the head says it", 0.0)],
        Some(after) => vec![
            (before, theme.second, Marker::Triangle, "before calibration", -5.0),
            (after, theme.first, Marker::Circle, "after", 5.0),
        ],
    };
    // Photos of each bin, below.
    let largest = series.iter().flat_map(|(side, ..)| &side.bins).map(|bin| bin.samples).max().unwrap_or(0).max(1);
    let counts = Axes { x, y: Axis { numbers: [0.0, f64::from(largest)], pixels: [770.0, 630.0], is_log: false } };
    canvas.text("photos in each bin", [112.0, 574.0], SMALL, theme.grey, Anchor::Left);
    let width = (x.at(1.0) - x.at(0.0)) / ECE_BINS as f32;
    let bar = (width - 6.0) / series.len() as f32;
    for (nth, (side, colour, ..)) in series.iter().enumerate() {
        for (bin, at) in side.bins.iter().zip(0u8..).filter(|(bin, _)| bin.samples > 0) {
            let left = x.at(f64::from(at) / ECE_BINS as f64) + 3.0 + nth as f32 * bar;
            let top = counts.y.at(f64::from(bin.samples)).min(768.0);
            canvas.rectangle([left, top], [left + bar - 1.0, 770.0], mixed(theme.paper, *colour, 0.75));
            let (label, middle) = (bin.samples.to_string(), left + bar / 2.0);
            match font::width(&label, SMALL) <= bar {
                true => canvas.text(&label, [middle, top - 14.0], SMALL, theme.ink, Anchor::Middle),
                false => canvas.upwards(&label, [middle, top - 6.0], (bar - 4.0).min(SMALL), theme.ink, Anchor::Left),
            }
        }
    }
    counts.columns(&mut canvas, &shares());
    canvas.text("probability of the answer", [528.0, 828.0], TEXT, theme.ink, Anchor::Middle);

    for (side, colour, marker, _, aside) in &series {
        let bins = side.bins.iter().filter(|bin| bin.samples > 0);
        let at = |bin: &ReliabilityBin| {
            let [x, y] = axes.at(bin.confidence, f64::from(bin.right) / f64::from(bin.samples));
            [x + aside, y]
        };
        for bin in bins.clone() {
            let bounds = wilson(bin.right, bin.samples).map(|share| axes.y.at(share));
            canvas.interval(at(bin)[0], bounds, *colour);
        }
        bins.for_each(|bin| canvas.marker(*marker, at(bin), 9.0, *colour));
    }
    let mut left = 24.0;
    let named = series.iter().map(|(side, colour, marker, name, _)| {
        (Some(*marker), *colour, format!("{name}: ECE {}", percent(side.error)))
    });
    let ideal = std::iter::once((None, theme.grey, "ideal".to_owned()));
    for (marker, colour, name) in named.collect::<Vec<_>>().into_iter().chain(ideal) {
        match marker {
            Some(marker) => canvas.marker(marker, [left + 14.0, 82.0], 9.0, colour),
            None => canvas.line(&[[left - 8.0, 82.0], [left + 30.0, 82.0]], colour, 3.0, Line::Dotted),
        }
        canvas.text(&name, [left + 36.0, 82.0], SMALL, theme.ink, Anchor::Left);
        left += 36.0 + font::width(&name, SMALL) + 40.0;
    }
    canvas.png()
}

/// What the picture shows, for those who cannot see it.
pub(super) fn description(before: &Reliability, after: Option<&Reliability>) -> String {
    let after = after.map_or(String::new(), |after| format!(", {} after calibration", percent(after.error)));
    format!("Share of right answers against their probability. Calibration error {}{after}.", percent(before.error))
}

/// The bins that have photos: a heading, and a row each.
pub(super) fn table(before: &Reliability, after: Option<&Reliability>) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let cells = |bin: &ReliabilityBin| match bin.samples {
        0 => vec!["0".to_owned(), "-".to_owned(), "-".to_owned(), "-".to_owned()],
        n => vec![
            n.to_string(),
            percent(bin.confidence),
            percent(f64::from(bin.right) / f64::from(n)),
            interval(wilson(bin.right, n)),
        ],
    };
    let sides: Vec<&Reliability> = [before].into_iter().chain(after).collect();
    let row = |bin: usize| {
        let bounds = [bin, bin + 1].map(|edge| 100.0 * edge as f64 / ECE_BINS as f64);
        let mut row = vec![format!("{:.0} to {:.0} %", bounds[0], bounds[1])];
        row.extend(sides.iter().flat_map(|side| cells(&side.bins[bin])));
        row
    };
    let filled = (0..ECE_BINS).filter(|bin| sides.iter().any(|side| side.bins[*bin].samples > 0));
    let columns = match after {
        None => vec!["probability", "photos", "mean", "right", "95 % interval"],
        Some(_) => vec![
            "probability",
            "photos before",
            "mean",
            "right",
            "95 % interval",
            "photos after",
            "mean",
            "right",
            "95 % interval",
        ],
    };
    (columns, filled.map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::super::canvas::tests::count;
    use super::*;

    fn side(shift: usize) -> Reliability {
        let bin = |i: usize| ReliabilityBin {
            confidence: (i as f64 + 0.5) / ECE_BINS as f64,
            right: if i > 6 { (i - shift) as u32 } else { 0 },
            samples: if i > 6 { 20 } else { 0 },
        };
        Reliability { bins: std::array::from_fn(bin), error: 0.1 * shift as f64 }
    }

    #[test]
    fn before_and_after_have_their_colours_in_the_picture() {
        for theme in [Theme::LIGHT, Theme::DARK] {
            let both = chart(&side(3), Some(&side(1)), theme);
            assert!(count(&both, theme.first) > 500 && count(&both, theme.second) > 500);
            let one = chart(&side(3), None, theme);
            assert!(count(&one, theme.first) > 500 && count(&one, theme.second) == 0);
        }
    }

    #[test]
    fn the_table_has_the_bins_that_have_photos() {
        let (columns, rows) = table(&side(3), Some(&side(1)));
        assert_eq!((columns.len(), rows.len()), (9, 8));
        assert!(rows.iter().all(|row| row.len() == 9));
        assert_eq!(rows[0][..4], ["47 to 53 %", "20", "50.0 %", "20.0 %"]);
        assert_eq!(table(&side(3), None).0.len(), 5);
    }
}
