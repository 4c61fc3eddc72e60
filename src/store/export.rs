//! A store as a folder of photos.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::error::SampleStoreError;
use super::open::SampleStore;

/// Why a store was not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The folder is there already.
    #[error("{}: is there already; give the name of a new folder", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("{}: cannot be written: {source}; is there room, and may you write there?", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] SampleStoreError),
}

impl ExportError {
    /// Whether the machine failed, and not what was asked for.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Exists { .. } => false,
            Self::Write { .. } => true,
            Self::Store(error) => error.is_failure(),
        }
    }
}

impl SampleStore {
    /// Writes all photos into a new folder, one folder a class, as `topgraft learn`, scikit-learn's `load_files` and torchvision's
    /// `ImageFolder` read them; returns how many, and the numbers of those that cannot be read, with the reason. The folder has its
    /// name only when all of it is there.
    ///
    /// # Errors
    /// [`ExportError`]; then there is no such folder.
    pub fn export(&self, folder: &Path) -> Result<(usize, Vec<(i64, SampleStoreError)>), ExportError> {
        if folder.symlink_metadata().is_ok() {
            return Err(ExportError::Exists { path: folder.to_path_buf() });
        }
        let write = |path: &Path| {
            let path = path.to_path_buf();
            move |source| ExportError::Write { path, source }
        };
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let temporary = tempfile::Builder::new().prefix(".topgraft-").tempdir_in(parent).map_err(write(folder))?;
        let (mut count, mut skipped) = (0, Vec::new());
        for sample in self.samples()? {
            let photo = match self.photo(sample.id) {
                Ok(photo) => photo,
                Err(error) => {
                    skipped.push((sample.id, error));
                    continue;
                }
            };
            let class = temporary.path().join(&sample.class);
            fs::create_dir_all(&class).map_err(write(&class))?;
            let path = class.join(format!("{:06}.{}", sample.id, extension(&photo)));
            let written = File::create_new(&path).and_then(|mut file| {
                file.write_all(&photo)?;
                file.sync_all()
            });
            written.map_err(write(&path))?;
            count += 1;
        }
        let finished = temporary.keep();
        let renamed = open_to_others(&finished).and_then(|()| fs::rename(&finished, folder));
        renamed.map_err(|source| {
            // The photos are in the store still.
            let _ = fs::remove_dir_all(&finished);
            ExportError::Write { path: folder.to_path_buf(), source }
        })?;
        Ok((count, skipped))
    }
}

/// A temporary folder is its owner's alone; this one shall be as any new folder.
fn open_to_others(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What the umask leaves of a folder, as it did with the first class.
        let class = fs::read_dir(folder)?.filter_map(Result::ok).find(|entry| entry.path().is_dir());
        let mode = class.map_or(Ok(0o755), |class| class.metadata().map(|metadata| metadata.permissions().mode()))?;
        fs::set_permissions(folder, fs::Permissions::from_mode(mode))?;
    }
    let _ = folder;
    Ok(())
}

/// Ending of the file's name, by its first bytes.
fn extension(photo: &[u8]) -> &'static str {
    match photo {
        [0x89, b'P', b'N', b'G', ..] => "png",
        [b'G', b'I', b'F', ..] => "gif",
        [b'B', b'M', ..] => "bmp",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "webp",
        _ => "jpg",
    }
}
