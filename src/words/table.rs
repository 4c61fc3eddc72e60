//! Word vectors in memory, or in a table on disk of which rows are read as they are needed.
//!
//! # The table
//! Made once by [`convert`] from any file of word vectors, opened in milliseconds, a row read at a time. All numbers are
//! little-endian:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 8 | `TGWORDS` and the version, 1 |
//! | 8 | 4 | `dims`, numbers of each vector, 1..=4096 |
//! | 12 | 4 | `count` of words, at least 1 |
//! | 16 | 4 | [`Precision`]: 0 f32, 1 f16, 2 int8 |
//! | 20 | 4 | `n_slots` of the index, a power of two above `count` |
//! | 24 | 8 | `text_len`, bytes of all words |
//! | 32 | 32 | digest: SHA-256 of `dims`, then for each word its length (u32), itself and its row, as they are here |
//! | 64 | 4 | CRC-32 of everything behind the rows |
//! | 68 | 4 | CRC-32 of the 68 bytes before |
//! | 72 | 56 | 0 |
//! | 128 | `count * (row_len + 4)` | rows: `dims` f32 or f16; or for int8 one f32, the step, and `dims` i8; behind each the CRC-32 of the word and these bytes |
//! | | `4 * count` | where each word ends in the text, u32 |
//! | | `4 * n_slots` | index: 0, or 1 + the word's number in the low 25 bits and those of its hash in the others; a word is at its hash modulo `n_slots`, or in the next slot that is free |
//! | | `text_len` | the words, UTF-8 |
//!
//! The hash of a word of n bytes: h = n, and for some numbers x one after the other h = (h xor x) * 0x9e3779b97f4a7c15 modulo 2^64,
//! h = h xor (h >> 32); of it the low 32 bits. The numbers are, little-endian: of 8 bytes and more each whole eight bytes from the
//! first on, then the last eight; of 4 to 7 bytes the first four and the last four as one number; of 2 or 3 the first byte, that
//! at n / 2 and the last; of 1 that byte; of none 0.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::archive::{self, Opened};
use super::error::{Fault, Place, WordsError};
use super::precision::Precision;
use super::reader::VectorReader;
use super::vocabulary::Vocabulary;
use super::{MAX_DIMS, MAX_WORDS};

const MAGIC: &[u8; 8] = b"TGWORDS\x01";
const HEADER_LEN: usize = 128;
/// Bytes behind each row.
const CRC_LEN: usize = 4;
/// Bytes of the header that its checksum is of.
const CHECKED: usize = 68;

/// Which words are taken of a file of word vectors.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// At most so many words, the first of the file, which are the most frequent ones.
    pub top: Option<u64>,
    /// Words that no text can have (a space in them, not UTF-8) and those that were there before are left out, not refused.
    pub skip_bad: bool,
    /// Bytes that the vectors may take in memory.
    pub memory: u64,
}

impl Default for Limits {
    /// All words, none of them bad, in any memory.
    fn default() -> Self {
        Self { top: None, skip_bad: false, memory: u64::MAX }
    }
}

/// Word vectors, to look words up in.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use topgraft::words::{Limits, Vectors};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("glove.txt");
/// std::fs::write(&path, "the 0.5 1\nking -2 0.25\n")?;
/// let vectors = Vectors::open(&path, &Limits::default())?;
/// let king = vectors.find("king").expect("is in it");
/// let mut row = [0.0; 2];
/// vectors.row(king, &mut row)?;
/// assert_eq!((king, row), (1, [-2.0, 0.25]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Vectors {
    path: PathBuf,
    vocabulary: Vocabulary,
    dims: usize,
    digest: [u8; 32],
    rows: Rows,
    skipped: u64,
}

#[derive(Debug)]
enum Rows {
    /// `[count, dims]`
    Memory(Vec<f32>),
    /// Rows of a table, from `HEADER_LEN` on.
    File { file: File, precision: Precision },
}

/// SHA-256 of word vectors, word by word.
struct Digester(Sha256);

