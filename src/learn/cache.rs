//! Features that are kept, so that the trunk runs once on each photo, ever: a file beside the photos.
//!
//! The key is the photo's content, so a photo that was renamed or moved to another class keeps its features. The file names
//! the trunk's fingerprint, and is refused with another trunk.
//!
//! Little-endian: `TGFEATS1`, fingerprint (32 bytes), feature_dim (u32), then a record for each photo: SHA-256 of its bytes,
//! `feature_dim` f32, CRC-32 of the record so far. Records are only appended, by one program at a time; one that a crash has
//! cut off is dropped.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::trunk::Trunk;

const MAGIC: &[u8; 8] = b"TGFEATS1";
const HEADER_LEN: usize = MAGIC.len() + 32 + 4;
/// A photo, by its content.
type Key = [u8; 32];
/// A photo with its features.
type Record = (Key, Vec<f32>);

/// Why a file of features can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It cannot be read or written.
    #[error("{}: the features cannot be kept: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// It is a folder, a pipe, a device.
    #[error("{}: is no file; give the name of one with --cache", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// There is no folder to make it in.
    #[error("{}: no such folder to keep the features in; make it first", folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// It is something else.
    #[error("{}: this is no file of features; name another one with --cache", path.display())]
    NotACache {
        /// The file.
        path: PathBuf,
    },
    /// Its features come from another trunk.
    #[error("{}: these features are of another trunk (another backbone, cut or preprocessing); name another file with --cache", path.display())]
    OtherTrunk {
        /// The file.
        path: PathBuf,
    },
}

/// Features of photos that were seen before.
#[derive(Debug)]
pub struct FeatureCache {
    path: PathBuf,
    fingerprint: [u8; 32],
    feature_dim: usize,
    known: HashMap<Key, Vec<f32>>,
    /// Bytes of the file up to the end of its last whole record; 0 if there is no file.
    len: u64,
    /// Of this run, not yet in the file.
    new: Vec<Record>,
}

impl FeatureCache {
    /// Reads the file, if there is one; that it can be written is seen here, too, before the work.
    ///
    /// # Errors
    /// [`CacheError`].
    pub fn open(path: &Path, trunk: &Trunk) -> Result<Self, CacheError> {
        Self::of(path, trunk.fingerprint(), trunk.feature_dim())
    }

