//! The folder that a report is written to: whole, or as it was.

use std::fs;
use std::path::{Path, PathBuf};

use super::{FILES, File};
use crate::learn::{SaveError, Written, check_path};

/// Why a folder cannot take a report.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The path is of something else.
    #[error("{}: is no folder; give the name of one for the report, or a new name", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// The folder that it would be in is not there.
    #[error("{}: no such folder; make it first", path.display())]
    NoParent {
        /// That folder.
        path: PathBuf,
    },
    /// There is a report already, and it is not to be replaced; or something else in the place of one of its files.
    #[error(transparent)]
    Taken(SaveError),
    /// The system refused to make the folder, or to write into it.
    #[error("{}: cannot be written to: {source}", path.display())]
    Write {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A folder that can take a report. One that was made for it goes again if nothing is written to it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    replace: bool,
    is_new: bool,
}

impl Folder {
    /// Makes the folder if it is not there, and sees whether a report can be written into it: to be asked before the work.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn open(path: &Path, replace: bool) -> Result<Self, FolderError> {
        let write = |source| FolderError::Write { path: path.to_path_buf(), source };
        let is_new = path.symlink_metadata().is_err();
        if is_new {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            if !parent.is_dir() {
                return Err(FolderError::NoParent { path: parent.to_path_buf() });
            }
            fs::create_dir(path).map_err(write)?;
        } else if !path.is_dir() {
            return Err(FolderError::NotAFolder { path: path.to_path_buf() });
        }
        let folder = Self { path: path.to_path_buf(), replace, is_new };
        FILES.iter().try_for_each(|name| check_path(&path.join(name), replace)).map_err(FolderError::Taken)?;
        // Whether one may write there is best found out by doing so. Not the name that the file has for now.
        tempfile::tempfile_in(path).map_err(|error| write(error.kind().into()))?;
        Ok(folder)
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes the files, the page last: all are written and synced before the first gets its name. Pictures of a report that
    /// is replaced, and that the new one does not have, go.
    ///
    /// # Errors
    /// [`SaveError`]; nothing is there that was not, unless it was the giving of names that failed.
    pub fn write(mut self, files: &[File]) -> Result<(), SaveError> {
        let write = |file: &File| Written::new(&self.path.join(file.name), &file.bytes, self.replace);
        let written: Vec<Written> = files.iter().map(write).collect::<Result<_, _>>()?;
        self.is_new = false;
        written.into_iter().try_for_each(Written::name)?;
        let is_stale = |name: &&&str| self.replace && files.iter().all(|file| file.name != **name);
        for name in FILES.iter().filter(is_stale) {
            let _ = fs::remove_file(self.path.join(name));
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_new {
            // Fails if somebody else has put something into it.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&'static str]) -> Vec<File> {
        names.iter().map(|name| File { name, bytes: name.as_bytes().to_vec() }).collect()
    }

    fn names(path: &Path) -> Vec<String> {
        let entries = fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_that_was_made_for_nothing_goes_again() {
        let scene = tempfile::tempdir().expect("a folder");
        let path = scene.path().join("out");
        drop(Folder::open(&path, false).expect("can be made"));
        assert!(!path.exists());
        Folder::open(&path, false).expect("can be made").write(&files(&FILES)).expect("written");
        let mut all = FILES.map(str::to_owned);
        all.sort();
        assert_eq!(names(&path), all);
        drop(Folder::open(&path, true).expect("is there"));
        assert_eq!(names(&path), all);
    }

    #[test]
    fn a_report_is_replaced_only_on_demand_and_other_files_stay() {
        let scene = tempfile::tempdir().expect("a folder");
        fs::write(scene.path().join("mine.txt"), "mine").expect("written");
        Folder::open(scene.path(), false).expect("is there").write(&files(&FILES)).expect("written");
        let refused = Folder::open(scene.path(), false).expect_err("is there already");
        assert!(matches!(&refused, FolderError::Taken(SaveError::Exists { .. })), "{refused}");
        let fewer = ["confusion.png", "report.html"];
        Folder::open(scene.path(), true).expect("may be replaced").write(&files(&fewer)).expect("written");
        assert_eq!(names(scene.path()), ["confusion.png", "mine.txt", "report.html"]);
    }

    #[test]
    fn what_cannot_take_a_report_says_why() {
        let scene = tempfile::tempdir().expect("a folder");
        let file = scene.path().join("file");
        fs::write(&file, "mine").expect("written");
        assert!(matches!(Folder::open(&file, true), Err(FolderError::NotAFolder { .. })));
        assert!(matches!(Folder::open(&scene.path().join("no/out"), true), Err(FolderError::NoParent { .. })));
        fs::create_dir(scene.path().join("report.html")).expect("made");
        let taken = Folder::open(scene.path(), true);
        assert!(matches!(taken, Err(FolderError::Taken(SaveError::NotAFile { .. }))), "{taken:?}");
        #[cfg(target_os = "linux")]
        assert!(matches!(Folder::open(Path::new("/proc/out"), true), Err(FolderError::Write { .. })));
    }
}
