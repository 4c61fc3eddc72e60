//! Files of word vectors as other programs write them, read a word at a time.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::archive::{self, Opened};
use super::error::{Fault, Place, WordsError};
use super::{MAX_DIMS, MAX_WORDS};

/// Bytes of the longest word that is read.
const MAX_WORD: usize = 4096;
/// Bytes of the longest line: a word, and numbers of up to 32 characters.
const MAX_LINE: usize = MAX_WORD + 32 * MAX_DIMS;
/// Bytes that are looked at to tell a text from a binary file.
const LOOK: usize = 64 << 10;

/// How the numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Decimal, a word a line: GloVe (no header), word2vec and fastText's `.vec` (a line `words dimensions` first).
    Text,
    /// word2vec's binary: a header, then each word, a space, and its numbers as little-endian f32. The C tool puts a line end
    /// behind each, gensim does not.
    Binary,
}

/// A word and its vector `[dims]`.
pub type Record<'a> = (&'a str, &'a [f32]);

/// Reads a file of word vectors, gzipped or not, in memory for one word. What it is it sees from the first bytes.
///
/// ```
/// use topgraft::words::VectorReader;
/// let mut reader = VectorReader::new("a.txt", std::io::Cursor::new("king 0.5 -1\nqueen 0.25 1e0\n"))?;
/// assert_eq!(reader.next()?, Some(("king", &[0.5, -1.0][..])));
/// assert_eq!(reader.next()?, Some(("queen", &[0.25, 1.0][..])));
/// assert_eq!(reader.next()?, None);
/// # Ok::<(), topgraft::words::WordsError>(())
/// ```
pub struct VectorReader<'a> {
    path: PathBuf,
    source: Box<dyn BufRead + 'a>,
    encoding: Encoding,
    /// Words, as the header says.
    declared: Option<u64>,
    dims: usize,
    /// Words that were read.
    count: u64,
    /// Lines that were read.
    line: u64,
    /// Bytes that were read.
    byte: u64,
    /// Of the first line, if that is no header but a word.
    first: Option<Vec<u8>>,
    bytes: Vec<u8>,
    word: String,
    row: Vec<f32>,
}

impl VectorReader<'static> {
    /// Opens a file; of a zip archive the only file in it, or as `ARCHIVE.zip/NAME` the one of that name.
    ///
    /// # Errors
    /// [`WordsError::Read`], [`WordsError::Archive`], or [`WordsError::Format`] if it does not begin as word vectors do.
    pub fn open(path: &Path) -> Result<Self, WordsError> {
        match archive::open(path)? {
            Opened::File(file) => Self::new(path, file),
            Opened::Member(member) => Self::new(path, member),
        }
    }
}

impl<'a> VectorReader<'a> {
    /// Reads from `source`; `path` is for messages.
    ///
    /// # Errors
    /// As [`open`](VectorReader::open).
    pub fn new(path: impl AsRef<Path>, source: impl Read + 'a) -> Result<Self, WordsError> {
        let path = path.as_ref().to_owned();
        let read = |source| WordsError::Read { path: path.clone(), source };
        let mut source: Box<dyn BufRead + 'a> = Box::new(BufReader::with_capacity(LOOK, source));
        if source.fill_buf().map_err(read)?.starts_with(&[0x1f, 0x8b]) {
            source = Box::new(BufReader::with_capacity(LOOK, MultiGzDecoder::new(source)));
        }
        let mut reader = Self {
            path,
            source,
            encoding: Encoding::Text,
            declared: None,
            dims: 0,
            count: 0,
            line: 0,
            byte: 0,
            first: None,
            bytes: Vec::new(),
            word: String::new(),
            row: Vec::new(),
        };
        reader.begin()?;
        Ok(reader)
    }

