//! Names and numbers as a report shows them.

/// A name as it may stand in a line: control characters and those that turn the direction of the text escaped as in Rust,
/// and of a long one the beginning and the end, `max` characters in all.
pub(super) fn shown(name: &str, max: usize) -> String {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let escaped = |c: char| match steers(c) {
        true => c.escape_default().collect::<String>(),
        false => c.to_string(),
    };
    let length = name.chars().count();
    if length <= max {
        return name.chars().map(escaped).collect();
    }
    let (head, tail) = (max / 2, max - max / 2 - 1);
    let [start, end] = [0..head, length - tail..length]
        .map(|part| name.chars().skip(part.start).take(part.len()).map(escaped).collect::<String>());
    format!("{start}…{end}")
}

/// `93.1 %`
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// `81.2 to 97.0 %`
pub(super) fn interval([low, high]: [f64; 2]) -> String {
    format!("{:.1} to {:.1} %", 100.0 * low, 100.0 * high)
}

/// `+12.3`, `−4.5`: percentage points.
pub(super) fn points(difference: f64) -> String {
    let tenths = (1000.0 * difference).round() / 10.0;
    // A rounded nothing has no sign.
    if tenths == 0.0 { "0.0".to_owned() } else { format!("{tenths:+.1}").replace('-', "\u{2212}") }
}

/// `1 photo`, `2 photos`
pub(super) fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `3`, `1.5`
pub(super) fn shots(shots: f64) -> String {
    if shots.fract() < 0.05 || shots.fract() > 0.95 { format!("{shots:.0}") } else { format!("{shots:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([percent(0.9312), interval([0.1, 1.0])], ["93.1 %", "10.0 to 100.0 %"]);
        assert_eq!([0.123, -0.045, 0.0001, -0.0001, 0.1].map(points), ["+12.3", "−4.5", "0.0", "0.0", "+10.0"]);
        assert_eq!([3.0, 1.5, 2.99].map(shots), ["3", "1.5", "3"]);
        assert_eq!([counted(1, "photo"), counted(0, "photo")], ["1 photo", "0 photos"]);
    }

    #[test]
    fn names_are_harmless_and_of_bounded_length() {
        assert_eq!(shown("ünïcode 日本 <b>", 40), "ünïcode 日本 <b>");
        assert_eq!(shown("a\nb\u{202e}", 40), "a\\nb\\u{202e}");
        let long = shown(&"x".repeat(10_000), 41);
        assert_eq!((long.chars().count(), long.chars().nth(20)), (41, Some('…')));
    }
}
