//! Fields of a CSV file, as RFC 4180 has them.

use std::borrow::Cow;

/// The lines of a CSV file that are not empty: each with its number, from 1 on, and its fields without the spaces around them.
/// A field in quotes may hold commas, line ends and, doubled, quotes.
pub(super) struct Records<'a> {
    rest: &'a str,
    line: u64,
}

/// A quote that is not closed, or has text behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QuoteError {
    /// The line where the field begins.
    pub line: u64,
}

impl<'a> Records<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { rest: text, line: 1 }
    }

    /// Takes a field, and the comma or the line end behind it; whether it was the last one of its line.
    fn field(&mut self) -> Result<(Cow<'a, str>, bool), QuoteError> {
        let wrong = QuoteError { line: self.line };
        let trimmed = self.rest.trim_start_matches([' ', '\t']);
        let Some(quoted) = trimmed.strip_prefix('"') else {
            let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
            let field = self.rest[..end].trim();
            return Ok((field.into(), self.take(end)));
        };
        let (mut field, mut rest) = (String::new(), quoted);
        loop {
            let end = rest.find('"').ok_or(wrong)?;
            field.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            match rest.strip_prefix('"') {
                Some(more) => {
                    field.push('"');
                    rest = more;
                }
                None => break,
            }
        }
        self.line += field.matches('\n').count() as u64;
        self.rest = rest;
        let end = rest.find([',', '\n']).unwrap_or(rest.len());
        if !rest[..end].trim().is_empty() {
            return Err(wrong);
        }
        Ok((field.into(), self.take(end)))
    }

    /// Goes on behind the comma or the line end at `end`; whether it was no comma.
    fn take(&mut self, end: usize) -> bool {
        let is_last = !self.rest[end..].starts_with(',');
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        self.line += u64::from(is_last);
        is_last
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<(u64, Vec<Cow<'a, str>>), QuoteError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            if !self.rest[..end].trim().is_empty() {
                break;
            }
            self.take(end);
        }
        let line = self.line;
        let mut fields = Vec::new();
        loop {
            match self.field() {
                Err(error) => {
                    self.rest = "";
                    return Some(Err(error));
                }
                Ok((field, is_last)) => {
                    fields.push(field);
                    if is_last {
                        return Some(Ok((line, fields)));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Result<Vec<(u64, Vec<String>)>, QuoteError> {
        let owned = |(line, fields): (u64, Vec<Cow<str>>)| (line, fields.into_iter().map(Cow::into_owned).collect());
        Records::new(text).map(|record| record.map(owned)).collect()
    }

    #[test]
    fn fields_are_read_as_other_programs_write_them() {
        for (text, expected) in [
            ("", vec![]),
            ("\n \r\n", vec![]),
            ("a,b", vec![(1, vec!["a", "b"])]),
            ("a, b \r\n\n,\n", vec![(1, vec!["a", "b"]), (3, vec!["", ""])]),
            ("\"a,\"\"b\"\"\n\" , c\nd", vec![(1, vec!["a,\"b\"\n", "c"]), (3, vec!["d"])]),
            ("é,\"\"\n x\"y , ", vec![(1, vec!["é", ""]), (2, vec!["x\"y", ""])]),
        ] {
            let expected: Vec<(u64, Vec<String>)> = expected
                .into_iter()
                .map(|(line, fields)| (line, fields.into_iter().map(String::from).collect()))
                .collect();
            assert_eq!(records(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn quotes_that_are_not_closed_are_refused() {
        assert_eq!(records("a\n\"b,c\n"), Err(QuoteError { line: 2 }));
        assert_eq!(records("a\n\nx,\"b\"c\n"), Err(QuoteError { line: 3 }));
    }
}
