//! Which classes are taken for which: the confusion matrix, and each class's figures.

use super::axes::{TEXT, TITLE};
use super::canvas::{Anchor, Canvas, Theme, mixed, readable};
use super::font;
use super::text::{interval, percent, shown};
use crate::learn::{Evaluation, wilson};

/// More classes than that, and the matrix shows those that are confused most, and all others as one.
const MAX_SHOWN: usize = 20;
/// Up to so many classes a cell has its row's share in words, too.
const SHARES_UP_TO: usize = 10;
/// Pairs in the list of confusions.
const MAX_PAIRS: usize = 20;
/// Characters of a name in a table.
const MAX_NAME: usize = 80;

/// A matrix small enough to be drawn.
#[derive(Debug, PartialEq)]
pub(super) struct Matrix {
    /// Classes that have a row and a column.
    pub classes: Vec<usize>,
    /// `[rows, rows]`; the last ones are all other classes, if there are any.
    pub counts: Vec<Vec<u32>>,
    pub has_others: bool,
    /// Of the rows, as the font can show them.
    names: Vec<String>,
}

impl Matrix {
    pub fn new(evaluation: &Evaluation, labels: &[String]) -> Self {
        let rows: Vec<&[u32]> = evaluation.confusion().collect();
        let n = rows.len();
        let mut classes: Vec<usize> = (0..n).collect();
        if n > MAX_SHOWN {
            // Mistakes that a class has a part in.
            let mut mistakes = vec![0u32; n];
            for (truth, row) in rows.iter().enumerate() {
                for (predicted, count) in row.iter().enumerate().filter(|(predicted, _)| *predicted != truth) {
                    mistakes[truth] += count;
                    mistakes[predicted] += count;
                }
            }
            classes.sort_by_key(|class| std::cmp::Reverse(mistakes[*class]));
            classes.truncate(MAX_SHOWN);
            classes.sort_unstable();
        }
        let has_others = classes.len() < n;
        let mut place = vec![classes.len(); n];
        classes.iter().enumerate().for_each(|(at, class)| place[*class] = at);
        let side = classes.len() + usize::from(has_others);
        let mut counts = vec![vec![0; side]; side];
        for (truth, row) in rows.iter().enumerate() {
            row.iter().enumerate().for_each(|(predicted, count)| counts[place[truth]][place[predicted]] += count);
        }
        let mut names: Vec<String> = classes.iter().map(|class| font::name(&labels[*class], class + 1)).collect();
        if has_others {
            names.push(format!("{} others", n - classes.len()));
        }
        Self { classes, counts, has_others, names }
    }

    /// Width and height of the picture, pixels.
    pub fn size(&self) -> [u32; 2] {
        let Layout { left, top, cell, .. } = self.layout();
        let side = self.counts.len() as f32 * cell;
        [(left + side + 24.0).max(640.0) as u32, (top + side + 30.0) as u32]
    }

    fn layout(&self) -> Layout {
        let cell = (740.0 / self.counts.len().max(1) as f32).clamp(44.0, 120.0);
        let size = (cell * 0.55).min(TEXT);
        let widest = self.names.iter().map(|name| font::width(name, size)).fold(0.0, f32::max);
        let is_upright = widest > cell - 10.0;
        let above = if is_upright { widest.min(200.0) } else { 24.0 };
        Layout { left: 70.0 + widest.clamp(60.0, 230.0), top: 130.0 + above, cell, size, is_upright }
    }

