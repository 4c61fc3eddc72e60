//! Bars on a terminal.

use std::io::Write;

use topgraft::live::Seen;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::cli::text::plain;

/// Classes that have a bar.
const MOST: usize = 10;
/// Letters of a bar, and of a name before it.
const BAR: usize = 30;
const NAME: usize = 20;
/// Lines of what happened that stay in sight.
const NOTES: usize = 3;

/// The lines that are drawn over with each frame.
#[derive(Default)]
pub struct Bars {
    lines: usize,
    notes: Vec<String>,
}

impl Bars {
    /// A line below the bars.
    pub fn note(&mut self, text: &str) {
        self.notes.push(plain(text));
        if self.notes.len() > NOTES {
            self.notes.remove(0);
        }
    }

    pub fn show(&mut self, out: &mut impl Write, seen: &Seen) -> std::io::Result<()> {
        let width = width();
        let text: Vec<String> = lines(seen, &self.notes).iter().map(|line| cut(line, width)).collect();
        // Up to the first of the lines of before; each is cleared to its end, and what is below the last.
        let up = if self.lines > 0 { format!("\x1b[{}A\r", self.lines) } else { String::new() };
        self.lines = text.len();
        write!(out, "{up}{}\x1b[J", text.iter().map(|line| format!("{line}\x1b[K\n")).collect::<String>())?;
        out.flush()
    }
}

fn lines(seen: &Seen, notes: &[String]) -> Vec<String> {
    let label = seen.label.as_deref().map_or("-".to_owned(), plain);
    let state = match (&seen.teaching, &seen.prediction) {
        (Some((class, samples)), _) => format!("   teaching {} {samples}", plain(class)),
        (None, None) => "   not taught".to_owned(),
        _ if seen.drift => "   drift".to_owned(),
        _ => String::new(),
    };
    let mut lines = vec![format!("{label}{state}")];
    if let Some(prediction) = &seen.prediction {
        // The most probable ones, but in the order of the classes: bars that change their places cannot be read.
        let mut shown: Vec<usize> = prediction.top(MOST).map(|(class, _)| usize::from(class)).collect();
        shown.sort_unstable();
        for class in shown {
            let p = prediction.probabilities[class];
            let filled = (p * BAR as f32).round().clamp(0.0, BAR as f32) as usize;
            let name = cut(&plain(&seen.labels[class]), NAME);
            let space = " ".repeat(NAME.saturating_sub(name.width()));
            lines.push(format!("{name}{space} {}{} {:5.1} %", "█".repeat(filled), "·".repeat(BAR - filled), 100.0 * p));
        }
        if seen.labels.len() > MOST {
            lines.push(format!("and {} more", seen.labels.len() - MOST));
        }
    }
    lines.push(format!(
        "{:.1} fps   trunk {:.0} ms   head {:.2} ms   {} of {} frames dropped",
        seen.fps,
        seen.trunk_time.as_secs_f64() * 1e3,
        seen.head_time.as_secs_f64() * 1e3,
        seen.counts.dropped,
        seen.counts.captured
    ));
    lines.extend(notes.iter().cloned());
    lines
}

/// A text of at most so many columns. A line that is longer than the terminal would take two, and be drawn over wrongly.
fn cut(text: &str, most: usize) -> String {
    if text.width() <= most {
        return text.to_owned();
    }
    let (mut cut, mut width) = (String::new(), 1);
    for c in text.chars() {
        width += c.width().unwrap_or(0);
        if width > most {
            break;
        }
        cut.push(c);
    }
    cut + "…"
}

/// Columns of the terminal.
fn width() -> usize {
    #[cfg(unix)]
    if let Ok(size) = rustix::termios::tcgetwinsize(std::io::stdout())
        && size.ws_col > 0
    {
        return usize::from(size.ws_col);
    }
    80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        assert_eq!(cut("a cat", 5), "a cat");
        assert_eq!(cut("a cat", 4), "a c…");
        assert_eq!(cut("猫と犬", 6), "猫と犬");
        assert_eq!(cut("猫と犬", 5), "猫と…");
        assert_eq!(cut("猫と犬", 4), "猫…");
        assert_eq!(cut("abc", 1), "…");
    }
}