    fn of(path: &Path, fingerprint: [u8; 32], feature_dim: usize) -> Result<Self, CacheError> {
        let (path, new) = (path.to_path_buf(), Vec::new());
        let mut cache = Self { path, fingerprint, feature_dim, known: HashMap::new(), len: 0, new };
        match fs::metadata(&cache.path) {
            Ok(there) if !there.is_file() => return Err(CacheError::NotAFile { path: cache.path }),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = cache.path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let folder = folder.unwrap_or(Path::new("."));
                if !folder.is_dir() {
                    return Err(CacheError::NoFolder { folder: folder.to_path_buf() });
                }
                return tempfile::tempfile_in(folder).map(|_| ()).map_err(|error| cache.io(error)).map(|()| cache);
            }
            Err(error) => return Err(cache.io(error)),
        }
        let file = OpenOptions::new().read(true).write(true).open(&cache.path).map_err(|error| cache.io(error))?;
        let (records, len) = cache.read(&mut io::BufReader::new(file))?;
        (cache.known, cache.len) = (records.into_iter().collect(), len);
        Ok(cache)
    }

    /// Reads records from `self.len` on; returns them with the end of the last whole one.
    fn read(&self, file: &mut (impl Read + Seek)) -> Result<(Vec<Record>, u64), CacheError> {
        let io = |error| self.io(error);
        let mut len = self.len;
        if len == 0 {
            let mut header = Vec::new();
            file.take(HEADER_LEN as u64).read_to_end(&mut header).map_err(io)?;
            if !MAGIC.starts_with(&header[..header.len().min(MAGIC.len())]) {
                return Err(CacheError::NotACache { path: self.path.clone() });
            }
            if header.len() < HEADER_LEN {
                // A crash may have left less than a header.
                return Ok((Vec::new(), 0));
            }
            if header != self.header() {
                return Err(CacheError::OtherTrunk { path: self.path.clone() });
            }
            len = HEADER_LEN as u64;
        }
        file.seek(SeekFrom::Start(len)).map_err(io)?;
        let (mut records, mut bytes) = (Vec::new(), vec![0; self.record_len()]);
        loop {
            match file.read_exact(&mut bytes) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(io(error)),
            }
            let Some(record) = decode(&bytes) else { break };
            records.push(record);
            len += bytes.len() as u64;
        }
        Ok((records, len))
    }

    /// Photos whose features are known.
    pub fn len(&self) -> usize {
        self.known.len() + self.new.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The key of a photo: SHA-256 of its bytes.
    pub(super) fn key(path: &Path) -> io::Result<Key> {
        let mut hash = Sha256::new();
        let mut file = File::open(path)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hash.finalize().into()),
                len => hash.update(&buffer[..len]),
            }
        }
    }

    /// Features of a photo that was seen before this run.
    pub(super) fn get(&self, key: &Key) -> Option<&[f32]> {
        self.known.get(key).map(Vec::as_slice)
    }

    /// Remembers features, until [`save`](Self::save).
    pub(super) fn put(&mut self, key: Key, features: &[f32]) {
        self.new.push((key, features.to_vec()));
    }

    /// Appends what is new to the file, which is made if there is none. Where this fails, what was there stays readable.
    ///
    /// # Errors
    /// [`CacheError`]; what is new stays so.
    pub fn save(&mut self) -> Result<(), CacheError> {
        let mut new = std::mem::take(&mut self.new);
        // A photo may be there twice.
        new.sort_by_key(|(key, _)| *key);
        new.dedup_by_key(|(key, _)| *key);
        if new.is_empty() {
            return Ok(());
        }
        let saved = self.append(&new);
        match &saved {
            Ok(()) => self.known.extend(new),
            Err(_) => self.new = new,
        }
        saved
    }

    /// Appends records behind the last whole one that is in the file now: another program may have written since.
    fn append(&mut self, new: &[Record]) -> Result<(), CacheError> {
        let open = || {
            let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&self.path)?;
            // Until the file is closed.
            file.lock().map(|()| file)
        };
        let mut file = open().map_err(|error| self.io(error))?;
        let (others, len) = self.read(&mut io::BufReader::new(&file))?;
        let known = others.iter().map(|(key, _)| *key).collect::<std::collections::HashSet<_>>();
        let mut bytes = if len == 0 { self.header().to_vec() } else { Vec::new() };
        for (key, features) in new.iter().filter(|(key, _)| !known.contains(key)) {
            let start = bytes.len();
            bytes.extend(key);
            bytes.extend(features.iter().flat_map(|x| x.to_le_bytes()));
            let crc = crc32fast::hash(&bytes[start..]);
            bytes.extend(crc.to_le_bytes());
        }
        let mut write = || {
            // Over what a crash has cut off.
            file.set_len(len)?;
            file.seek(SeekFrom::Start(len))?;
            file.write_all(&bytes)?;
            file.sync_all()
        };
        write().map_err(|error| self.io(error))?;
        self.len = len + bytes.len() as u64;
        self.known.extend(others);
        Ok(())
    }

    fn header(&self) -> [u8; HEADER_LEN] {
        let mut header = [0; HEADER_LEN];
        header[..8].copy_from_slice(MAGIC);
        header[8..40].copy_from_slice(&self.fingerprint);
        header[40..].copy_from_slice(&(self.feature_dim as u32).to_le_bytes());
        header
    }

    fn record_len(&self) -> usize {
        32 + 4 * self.feature_dim + 4
    }

    fn io(&self, source: io::Error) -> CacheError {
        CacheError::Io { path: self.path.clone(), source }
    }
}

