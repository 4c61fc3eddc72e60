//! Files in zip archives, as GloVe and fastText are handed out: `glove.6B.zip/glove.6B.50d.txt`.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Component, Path};

use flate2::bufread::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use super::error::WordsError;

/// What every zip archive begins with that has a file in it.
const MAGIC: &[u8; 4] = b"PK\x03\x04";

/// A file that was opened.
pub(super) enum Opened {
    /// Of the file system.
    File(File),
    /// Of an archive, unpacked as it is read.
    Member(Box<dyn Read>),
}

/// Opens a file; of a zip archive the only file in it, or the one that the rest of the path names.
///
/// # Errors
/// [`WordsError::Read`], [`WordsError::Archive`].
pub(super) fn open(path: &Path) -> Result<Opened, WordsError> {
    let read = |source| WordsError::Read { path: path.to_owned(), source };
    let failed = match File::open(path) {
        Ok(mut file) => {
            // What can be read only once is not looked at.
            let is_file = file.metadata().map_err(read)?.is_file();
            let mut start = Vec::new();
            if is_file {
                (&mut file).take(MAGIC.len() as u64).read_to_end(&mut start).map_err(read)?;
                file.seek(SeekFrom::Start(0)).map_err(read)?;
            }
            return match start == MAGIC {
                true => member(path, file, None),
                false => Ok(Opened::File(file)),
            };
        }
        Err(failed) => failed,
    };
    // A path that goes on behind a file is no path, and so may be one into an archive.
    let Some(archive) = path.ancestors().skip(1).find(|archive| archive.is_file()) else { return Err(read(failed)) };
    let inside = path.strip_prefix(archive).unwrap_or(path).components();
    let parts: Vec<&str> =
        inside.filter_map(|part| if let Component::Normal(part) = part { part.to_str() } else { None }).collect();
    member(archive, File::open(archive).map_err(read)?, Some(parts.join("/")))
}

/// A file of an archive.
fn member(path: &Path, file: File, wanted: Option<String>) -> Result<Opened, WordsError> {
    let wrong = |reason: String| WordsError::Archive { path: path.to_owned(), reason };
    let damaged = |error: zip::result::ZipError| wrong(format!("no zip archive that can be read ({error})"));
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    let names = archive.file_names().filter_map(Result::ok).map(Cow::into_owned);
    let names: Vec<String> = names.filter(|name| !name.ends_with('/')).collect();
    let listed = || names.iter().take(10).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let name = match (wanted, &names[..]) {
        (Some(wanted), _) if names.contains(&wanted) => wanted,
        (Some(wanted), _) => return Err(wrong(format!("has no file `{wanted}` in it, but {}", listed()))),
        (None, [only]) => only.clone(),
        (None, []) => return Err(wrong("has no file in it".to_owned())),
        (None, _) => {
            return Err(wrong(format!("has several files in it; give one as {}/NAME: {}", path.display(), listed())));
        }
    };
    let (start, len, method) = {
        let at = archive.index_for_name(&name).ok_or_else(|| wrong(format!("has no file `{name}`")))?;
        let member = archive.by_index_raw(at).map_err(damaged)?;
        if member.encrypted() {
            return Err(wrong(format!("`{name}` in it is encrypted; unpack it")));
        }
        (member.data_start(), member.compressed_size(), member.compression())
    };
    let start = start.ok_or_else(|| wrong("no zip archive that can be read".to_owned()))?;
    let mut file = archive.into_inner();
    file.seek(SeekFrom::Start(start)).map_err(|source| WordsError::Read { path: path.to_owned(), source })?;
    let packed = file.take(len);
    match method {
        CompressionMethod::Stored => Ok(Opened::Member(Box::new(packed))),
        CompressionMethod::Deflated => Ok(Opened::Member(Box::new(DeflateDecoder::new(BufReader::new(packed))))),
        other => Err(wrong(format!("`{name}` in it is packed by {other}; unpack it"))),
    }
}