    /// Reads the first line: a header, or a word.
    fn begin(&mut self) -> Result<(), WordsError> {
        if !self.read_line()? {
            return Err(self.wrong(Fault::Empty));
        }
        let mut first = std::mem::take(&mut self.bytes);
        if first.starts_with(b"\xef\xbb\xbf") {
            first.drain(..3);
        }
        if first.starts_with(b"TGWORDS") {
            return Err(self.wrong(Fault::Table));
        }
        let fields: Vec<&[u8]> = fields(&first).collect();
        // More digits than a number has are too many words.
        let number = |field: &[u8]| {
            let is_number = !field.is_empty() && field.iter().all(u8::is_ascii_digit);
            is_number
                .then(|| std::str::from_utf8(field).ok()?.parse::<u64>().ok())
                .map(|number| number.unwrap_or(u64::MAX))
        };
        if let [words, dims] = fields[..]
            && let (Some(words), Some(dims)) = (number(words), number(dims))
        {
            if words == 0 {
                return Err(self.wrong(Fault::Empty));
            }
            if words > MAX_WORDS as u64 || !(1..=MAX_DIMS as u64).contains(&dims) {
                return Err(self.wrong(Fault::Header { words, dims }));
            }
            (self.declared, self.dims) = (Some(words), dims as usize);
            if !self.goes_on_as_text()? {
                self.encoding = Encoding::Binary;
            }
            return Ok(());
        }
        let numbers = fields.iter().skip(1).rev().take_while(|field| parse(field).is_some()).count();
        if numbers == 0 || numbers > MAX_DIMS {
            return Err(self.wrong(Fault::NotVectors));
        }
        self.dims = numbers;
        self.first = Some(first);
        Ok(())
    }

    /// Whether what follows the header is a word and numbers in decimal: behind the first space, up to the line's end, there
    /// is nothing else than what numbers are written with.
    fn goes_on_as_text(&mut self) -> Result<bool, WordsError> {
        let mut source: Box<dyn BufRead + 'a> = std::mem::replace(&mut self.source, Box::new(std::io::empty()));
        // A pipe gives as little at a time as it likes.
        let mut ahead = Vec::new();
        let read = (&mut source).take(LOOK as u64).read_to_end(&mut ahead);
        read.map_err(|source| WordsError::Read { path: self.path.clone(), source })?;
        let is_text = looks_like_text(&ahead);
        self.source = Box::new(std::io::Cursor::new(ahead).chain(source));
        Ok(is_text)
    }

    /// How the numbers are written.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Numbers of each vector.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Words, as the header says, if there is one.
    pub fn declared(&self) -> Option<u64> {
        self.declared
    }

    /// Where the last word was read.
    pub fn place(&self) -> Place {
        match self.encoding {
            Encoding::Text => Place::Line(self.line),
            Encoding::Binary => Place::Byte(self.byte),
        }
    }

    /// Something wrong with the word that was read last.
    pub fn wrong(&self, fault: Fault) -> WordsError {
        WordsError::Format { path: self.path.clone(), place: self.place(), fault }
    }

