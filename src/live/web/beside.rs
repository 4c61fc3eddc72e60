//! Files that are there for a moment, beside the store: where there is room for what is as large as a store, and no memory is a disk.

use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use tempfile::TempDir;

use super::error::ApiError;

/// A folder for such files, which goes when it is dropped.
pub fn folder(store: &Path) -> Result<TempDir, ApiError> {
    let made = tempfile::Builder::new().prefix(&prefix(store)).tempdir_in(parent(store));
    made.map_err(|error| ApiError::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string()))
}

/// Removes what is left of those of a program that was ended meanwhile.
pub fn clear(store: &Path) {
    let prefix = prefix(store);
    let entries = std::fs::read_dir(parent(store)).into_iter().flatten().filter_map(Result::ok);
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)) {
        // What cannot be removed is in nobody's way.
        let _ = std::fs::remove_dir_all(entry.path());
    }
}

/// No name that anybody else gives.
fn prefix(store: &Path) -> String {
    format!(".{}.topgraft-serve-", store.file_name().unwrap_or_default().to_string_lossy())
}

fn parent(store: &Path) -> PathBuf {
    store.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_cleared_and_nothing_else() {
        let folder_of_all = tempfile::tempdir().expect("a folder");
        let store = folder_of_all.path().join("x.store");
        let left = folder(&store).expect("made").keep();
        std::fs::write(left.join("photos.zip"), "x").expect("writes");
        let others =
            ["x.store", "y.store", ".x.store", ".topgraft-serve-1"].map(|name| folder_of_all.path().join(name));
        others.iter().for_each(|path| std::fs::write(path, "x").expect("writes"));
        clear(&store);
        assert!(!left.exists() && others.iter().all(|path| path.exists()));
    }
}
