//! Statistics as bytes, a file `.stats` or a message; all numbers little-endian, nothing aligned.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 8 | magic, `89 53 54 41 54 53 0D 0A` (`\x89STATS\r\n`) |
//! | 8 | 2 | version, 1 |
//! | 10 | 1 | scaling of the features: 0 none, 1 to length 1 |
//! | 11 | 1 | 0 |
//! | 12 | 4 | length of all of it, at most 16,000,000 |
//! | 16 | 32 | fingerprint of the trunk |
//! | 48 | 36 | preprocessing, as in a head file (core/FORMAT.md) |
//! | 84 | 4 | `feature_dim`, at least 1 |
//! | 88 | 4 | `n_classes`, 1..=256 |
//! | 92 | | name of the backbone, of the cut, of each class: 2 bytes of length, UTF-8; classes sorted by their bytes, none twice |
//! | | 4 `n_classes` | samples of each class, at least 1 |
//! | | 8 `n_classes feature_dim` | sums, f64, row by row |
//! | | 2 `feature_dim (feature_dim + 1)` | scatter about the class means, f32: upper triangle, row by row |
//! | | 4 | CRC-32 (IEEE) of all before it |
//!
//! The lower triangle is not there, so the matrix is symmetric. All numbers are finite, the diagonal is not negative. Where the
//! features were scaled to length 1, the squares of the samples, which are the trace and the squared sums over the counts, are at most their
//! number. That the matrix is positive semidefinite is seen only when a head is made of it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use topgraft_core::format::is_plain;
use topgraft_core::preprocess::Preprocess;

use super::{MAX_BYTES, MAX_CLASSES, Statistics, StatisticsFault, StatisticsFileError, TrunkIdentity, triangle};
use crate::learn::scaling::Scaling;
use crate::store::check_name;

/// First bytes. The first is no text, the line ends show a transfer that rewrote them.
const MAGIC: [u8; 8] = *b"\x89STATS\r\n";
/// Version that is written, and the only one that is read.
const VERSION: u16 = 1;
/// Bytes before the names.
const HEADER_LEN: usize = 92;
/// Bytes of the checksum.
const CRC_LEN: usize = 4;
/// How much longer than 1 rounding may make a sample.
const ROUNDING: f64 = 1e-3;

impl Statistics {
    /// The bytes of a file or a message, at most [`MAX_BYTES`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let names: usize = self.classes.iter().map(String::len).sum();
        let len = encoded_len(&self.trunk, names, self.classes.len()).expect("checked when they were made");
        let mut bytes = Vec::with_capacity(len);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([u8::from(self.scaling == Scaling::L2), 0]);
        bytes.extend((len as u32).to_le_bytes());
        bytes.extend(self.trunk.fingerprint);
        bytes.extend(self.trunk.preprocess.to_bytes());
        bytes.extend((self.trunk.feature_dim as u32).to_le_bytes());
        bytes.extend((self.classes.len() as u32).to_le_bytes());
        for name in [&self.trunk.backbone, &self.trunk.cut].into_iter().chain(&self.classes) {
            bytes.extend((name.len() as u16).to_le_bytes());
            bytes.extend(name.as_bytes());
        }
        self.counts.iter().for_each(|count| bytes.extend(count.to_le_bytes()));
        self.sums.iter().for_each(|sum| bytes.extend(sum.to_le_bytes()));
        self.scatter.iter().for_each(|x| bytes.extend(x.to_le_bytes()));
        let crc = crc32fast::hash(&bytes);
        bytes.extend(crc.to_le_bytes());
        bytes
    }

    /// Checks bytes, and reads them.
    ///
    /// # Errors
    /// [`StatisticsFault`], the first thing that is wrong, in the order magic, length, version, checksum, what is in it.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatisticsFault> {
        let value = |what| StatisticsFault::Value { what };
        let body = envelope(bytes)?;
        let mut fields = Fields { rest: &body[16..], found: bytes.len() };
        let scaling = match (body[10], body[11]) {
            (0, 0) => Scaling::None,
            (1, 0) => Scaling::L2,
            _ => return Err(value("scaling of the features")),
        };
        let fingerprint = *fields.array()?;
        let preprocess = Preprocess::from_bytes(fields.array::<{ Preprocess::ENCODED_LEN }>()?)?;
        let (feature_dim, n_classes) = (fields.u32()? as usize, fields.u32()? as usize);
        if feature_dim == 0 {
            return Err(value("feature_dim"));
        }
        if !(1..=MAX_CLASSES).contains(&n_classes) {
            return Err(value("number of classes"));
        }
        let trunk =
            TrunkIdentity { fingerprint, backbone: fields.text()?, cut: fields.text()?, preprocess, feature_dim };
        let classes = (0..n_classes).map(|_| fields.text()).collect::<Result<Vec<_>, _>>()?;
        check_names(&trunk, &classes).map_err(|what| StatisticsFault::Name { what })?;
        if !classes.is_sorted_by(|a, b| a < b) {
            return Err(value("the order of the classes"));
        }
        // Before memory is taken for them.
        let names = classes.iter().map(String::len).sum();
        let stated = encoded_len(&trunk, names, n_classes).ok_or(value("feature_dim"))?;
        if stated != bytes.len() {
            return Err(StatisticsFault::Length { stated, found: bytes.len() });
        }
        let counts: Vec<u32> = fields.numbers(n_classes, u32::from_le_bytes)?;
        let sums: Vec<f64> = fields.numbers(n_classes * feature_dim, f64::from_le_bytes)?;
        let scatter: Vec<f32> = fields.numbers(triangle(feature_dim), f32::from_le_bytes)?;
        let read = Self { trunk, scaling, classes, counts, sums, scatter };
        read.check_numbers().map(|()| read)
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`StatisticsFileError`] with the path and what is wrong.
    pub fn open(path: &Path) -> Result<Self, StatisticsFileError> {
        let read = |source| StatisticsFileError::Read { path: path.to_path_buf(), source };
        let mut bytes = Vec::new();
        File::open(path).map_err(read)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(read)?;
        Self::parse(&bytes).map_err(|source| StatisticsFileError::Parse { path: path.to_path_buf(), source })
    }

    /// Whether bytes begin as those of statistics do.
    pub fn is_named_by(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    fn check_numbers(&self) -> Result<(), StatisticsFault> {
        let value = |what| Err(StatisticsFault::Value { what });
        if self.counts.contains(&0) {
            return value("number of samples of a class");
        }
        if !self.sums.iter().all(|x| x.is_finite()) {
            return value("a sum of features");
        }
        if !self.scatter.iter().all(|x| x.is_finite()) {
            return value("a number of the scatter");
        }
        let dim = self.trunk.feature_dim;
        // The diagonal is the first of each row, and each row is one shorter.
        let diagonal = || (0..dim).scan(0, |at, row| Some(self.scatter[std::mem::replace(at, *at + dim - row)]));
        if diagonal().any(|x| x < 0.0) {
            return value("the diagonal of the scatter");
        }
        let within: f64 = diagonal().map(f64::from).sum();
        let square = |(sums, count): (&[f64], &u32)| sums.iter().map(|x| x * x).sum::<f64>() / f64::from(*count);
        let means: f64 = self.sums.chunks_exact(dim).zip(&self.counts).map(square).sum();
        if self.scaling == Scaling::L2 && within + means > self.n_samples() as f64 * (1.0 + ROUNDING) {
            return value("the length of the scaled features");
        }
        Ok(())
    }
}

