//! How a source is read.

use std::fs;
use std::path::{Path, PathBuf};

use super::program::{self, Command, Framing};
use super::settings::Settings;
use super::source::Source;
use super::url::Url;
use super::{CameraError, url};
use crate::vision::is_photo_name;

/// How a source is read.
pub(super) enum Route {
    Program {
        command: Command,
        /// Whether it ends by itself.
        is_finite: bool,
        url: Option<Url>,
    },
    Stdin(Framing),
    Folder(PathBuf),
    #[cfg(target_os = "linux")]
    V4l2(PathBuf),
}

impl Route {
    /// What can be found out before anything is started is found out here.
    pub(super) fn plan(source: &Source, settings: &Settings) -> Result<Self, CameraError> {
        settings.check()?;
        let endless = |command, url| Self::Program { command, is_finite: false, url };
        Ok(match source {
            Source::Rpicam { camera } => endless(program::rpicam(*camera, settings)?, None),
            Source::Url(url) => endless(program::network(url, settings)?, Some(url.clone())),
            Source::Path(path) if check(path)?.is_dir() => {
                photos(path)?;
                Self::Folder(path.clone())
            }
            Source::Path(path) => {
                let command = program::video(path, settings)?;
                Self::Program { command, is_finite: true, url: None }
            }
            Source::Jpegs => Self::Stdin(Framing::Jpegs),
            &Source::Yuv420 { width, height } => {
                // A source that was not parsed may say anything.
                let sizes = Settings { width, height, ..settings.clone() };
                sizes.check()?;
                Self::Stdin(Framing::I420 { width, height })
            }
            #[cfg(target_os = "linux")]
            Source::V4l2(device) => {
                check(device)?;
                Self::V4l2(device.clone())
            }
            #[cfg(not(target_os = "linux"))]
            Source::V4l2(device) => return Err(CameraError::NoV4l2 { path: device.clone() }),
        })
    }

    /// Whether the source has an end, after which it is not started again.
    pub(super) fn is_finite(&self) -> bool {
        match self {
            Self::Program { is_finite, .. } => *is_finite,
            Self::Stdin(_) | Self::Folder(_) => true,
            #[cfg(target_os = "linux")]
            Self::V4l2(_) => false,
        }
    }

    /// What a program of this source says, without passwords.
    pub(super) fn redact(&self, text: &str) -> String {
        match self {
            Self::Program { url: Some(url), .. } => url.redact(text),
            _ => url::redact(text),
        }
    }
}

fn check(path: &Path) -> Result<fs::Metadata, CameraError> {
    fs::metadata(path).map_err(|source| CameraError::Read { path: path.to_path_buf(), source })
}

/// The photos of a folder, at least one, in the order of their names.
pub(super) fn photos(folder: &Path) -> Result<Vec<PathBuf>, CameraError> {
    let read = |source| CameraError::Read { path: folder.to_path_buf(), source };
    let mut photos = Vec::new();
    for entry in fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if is_photo_name(&path) && path.is_file() {
            photos.push(path);
        }
    }
    if photos.is_empty() {
        return Err(CameraError::EmptyFolder { path: folder.to_path_buf() });
    }
    photos.sort();
    Ok(photos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photos_are_in_order_and_nothing_else_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let empty = photos(folder.path()).unwrap_err().to_string();
        assert!(empty.contains("give a folder of JPEG or PNG files"), "{empty}");
        fs::create_dir(folder.path().join("c.jpg")).unwrap();
        ["b.JPG", "a.png", "notes.txt", "10.jpeg", "jpg"].iter().for_each(|name| {
            fs::write(folder.path().join(name), "").unwrap();
        });
        let photos = photos(folder.path()).unwrap();
        let names: Vec<_> = photos.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["10.jpeg", "a.png", "b.JPG"]);
    }

    #[test]
    fn what_is_not_there_is_an_error_at_once() {
        for source in ["no/such/file.mp4", "/dev/video987"] {
            let error = Route::plan(&source.parse().unwrap(), &Settings::default()).err().unwrap().to_string();
            let expected = if cfg!(target_os = "linux") { "check that it exists" } else { "" };
            assert!(error.contains(source) && error.contains(expected), "{error}");
        }
    }
}
