//! What is read is not written over.

use std::path::{Path, PathBuf};

use anyhow::bail;
use topgraft::learn::{Dataset, is_same_file};

/// Refuses to write `output` over one of the `files` that are read, or over a photo; `what` is what it will be, `option` the
/// option that says where.
pub fn check_output(
    output: &Path,
    files: impl IntoIterator<Item = PathBuf>,
    photos: Option<&Dataset>,
    what: &str,
    option: &str,
) -> anyhow::Result<()> {
    // There may be many photos, and none is a file that is not there.
    let photos = photos.filter(|_| output.exists());
    let photos = photos.into_iter().flat_map(|dataset| &dataset.samples).map(|sample| sample.path.clone());
    match files.into_iter().chain(photos).find(|read| is_same_file(output, read)) {
        Some(read) => bail!("{}: cannot be {what} too; give {option} another name", read.display()),
        None => Ok(()),
    }
}
