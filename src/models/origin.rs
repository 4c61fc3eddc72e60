//! Where a file of the folder was downloaded, in a small file beside it: that makes it `pulled` rather than `added`, and says
//! whether a part of it can be continued.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::learn::{SaveError, save};

/// What a server said of a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Origin {
    pub url: String,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

impl Origin {
    /// That of `file`, if it is there and whole.
    pub fn read(file: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path(file)).ok()?).ok()
    }

    /// Writes that of `file`.
    #[cfg(feature = "pull")]
    pub fn write(&self, file: &Path) -> Result<(), SaveError> {
        let text = serde_json::to_string(self).expect("strings only");
        save(&path(file), format!("{text}\n").as_bytes(), true)
    }

    /// What a server is told so that it sends the rest only of this very file: a strong ETag, or else a date.
    #[cfg(feature = "pull")]
    pub fn validator(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| !etag.starts_with("W/")).or(self.last_modified.as_deref())
    }
}

/// `NAME.origin`
pub(super) fn path(file: &Path) -> PathBuf {
    super::store::beside(file, "origin")
}
