//! Photos of other programs into a store.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use zip::ZipArchive;

use super::dataset::{Dataset, DatasetError, Sample};
use crate::store::{Batch, NewSample, SampleStore, SampleStoreError, Taught, check_name};
use crate::vision;

/// Photos, and bytes of their files, that are read before they are kept, together.
const BATCH: usize = 16;
const BATCH_BYTES: usize = 32 << 20;
/// The largest photo in an archive, which may say anything of its length: no camera's is larger.
const MAX_ENTRY_BYTES: u64 = 64 << 20;
/// Files in an archive, photos or not, for each photo that it may have.
const FILES_A_PHOTO: usize = 4;
/// What Teachable Machine adds to the name of a class.
const SAMPLES: &str = "-samples";

/// The most that archives may hold. What is beyond is refused, so that a small file cannot become a large store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportLimits {
    /// Photos.
    pub photos: usize,
    /// Bytes of all their files.
    pub bytes: u64,
    /// Pixels of each.
    pub pixels: u64,
    /// Classes, with those that the store has.
    pub classes: usize,
    /// Whether names of classes may have `<` and `>`, which a page might read as markup.
    pub may_have_markup: bool,
}

impl Default for ImportLimits {
    /// 200,000 photos of any kind.
    fn default() -> Self {
        Self {
            photos: 200_000,
            bytes: u64::MAX,
            pixels: vision::MAX_PIXELS,
            classes: usize::MAX,
            may_have_markup: true,
        }
    }
}

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Samples that are new.
    pub new: usize,
    /// Photos that were samples of that class.
    pub known: usize,
    /// Samples that were of another class: number, its name.
    pub moved: Vec<(i64, String)>,
    /// Photos that cannot be used, with the reason.
    pub skipped: Vec<String>,
}

/// Why nothing, or nothing more, was imported. What was before is in the store, and is not taken twice.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The folder is not one of photos.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The archive cannot be read.
    #[error("{}: cannot be read as a zip archive: {reason}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There are no photos in the archive.
    #[error("{}: no photos are in this archive; it should hold one folder of photos per class", path.display())]
    Empty {
        /// The archive.
        path: PathBuf,
    },
    /// There is more than is taken at once; what came before it is in the store, and is undone together.
    #[error("{}: more than {most} {what}; import it in parts", path.display())]
    TooMuch {
        /// The archive or folder.
        path: PathBuf,
        /// How many are taken.
        most: u64,
        /// Of what.
        what: &'static str,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] SampleStoreError),
}

impl ImportError {
    /// Whether the machine failed, and not what was asked for.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_failure())
    }
}

/// Adds photos to a store, of any of these:
///
/// - a folder that holds one folder of photos per class;
/// - the folder of a classification model of Frigate, `clips/NAME`, or its `dataset` folder;
/// - a zip archive that holds such folders, however deep;
/// - a zip archive of photos alone, which are of the class that it is named after: what Teachable Machine downloads as
///   `NAME-samples.zip`;
/// - a folder of such archives.
///
/// The photos' files are kept as they are. `done` is called after each. All of it is undone at once; if it is interrupted it can be called
/// again.
///
/// # Errors
/// [`ImportError`].
pub fn import(
    store: &mut SampleStore,
    from: &Path,
    limits: ImportLimits,
    done: impl Fn(),
) -> Result<Imported, ImportError> {
    let what = format!("import {}", from.file_name().unwrap_or(from.as_os_str()).display());
    let classes = store.classes()?.into_iter().map(|(name, _)| name).collect();
    let counted = Counted::default();
    let mut import = Import { store, what, batch: None, limits, classes, counted, done, imported: Imported::default() };
    if is_archive(from) {
        import.archive(from)?;
        return Ok(import.imported);
    }
    let archives = archives_in(from);
    if !archives.is_empty() {
        archives.iter().try_for_each(|archive| import.archive(archive))?;
        return Ok(import.imported);
    }
    // Frigate's folder of a model has those that wait to be labelled beside them, in `train`.
    let dataset = from.join("dataset");
    let dataset = Dataset::open(if dataset.is_dir() { &dataset } else { from })?;
    import.folder(&dataset)?;
    Ok(import.imported)
}

struct Import<'a, F> {
    store: &'a mut SampleStore,
    what: String,
    batch: Option<Batch>,
    limits: ImportLimits,
    classes: HashSet<String>,
    counted: Counted,
    done: F,
    imported: Imported,
}

/// What was read.
#[derive(Default)]
struct Counted {
    photos: usize,
    bytes: u64,
}

/// A photo that is on its way.
struct Photo {
    place: String,
    class: String,
    time: SystemTime,
    bytes: Result<Vec<u8>, String>,
}

