//! Cuts of a network beside each other: what they are worth against what they cost.

use super::axes::{Axes, Axis, SMALL, TITLE, round_numbers};
use super::canvas::{Anchor, Canvas, Line, Marker, Theme, mixed};
use super::font;
use super::text::{counted, interval, percent, shown};

pub(super) const SIZE: [u32; 2] = [1000, 720];
/// From a point to the nearer end of its name, pixels.
const DISTANCES: [f32; 7] = [18.0, 34.0, 56.0, 84.0, 120.0, 170.0, 230.0];

/// A cut of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CutPoint<'a> {
    /// Its layer.
    pub name: &'a str,
    /// Left-out accuracy of a head on it, 0..=1,
    pub accuracy: f64,
    /// and the 95 % interval of that.
    pub interval: [f64; 2],
    /// Of the trunk, for one photo; above 0.
    pub milliseconds: f64,
    /// Whether it is the one to take.
    pub is_recommended: bool,
}

/// Draws accuracy against milliseconds: a PNG of 1000 x 720 pixels. Cuts than which none is both faster and more accurate are
/// joined by a line (the Pareto front). A name for which there is no room is left out.
///
/// ```
/// use topgraft::report::{CutPoint, cut_chart};
/// let point = |name, accuracy, milliseconds, is_recommended| {
///     CutPoint { name, accuracy, interval: [accuracy - 0.1, accuracy + 0.05], milliseconds, is_recommended }
/// };
/// let png = cut_chart(&[point("early", 0.7, 8.0, false), point("middle", 0.9, 20.0, true), point("late", 0.85, 33.0, false)]);
/// let picture = image::load_from_memory(&png)?;
/// assert_eq!((picture.width(), picture.height()), (1000, 720));
/// # Ok::<(), image::ImageError>(())
/// ```
pub fn cut_chart(points: &[CutPoint<'_>]) -> Vec<u8> {
    chart(points, Theme::LIGHT)
}

/// What the picture shows, for those who cannot see it.
pub(super) fn description(points: &[CutPoint<'_>]) -> String {
    let best = points.iter().find(|point| point.is_recommended);
    let best = best.map_or(String::new(), |best| {
        format!("; recommended is {}, {} at {:.1} ms", shown(best.name, 80), percent(best.accuracy), best.milliseconds)
    });
    format!("Left-out accuracy against milliseconds a photo for {}{best}.", counted(points.len(), "cut"))
}

/// Of the table of the picture's numbers.
pub(super) const HEADING: [&str; 5] = ["cut", "", "left-out accuracy", "95 % interval", "a photo"];

/// The numbers of the picture, the fastest cut first.
pub(super) fn rows(points: &[CutPoint<'_>]) -> Vec<Vec<String>> {
    let (front, mut order) = (front(points), (0..points.len()).collect::<Vec<_>>());
    order.sort_by(|a, b| points[*a].milliseconds.total_cmp(&points[*b].milliseconds));
    let row = |index: usize| {
        let point = &points[index];
        let mark = match (point.is_recommended, front.contains(&index)) {
            (true, _) => "recommended",
            (_, true) => "none is both faster and better",
            _ => "",
        };
        let time = format!("{:.1} ms", point.milliseconds);
        vec![shown(point.name, 80), mark.to_owned(), percent(point.accuracy), interval(point.interval), time]
    };
    order.into_iter().map(row).collect()
}

pub(super) fn chart(points: &[CutPoint<'_>], theme: Theme) -> Vec<u8> {
    let mut canvas = Canvas::new(SIZE[0], SIZE[1], theme);
    canvas.text("What a cut is worth, and what it costs", [24.0, 34.0], TITLE, theme.ink, Anchor::Left);
    canvas.text("bars: 95 % interval", [976.0, 34.0], SMALL, theme.grey, Anchor::Right);
    let front = front(points);
    let axes = axes(points);
    let ticks = |axis: &Axis| round_numbers(axis.numbers, axis.is_log);
    let shares = ticks(&axes.y).into_iter().map(|share| (share, format!("{:.0} %", 100.0 * share)));
    axes.rows(&mut canvas, &shares.collect::<Vec<_>>());
    let times = ticks(&axes.x).into_iter().map(|time| (time, format!("{}", (time * 1e6).round() / 1e6)));
    axes.columns(&mut canvas, &times.collect::<Vec<_>>());
    axes.titles(&mut canvas, "milliseconds a photo", "left-out accuracy");

    let at = |point: &CutPoint| axes.at(point.milliseconds, point.accuracy);
    let style = |index: usize| match (points[index].is_recommended, front.contains(&index)) {
        (true, _) => (Marker::Diamond, theme.third),
        (_, true) => (Marker::Circle, theme.first),
        _ => (Marker::Square, theme.grey),
    };
    let line: Vec<[f32; 2]> = front.iter().map(|index| at(&points[*index])).collect();
    canvas.line(&line, theme.first, 3.0, Line::Solid);
    let mut taken = Vec::new();
    for (index, point) in points.iter().enumerate() {
        let ([x, y], bounds) = (at(point), point.interval.map(|share| axes.y.at(share)));
        // Lighter than the names that may lie over them.
        canvas.interval(x, bounds, mixed(theme.paper, style(index).1, 0.45));
        taken.push(Taken { area: [x - 12.0, y - 12.0, x + 12.0, y + 12.0], cost: SOLID });
        taken.push(Taken { area: [x - 6.0, bounds[1], x + 6.0, bounds[0]], cost: 1.0 });
    }
    line.windows(2).for_each(|pair| taken.extend(along(pair[0], pair[1])));
    // Poolings of one layer take the same time, so markers may lie on each other: those that matter most last.
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by_key(|index| (!points[*index].is_recommended, !front.contains(index)));
    for index in order.iter().rev() {
        let ((marker, colour), point) = (style(*index), &points[*index]);
        canvas.marker(marker, at(point), if point.is_recommended { 11.0 } else { 9.0 }, colour);
    }
    let bounds = [axes.x.pixels[0] + 4.0, axes.y.pixels[1] - 14.0, axes.x.pixels[1], axes.y.pixels[0] - 4.0];
    // The names that matter most first, while there is room.
    for index in order {
        let name = font::fitted(&font::name(points[index].name, index + 1), SMALL, 260.0);
        let place = place(at(&points[index]), font::width(&name, SMALL), &taken, bounds);
        // Among many names over many bars none could be read.
        let is_clear = |place: &Place| points[index].is_recommended || place.cost < 900.0;
        let Some(place) = place.filter(is_clear) else { continue };
        if !place.leader.is_empty() {
            canvas.line(&[at(&points[index]), place.end], theme.grey, 1.5, Line::Solid);
            canvas.marker(style(index).0, at(&points[index]), 9.0, style(index).1);
        }
        let [left, top, _, bottom] = place.area;
        canvas.text(&name, [left, (top + bottom) / 2.0], SMALL, theme.ink, Anchor::Left);
        taken.push(Taken { area: place.area, cost: SOLID });
        taken.extend(place.leader);
    }

    let keys = [
        (Marker::Diamond, theme.third, "recommended"),
        (Marker::Circle, theme.first, "no cut is both faster and better"),
        (Marker::Square, theme.grey, "others"),
    ];
    let mut x = 24.0;
    for (marker, colour, name) in keys {
        canvas.marker(marker, [x + 12.0, 80.0], 9.0, colour);
        canvas.text(name, [x + 30.0, 80.0], SMALL, theme.ink, Anchor::Left);
        x += 30.0 + font::width(name, SMALL) + 36.0;
    }
    canvas.png()
}

/// Indices of the points than which none is both faster and better, the fastest first.
fn front(points: &[CutPoint<'_>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|a, b| {
        let [a, b] = [&points[*a], &points[*b]];
        a.milliseconds.total_cmp(&b.milliseconds).then(b.accuracy.total_cmp(&a.accuracy))
    });
    let mut best = f64::NEG_INFINITY;
    order.retain(|index| {
        let is_better = points[*index].accuracy > best;
        best = best.max(points[*index].accuracy);
        is_better
    });
    order
}

fn axes(points: &[CutPoint<'_>]) -> Axes {
    let least = |number: fn(&CutPoint) -> f64| points.iter().map(number).fold(f64::INFINITY, f64::min);
    let most = |number: fn(&CutPoint) -> f64| points.iter().map(number).fold(f64::NEG_INFINITY, f64::max);
    let (fastest, slowest) = (least(|p| p.milliseconds).max(1e-6), most(|p| p.milliseconds).max(1e-6));
    let is_log = slowest > 8.0 * fastest;
    let times = if is_log { [fastest / 1.3, slowest * 1.3] } else { [0.0, slowest * 1.08] };
    let low = ((least(|p| p.interval[0]) * 10.0).floor() / 10.0).clamp(0.0, 0.9);
    let high = ((most(|p| p.interval[1]) * 10.0).ceil() / 10.0).clamp(low + 0.1, 1.0);
    Axes {
        x: Axis { numbers: times, pixels: [112.0, 976.0], is_log },
        y: Axis { numbers: [low, high], pixels: [630.0, 128.0], is_log: false },
    }
}

/// Cost of what must not be covered: points and names.
const SOLID: f32 = 50.0;

/// Part of the picture: left, top, right, bottom; and what a pixel of a name over it costs.
struct Taken {
    area: [f32; 4],
    cost: f32,
}

/// Where a name goes.
struct Place {
    area: [f32; 4],
    /// Its end nearest to the point.
    end: [f32; 2],
    /// The line from the point to there, if it is far.
    leader: Vec<Taken>,
    /// The less the easier it is to read.
    cost: f32,
}

/// The place of a name beside its point, the nearest that covers least; `None` if each covers another name or a point.
fn place(point: [f32; 2], width: f32, taken: &[Taken], bounds: [f32; 4]) -> Option<Place> {
    const HEIGHT: f32 = 1.3 * SMALL;
    let collides = |area: [f32; 4]| taken.iter().any(|other| other.cost >= SOLID && overlap(area, other.area) > 0.0);
    let mut best: Option<Place> = None;
    for distance in DISTANCES {
        for (dx, dy) in
            [(1.0, 0.0), (-1.0, 0.0), (0.7, -0.7), (-0.7, -0.7), (0.7, 0.7), (-0.7, 0.7), (0.0, -1.0), (0.0, 1.0f32)]
        {
            let end = [point[0] + dx * distance, point[1] + dy * distance];
            let left = end[0] - width * (1.0 - dx.signum() * if dx == 0.0 { 0.0 } else { 1.0 }) / 2.0;
            let top = end[1] - HEIGHT * (1.0 - dy) / 2.0;
            let area = [left, top, left + width, top + HEIGHT];
            let is_inside =
                area[0] >= bounds[0] && area[1] >= bounds[1] && area[2] <= bounds[2] && area[3] <= bounds[3];
            if !is_inside {
                continue;
            }
            let covered = |other: &Taken| overlap(area, other.area) * other.cost;
            let leader = if distance > DISTANCES[1] {
                along([point[0] + 26.0 * dx, point[1] + 26.0 * dy], end)
            } else {
                Vec::new()
            };
            let crossed =
                |piece: &Taken| taken.iter().map(|other| overlap(piece.area, other.area) * other.cost).sum::<f32>();
            let cost =
                taken.iter().map(covered).sum::<f32>() + leader.iter().map(crossed).sum::<f32>() + 2.0 * distance;
            let is_free = !collides(area) && !leader.iter().any(|piece| collides(piece.area));
            if is_free && best.as_ref().is_none_or(|best| cost < best.cost) {
                best = Some(Place { area, end, leader, cost });
            }
        }
    }
    best
}

/// Pixels that two areas share.
fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let side = |axis: usize| (a[axis + 2].min(b[axis + 2]) - a[axis].max(b[axis])).max(0.0);
    side(0) * side(1)
}

/// A line as small areas.
fn along(from: [f32; 2], to: [f32; 2]) -> Vec<Taken> {
    let steps = ((to[0] - from[0]).hypot(to[1] - from[1]) / 8.0).ceil().max(1.0);
    let point = |step: f32| [0, 1].map(|axis| from[axis] + (to[axis] - from[axis]) * step / steps);
    let piece = |step: u16| {
        let [x, y] = point(f32::from(step));
        Taken { area: [x - 5.0, y - 5.0, x + 5.0, y + 5.0], cost: 2.0 }
    };
    (0..=steps as u16).map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::super::canvas::tests::count;
    use super::*;

    fn point(name: &str, accuracy: f64, milliseconds: f64) -> CutPoint<'_> {
        let interval = [(accuracy - 0.15).max(0.0), (accuracy + 0.08).min(1.0)];
        CutPoint { name, accuracy, interval, milliseconds, is_recommended: name == "taken" }
    }

    #[test]
    fn the_front_has_what_nothing_beats() {
        let points = [
            point("slow", 0.9, 30.0),
            point("fast", 0.5, 5.0),
            point("beaten", 0.6, 20.0),
            point("taken", 0.8, 10.0),
            point("same time, worse", 0.4, 5.0),
        ];
        assert_eq!(front(&points), [1, 3, 0]);
        let png = cut_chart(&points);
        for colour in [Theme::LIGHT.first, Theme::LIGHT.third, Theme::LIGHT.grey] {
            assert!(count(&png, colour) > 150, "{colour:?}");
        }
        assert!(count(&png, Theme::LIGHT.ink) > 1000);
    }

    #[test]
    fn names_do_not_lie_on_each_other_or_on_points() {
        let bounds = [0.0, 0.0, 1000.0, 600.0];
        let mut taken: Vec<Taken> = Vec::new();
        let points: Vec<[f32; 2]> = (0..20).map(|i| [300.0 + 12.0 * i as f32, 300.0 + (i * 37 % 50) as f32]).collect();
        taken.extend(points.iter().map(|[x, y]| Taken { area: [x - 9.0, y - 9.0, x + 9.0, y + 9.0], cost: SOLID }));
        let mut named = 0;
        for at in points {
            let Some(place) = place(at, 120.0, &taken, bounds) else { continue };
            assert!(taken.iter().all(|other| overlap(place.area, other.area) == 0.0));
            taken.push(Taken { area: place.area, cost: SOLID });
            named += 1;
        }
        assert!(named >= 8, "{named}");
    }

    #[test]
    fn any_number_of_cuts_is_drawn() {
        let names: Vec<String> = (0..64).map(|i| format!("a_layer_of_a_long_name_{i}")).collect();
        let many: Vec<CutPoint> =
            names.iter().enumerate().map(|(i, name)| point(name, 0.3 + 0.01 * i as f64, 1.0 + i as f64)).collect();
        for points in [&many[..], &many[..1], &[]] {
            assert!(!cut_chart(points).is_empty());
        }
    }
}