    /// Draws it: rows are true classes, right answers in one colour and wrong ones in another, the darker the more of the row.
    pub fn chart(&self, theme: Theme) -> Vec<u8> {
        let [width, height] = self.size();
        let mut canvas = Canvas::new(width, height, theme);
        let (Layout { left, top, cell, size, is_upright }, n) = (self.layout(), self.counts.len());
        canvas.text("Confusion matrix", [24.0, 34.0], TITLE, theme.ink, Anchor::Left);
        canvas.text("predicted class", [left + n as f32 * cell / 2.0, 84.0], TEXT, theme.ink, Anchor::Middle);
        canvas.upwards("true class", [26.0, top + n as f32 * cell / 2.0], TEXT, theme.ink, Anchor::Middle);
        for (at, name) in self.names.iter().enumerate() {
            let middle = (at as f32 + 0.5) * cell;
            let text = font::fitted(name, size, left - 70.0);
            canvas.text(&text, [left - 12.0, top + middle], size, theme.ink, Anchor::Right);
            match is_upright {
                true => {
                    let text = font::fitted(name, size, top - 124.0);
                    canvas.upwards(&text, [left + middle, top - 12.0], size, theme.ink, Anchor::Left);
                }
                false => canvas.text(name, [left + middle, top - 24.0], size, theme.ink, Anchor::Middle),
            }
        }
        for (truth, row) in self.counts.iter().enumerate() {
            let support: u32 = row.iter().sum();
            for (predicted, count) in row.iter().enumerate() {
                let share = f64::from(*count) / f64::from(support.max(1));
                let corner = [left + predicted as f32 * cell, top + truth as f32 * cell];
                // All others are many classes: their corner is no class that is right.
                let is_right = truth == predicted && !(self.has_others && truth + 1 == n);
                let colour = if is_right { theme.first } else { theme.second };
                // One photo is to be seen, too.
                let strength = if *count > 0 { 0.12 + 0.88 * share as f32 } else { 0.0 };
                let is_mixed = self.has_others && truth + 1 == n && predicted + 1 == n;
                let colour = if is_mixed { theme.grey } else { colour };
                let fill = mixed(mixed(theme.paper, theme.grid, 0.35), colour, strength);
                let [right, bottom] = [corner[0] + cell - 2.0, corner[1] + cell - 2.0];
                canvas.rectangle(corner, [right, bottom], fill);
                if *count == 0 {
                    continue;
                }
                let ink = readable(fill, [theme.ink, theme.paper]);
                let middle = [(corner[0] + right) / 2.0, (corner[1] + bottom) / 2.0];
                let (text, room) = (count.to_string(), cell - 6.0);
                if n <= SHARES_UP_TO {
                    let size = fitting(&text, cell * 0.3, room);
                    canvas.text(&text, [middle[0], middle[1] - cell * 0.13], size, ink, Anchor::Middle);
                    let share = format!("{:.0} %", 100.0 * share);
                    let size = fitting(&share, cell * 0.21, room);
                    canvas.text(&share, [middle[0], middle[1] + cell * 0.22], size, ink, Anchor::Middle);
                } else {
                    canvas.text(&text, middle, fitting(&text, cell * 0.5, room), ink, Anchor::Middle);
                }
            }
        }
        canvas.png()
    }
}

struct Layout {
    left: f32,
    top: f32,
    cell: f32,
    /// Of the names.
    size: f32,
    /// Whether the columns' names are.
    is_upright: bool,
}

/// The size at which a text fits, at most `size`.
fn fitting(text: &str, size: f32, pixels: f32) -> f32 {
    let size = size.min(TEXT * 1.2);
    size.min(size * pixels / font::width(text, size).max(1.0)).max(8.0)
}

/// What the picture shows, for those who cannot see it.
pub(super) fn description(evaluation: &Evaluation, matrix: &Matrix) -> String {
    let shown = match matrix.has_others {
        true => format!("the {} classes with the most mistakes", matrix.classes.len()),
        false => format!("{} classes", matrix.classes.len()),
    };
    format!("Confusion matrix of {shown}; {} of {} photos are right.", evaluation.correct(), evaluation.n_samples())
}

/// The confusions, the most photos first: a heading, and a row each.
pub(super) fn pairs(evaluation: &Evaluation, labels: &[String]) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let rows: Vec<&[u32]> = evaluation.confusion().collect();
    let mut pairs = Vec::new();
    for (truth, row) in rows.iter().enumerate() {
        let support: u32 = row.iter().sum();
        for (predicted, count) in row.iter().enumerate().filter(|(predicted, count)| *predicted != truth && **count > 0)
        {
            pairs.push((*count, f64::from(*count) / f64::from(support), truth, predicted));
        }
    }
    pairs.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)).then((a.2, a.3).cmp(&(b.2, b.3))));
    pairs.truncate(MAX_PAIRS);
    let name = |class: usize| shown(&labels[class], MAX_NAME);
    let row = |(count, share, truth, predicted): (u32, f64, usize, usize)| {
        vec![name(truth), name(predicted), count.to_string(), percent(share)]
    };
    (vec!["true class", "taken for", "photos", "of the true class"], pairs.into_iter().map(row).collect())
}

