//! Lines on standard error.

use std::fmt::Display;
use std::io::Write;

use super::text::plain;

/// Prints a line on standard error, after the program's name, with control characters in it escaped. That it cannot be written
/// (a full disk behind a redirection, a reader that went away) is no reason to lose the work that it is about.
pub fn message(text: impl Display) {
    let line = format!("topgraft: {}\n", plain(&text.to_string()));
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}
