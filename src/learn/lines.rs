//! Tables in text files: read whole, in bounds; where a line stands.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The largest file that is read: 1 GiB.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// The bytes of a file; `None` if it is larger than 1 GiB.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= MAX_FILE_BYTES))
}

/// The text, without a byte order mark; or the line, from 1 on, that is not UTF-8.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, u64> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let line = |at: usize| 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
    std::str::from_utf8(bytes).map_err(|error| line(error.valid_up_to()))
}

/// `table.csv:17`
pub(super) fn place(path: &Path, line: u64) -> PathBuf {
    let mut place = path.as_os_str().to_owned();
    place.push(format!(":{line}"));
    place.into()
}

/// Whether a path ends in `.csv`, say, in upper or lower case.
pub(super) fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_utf8_or_says_where_not() {
        assert_eq!(utf8(b"\xef\xbb\xbfa\nb"), Ok("a\nb"));
        assert_eq!(utf8(b"a\n\nb\xff\n\xff"), Err(3));
        assert_eq!(place(Path::new("x/y.csv"), 17), Path::new("x/y.csv:17"));
    }
}