/// The figures of each class that has photos or was predicted: a heading, and a row each.
pub(super) fn classes(evaluation: &Evaluation, labels: &[String]) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let rows: Vec<&[u32]> = evaluation.confusion().collect();
    let mut predicted = vec![0u32; rows.len()];
    rows.iter().for_each(|row| row.iter().zip(&mut predicted).for_each(|(count, sum)| *sum += count));
    let share = |share: Option<f64>| share.map_or("-".to_owned(), percent);
    let range = |right, n| if n > 0 { interval(wilson(right, n)) } else { "-".to_owned() };
    let row = |(class, report): (usize, crate::learn::ClassReport)| {
        let right = rows[class][class];
        vec![
            (class + 1).to_string(),
            shown(&labels[class], MAX_NAME),
            report.support.to_string(),
            share(report.precision),
            range(right, predicted[class]),
            share(report.recall),
            range(right, report.support),
            share(report.f1()),
        ]
    };
    let of_interest = evaluation.per_class().into_iter().enumerate();
    let of_interest = of_interest.filter(|(class, report)| report.support > 0 || predicted[*class] > 0);
    let heading = vec!["", "class", "photos", "precision", "95 % interval", "recall", "95 % interval", "F1"];
    (heading, of_interest.map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::super::canvas::tests::count;
    use super::*;

    fn labels(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("class with a long name {i}")).collect()
    }

    fn evaluation(n: u16) -> Evaluation {
        let pairs = (0..n).flat_map(|i| [(i, i), (i, i), (i, (i * i + 1) % n)]);
        Evaluation::new(n.into(), pairs.chain([(n - 1, 0); 9]))
    }

    #[test]
    fn right_and_wrong_have_their_colours_in_the_picture() {
        for n in [2, 6, 20, 45] {
            let matrix = Matrix::new(&evaluation(n), &labels(n.into()));
            for theme in [Theme::LIGHT, Theme::DARK] {
                let png = matrix.chart(theme);
                let size = image::load_from_memory(&png).expect("a picture");
                assert_eq!([size.width(), size.height()], matrix.size());
                assert!(count(&png, theme.ink) > 200 && count(&png, theme.paper) > 10_000);
            }
        }
        let all_right = Matrix::new(&Evaluation::new(2, [(0, 0), (1, 1)]), &labels(2)).chart(Theme::LIGHT);
        assert!(count(&all_right, Theme::LIGHT.first) > 1000 && count(&all_right, Theme::LIGHT.second) == 0);
    }

    #[test]
    fn of_many_classes_the_most_confused_are_shown_and_no_photo_is_lost() {
        let evaluation = evaluation(50);
        let matrix = Matrix::new(&evaluation, &labels(50));
        assert_eq!((matrix.classes.len(), matrix.counts.len(), matrix.has_others), (20, 21, true));
        assert!(matrix.classes.contains(&49) && matrix.classes.contains(&0) && matrix.classes.is_sorted());
        let total: u32 = matrix.counts.iter().flatten().sum();
        assert_eq!(total, evaluation.n_samples());
        assert_eq!(matrix.names[20], "30 others");
        let (_, pairs) = pairs(&evaluation, &labels(50));
        assert_eq!((pairs.len(), pairs[0][2].as_str()), (20, "9"));
    }

    #[test]
    fn each_class_has_its_figures() {
        let evaluation = Evaluation::new(3, [(0, 0), (0, 1), (1, 1), (1, 1)]);
        let (heading, rows) = classes(&evaluation, &["a".into(), "b\n".into(), "c".into()]);
        assert!(rows.iter().all(|row| row.len() == heading.len()));
        assert_eq!(rows.len(), 2, "c has no photos");
        assert_eq!(rows[1][..4], ["2", "b\\n", "2", "66.7 %"]);
        assert_eq!((rows[1][5].as_str(), rows[1][7].as_str()), ("100.0 %", "80.0 %"));
        assert_eq!(rows[1][6], interval(wilson(2, 2)));
    }
}