impl<F: Fn()> Import<'_, F> {
    fn folder(&mut self, dataset: &Dataset) -> Result<(), ImportError> {
        for samples in dataset.samples.chunks(BATCH) {
            let read = |Sample { path, label }: &Sample| {
                let bytes = vision::read(path).map_err(|error| error.to_string());
                let time = path.metadata().and_then(|file| file.modified()).unwrap_or_else(|_| SystemTime::now());
                let class = dataset.classes[usize::from(*label)].clone();
                Photo { place: path.display().to_string(), class, time, bytes }
            };
            self.keep(samples.iter().map(read).collect())?;
        }
        Ok(())
    }

    fn archive(&mut self, path: &Path) -> Result<(), ImportError> {
        let failed = |reason: String| ImportError::Archive { path: path.to_path_buf(), reason };
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        let mut archive = ZipArchive::new(file).map_err(|error| failed(error.to_string()))?;
        let most = self.limits.photos.saturating_mul(FILES_A_PHOTO);
        if archive.len() > most {
            return Err(ImportError::TooMuch { path: path.to_path_buf(), most: most as u64, what: "files" });
        }
        let own_name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let own_name = own_name.strip_suffix(SAMPLES).unwrap_or(&own_name).to_owned();
        let (mut photos, mut found, mut held) = (Vec::new(), 0, 0);
        for at in 0..archive.len() {
            // One that cannot be read, or has a name that cannot, is no reason to leave out the others.
            let entry = archive.by_index(at);
            let named = entry.and_then(|entry| Ok((entry.name()?.replace('\\', "/"), entry)));
            let (name, entry) = match named {
                Ok((name, entry)) => (PathBuf::from(name), entry),
                Err(error) => {
                    self.imported.skipped.push(format!("{}, entry {}: {error}", path.display(), at + 1));
                    continue;
                }
            };
            let hidden = name.components().any(|part| {
                let part = part.as_os_str().to_string_lossy();
                part.starts_with('.') || part == "__MACOSX"
            });
            if entry.is_dir() || hidden || !vision::is_photo_name(&name) {
                continue;
            }
            let class = name.parent().and_then(Path::file_name).map(|class| class.to_string_lossy().into_owned());
            let place = format!("{}/{}", path.display(), name.display());
            // What an entry says of its length binds nobody.
            let mut bytes = Vec::new();
            let room = (self.limits.bytes - self.counted.bytes).min(MAX_ENTRY_BYTES);
            let read = entry.take(room + 1).read_to_end(&mut bytes);
            if bytes.len() as u64 > room && room < MAX_ENTRY_BYTES {
                let most = self.limits.bytes;
                return Err(ImportError::TooMuch { path: path.to_path_buf(), most, what: "bytes of photos" });
            }
            let bytes = match read {
                Ok(length) if length as u64 > MAX_ENTRY_BYTES => {
                    Err(format!("{place}: larger than {} MB", MAX_ENTRY_BYTES >> 20))
                }
                Ok(_) => Ok(bytes),
                Err(error) => Err(format!("{place}: {error}")),
            };
            found += 1;
            let length = bytes.as_ref().map_or(0, Vec::len);
            self.count(path, class.as_deref().unwrap_or(&own_name), length)?;
            photos.push(Photo {
                place,
                class: class.unwrap_or_else(|| own_name.clone()),
                time: SystemTime::now(),
                bytes,
            });
            held += photos.last().and_then(|photo| photo.bytes.as_ref().ok()).map_or(0, Vec::len);
            if photos.len() == BATCH || held > BATCH_BYTES {
                held = 0;
                self.keep(std::mem::take(&mut photos))?;
            }
        }
        if found == 0 {
            return Err(ImportError::Empty { path: path.to_path_buf() });
        }
        self.keep(photos)
    }

    /// Refuses a photo that is one too many.
    fn count(&mut self, path: &Path, class: &str, bytes: usize) -> Result<(), ImportError> {
        self.counted.photos += 1;
        self.counted.bytes += bytes as u64;
        if !self.classes.contains(class) {
            self.classes.insert(class.to_owned());
        }
        let ImportLimits { photos, bytes, classes, .. } = self.limits;
        for (is_more, most, what) in [
            (self.counted.photos > photos, photos as u64, "photos"),
            (self.counted.bytes > bytes, bytes, "bytes of photos"),
            (self.classes.len() > classes, classes as u64, "classes"),
        ] {
            if is_more {
                return Err(ImportError::TooMuch { path: path.to_path_buf(), most, what });
            }
        }
        Ok(())
    }

    /// Keeps those that are photos.
    fn keep(&mut self, photos: Vec<Photo>) -> Result<(), ImportError> {
        // One after the other: a small file may hold a picture that takes up much.
        let ImportLimits { pixels: most_pixels, may_have_markup, .. } = self.limits;
        let plain = |name: &str| match may_have_markup || !name.contains(['<', '>']) {
            true => Ok(()),
            false => Err("the name of its class has `<` or `>`"),
        };
        let check = |photo: Photo| {
            let named = check_name(&photo.class).map_err(|error| format!("{}: {error}", photo.place));
            let named = named.and_then(|()| plain(&photo.class).map_err(|why| format!("{}: {why}", photo.place)));
            let checked = named.and(photo.bytes).and_then(|bytes| match vision::decode_within(&bytes, most_pixels) {
                Ok(_) => Ok((photo.place.clone(), photo.class, photo.time, bytes)),
                Err(error) => Err(format!("{}: {error}", photo.place)),
            });
            (self.done)();
            checked
        };
        let (good, bad): (Vec<_>, Vec<_>) = photos.into_iter().map(check).partition(Result::is_ok);
        self.imported.skipped.extend(bad.into_iter().filter_map(Result::err));
        let good: Vec<_> = good.into_iter().filter_map(Result::ok).collect();
        if good.is_empty() {
            return Ok(());
        }
        let samples: Vec<NewSample<'_>> = good
            .iter()
            .map(|(place, class, time, photo)| NewSample { photo, class, source: place, time: *time, features: None })
            .collect();
        let lessons = self.store.teach(&samples, &self.what, self.batch, None)?;
        self.batch = Some(lessons.batch);
        for taught in lessons.taught {
            match taught {
                Taught::New { .. } => self.imported.new += 1,
                Taught::Known { .. } => self.imported.known += 1,
                Taught::Moved { id, from } => self.imported.moved.push((id, from)),
            }
        }
        Ok(())
    }
}

fn is_archive(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("zip"))
}

/// Archives in a folder, sorted.
fn archives_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut archives: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| is_archive(path)).collect();
    archives.sort();
    archives
}
