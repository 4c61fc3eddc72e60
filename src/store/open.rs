//! Opening a store, and what every command on it does.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::error::{BUSY_SECONDS, SampleStoreError};

/// `TGST`, by which SQLite files of ours are known.
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"TGST");
/// Of the tables.
const VERSION: i32 = 1;

/// Samples, their features, and heads, in one SQLite file. What a call that changes it has acknowledged is on the disk, and outlives
/// a loss of power; what it has not is not there at all.
///
/// Several programs may have it open. While one writes, the others wait, for at most ten seconds.
#[derive(Debug)]
pub struct SampleStore {
    pub(super) db: Connection,
    path: PathBuf,
    /// Device and number of the file.
    #[cfg(unix)]
    place: Option<(u64, u64)>,
}

impl SampleStore {
    /// Opens a store that is there. Where it cannot be written it can still be read.
    ///
    /// # Errors
    /// [`SampleStoreError`]: no such file, something else, one of a later version, a damaged one.
    pub fn open(path: &Path) -> Result<Self, SampleStoreError> {
        match path.metadata() {
            Ok(there) if !there.is_file() => return Err(SampleStoreError::NotAStore { path: path.to_path_buf() }),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(SampleStoreError::NotFound { path: path.to_path_buf() });
            }
            Err(error) => {
                return Err(SampleStoreError::Io { path: path.to_path_buf(), reason: error.to_string() });
            }
        }
        let opened = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE);
        match opened {
            // A write-ahead log wants files beside the store, which a disk that is full or read-only does not take.
            Err(
                SampleStoreError::Io { .. } | SampleStoreError::ReadOnly { .. } | SampleStoreError::DiskFull { .. },
            ) if !has_log(path) => Self::connect_immutable(path),
            other => other,
        }
    }

    /// Opens a store, or makes one where there is no file.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_or_create(path: &Path) -> Result<Self, SampleStoreError> {
        match path.metadata().map(|there| there.len()) {
            // SQLite itself takes an empty file for a new one, but no device.
            Ok(1..) => return Self::open(path),
            Ok(0) if !path.is_file() => return Self::open(path),
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(SampleStoreError::Io { path: path.to_path_buf(), reason: error.to_string() });
            }
        }
        Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self, SampleStoreError> {
        let failed = |error| SampleStoreError::new(path, error);
        let db = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(failed)?;
        db.busy_timeout(Duration::from_secs(BUSY_SECONDS)).map_err(failed)?;
        let mut store = Self::of(db, path);
        // Before anything is written to what may be another program's file.
        let is_new = store.check_kind(flags.contains(OpenFlags::SQLITE_OPEN_CREATE))?;
        if !store.is_read_only()? {
            // Each transaction is synced before it is acknowledged: that is what FULL adds to a write-ahead log.
            let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON;";
            store.db.execute_batch(pragmas).map_err(failed)?;
        }
        if is_new {
            store.create()?;
        }
        store.db.execute_batch("PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;").map_err(failed)?;
        Ok(store)
    }

    fn of(db: Connection, path: &Path) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        Self {
            db,
            path: path.to_path_buf(),
            #[cfg(unix)]
            place: path.metadata().ok().map(|file| (file.dev(), file.ino())),
        }
    }

    fn connect_immutable(path: &Path) -> Result<Self, SampleStoreError> {
        let failed = |error| SampleStoreError::new(path, error);
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let escape = |byte: u8| match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
            other => format!("%{other:02x}"),
        };
        let name: String = absolute.as_os_str().as_encoded_bytes().iter().map(|byte| escape(*byte)).collect();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(format!("file:{name}?immutable=1"), flags).map_err(failed)?;
        let store = Self::of(db, path);
        store.check_kind(false)?;
        Ok(store)
    }

    /// Whether it is empty, and so a new one; anything else has to be a store of a version that is known.
    fn check_kind(&self, may_be_new: bool) -> Result<bool, SampleStoreError> {
        let pragma = |name| self.db.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let id = self.sql(pragma("application_id"))?;
        let version = self.sql(pragma("user_version"))?;
        let tables =
            self.sql(self.db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)))?;
        match (id, version) {
            (0, 0) if tables == 0 && may_be_new => Ok(true),
            (APPLICATION_ID, VERSION) => Ok(false),
            (APPLICATION_ID, VERSION..) => {
                Err(SampleStoreError::Newer { path: self.path.clone(), found: version, known: VERSION })
            }
            _ => Err(SampleStoreError::NotAStore { path: self.path.clone() }),
        }
    }

    fn create(&mut self) -> Result<(), SampleStoreError> {
        let transaction = begin(&mut self.db).map_err(|error| SampleStoreError::new(&self.path, error))?;
        let create = || {
            // Another program may have been faster.
            if transaction.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0))? == 0 {
                transaction.execute_batch(include_str!("schema.sql"))?;
                transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
                transaction.pragma_update(None, "user_version", VERSION)?;
            }
            transaction.commit()
        };
        create().map_err(|error| SampleStoreError::new(&self.path, error))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its file is still where it was opened, and was not removed or replaced meanwhile.
    pub fn is_in_place(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            self.path.metadata().is_ok_and(|file| Some((file.dev(), file.ino())) == self.place)
        }
        #[cfg(not(unix))]
        self.path.exists()
    }

    /// Whether it can only be read.
    ///
    /// # Errors
    /// [`SampleStoreError`].
    pub fn is_read_only(&self) -> Result<bool, SampleStoreError> {
        self.sql(self.db.is_readonly("main"))
    }

    /// Counts up with every change of the samples, by whatever program.
    ///
    /// # Errors
    /// [`SampleStoreError`].
    pub fn revision(&self) -> Result<i64, SampleStoreError> {
        self.sql(self.db.query_row("SELECT revision FROM meta", [], |row| row.get(0)))
    }

    /// SQLite's result, as the store's.
    pub(super) fn sql<T>(&self, result: rusqlite::Result<T>) -> Result<T, SampleStoreError> {
        result.map_err(|error| SampleStoreError::new(&self.path, error))
    }

    /// Does it all or nothing of it, and has it on the disk; the samples are others then.
    pub(super) fn change<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failed>,
    ) -> Result<T, SampleStoreError> {
        self.write(|transaction| {
            let result = work(transaction)?;
            count_revision(transaction)?;
            Ok(result)
        })
    }

    /// The same for what leaves the samples as they are.
    pub(super) fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failed>,
    ) -> Result<T, SampleStoreError> {
        if !self.is_in_place() {
            return Err(SampleStoreError::Moved { path: self.path.clone() });
        }
        let run = || {
            let transaction = begin(&mut self.db)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run().map_err(|failed| match failed {
            Failed::Sql(error) => SampleStoreError::new(&self.path, error),
            Failed::Store(error) => error,
        })
    }
}

/// Why a transaction came to nothing: what SQLite said, or what we did.
#[derive(Debug)]
pub(super) enum Failed {
    Sql(rusqlite::Error),
    Store(SampleStoreError),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<SampleStoreError> for Failed {
    fn from(error: SampleStoreError) -> Self {
        Self::Store(error)
    }
}

/// The samples are others now.
pub(super) fn count_revision(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute("UPDATE meta SET revision = revision + 1", []).map(drop)
}

/// A transaction that has the right to write from its beginning: it waits for others then, and not half way.
fn begin(db: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    db.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Whether there is a write-ahead log with something in it, without which the store is not what it was; in doubt there is.
fn has_log(path: &Path) -> bool {
    match beside(path, "-wal").metadata() {
        Ok(log) => log.len() > 0,
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

/// A file that SQLite keeps beside the store.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Milliseconds since 1970.
pub(super) fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The time that these milliseconds since 1970 are.
pub(super) fn time(milliseconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}
