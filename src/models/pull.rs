//! Downloads: into a `.part` file, which is continued, checked, and then gets its name.

mod error;
mod origin;
mod request;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::add::sync_folder;
use super::store::{Known, Store, beside, digest};
use crate::trunk::hex;
pub use error::PullError;
use origin::Origin;
use request::{Answer, Client};

/// The most bytes of a file whose size nobody says.
const MOST: u64 = 4 << 30;

/// How to download.
#[derive(Clone, Debug)]
pub struct PullOptions {
    /// Where from, `http` or `https`; if not from where the catalog says.
    pub url: Option<String>,
    /// How long to wait for a connection, for an answer, and for each next piece.
    pub timeout: Duration,
    /// How often to go on after a lost connection, a pause, or an answer that the server is busy.
    pub retries: u32,
}

impl Default for PullOptions {
    /// From where the catalog says, 30 seconds, 3 times.
    fn default() -> Self {
        Self { url: None, timeout: Duration::from_secs(30), retries: 3 }
    }
}

/// A file that is in the folder now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pulled {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 that was computed of it; none if it was there already.
    pub sha256: Option<[u8; 32]>,
    /// Whether it is the catalog's: what is pulled is compared with the SHA-256 that a catalog has. If none has one, this is
    /// false, and nobody knows whether the file is what it should be.
    pub checked: bool,
}

impl Store {
    /// Downloads the file of a model, unless it is in the folder. `progress` gets the bytes that are there and those that there
    /// will be, if that is known.
    ///
    /// The file is written as `FILE.part` and gets its name when its size and its SHA-256 are those of the catalog. A part that
    /// is there already is continued (RFC 9110, section 14); without a SHA-256 only if the server says by ETag or date that it
    /// is of the same file. A lock lets one download at a time work on a file; another one waits, and then finds it there.
    ///
    /// # Errors
    /// [`PullError`]. Under the file's name there is the whole file, or nothing.
    pub fn pull(
        &self,
        known: &Known,
        options: &PullOptions,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<Pulled, PullError> {
        let Some(url) = options.url.as_ref().or(known.url.as_ref()) else {
            return Err(PullError::NoUrl { name: known.name.clone() });
        };
        let client = Client::new(url, options.timeout)?;
        let target = self.folder().join(&known.file);
        if let Some(there) = there(known, &target)? {
            return Ok(there);
        }
        fs::create_dir_all(self.folder())
            .map_err(|source| PullError::Write { path: self.folder().to_path_buf(), source })?;
        let mut part = Part::lock(&target)?;
        // Another download may have ended while this one waited.
        if let Some(there) = there(known, &target)? {
            part.discard_if_empty();
            return Ok(there);
        }
        let download = Download { known, client, target: &target };
        let mut failures = 0;
        while let Err(error) = download.go_on(&mut part, progress) {
            if !error.may_pass() || failures == options.retries {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(250 << failures.min(6)));
            failures += 1;
        }
        let (sha256, bytes) = part.digest()?;
        if let Some(expected) = known.sha256.filter(|expected| *expected != sha256) {
            part.empty()?;
            return Err(PullError::Checksum {
                name: known.name.clone(),
                expected: hex(&expected),
                found: hex(&sha256),
            });
        }
        part.name(&target)?;
        Ok(Pulled { path: target, bytes, sha256: Some(sha256), checked: known.sha256.is_some() })
    }
}

/// The file, if it is there already.
fn there(known: &Known, target: &Path) -> Result<Option<Pulled>, PullError> {
    let Some(bytes) = fs::metadata(target).ok().filter(fs::Metadata::is_file).map(|file| file.len()) else {
        return Ok(None);
    };
    let read = |source| PullError::Read { path: target.to_path_buf(), source };
    let is_other = known.bytes.is_some_and(|expected| expected != bytes)
        || match known.sha256 {
            Some(expected) => digest(File::open(target).map_err(read)?, |_| Ok(())).map_err(read)?.0 != expected,
            None => false,
        };
    if is_other {
        return Err(PullError::Damaged { name: known.name.clone(), path: target.to_path_buf() });
    }
    Ok(Some(Pulled { path: target.to_path_buf(), bytes, sha256: None, checked: false }))
}

/// The file on its way: no other download has it as long as this is open. It is emptied rather than removed, so that those
/// who wait for it never get a file that has no name any more.
struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    fn lock(target: &Path) -> Result<Self, PullError> {
        let path = beside(target, "part");
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        match file.and_then(|file| file.lock().map(|()| file)) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(PullError::Write { path, source }),
        }
    }

    fn failed(&self, source: io::Error) -> PullError {
        PullError::Write { path: self.path.clone(), source }
    }

    fn len(&self) -> Result<u64, PullError> {
        Ok(self.file.metadata().map_err(|error| self.failed(error))?.len())
    }

    /// Cuts it off there, and writes on from there.
    fn cut(&mut self, at: u64) -> Result<(), PullError> {
        let cut = self.file.set_len(at).and_then(|()| self.file.seek(SeekFrom::Start(at)));
        cut.map(drop).map_err(|error| self.failed(error))
    }

    fn empty(&mut self) -> Result<(), PullError> {
        self.cut(0)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), PullError> {
        self.file.write_all(bytes).map_err(|error| self.failed(error))
    }

    fn digest(&mut self) -> Result<([u8; 32], u64), PullError> {
        let digest = self.file.rewind().and_then(|()| digest(&self.file, |_| Ok(())));
        digest.map_err(|error| self.failed(error))
    }

    fn name(&self, target: &Path) -> Result<(), PullError> {
        let named = self.file.sync_all().and_then(|()| fs::rename(&self.path, target));
        named.map_err(|source| PullError::Write { path: target.to_path_buf(), source })?;
        sync_folder(target.parent().unwrap_or(Path::new(".")));
        Ok(())
    }

    fn discard_if_empty(self) {
        if self.file.metadata().is_ok_and(|there| there.len() == 0) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

struct Download<'a> {
    known: &'a Known,
    client: Client,
    target: &'a Path,
}