/// Length of the file of classes whose names are `names` bytes long together; `None` where that overflows.
pub(super) fn encoded_len(trunk: &TrunkIdentity, names: usize, n_classes: usize) -> Option<usize> {
    let dim = trunk.feature_dim;
    let names = trunk.backbone.len() + trunk.cut.len() + names + 2 * (2 + n_classes);
    let sums = n_classes.checked_mul(dim)?.checked_mul(8)?;
    let scatter = dim.checked_mul(dim.checked_add(1)?)?.checked_mul(2)?;
    [names, 4 * n_classes, sums, scatter, CRC_LEN].into_iter().try_fold(HEADER_LEN, usize::checked_add)
}

/// Refuses names that a head file or a store would.
pub(super) fn check_names(trunk: &TrunkIdentity, classes: &[String]) -> Result<(), String> {
    for (what, name) in [("name of the backbone", &trunk.backbone), ("name of the cut", &trunk.cut)] {
        if !is_plain(name) {
            return Err(format!("the {what} is empty, longer than 65535 bytes or has control characters"));
        }
    }
    classes.iter().try_for_each(|name| check_name(name).map_err(|error| error.to_string()))
}

/// Checks magic, length, version and checksum; returns all but the last.
fn envelope(bytes: &[u8]) -> Result<&[u8], StatisticsFault> {
    let found = bytes.len();
    if found > MAX_BYTES {
        return Err(StatisticsFault::TooLarge);
    }
    if found == 0 || bytes[..found.min(8)] != MAGIC[..found.min(8)] {
        return Err(StatisticsFault::NotStatistics);
    }
    if found < HEADER_LEN + CRC_LEN {
        return Err(StatisticsFault::TooShort { len: found });
    }
    let stated = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]) as usize;
    if stated != found {
        return Err(StatisticsFault::Length { stated, found });
    }
    let version = u16::from_le_bytes([bytes[8], bytes[9]]);
    if version != VERSION {
        return Err(StatisticsFault::Version { found: version, known: VERSION });
    }
    let (body, crc) = bytes.split_at(found - CRC_LEN);
    let (stated, computed) = (u32::from_le_bytes([crc[0], crc[1], crc[2], crc[3]]), crc32fast::hash(body));
    if stated != computed {
        return Err(StatisticsFault::Checksum { stated, computed });
    }
    Ok(body)
}

/// What is left to read.
struct Fields<'a> {
    rest: &'a [u8],
    /// Bytes of all, for the message.
    found: usize,
}

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], StatisticsFault> {
        let short = StatisticsFault::Length { stated: self.found + len - self.rest.len().min(len), found: self.found };
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], StatisticsFault> {
        Ok(self.take(N)?.try_into().expect("as many"))
    }

    fn u32(&mut self) -> Result<u32, StatisticsFault> {
        self.array().map(|bytes| u32::from_le_bytes(*bytes))
    }

    fn text(&mut self) -> Result<String, StatisticsFault> {
        let len = u16::from_le_bytes(*self.array()?);
        let text = std::str::from_utf8(self.take(usize::from(len))?);
        text.map(str::to_owned).map_err(|_| StatisticsFault::Name { what: "a name is not UTF-8".to_owned() })
    }

    fn numbers<T, const N: usize>(&mut self, count: usize, read: fn([u8; N]) -> T) -> Result<Vec<T>, StatisticsFault> {
        let (numbers, _) = self.take(count * N)?.as_chunks::<N>();
        Ok(numbers.iter().map(|bytes| read(*bytes)).collect())
    }
}
