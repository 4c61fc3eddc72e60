//! Numbers and names as source code.

use std::fmt::{Display, Write};

/// Numbers with commas, in lines of at most 116 characters.
pub(super) fn numbers<T: Display>(numbers: &[T]) -> String {
    let mut text = String::new();
    let mut column = 0;
    for number in numbers {
        let start = text.len();
        write!(text, "{number},").expect("a string can be written to");
        column += text.len() - start;
        if column > 110 {
            text.push('\n');
            column = 0;
        }
    }
    text
}

/// A name as it may stand in a comment: nothing in it ends the comment or goes on in the next line.
pub(super) fn comment(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || " _-.:;,()".contains(c) { c } else { '_' };
    name.chars().map(safe).collect()
}

/// A C string literal of the name's UTF-8.
pub(super) fn c_literal(name: &str) -> String {
    let byte = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b' ' | b'_' | b'-' | b'.' => char::from(b).to_string(),
        _ => format!("\\{b:03o}"),
    };
    format!("\"{}\"", name.bytes().map(byte).collect::<String>())
}

/// A name as the beginning of C identifiers.
pub(super) fn identifier(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let start = if name.starts_with(|c: char| c.is_ascii_alphabetic()) { "" } else { "model_" };
    start.chars().chain(name.chars().map(letter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_where_they_are_put() {
        assert_eq!(comment("a*/b\\\nc/d"), "a__b__c_d");
        assert_eq!(c_literal("ö\"??/1"), "\"\\303\\266\\042\\077\\077\\0571\"");
    }

    #[test]
    fn any_name_begins_an_identifier() {
        assert_eq!(
            ["pets", "my-pets.v2", "3d", "", "_x"].map(identifier),
            ["pets", "my_pets_v2", "model_3d", "model_", "model__x"]
        );
    }

    #[test]
    fn lines_are_short() {
        let text = numbers(&[-128i8; 1000]);
        assert!(text.lines().all(|line| line.len() <= 116) && text.matches("-128,").count() == 1000);
    }
}
