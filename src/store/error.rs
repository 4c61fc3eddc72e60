//! What can go wrong with a store.

use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why something was not read from a store, or not written to it. What was in it before still is.
#[derive(Debug, thiserror::Error)]
pub enum SampleStoreError {
    /// There is no such file.
    #[error("{}: there is no such store; `topgraft teach` and `topgraft store import` make one", path.display())]
    NotFound {
        /// The path.
        path: PathBuf,
    },
    /// There is a file already.
    #[error("{}: is there already; give another name", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{}: is no store of samples; give the file that `topgraft teach` has written", path.display())]
    NotAStore {
        /// The path.
        path: PathBuf,
    },
    /// A later version of this program has written it.
    #[error(
        "{}: is a store of version {found}, and this program knows those up to version {known}; update topgraft",
        path.display()
    )]
    Newer {
        /// The path.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// The latest that is known.
        known: i32,
    },
    /// Its pages are damaged.
    #[error(
        "{}: the store is damaged ({reason}); `topgraft store check` says where; take a copy, or export what can be read \
         and import it into a new one", path.display()
    )]
    Damaged {
        /// The path.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// No space is left.
    #[error("{}: the disk is full; nothing was kept of this: make room, or set lower limits for the store", path.display())]
    DiskFull {
        /// The path.
        path: PathBuf,
    },
    /// It may not be written.
    #[error("{}: the store cannot be written; nothing was kept of this: is the disk read-only, are you its owner?", path.display())]
    ReadOnly {
        /// The path.
        path: PathBuf,
    },
    /// Its file was removed or replaced since it was opened.
    #[error("{}: was removed or replaced meanwhile; nothing was kept of this: start again to use what is there now", path.display())]
    Moved {
        /// The path.
        path: PathBuf,
    },
    /// Another program writes to it and does not come to an end.
    #[error("{}: another program has been writing to the store for {seconds} s; try again", path.display())]
    Busy {
        /// The path.
        path: PathBuf,
        /// How long we waited.
        seconds: u64,
    },
    /// It cannot be opened, read or written.
    #[error("{}: {reason}; is the folder there, and may you write in it?", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// A name that cannot be that of a class: it is that of a folder, too.
    #[error("`{}` cannot be the name of a class: {why}", name.escape_debug())]
    ClassName {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// There is no class of that name.
    #[error("there is no class `{}` in the store; `topgraft store list` has their names", name.escape_debug())]
    NoClass {
        /// The name.
        name: String,
    },
    /// The photo of a sample, or of a frame that waits for a label, is not the one that was put in.
    #[error("the photo with the number {id} is damaged; teach it again, or remove it")]
    DamagedPhoto {
        /// Its number.
        id: i64,
    },
    /// There is no such sample.
    #[error("there is no sample {id} in the store; `topgraft store list --samples` has their numbers")]
    NoSample {
        /// Its number.
        id: i64,
    },
    /// There is no such frame that waits for a label.
    #[error("no frame {id} waits for a label; `topgraft store pending` has their numbers")]
    NoPending {
        /// Its number.
        id: i64,
    },
    /// There is no such version.
    #[error("there is no head {version} in the store; `topgraft store heads` has their numbers")]
    NoHead {
        /// The version.
        version: i64,
    },
    /// What was done since that version is not known any more.
    #[error(
        "the samples of head {version} are not known any more, as the store was compacted since; roll back to a later one"
    )]
    Forgotten {
        /// The version.
        version: i64,
    },
    /// Nothing was done that could be undone.
    #[error("there is nothing to undo; what was done before the store was compacted stays")]
    NothingToUndo,
    /// Numbers of another trunk.
    #[error("{got} features, where the store has {wanted} of this trunk; give those of the same trunk")]
    FeatureDim {
        /// Numbers that the store has, or was told, of this trunk.
        wanted: usize,
        /// Numbers that were given.
        got: usize,
    },
}

/// How long another program may keep the store to itself.
pub(super) const BUSY_SECONDS: u64 = 10;

impl SampleStoreError {
    /// What SQLite's error means for the store at `path`.
    pub(super) fn new(path: &std::path::Path, error: rusqlite::Error) -> Self {
        let path = path.to_path_buf();
        let reason = match &error {
            rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
            other => other.to_string(),
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull { path },
            Some(ErrorCode::ReadOnly) => Self::ReadOnly { path },
            Some(ErrorCode::NotADatabase) => Self::NotAStore { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, reason },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path, seconds: BUSY_SECONDS },
            // Rows of types and lengths that this program does not write.
            None => Self::Damaged { path, reason },
            Some(_) => Self::Io { path, reason },
        }
    }

    /// Whether the machine failed, and not what was asked for.
    pub fn is_failure(&self) -> bool {
        matches!(
            self,
            Self::DiskFull { .. } | Self::ReadOnly { .. } | Self::Moved { .. } | Self::Busy { .. } | Self::Io { .. }
        )
    }
}
