//! Files written whole or not at all, and never over another without being told to.

use std::fs::{File, Permissions};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use topgraft_core::format;

/// Why a file was not written. Whatever was at the path still is.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// There is a file already.
    #[error("{}: is there already; give another name, or --force to replace it", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// The path is of something that is no file: a folder, a pipe, a device, a link that leads nowhere.
    #[error("{}: {what}; give the name of a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The model does not fit the format.
    #[error("{}: {source}", path.display())]
    Emit {
        /// The path.
        path: PathBuf,
        /// What does not fit.
        source: format::EmitError,
    },
    /// The system refused.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Whether [`save`] would refuse the path for what is there now: to be asked before the work.
///
/// # Errors
/// [`SaveError::Exists`] unless `replace`, [`SaveError::NotAFile`].
pub fn check_path(path: &Path, replace: bool) -> Result<(), SaveError> {
    place(path, replace).map(drop)
}

/// Writes the file whole or not at all: a temporary file beside it is synced, then renamed. A file that is replaced gives
/// its mode to the new one; if the path is that of a link, the file that it leads to is replaced.
///
/// # Errors
/// As [`check_path`], or what the system said.
pub fn save(path: &Path, bytes: &[u8], replace: bool) -> Result<(), SaveError> {
    Written::new(path, bytes, replace)?.name()
}

/// A file that is written whole and synced, but has no name yet: all that can fail is done but for the renaming. Without a
/// name it goes when it is dropped.
#[derive(Debug)]
pub struct Written {
    path: PathBuf,
    target: PathBuf,
    folder: PathBuf,
    file: NamedTempFile,
    replace: bool,
}

impl Written {
    /// Writes it, beside `path`.
    ///
    /// # Errors
    /// As [`save`].
    pub fn new(path: &Path, bytes: &[u8], replace: bool) -> Result<Self, SaveError> {
        let write = |source| SaveError::Write { path: path.to_path_buf(), source };
        Ok(Self::with(path, replace, |file| file.write_all(bytes).map_err(write))?.0)
    }

    /// As [`new`](Self::new), of what `write_it` puts into the file, which may go back in it.
    ///
    /// # Errors
    /// As [`save`], or those of `write_it`.
    pub fn with<T, E: From<SaveError>>(
        path: &Path,
        replace: bool,
        write_it: impl FnOnce(&mut File) -> Result<T, E>,
    ) -> Result<(Self, T), E> {
        let (target, mode) = place(path, replace)?;
        let write = |source| SaveError::Write { path: path.to_path_buf(), source };
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = folder.to_path_buf();
        let mut options = tempfile::Builder::new();
        #[cfg(unix)]
        {
            // As any new file: what the umask leaves.
            use std::os::unix::fs::PermissionsExt;
            options.permissions(Permissions::from_mode(0o666));
        }
        // Not the name that the file has for now, which its own errors tell.
        let mut file = options.tempfile_in(&folder).map_err(|error| write(error.kind().into()))?;
        if let Some(mode) = mode {
            // Not every file system has modes.
            let _ = file.as_file().set_permissions(mode);
        }
        let written = write_it(file.as_file_mut())?;
        file.as_file().sync_all().map_err(write)?;
        Ok((Self { path: path.to_path_buf(), target, folder, file, replace }, written))
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// As [`save`].
    pub fn name(self) -> Result<(), SaveError> {
        let Self { path, target, folder, file, replace } = self;
        let renamed = if replace { file.persist(&target) } else { file.persist_noclobber(&target) };
        renamed.map_err(|failed| match failed.error.kind() {
            std::io::ErrorKind::AlreadyExists => SaveError::Exists { path: path.clone() },
            _ => SaveError::Write { path, source: failed.error },
        })?;
        // The new name is durable once the folder is. The file is written: that a folder cannot be opened (one that may be
        // written to, but not read) or synced (not every system can) is no failure.
        #[cfg(unix)]
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

/// Whether two paths lead to the same file, or would if it were there.
pub fn is_same_file(a: &Path, b: &Path) -> bool {
    let place = |path: &Path| {
        path.canonicalize().ok().or_else(|| {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Some(folder.canonicalize().ok()?.join(path.file_name()?))
        })
    };
    a == b || place(a).is_some_and(|a| Some(a) == place(b))
}

/// The file that is written for `path`, links followed, and the mode of the one that is there already.
fn place(path: &Path, replace: bool) -> Result<(PathBuf, Option<Permissions>), SaveError> {
    let not_a_file = |what| SaveError::NotAFile { path: path.to_path_buf(), what };
    if path.symlink_metadata().is_err() {
        // `foo/` and `foo/.` name a folder even if none is there, and an empty path names nothing.
        let bytes = path.as_os_str().as_encoded_bytes();
        let ends_in = |end: &str| bytes.ends_with(end.as_bytes());
        if path.file_name().is_none() || ["/", "/.", std::path::MAIN_SEPARATOR_STR].into_iter().any(ends_in) {
            return Err(not_a_file("is the name of a folder"));
        }
        return Ok((path.to_path_buf(), None));
    }
    let there = path.metadata().map_err(|_| not_a_file("is a link that leads nowhere"))?;
    if there.is_dir() {
        return Err(not_a_file("is a folder"));
    }
    // Renaming a file over a device or a pipe would take it from those who use it.
    if !there.is_file() {
        return Err(not_a_file("is a device, a pipe or a socket, not a file"));
    }
    if !replace {
        return Err(SaveError::Exists { path: path.to_path_buf() });
    }
    let target = path.canonicalize().map_err(|source| SaveError::Write { path: path.to_path_buf(), source })?;
    Ok((target, Some(there.permissions())))
}
