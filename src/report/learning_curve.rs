//! What transfer brings: accuracy against shots, with transfer, without it, and naive.

use super::axes::{Axes, Axis, SMALL, TEXT, TITLE, shares};
use super::canvas::{Anchor, Canvas, Line, Marker, Theme};
use super::font;
use super::text::{interval, percent, points, shots};
use crate::learn::{Difference, Estimate, PIXEL_SIDE, TransferCurve, TransferPoint};

pub(super) const SIZE: [u32; 2] = [1000, 640];

/// One of the two estimates of a point.
type Side = fn(&TransferPoint) -> Estimate;

/// Draws the curve beside `naive`, the share of the largest class and its 95 % interval.
pub(super) fn chart(curve: &TransferCurve, naive: Estimate, theme: Theme) -> Vec<u8> {
    let mut canvas = Canvas::new(SIZE[0], SIZE[1], theme);
    let (points, names) = (&curve.points, ["head on the trunk's features", "linear model on pixels", "naive"]);
    canvas.text("Accuracy on left-out photos", [24.0, 34.0], TITLE, theme.ink, Anchor::Left);
    let ends = [points[0].shots, points[points.len() - 1].shots];
    // Room at both ends for the bars, and for a single point.
    let room = (ends[1] / ends[0]).powf(0.05).max(1.15);
    let axes = Axes {
        x: Axis { numbers: [ends[0] / room, ends[1] * room], pixels: [112.0, 976.0], is_log: true },
        y: Axis { numbers: [0.0, 1.0], pixels: [550.0, 120.0], is_log: false },
    };
    axes.rows(&mut canvas, &shares());
    let ticks: Vec<(f64, String)> = points.iter().map(|point| (point.shots, shots(point.shots))).collect();
    axes.columns(&mut canvas, &ticks);
    axes.titles(&mut canvas, "photos of each class to learn from (shots)", "accuracy");

    let [left, right] = axes.x.pixels;
    let [low, high] = naive.interval.map(|share| axes.y.at(share));
    canvas.interval(right - 6.0, [low, high], theme.grey);
    let y = axes.y.at(naive.accuracy);
    canvas.line(&[[left, y], [right, y]], theme.grey, 3.0, Line::Dotted);
    let [transfer, pixels]: [Side; 2] = [|point| point.transfer, |point| point.pixels];
    let series = [
        (pixels, theme.second, Marker::Triangle, Line::Dashed, 5.0),
        (transfer, theme.first, Marker::Circle, Line::Solid, -5.0),
    ];
    for (estimate, colour, marker, line, aside) in series {
        let at = |point: &TransferPoint| {
            let [x, y] = axes.at(point.shots, estimate(point).accuracy);
            [x + aside, y]
        };
        for point in points {
            let bounds = estimate(point).interval.map(|share| axes.y.at(share));
            canvas.interval(at(point)[0], bounds, colour);
        }
        canvas.line(&points.iter().map(at).collect::<Vec<_>>(), colour, 3.5, line);
        points.iter().for_each(|point| canvas.marker(marker, at(point), 8.0, colour));
    }

    let mut x = 24.0;
    let keys = [
        (theme.first, Some(Marker::Circle), Line::Solid),
        (theme.second, Some(Marker::Triangle), Line::Dashed),
        (theme.grey, None, Line::Dotted),
    ];
    for ((colour, marker, line), name) in keys.into_iter().zip(names) {
        canvas.line(&[[x, 82.0], [x + 52.0, 82.0]], colour, 3.5, line);
        marker.into_iter().for_each(|marker| canvas.marker(marker, [x + 26.0, 82.0], 8.0, colour));
        canvas.text(name, [x + 64.0, 82.0], SMALL, theme.ink, Anchor::Left);
        x += 64.0 + font::width(name, SMALL) + 36.0;
    }
    let note = "bars: 95 % interval";
    canvas.text(note, [976.0, 34.0], SMALL, theme.grey, Anchor::Right);
    debug_assert!(x < 1000.0 + TEXT, "the key fits");
    canvas.png()
}

/// What the picture shows, for those who cannot see it.
pub(super) fn description(curve: &TransferCurve, naive: Estimate) -> String {
    let point = |point: &TransferPoint| {
        format!(
            "{} shots: {} with the trunk, {} on pixels",
            shots(point.shots),
            percent(point.transfer.accuracy),
            percent(point.pixels.accuracy)
        )
    };
    let points: Vec<String> = curve.points.iter().map(point).collect();
    format!("Accuracy against shots. {}. Naive: {}.", points.join("; "), percent(naive.accuracy))
}

/// A benefit of transfer, and whether these photos show it.
pub(super) struct Benefit {
    pub name: &'static str,
    /// `yes`, `no` or `not shown`.
    pub verdict: &'static str,
    /// One sentence with the numbers.
    pub sentence: String,
}