/// Key and features of a record, unless its checksum is wrong.
fn decode(record: &[u8]) -> Option<Record> {
    let (content, crc) = record.split_last_chunk::<4>()?;
    if crc32fast::hash(content) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (key, features) = content.split_first_chunk()?;
    let (features, _) = features.as_chunks();
    Some((*key, features.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(path: &Path, count: u8) -> FeatureCache {
        let mut cache = FeatureCache::of(path, [3; 32], 2).expect("can be read");
        (0..count).for_each(|i| cache.put([i; 32], &[f32::from(i), -1.5]));
        cache.save().expect("can be written");
        cache
    }

    #[test]
    fn what_was_saved_is_there_the_next_time_and_more_is_appended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("features");
        let cache = filled(&path, 2);
        assert_eq!((cache.get(&[1; 32]), cache.get(&[2; 32])), (Some([1.0, -1.5].as_slice()), None));
        let before = std::fs::read(&path).expect("is there");
        assert_eq!(filled(&path, 5).len(), 5);
        let after = std::fs::read(&path).expect("is there");
        assert!(after.starts_with(&before));
        let cache = FeatureCache::of(&path, [3; 32], 2).expect("can be read");
        assert_eq!((cache.len(), cache.get(&[4; 32])), (5, Some([4.0, -1.5].as_slice())));
    }

    #[test]
    fn a_file_cut_off_anywhere_keeps_its_whole_records_and_can_be_continued() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("features");
        filled(&path, 3);
        let whole = std::fs::read(&path).expect("is there");
        for len in 0..whole.len() {
            std::fs::write(&path, &whole[..len]).expect("can be written");
            let cache = FeatureCache::of(&path, [3; 32], 2).expect("can be read");
            assert_eq!(cache.len(), len.saturating_sub(HEADER_LEN) / cache.record_len());
        }
        assert_eq!(filled(&path, 4).len(), 4);
        assert_eq!(FeatureCache::of(&path, [3; 32], 2).expect("can be read").len(), 4);
    }

    #[test]
    fn a_damaged_record_and_what_follows_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("features");
        let cache = filled(&path, 3);
        let mut bytes = std::fs::read(&path).expect("is there");
        bytes[HEADER_LEN + cache.record_len() + 33] ^= 1;
        std::fs::write(&path, bytes).expect("can be written");
        assert_eq!(FeatureCache::of(&path, [3; 32], 2).expect("can be read").len(), 1);
    }

    #[test]
    fn something_else_and_another_trunk_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("features");
        filled(&path, 1);
        let of = |fingerprint, dim| FeatureCache::of(&path, fingerprint, dim).expect_err("refused");
        assert!(matches!(of([4; 32], 2), CacheError::OtherTrunk { .. }));
        assert!(matches!(of([3; 32], 3), CacheError::OtherTrunk { .. }));
        for other in [b"TGFX".as_slice(), b"a text that is longer than the header of a file of features"] {
            std::fs::write(&path, other).expect("can be written");
            assert!(matches!(of([3; 32], 2), CacheError::NotACache { .. }));
        }
        assert!(matches!(FeatureCache::of(folder.path(), [3; 32], 2), Err(CacheError::NotAFile { .. })));
        let nowhere = folder.path().join("no/features");
        assert!(matches!(FeatureCache::of(&nowhere, [3; 32], 2), Err(CacheError::NoFolder { .. })));
    }

    #[test]
    fn two_programs_at_a_time_lose_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("features");
        let mut caches = [0u8, 1, 2].map(|_| FeatureCache::of(&path, [3; 32], 2).expect("can be read"));
        let mut other_trunk = FeatureCache::of(&path, [4; 32], 2).expect("there is no file yet");
        for round in 0..3u8 {
            for (i, cache) in (0..).zip(&mut caches) {
                // One of their own, and one that they all have.
                [10 * round + i, 100 + round].iter().for_each(|key| cache.put([*key; 32], &[f32::from(*key), 0.0]));
                cache.save().expect("can be written");
            }
        }
        let cache = FeatureCache::of(&path, [3; 32], 2).expect("can be read");
        assert_eq!(cache.len(), 12);
        assert_eq!(cache.get(&[21; 32]), Some([21.0, 0.0].as_slice()));
        let len = std::fs::metadata(&path).expect("is there").len();
        assert_eq!(len, (HEADER_LEN + 12 * cache.record_len()) as u64, "each is there once");
        other_trunk.put([1; 32], &[0.0; 2]);
        assert!(matches!(other_trunk.save(), Err(CacheError::OtherTrunk { .. })));
    }
}
