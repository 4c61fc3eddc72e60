//! What a server said of a file, kept beside it: whether a part of it can be continued.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::learn::{SaveError, save};
use crate::models::store::origin;

/// Where a file was downloaded, and what it was then.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    pub url: String,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

impl Origin {
    /// That of `file`, if it is there and whole.
    pub fn read(file: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(origin(file)).ok()?).ok()
    }

    /// Writes that of `file`.
    pub fn write(&self, file: &Path) -> Result<(), SaveError> {
        let text = serde_json::to_string(self).expect("strings only");
        save(&origin(file), format!("{text}\n").as_bytes(), true)
    }

    /// What a server is told so that it sends the rest only of this very file: a strong ETag, or else a date.
    pub fn validator(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| !etag.starts_with("W/")).or(self.last_modified.as_deref())
    }
}