    /// The next word and its vector `[dims]`; `None` at the end.
    ///
    /// # Errors
    /// [`WordsError::Read`], [`WordsError::Format`]. After [`Fault::NotUtf8`] and [`Fault::Space`] the next call goes on with
    /// the next word.
    #[expect(clippy::should_implement_trait, reason = "lends from the reader, which an iterator cannot")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, WordsError> {
        let is_there = match self.encoding {
            Encoding::Text => self.next_line()?,
            Encoding::Binary => self.next_binary()?,
        };
        if !is_there {
            return match self.declared {
                Some(words) if self.count < words => Err(self.wrong(Fault::FewerWords { words, found: self.count })),
                _ => Ok(None),
            };
        }
        self.count += 1;
        if let Some(words) = self.declared.filter(|words| self.count > *words) {
            return Err(self.wrong(Fault::MoreWords { words }));
        }
        match self.encoding {
            Encoding::Text => self.parse_line()?,
            Encoding::Binary => self.parse_binary()?,
        }
        if self.row.iter().any(|number| !number.is_finite()) {
            return Err(self.wrong(Fault::NotFinite { word: shown(&self.word) }));
        }
        Ok(Some((&self.word, &self.row)))
    }

    /// Reads a line into `bytes`, without its end; false if there is none.
    fn read_line(&mut self) -> Result<bool, WordsError> {
        self.bytes.clear();
        let mut limited = (&mut self.source).take(MAX_LINE as u64 + 1);
        let read = limited.read_until(b'\n', &mut self.bytes);
        let read = read.map_err(|source| WordsError::Read { path: self.path.clone(), source })?;
        if read == 0 {
            return Ok(false);
        }
        self.line += 1;
        self.byte += read as u64;
        if self.bytes.last() == Some(&b'\n') {
            self.bytes.pop();
        } else if read > MAX_LINE {
            return Err(WordsError::Format {
                path: self.path.clone(),
                place: Place::Line(self.line),
                fault: Fault::TooLong { limit: MAX_LINE },
            });
        }
        Ok(true)
    }

    /// The next line that is not empty.
    fn next_line(&mut self) -> Result<bool, WordsError> {
        if let Some(first) = self.first.take() {
            self.bytes = first;
            return Ok(true);
        }
        loop {
            if !self.read_line()? {
                return Ok(false);
            }
            if !self.bytes.iter().all(u8::is_ascii_whitespace) {
                return Ok(true);
            }
        }
    }

    fn parse_line(&mut self) -> Result<(), WordsError> {
        let line = std::mem::take(&mut self.bytes);
        let parsed = self.parse_fields(&line);
        self.bytes = line;
        parsed.map_err(|fault| self.wrong(fault))
    }

    /// The numbers are taken from the line's end, so that what is left is the word.
    fn parse_fields(&mut self, line: &[u8]) -> Result<(), Fault> {
        self.row.clear();
        let mut rest = line.trim_ascii_end();
        for _ in 0..self.dims {
            let short = Fault::Dimensions { expected: self.dims, found: self.row.len() };
            let Some(space) = rest.iter().rposition(|byte| is_space(*byte)) else { return Err(short) };
            let field = &rest[space + 1..];
            let Some(number) = parse(field) else {
                let text = shown(&String::from_utf8_lossy(field));
                // Of a line that is cut short the word stands where a number should be.
                return Err(if rest[..space].trim_ascii().is_empty() { short } else { Fault::NotANumber { text } });
            };
            self.row.push(number);
            rest = rest[..space].trim_ascii_end();
        }
        self.row.reverse();
        let rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Err(Fault::NoWord);
        }
        if rest.len() > MAX_WORD {
            return Err(Fault::TooLong { limit: MAX_WORD });
        }
        if let Some(space) = rest.iter().rposition(|byte| is_space(*byte)) {
            let more = rest.split(|byte| is_space(*byte)).skip(1).filter(|field| !field.is_empty()).count();
            return Err(match parse(&rest[space + 1..]) {
                Some(_) => Fault::Dimensions { expected: self.dims, found: self.dims + more },
                None => Fault::Space { word: shown(&String::from_utf8_lossy(rest)) },
            });
        }
        self.set_word(rest)
    }

    fn set_word(&mut self, word: &[u8]) -> Result<(), Fault> {
        let word = std::str::from_utf8(word).map_err(|_| Fault::NotUtf8)?;
        self.word.clear();
        self.word.push_str(word);
        Ok(())
    }

    /// Reads the next word and its numbers into `bytes`; false at the end of the file. `byte` is where the word begins.
    fn next_binary(&mut self) -> Result<bool, WordsError> {
        let read = |path: &Path, source| WordsError::Read { path: path.to_owned(), source };
        self.byte += self.bytes.len() as u64;
        self.bytes.clear();
        // The C tool's line end; a file may end with one.
        loop {
            match self.source.fill_buf().map_err(|source| read(&self.path, source))?.first() {
                None => return Ok(false),
                Some(b'\n' | b'\r') => {
                    self.source.consume(1);
                    self.byte += 1;
                }
                Some(_) => break,
            }
        }
        let mut limited = (&mut self.source).take(MAX_WORD as u64 + 1);
        limited.read_until(b' ', &mut self.bytes).map_err(|source| read(&self.path, source))?;
        if self.bytes.last() != Some(&b' ') {
            return match self.bytes.len() > MAX_WORD {
                true => Err(self.wrong(Fault::TooLong { limit: MAX_WORD })),
                false => self.cut_short(),
            };
        }
        let (start, len) = (self.bytes.len(), 4 * self.dims);
        let mut limited = (&mut self.source).take(len as u64);
        limited.read_to_end(&mut self.bytes).map_err(|source| read(&self.path, source))?;
        if self.bytes.len() < start + len { self.cut_short() } else { Ok(true) }
    }

    /// The file ends within a record.
    fn cut_short(&self) -> Result<bool, WordsError> {
        let words = self.declared.unwrap_or(self.count);
        Err(self.wrong(match self.count < words {
            true => Fault::FewerWords { words, found: self.count },
            false => Fault::MoreWords { words },
        }))
    }

    fn parse_binary(&mut self) -> Result<(), WordsError> {
        let bytes = std::mem::take(&mut self.bytes);
        let (word, numbers) = bytes.split_at(bytes.len() - 4 * self.dims);
        self.row.clear();
        let (numbers, _) = numbers.as_chunks::<4>();
        self.row.extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        let word = &word[..word.len() - 1];
        let result = match word {
            [] => Err(Fault::NoWord),
            word => self.set_word(word),
        };
        self.bytes = bytes;
        result.map_err(|fault| self.wrong(fault))
    }
}