impl Digester {
    fn new(dims: usize) -> Self {
        Self(Sha256::new_with_prefix((dims as u32).to_le_bytes()))
    }

    fn add(&mut self, word: &str, row: &[u8]) {
        self.0.update((word.len() as u32).to_le_bytes());
        self.0.update(word);
        self.0.update(row);
    }
}

/// Gives `take` the words that the limits leave, which says whether a word is new; how many were left out as bad.
fn read_words(
    reader: &mut VectorReader<'_>,
    limits: &Limits,
    mut take: impl FnMut(&VectorReader<'_>, &str, &[f32]) -> Result<bool, WordsError>,
) -> Result<u64, WordsError> {
    let (mut taken, mut skipped) = (0u64, 0u64);
    while limits.top.is_none_or(|top| taken < top) {
        let (word, row) = match reader.next() {
            Ok(Some((word, row))) => (word.to_owned(), row.to_owned()),
            Ok(None) => break,
            Err(WordsError::Format { fault: Fault::NotUtf8 | Fault::Space { .. }, .. }) if limits.skip_bad => {
                skipped += 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        if taken == MAX_WORDS as u64 {
            return Err(reader.wrong(Fault::TooManyWords));
        }
        match take(reader, &word, &row)? {
            true => taken += 1,
            false if limits.skip_bad => skipped += 1,
            false => return Err(reader.wrong(Fault::Duplicate { word })),
        }
    }
    if taken == 0 {
        return Err(reader.wrong(Fault::Empty));
    }
    Ok(skipped)
}

impl Vectors {
    /// Opens a table, of which words are in memory then and rows are read when they are asked for; or reads a file of word
    /// vectors as other programs write them, gzipped or not, into memory.
    ///
    /// # Errors
    /// [`WordsError`], with the line or byte.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, WordsError> {
        let read = |source| WordsError::Read { path: path.to_owned(), source };
        let mut file = match archive::open(path)? {
            Opened::File(file) => file,
            Opened::Member(member) => return Self::read(VectorReader::new(path, member)?, path, limits),
        };
        // A pipe can be read only once: what was looked at is given back.
        let mut start = Vec::new();
        (&mut file).take(MAGIC.len() as u64).read_to_end(&mut start).map_err(read)?;
        if start.len() == MAGIC.len() && start[..7] == MAGIC[..7] {
            return Self::open_table(path, file, limits);
        }
        Self::read(VectorReader::new(path, io::Cursor::new(start).chain(file))?, path, limits)
    }

    /// As [`open`](Self::open), of a reader; `path` is for messages and the name.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn read(mut reader: VectorReader<'_>, path: &Path, limits: &Limits) -> Result<Self, WordsError> {
        let dims = reader.dims();
        let (mut vocabulary, mut rows) = (Vocabulary::default(), Vec::new());
        let (mut digester, mut bytes) = (Digester::new(dims), Vec::new());
        let skipped = read_words(&mut reader, limits, |reader, word, row| {
            if !vocabulary.add(word).map_err(|fault| reader.wrong(fault))? {
                return Ok(false);
            }
            rows.extend_from_slice(row);
            if 4 * rows.capacity() as u64 + vocabulary.bytes_used() > limits.memory {
                return Err(reader.wrong(Fault::Memory { limit: limits.memory }));
            }
            Precision::Float32.encode(row, &mut bytes);
            digester.add(word, &bytes);
            Ok(true)
        })?;
        let digest = digester.0.finalize().into();
        Ok(Self { path: path.to_owned(), vocabulary, dims, digest, rows: Rows::Memory(rows), skipped })
    }

    fn open_table(path: &Path, mut file: File, limits: &Limits) -> Result<Self, WordsError> {
        let read = |source| WordsError::Read { path: path.to_owned(), source };
        let damaged = |byte: usize, what| WordsError::Format {
            path: path.to_owned(),
            place: Place::Byte(byte as u64),
            fault: Fault::Damaged { what },
        };
        let mut header = [0; HEADER_LEN];
        file.seek(SeekFrom::Start(0)).map_err(read)?;
        file.read_exact(&mut header).map_err(|_| damaged(0, "it ends within its header"))?;
        if header[..8] != *MAGIC {
            return Err(damaged(7, "a version that this program does not know"));
        }
        let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes")) as usize;
        if number(CHECKED) != crc32fast::hash(&header[..CHECKED]) as usize {
            return Err(damaged(0, "its header"));
        }
        let (dims, count, n_slots) = (number(8), number(12), number(20));
        let text_len = u64::from_le_bytes(header[24..32].try_into().expect("eight bytes"));
        let precision = match number(16) {
            0 => Precision::Float32,
            1 => Precision::Float16,
            2 => Precision::Int8,
            _ => return Err(damaged(16, "its precision")),
        };
        let in_range = (1..=MAX_DIMS).contains(&dims)
            && (1..=MAX_WORDS).contains(&count)
            && n_slots <= 4 * MAX_WORDS
            && text_len <= u32::MAX.into();
        if !in_range {
            return Err(damaged(8, "its sizes"));
        }
        let rows_len = count as u64 * (precision.row_len(dims) + CRC_LEN) as u64;
        let index_at = HEADER_LEN as u64 + rows_len;
        let index_len = 4 * (count + n_slots) as u64 + text_len;
        let file_len = file.metadata().map_err(read)?.len();
        if file_len != index_at + index_len {
            return Err(damaged(file_len as usize, "its length"));
        }
        if index_len > limits.memory {
            return Err(WordsError::Format {
                path: path.to_owned(),
                place: Place::Byte(index_at),
                fault: Fault::Memory { limit: limits.memory },
            });
        }
        file.seek(SeekFrom::Start(index_at)).map_err(read)?;
        let mut checksum = crc32fast::Hasher::new();
        let mut numbers = |count: usize| -> Result<Vec<u32>, WordsError> {
            let mut bytes = vec![0; 4 * count];
            file.read_exact(&mut bytes).map_err(read)?;
            checksum.update(&bytes);
            Ok(bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect())
        };
        let (ends, slots) = (numbers(count)?, numbers(n_slots)?);
        let mut text = vec![0; text_len as usize];
        file.read_exact(&mut text).map_err(read)?;
        checksum.update(&text);
        if checksum.finalize() as usize != number(64) {
            return Err(damaged(index_at as usize, "its words or its index"));
        }
        let vocabulary = Vocabulary::from_parts(text, ends, slots).map_err(|what| damaged(index_at as usize, what))?;
        if limits.top.is_some_and(|top| top < count as u64) {
            return Err(WordsError::Format {
                path: path.to_owned(),
                place: Place::Byte(12),
                fault: Fault::Whole { words: count as u64 },
            });
        }
        let digest = header[32..64].try_into().expect("32 bytes");
        let rows = Rows::File { file, precision };
        Ok(Self { path: path.to_owned(), vocabulary, dims, digest, rows, skipped: 0 })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Name of the file, without its ending.
    pub fn name(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// How many words.
    #[expect(clippy::len_without_is_empty, reason = "there is at least one")]
    pub fn len(&self) -> usize {
        self.vocabulary.len()
    }

    /// Numbers of each vector.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Words that were left out as bad, if they were to be.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// How the numbers are kept.
    pub fn precision(&self) -> Precision {
        match &self.rows {
            Rows::Memory(_) => Precision::Float32,
            Rows::File { precision, .. } => *precision,
        }
    }

    /// SHA-256 of the words and their numbers; which program wrote the file does not matter.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Whether upper and lower case are different words here: some word has an upper-case letter.
    pub fn is_cased(&self) -> bool {
        let (text, ..) = self.vocabulary.parts();
        text.iter().any(u8::is_ascii_uppercase)
    }

    /// The number of a word, from 0 on, as it is written.
    pub fn find(&self, word: &str) -> Option<usize> {
        self.vocabulary.get(word)
    }

    /// The word of a number.
    ///
    /// # Panics
    /// If it has none.
    pub fn word(&self, number: usize) -> &str {
        self.vocabulary.word(number)
    }

    /// The vector `[dims]` of a word, by its number.
    ///
    /// # Errors
    /// [`WordsError`] if a table cannot be read any more, or the row is damaged.
    ///
    /// # Panics
    /// If the number is that of no word, or `row` of another length.
    pub fn row(&self, number: usize, row: &mut [f32]) -> Result<(), WordsError> {
        assert!(number < self.len() && row.len() == self.dims, "word {number}, {} numbers", row.len());
        self.rows(number, row)
    }

    /// The vector of a word where it lies in memory, else read into `row`, which is made as long as it has to be.
    pub(super) fn row_or_read<'a>(&'a self, number: usize, row: &'a mut Vec<f32>) -> Result<&'a [f32], WordsError> {
        match &self.rows {
            Rows::Memory(all) => Ok(&all[number * self.dims..][..self.dims]),
            Rows::File { .. } => {
                row.resize(self.dims, 0.0);
                self.rows(number, row).map(|()| &row[..])
            }
        }
    }

    /// The vectors `[n, dims]` of words one after the other, from the one of that number on.
    ///
    /// # Errors
    /// As [`row`](Self::row).
    ///
    /// # Panics
    /// If there are not so many, or `rows` ends within one.
    pub fn rows(&self, start: usize, rows: &mut [f32]) -> Result<(), WordsError> {
        match &self.rows {
            Rows::Memory(all) => rows.copy_from_slice(&all[start * self.dims..][..rows.len()]),
            Rows::File { file, precision } => {
                let row_len = precision.row_len(self.dims) + CRC_LEN;
                let mut stack = [0; 2048];
                let mut heap = Vec::new();
                let len = rows.len() / self.dims * row_len;
                let bytes = match stack.get_mut(..len) {
                    Some(bytes) => bytes,
                    None => {
                        heap.resize(len, 0);
                        &mut heap[..]
                    }
                };
                let at = HEADER_LEN as u64 + start as u64 * row_len as u64;
                let read = |source| WordsError::Read { path: self.path.clone(), source };
                read_exact_at(file, bytes, at).map_err(read)?;
                let rows = rows.chunks_exact_mut(self.dims).zip(bytes.chunks_exact(row_len));
                for (number, (row, bytes)) in (start..).zip(rows) {
                    let (bytes, crc) = bytes.split_at(row_len - CRC_LEN);
                    precision.decode(bytes, row);
                    let is_sound = crc == row_crc(self.word(number), bytes).to_le_bytes();
                    if !is_sound || row.iter().any(|x| !x.is_finite()) {
                        return Err(WordsError::Format {
                            path: self.path.clone(),
                            place: Place::Byte(HEADER_LEN as u64 + number as u64 * row_len as u64),
                            fault: Fault::Damaged { what: "a row" },
                        });
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(not(unix))]
fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(bytes)
}

/// CRC-32 of a word and the bytes of its row, so that a row that is damaged, or another word's, is noticed.
fn row_crc(word: &str, row: &[u8]) -> u32 {
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(word.as_bytes());
    checksum.update(row);
    checksum.finalize()
}

/// What a conversion gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Converted {
    /// Words.
    pub words: u64,
    /// Numbers of each.
    pub dims: usize,
    /// Words that were left out as bad, if they were to be.
    pub skipped: u64,
}

/// Writes word vectors as a table, row by row: in memory are only the words. `path` is that of the table, for messages.
///
/// # Errors
/// [`WordsError`] with the line or byte; [`WordsError::Write`]; [`Fault::NotFinite`] if a number is too large for float16.
pub fn convert(
    mut reader: VectorReader<'_>,
    limits: &Limits,
    precision: Precision,
    path: &Path,
    out: &mut (impl Write + Seek),
) -> Result<Converted, WordsError> {
    let dims = reader.dims();
    let failed = |source| WordsError::Write { path: path.to_owned(), source };
    let mut vocabulary = Vocabulary::default();
    let (mut digester, mut bytes) = (Digester::new(dims), Vec::new());
    let mut buffered = BufWriter::with_capacity(1 << 18, &mut *out);
    buffered.write_all(&[0; HEADER_LEN]).map_err(failed)?;
    let skipped = read_words(&mut reader, limits, |reader, word, row| {
        if !vocabulary.add(word).map_err(|fault| reader.wrong(fault))? {
            return Ok(false);
        }
        if !precision.encode(row, &mut bytes) {
            return Err(reader.wrong(Fault::NotFinite { word: word.to_owned() }));
        }
        digester.add(word, &bytes);
        buffered.write_all(&bytes).map_err(failed)?;
        buffered.write_all(&row_crc(word, &bytes).to_le_bytes()).map_err(failed)?;
        Ok(true)
    })?;
    let (text, ends, slots) = vocabulary.parts();
    let mut checksum = crc32fast::Hasher::new();
    for numbers in [ends, slots] {
        for numbers in numbers.chunks(1 << 14) {
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            checksum.update(&bytes);
            buffered.write_all(&bytes).map_err(failed)?;
        }
    }
    checksum.update(text);
    buffered.write_all(text).map_err(failed)?;
    buffered.flush().map_err(failed)?;
    drop(buffered);
    let mut header = Vec::with_capacity(HEADER_LEN);
    header.extend(MAGIC);
    for number in [dims, vocabulary.len(), precision as usize, slots.len()] {
        header.extend((number as u32).to_le_bytes());
    }
    header.extend((text.len() as u64).to_le_bytes());
    header.extend(digester.0.finalize());
    header.extend(checksum.finalize().to_le_bytes());
    header.extend(crc32fast::hash(&header).to_le_bytes());
    header.resize(HEADER_LEN, 0);
    out.seek(SeekFrom::Start(0)).map_err(failed)?;
    out.write_all(&header).map_err(failed)?;
    Ok(Converted { words: vocabulary.len() as u64, dims, skipped })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    const TEXT: &str = "the 0.5 -1 2\nking 0.25 3 1e-3\nnull 0 0 0\nné -7 8 9\n";

    fn reader(text: &str) -> VectorReader<'_> {
        VectorReader::new("v.txt", text.as_bytes()).expect("sound")
    }

    fn table(precision: Precision) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        convert(reader(TEXT), &Limits::default(), precision, Path::new("v.words"), &mut out).expect("in memory");
        out.into_inner()
    }

    fn open(bytes: &[u8]) -> Result<Vectors, WordsError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("v.words");
        std::fs::write(&path, bytes).expect("written");
        Vectors::open(&path, &Limits::default())
    }

    fn all(vectors: &Vectors) -> Vec<(String, Vec<f32>)> {
        let row = |number| {
            let mut row = vec![0.0; vectors.dims()];
            vectors.row(number, &mut row).expect("sound");
            (vectors.word(number).to_owned(), row)
        };
        (0..vectors.len()).map(row).collect()
    }

    #[test]
    fn a_table_has_the_words_and_numbers_of_its_source() {
        let memory = Vectors::read(reader(TEXT), Path::new("v.txt"), &Limits::default()).expect("sound");
        let expected = all(&memory);
        let exact = open(&table(Precision::Float32)).expect("sound");
        assert_eq!((all(&exact), exact.digest()), (expected.clone(), memory.digest()));
        for (precision, error) in [(Precision::Float16, 1.0 / 2048.0), (Precision::Int8, 0.5 / 127.0)] {
            let small = open(&table(precision)).expect("sound");
            assert_eq!(small.precision(), precision);
            assert_ne!(small.digest(), memory.digest());
            for ((word, row), (expected_word, expected)) in all(&small).iter().zip(&expected) {
                assert_eq!(word, expected_word);
                let most = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
                assert!(row.iter().zip(expected).all(|(x, y)| (x - y).abs() <= error * most * 1.001), "{row:?}");
            }
        }
        assert_eq!(exact.find("né"), Some(3));
        assert_eq!((exact.find("n"), exact.is_cased()), (None, false));
        let mut two = vec![0.0; 6];
        exact.rows(1, &mut two).expect("sound");
        assert_eq!(two, [expected[1].1.clone(), expected[2].1.clone()].concat());
    }

    #[test]
    fn limits_take_the_first_words_and_leave_bad_ones_out() {
        let read = |text: &str, limits: &Limits| Vectors::read(reader(text), Path::new("v"), limits);
        let top = read(TEXT, &Limits { top: Some(2), ..Limits::default() }).expect("sound");
        assert_eq!((top.len(), top.find("king"), top.find("né")), (2, Some(1), None));
        let bad = "a 1 2\nb c 3 4\na 5 6\nd 7 8\n";
        let skipped = read(bad, &Limits { skip_bad: true, ..Limits::default() }).expect("two are good");
        assert_eq!((skipped.len(), skipped.skipped()), (2, 2));
        assert_eq!(all(&skipped)[0].1, [1.0, 2.0]);
        let fault = |text: &str, limits: &Limits| match read(text, limits).expect_err("bad") {
            WordsError::Format { place, fault, .. } => (place, fault),
            other => panic!("{other}"),
        };
        let doubled = Fault::Duplicate { word: "a".into() };
        assert_eq!(fault("a 1\nb 2\na 3\n", &Limits::default()), (Place::Line(3), doubled));
        let small = Limits { memory: 100, ..Limits::default() };
        assert_eq!(fault(TEXT, &small).1, Fault::Memory { limit: 100 });
        let huge = "a 1e38 1\n";
        let mut out = Cursor::new(Vec::new());
        let failed = convert(reader(huge), &Limits::default(), Precision::Float16, Path::new("v"), &mut out);
        assert!(matches!(failed, Err(WordsError::Format { fault: Fault::NotFinite { .. }, .. })));
    }

    #[test]
    fn a_damaged_table_is_refused() {
        for precision in [Precision::Float32, Precision::Float16, Precision::Int8] {
            let good = table(precision);
            assert!(open(&good).is_ok());
            for len in 7..good.len() {
                assert!(open(&good[..len]).is_err(), "{len} bytes of it");
            }
            assert!(open(&[&good[..], b"x"].concat()).is_err());
            let rows = HEADER_LEN..HEADER_LEN + 4 * (precision.row_len(3) + CRC_LEN);
            for at in (7..CHECKED + 4).chain(rows.end..good.len()) {
                let mut damaged = good.clone();
                damaged[at] ^= 0x10;
                assert!(open(&damaged).is_err(), "byte {at}");
            }
        }
        // Rows are checked when they are read, each byte of them; two that have changed places are noticed, too.
        for precision in [Precision::Float32, Precision::Float16, Precision::Int8] {
            let (good, len) = (table(precision), precision.row_len(3) + CRC_LEN);
            for at in HEADER_LEN..HEADER_LEN + len {
                let mut damaged = good.clone();
                damaged[at] ^= 1;
                let vectors = open(&damaged).expect("as far as can be seen");
                let failed = vectors.row(0, &mut [0.0; 3]).expect_err("damaged");
                assert!(matches!(
                    failed,
                    WordsError::Format { place: Place::Byte(128), fault: Fault::Damaged { .. }, .. }
                ));
                assert!(vectors.row(1, &mut [0.0; 3]).is_ok());
            }
            let mut swapped = good.clone();
            swapped[HEADER_LEN..HEADER_LEN + 2 * len].rotate_left(len);
            assert!(open(&swapped).expect("as far as can be seen").row(1, &mut [0.0; 3]).is_err());
        }
    }

    #[test]
    fn a_table_that_cannot_be_written_says_so() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl Seek for Full {
            fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
                Ok(0)
            }
        }
        let failed = convert(reader(TEXT), &Limits::default(), Precision::Int8, Path::new("v.words"), &mut Full);
        assert!(failed.expect_err("full").is_failure());
    }
}
