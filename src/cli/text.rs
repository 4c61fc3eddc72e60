//! How numbers and names look to a person.

use std::path::Path;
use std::time::Duration;

pub use topgraft::export::shortest;
pub use topgraft::trunk::hex;

/// A name as it may stand on a terminal, in one line: control characters, which could steer the terminal, and those that
/// turn the direction of the text are escaped as in Rust, `\n`, `\u{1b}`.
pub fn plain(name: &str) -> String {
    let steers = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::with_capacity(name.len());
    for c in name.chars() {
        if steers(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// [`plain`] for a path.
pub fn plain_path(path: &Path) -> String {
    plain(&path.to_string_lossy())
}

/// `93.1 %`
pub fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// `3.4 s`, `12 ms`, `0.8 ms`
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        1.0.. => format!("{seconds:.1} s"),
        0.01.. => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{:.1} ms", seconds * 1e3),
    }
}

/// `4652008` -> `4.7 M`
pub fn count(number: u64) -> String {
    match number {
        1_000_000_000.. => format!("{:.2} G", number as f64 / 1e9),
        1_000_000.. => format!("{:.1} M", number as f64 / 1e6),
        1_000.. => format!("{:.1} k", number as f64 / 1e3),
        _ => number.to_string(),
    }
}

/// `38.8 KB`, `3.1 MB`; powers of 1000.
pub fn bytes(number: u64) -> String {
    match number {
        1_000_000_000.. => format!("{:.2} GB", number as f64 / 1e9),
        1_000_000.. => format!("{:.1} MB", number as f64 / 1e6),
        1_000.. => format!("{:.1} KB", number as f64 / 1e3),
        _ => counted(number as usize, "byte"),
    }
}

/// `1 photo`, `2 photos`
pub fn counted(number: usize, noun: &str) -> String {
    let ending = match number {
        1 => "",
        _ if noun.ends_with('s') => "es",
        _ => "s",
    };
    format!("{number} {noun}{ending}")
}

/// `[1, 1280]`
pub fn shape(dims: &[usize]) -> String {
    format!("{dims:?}")
}

/// Rows with their columns aligned, the columns of `right` to the right; cells are made [`plain`].
pub fn table(rows: &[Vec<String>], right: &[usize]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cell = |(column, cell): (usize, &String)| match right.contains(&column) {
            true => format!("{cell:>width$}", width = widths[column]),
            false => format!("{cell:<width$}", width = widths[column]),
        };
        row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([percent(0.9312), percent(1.0)], ["93.1 %", "100.0 %"]);
        assert_eq!([0.00034, 0.0123, 3.41].map(|s| duration(Duration::from_secs_f64(s))), ["0.3 ms", "12 ms", "3.4 s"]);
        assert_eq!([999, 1_500, 4_652_008, 385_000_000_000].map(count), ["999", "1.5 k", "4.7 M", "385.00 G"]);
        assert_eq!(
            [1, 999, 1_500, 4_652_008, 1 << 31].map(bytes),
            ["1 byte", "999 bytes", "1.5 KB", "4.7 MB", "2.15 GB"]
        );
        assert_eq!([0, 1, 2].map(|n| counted(n, "photo")), ["0 photos", "1 photo", "2 photos"]);
        assert_eq!([1, 2].map(|n| counted(n, "pass")), ["1 pass", "2 passes"]);
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(plain("plain: ünïcode 日本 \\ 'x'"), "plain: ünïcode 日本 \\ 'x'");
        assert_eq!(plain("a\nb\x1b[31m\u{9b}\u{202e}"), "a\\nb\\u{1b}[31m\\u{9b}\\u{202e}");
        let rows = [vec!["a\n".into(), "1".into()], vec!["b".into(), "2".into()]];
        assert_eq!(table(&rows, &[]), "a\\n  1\nb    2\n");
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["a".into(), "10".into()], vec!["bcd".into(), "9".into()]];
        assert_eq!(table(&rows, &[1]), "a    10\nbcd   9\n");
    }
}