/// Whether what follows a header is a word and numbers in decimal.
fn looks_like_text(ahead: &[u8]) -> bool {
    let Some(space) = ahead.iter().position(|byte| *byte == b' ' || *byte == b'\t') else { return true };
    let numbers = ahead[space..].split(|byte| *byte == b'\n').next().unwrap_or_default();
    // Of `nan` and `inf` too.
    let in_numbers = |byte: &u8| byte.is_ascii_digit() || b" \t\r+-.eEnNaAiIfFtTyY".contains(byte);
    // A damaged number is a fault of a text; a binary file has bytes that no text has.
    numbers.iter().all(in_numbers) || numbers.iter().all(|byte| (b' '..=b'~').contains(byte) || *byte == b'\t')
}

fn is_space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.trim_ascii().split(|byte| is_space(*byte)).filter(|field| !field.is_empty())
}

fn parse(field: &[u8]) -> Option<f32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// The start of a text, for a message.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    type Words = Vec<(String, Vec<f32>)>;

    fn read(bytes: &[u8]) -> Result<Words, (Place, Fault)> {
        let mut words = Vec::new();
        let told = |error| match error {
            WordsError::Format { place, fault, .. } => (place, fault),
            other => panic!("{other}"),
        };
        let mut reader = VectorReader::new("v", bytes).map_err(told)?;
        while let Some((word, row)) = reader.next().map_err(told)? {
            words.push((word.to_owned(), row.to_vec()));
        }
        Ok(words)
    }

    fn binary(words: &[(&str, &[f32])], between: &str) -> Vec<u8> {
        let mut bytes = format!("{} {}\n", words.len(), words[0].1.len()).into_bytes();
        for (word, row) in words {
            bytes.extend(word.as_bytes());
            bytes.push(b' ');
            bytes.extend(row.iter().flat_map(|x| x.to_le_bytes()));
            bytes.extend(between.as_bytes());
        }
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).expect("in memory");
        encoder.finish().expect("in memory")
    }

    #[test]
    fn all_formats_of_the_same_vectors_give_the_same_words() {
        let vectors: [(&str, &[f32]); 3] = [("the", &[0.25, -1.5e-3]), ("né", &[3.0, 0.0]), ("7", &[-0.125, 1e9])];
        let expected: Words = vectors.iter().map(|(word, row)| ((*word).to_owned(), row.to_vec())).collect();
        let line = |end: &str| {
            let row = |row: &[f32]| row.iter().map(|x| format!("{x:e}")).collect::<Vec<_>>().join(" ");
            vectors.iter().map(|(word, numbers)| format!("{word} {}{end}", row(numbers))).collect::<String>()
        };
        let glove = line("\n");
        for bytes in [
            glove.clone().into_bytes(),
            glove.trim_end().as_bytes().to_vec(),
            format!("3 2\n{glove}").into_bytes(),
            // As the C tool and fastText write, a space at the end; as Windows ends lines.
            format!("3 2\n{}", line(" \n")).into_bytes(),
            format!("3 2\r\n{}", line("\r\n")).into_bytes(),
            glove.replace(' ', "\t").into_bytes(),
            format!("\u{feff}{glove}").into_bytes(),
            format!("\u{feff}3 2\n{glove}").into_bytes(),
            binary(&vectors, ""),
            binary(&vectors, "\n"),
        ] {
            assert_eq!(read(&bytes), Ok(expected.clone()), "{:?}", String::from_utf8_lossy(&bytes));
            assert_eq!(read(&gzip(&bytes)), Ok(expected.clone()));
        }
        let mut members = gzip(&glove.as_bytes()[..10]);
        members.extend(gzip(&glove.as_bytes()[10..]));
        assert_eq!(read(&members), Ok(expected), "a gzip of two members");
    }

    #[test]
    fn what_follows_the_header_says_which_encoding_it_is() {
        // A byte at a time, as a pipe may.
        struct Slow<'a>(&'a [u8]);
        impl Read for Slow<'_> {
            fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
                let count = to.len().min(1);
                self.0.read(&mut to[..count])
            }
        }
        let encoding = |bytes: &[u8]| {
            let slow = VectorReader::new("v", Slow(bytes)).expect("starts well").encoding();
            assert_eq!(VectorReader::new("v", bytes).expect("starts well").encoding(), slow);
            slow
        };
        assert_eq!(encoding(&binary(&[("a", &[1e-30, 2.0])], "")), Encoding::Binary);
        // Bytes of a number that look like decimals, and a line end in them.
        let odd = f32::from_le_bytes(*b"2.2\n");
        assert_eq!(encoding(&binary(&[("a", &[0.5, odd])], "")), Encoding::Binary);
        assert_eq!(encoding(b"1 2\na 0.5 nan\n"), Encoding::Text);
        assert_eq!(encoding(b"1 2\na 0.5 damaged\n"), Encoding::Text);
        assert_eq!(encoding(b"1 2\n"), Encoding::Text);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line() {
        let fault = |text: &str| read(text.as_bytes()).expect_err("bad");
        let line = Place::Line;
        let short = |expected, found| Fault::Dimensions { expected, found };
        assert_eq!(fault(""), (line(0), Fault::Empty));
        assert_eq!(fault("\n"), (line(1), Fault::NotVectors));
        assert_eq!(fault("hello\n"), (line(1), Fault::NotVectors));
        assert_eq!(fault("hello world\n"), (line(1), Fault::NotVectors));
        assert_eq!(fault("0 5\n"), (line(1), Fault::Empty));
        assert_eq!(fault("99999999999999999999 5\n"), (line(1), Fault::Header { words: u64::MAX, dims: 5 }));
        assert_eq!(fault("TGWORDS\u{1} 1 2\n"), (line(1), Fault::Table));
        assert_eq!(fault("5 0\n"), (line(1), Fault::Header { words: 5, dims: 0 }));
        assert_eq!(fault("5 99999\n"), (line(1), Fault::Header { words: 5, dims: 99999 }));
        assert_eq!(fault("99999999999 5\n"), (line(1), Fault::Header { words: 99999999999, dims: 5 }));
        assert_eq!(fault("3 2\na 1 2\nb 3 4\n"), (line(3), Fault::FewerWords { words: 3, found: 2 }));
        assert_eq!(fault("1 2\na 1 2\nb 3 4\n"), (line(3), Fault::MoreWords { words: 1 }));
        assert_eq!(fault("2 3\na 1 2 3\nb 1 2\n"), (line(3), short(3, 2)));
        assert_eq!(fault("a 1 2 3\nb 1 2 3 4\n"), (line(2), short(3, 4)));
        assert_eq!(fault("a 1 2 3\nb\n"), (line(2), short(3, 0)));
        assert_eq!(fault("a 1 2 3\n 1 2 3\n"), (line(2), Fault::NoWord));
        assert_eq!(fault("a 1 2\nb 1 x2\n"), (line(2), Fault::NotANumber { text: "x2".into() }));
        assert_eq!(fault("a 1 2\nb 1 NaN\n"), (line(2), Fault::NotFinite { word: "b".into() }));
        assert_eq!(fault("a 1 2\nb 1 1e99\n"), (line(2), Fault::NotFinite { word: "b".into() }));
        assert_eq!(fault("a 1 2\nb c 3 4\n"), (line(2), Fault::Space { word: "b c".into() }));
        assert_eq!(read(b"a 1 2\n\xff 3 4\n"), Err((line(2), Fault::NotUtf8)));
        let long = format!("a 1 2\n{} 3 4\n", "b".repeat(MAX_WORD + 1));
        assert_eq!(fault(&long), (line(2), Fault::TooLong { limit: MAX_WORD }));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_byte() {
        let good = binary(&[("a", &[1.0, 2.0]), ("b", &[3.0, 4.0])], "\n");
        let second = Place::Byte(4 + 2 + 8 + 1);
        for len in 16..good.len() - 1 {
            assert_eq!(read(&good[..len]), Err((second, Fault::FewerWords { words: 2, found: 1 })), "{len} bytes");
        }
        let more = [&good[..], b"c 12345678"].concat();
        assert_eq!(read(&more), Err((Place::Byte(good.len() as u64), Fault::MoreWords { words: 2 })));
        let nan = binary(&[("a", &[1.0, 2.0]), ("b", &[3.0, f32::NAN])], "\n");
        assert_eq!(read(&nan), Err((second, Fault::NotFinite { word: "b".into() })));
        let unnamed = binary(&[("a", &[1.0, 2.0]), ("", &[3.0, 4.0])], "\n");
        assert_eq!(read(&unnamed), Err((second, Fault::NoWord)));
        let mut bytes = good.clone();
        bytes[15] = 0xff;
        assert_eq!(read(&bytes), Err((second, Fault::NotUtf8)));
    }

    /// A line without an end is not read into memory.
    #[test]
    fn an_endless_line_is_refused() {
        let endless = |start: &'static [u8], with: u8| start.chain(std::io::repeat(with).take(1 << 30));
        let told = |result: Result<VectorReader<'_>, WordsError>| match result.map(|_| ()) {
            Err(WordsError::Format { place, fault, .. }) => (place, fault),
            other => panic!("{other:?}"),
        };
        let too_long = Fault::TooLong { limit: MAX_LINE };
        assert_eq!(told(VectorReader::new("v", endless(b"", b'7'))), (Place::Line(1), too_long.clone()));
        for (start, with, expected) in [
            (&b"a 1 2\n"[..], b'7', (Place::Line(2), too_long)),
            (b"9 2\n\x00 1234567\xff", 0xfe, (Place::Byte(4 + 10), Fault::TooLong { limit: MAX_WORD })),
        ] {
            let mut reader = VectorReader::new("v", endless(start, with)).expect("starts well");
            let failed = loop {
                match reader.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("no end"),
                    Err(error) => break error,
                }
            };
            assert!(matches!(failed, WordsError::Format { place, fault, .. } if (place, fault.clone()) == expected));
        }
    }

    #[test]
    fn damaged_gzip_is_an_error_of_reading() {
        let good = gzip(b"a 1 2\nb 3 4\n");
        let mut reader = VectorReader::new("v", &good[..good.len() - 4]).expect("starts well");
        let failed = loop {
            match reader.next() {
                Ok(Some(_)) => {}
                other => break other.err(),
            }
        };
        assert!(matches!(failed, Some(WordsError::Read { .. })), "{failed:?}");
    }
}
