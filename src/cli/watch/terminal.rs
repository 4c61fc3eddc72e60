//! Bars on a terminal.

use std::io::Write;

use topgraft::live::Seen;

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
        let text = lines(seen, &self.notes);
        // Up to the first of the lines of before; each is cleared to its end, and what is below the last.
        let up = if self.lines > 0 { format!("\x1b[{}A\r", self.lines) } else { String::new() };
        self.lines = text.len();
        write!(out, "{up}{}\x1b[J", text.iter().map(|line| format!("{line}\x1b[K\n")).collect::<String>())?;
        out.flush()
    }

    pub fn end(&mut self, out: &mut impl Write) -> std::io::Result<()> {
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
        // In the order of the classes: bars that change their places cannot be read.
        for (name, p) in seen.labels.iter().zip(&prediction.probabilities).take(MOST) {
            let filled = (p * BAR as f32).round().clamp(0.0, BAR as f32) as usize;
            let name = cut(&plain(name), NAME);
            lines.push(format!("{name:<NAME$} {}{} {:5.1} %", "█".repeat(filled), "·".repeat(BAR - filled), 100.0 * p));
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

fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}