impl Download<'_> {
    /// Asks for what is missing, and appends what comes, until all is there.
    fn go_on(&self, part: &mut Part, progress: &mut dyn FnMut(u64, Option<u64>)) -> Result<(), PullError> {
        let have = part.len()?;
        if have > 0 && self.known.bytes == Some(have) {
            return Ok(());
        }
        let before = Origin::read(self.target).filter(|origin| origin.url == self.client.url());
        let validator = before.as_ref().and_then(Origin::validator);
        // A sum tells in the end whether the parts fit; else the server has to say it.
        let can_go_on = have > 0 && self.known.bytes.is_none_or(|size| have < size);
        let (from, validator) = match self.known.sha256 {
            Some(_) if can_go_on => (have, None),
            None if can_go_on && validator.is_some() => (have, validator),
            _ => (0, None),
        };
        let answer = match self.client.get(from, validator)? {
            // What there is may be of another file.
            answer if answer.from != from || (validator.is_some() && answer.is_of_another(before.as_ref())) => {
                part.empty()?;
                if answer.from == 0 { answer } else { self.client.get(0, None)? }
            }
            answer => answer,
        };
        self.receive(answer, part, progress)
    }

    fn receive(
        &self,
        mut answer: Answer,
        part: &mut Part,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(), PullError> {
        let url = || self.client.url().to_owned();
        let size = match (self.known.bytes, answer.total) {
            (Some(expected), Some(found)) if expected != found => {
                return Err(PullError::Size { name: self.known.name.clone(), url: url(), expected, found });
            }
            (expected, found) => expected.or(found),
        };
        if answer.from == 0 {
            answer.origin.write(self.target)?;
        }
        let mut done = answer.from;
        part.cut(done)?;
        let mut buffer = vec![0; 1 << 16];
        progress(done, size);
        loop {
            let n = match answer.body.read(&mut buffer) {
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.client.lost(error, done, size)),
            };
            if n == 0 {
                break;
            }
            done += n as u64;
            if done > size.unwrap_or(MOST) {
                part.empty()?;
                return Err(PullError::TooLarge {
                    name: self.known.name.clone(),
                    url: url(),
                    limit: size.unwrap_or(MOST),
                });
            }
            part.write(&buffer[..n])?;
            progress(done, size);
        }
        match size {
            Some(size) if done < size => Err(PullError::Lost { url: url(), received: done, size: Some(size) }),
            _ => Ok(()),
        }
    }
}