/// The three benefits that transfer may have (Torrey & Shavlik 2010, "Transfer learning", figure 2), each with what was
/// measured of it, also where it does not hold.
pub(super) fn benefits(curve: &TransferCurve) -> Vec<Benefit> {
    let (first, last) = (curve.points[0], curve.points[curve.points.len() - 1]);
    let at = |name, difference: &Difference, point: TransferPoint| {
        let sentence = format!(
            "With {} of each class the head on the trunk's features is right on {} of left-out photos, the linear model on \
             pixels on {}: {} points (95 % interval {}){}.",
            photos(point.shots),
            percent(point.transfer.accuracy),
            percent(point.pixels.accuracy),
            points(difference.mean),
            range(difference),
            told(difference)
        );
        Benefit { name, verdict: verdict(difference), sentence }
    };
    let slope = match &curve.slope {
        Some(slope) => Benefit {
            name: "Steeper slope",
            verdict: verdict(slope),
            sentence: format!(
                "Each doubling of the photos brings the head on the trunk's features {} points more than the linear model on \
                 pixels (95 % interval {}){}.{}",
                points(slope.mean),
                range(slope),
                told(slope),
                // Nothing rises far that begins high.
                if slope.sign() != Some(true) && first.transfer.accuracy > 0.8 {
                    format!(" It starts at {}, which leaves it little to rise.", percent(first.transfer.accuracy))
                } else {
                    String::new()
                }
            ),
        },
        None => Benefit {
            name: "Steeper slope",
            verdict: "not shown",
            sentence: "One number of shots makes no slope: it takes more photos of each class.".to_owned(),
        },
    };
    vec![at("Higher start", &curve.start, first), slope, at("Higher end", &curve.end, last)]
}

fn photos(number: f64) -> String {
    let text = shots(number);
    format!("{text} photo{}", if text == "1" { "" } else { "s" })
}

fn verdict(difference: &Difference) -> &'static str {
    match difference.sign() {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not shown",
    }
}

fn told(difference: &Difference) -> &'static str {
    match difference.sign() {
        Some(true) => "",
        Some(false) => ", so transfer does worse here",
        None => ", so the photos do not tell the two apart",
    }
}

fn range(Difference { interval: [low, high], .. }: &Difference) -> String {
    format!("{} to {}", points(*low), points(*high))
}

/// The points as a table: a heading, and a row each.
pub(super) fn table(curve: &TransferCurve, naive: Estimate) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let cells = |estimate: Estimate| [percent(estimate.accuracy), interval(estimate.interval)];
    let row = |point: &TransferPoint| {
        let [transfer, pixels, naive] = [point.transfer, point.pixels, naive].map(cells);
        [vec![shots(point.shots)], transfer.to_vec(), pixels.to_vec(), naive.to_vec()].concat()
    };
    let heading = vec!["shots", "features", "95 % interval", "pixels", "95 % interval", "naive", "95 % interval"];
    (heading, curve.points.iter().map(row).collect())
}

/// How it was measured.
pub(super) fn method(curve: &TransferCurve, n_photos: usize) -> String {
    let drawn = match curve.n_samples < n_photos {
        true => format!("{} of the {n_photos} photos, chosen at random, ", curve.n_samples),
        false => "these photos ".to_owned(),
    };
    format!(
        "Of {drawn}as many of each class are learned from as the axis says, eight times others at random, and the rest are \
         asked. Both models are the same softmax regression, its penalty chosen within the photos that it learns from: once on \
         the trunk's features, once on the photo itself, squeezed to {PIXEL_SIDE} x {PIXEL_SIDE} pixels. The naive model always \
         says the largest class. The head file that was given has no part in this picture.",
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::canvas::tests::count;
    use super::*;

    pub fn curve() -> (TransferCurve, Estimate) {
        let estimate = |accuracy: f64| Estimate { accuracy, interval: [accuracy - 0.05, (accuracy + 0.05).min(1.0)] };
        let point =
            |(shots, transfer, pixels)| TransferPoint { shots, transfer: estimate(transfer), pixels: estimate(pixels) };
        let points = [(1.0, 0.6, 0.2), (2.0, 0.75, 0.25), (5.0, 0.9, 0.3)].map(point).to_vec();
        let difference = |mean: f64, half: f64| Difference { mean, interval: [mean - half, mean + half] };
        let curve = TransferCurve {
            n_samples: 60,
            points,
            start: difference(0.4, 0.1),
            slope: Some(difference(0.03, 0.05)),
            end: difference(-0.6, 0.1),
        };
        (curve, estimate(1.0 / 6.0))
    }

    #[test]
    fn every_series_has_its_colour_in_the_picture() {
        let (curve, naive) = curve();
        for theme in [Theme::LIGHT, Theme::DARK] {
            let png = chart(&curve, naive, theme);
            for colour in [theme.first, theme.second, theme.grey, theme.ink] {
                assert!(count(&png, colour) > 300, "{colour:?}");
            }
            let size = image::load_from_memory(&png).expect("a picture");
            assert_eq!([size.width(), size.height()], SIZE);
        }
    }

    #[test]
    fn benefits_say_what_does_not_hold() {
        let benefits = benefits(&curve().0);
        assert_eq!(benefits.iter().map(|b| b.verdict).collect::<Vec<_>>(), ["yes", "not shown", "no"]);
        assert!(
            benefits[0].sentence.contains("With 1 photo of each class")
                && benefits[0].sentence.contains("+40.0 points")
        );
        assert!(benefits[1].sentence.contains("do not tell the two apart"));
        assert!(benefits[2].sentence.contains("transfer does worse here"));
        let one = TransferCurve { points: curve().0.points[..1].to_vec(), slope: None, ..curve().0 };
        assert_eq!(super::benefits(&one)[1].verdict, "not shown");
        assert!(!chart(&one, curve().1, Theme::LIGHT).is_empty());
    }
}
