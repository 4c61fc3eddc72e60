//! A folder of photos, one folder a class.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::random::SplitMix64;
use crate::vision::is_photo_name;

/// Photos with labels. The names of the folders are the classes, as for torchvision's `ImageFolder` and scikit-learn's
/// `load_files`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Names of the classes, sorted.
    pub classes: Vec<String>,
    /// Photos, sorted by class and path.
    pub samples: Vec<Sample>,
}

/// A photo with its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The file.
    pub path: PathBuf,
    /// Index into [`Dataset::classes`].
    pub label: u16,
}

/// Why a folder is no dataset.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// There is nothing at the path.
    #[error("{}: no such folder; give the folder that holds one folder of photos per class", path.display())]
    NotFound {
        /// The path.
        path: PathBuf,
    },
    /// A file, where a folder should be.
    #[error("{}: is a file; give the folder that holds one folder of photos per class", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// The system refused to read the folder.
    #[error("{}: cannot be read: {message}; check that you may read it", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
    /// No class folder in it.
    #[error("{}: no class in it; make one folder per class, named after it, with its photos inside", path.display())]
    Empty {
        /// The path.
        path: PathBuf,
    },
    /// Photos outside of class folders, and no class folder.
    #[error("{}: holds {count} photos but no class; move them into one folder per class, named after it", path.display())]
    LoosePhotos {
        /// The path.
        path: PathBuf,
        /// How many.
        count: usize,
    },
    /// A class folder without a photo.
    #[error("{}: no photo in this class (jpg, jpeg, png, webp, bmp, gif); add some or remove the folder", path.display())]
    EmptyClass {
        /// Path of the class folder.
        path: PathBuf,
    },
    /// A class name that is not UTF-8, or has control characters in it.
    #[error("{:?}: the folder's name is not plain text; rename it", path)]
    ClassName {
        /// Path of the class folder.
        path: PathBuf,
    },
    /// More classes than labels can count.
    #[error("{}: {count} classes are too many; at most 65535", path.display())]
    TooManyClasses {
        /// The path.
        path: PathBuf,
        /// How many.
        count: usize,
    },
}

/// Too little to learn from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooFew {
    /// One class: nothing to tell apart.
    #[error("only one class, `{class}`; add a folder with photos of something else, e.g. `background`")]
    Classes {
        /// The only one.
        class: String,
    },
    /// A class from which no photo can be left out to measure accuracy.
    #[error("class `{class}` has {photos} usable photo(s), at least 2 are needed; add photos or remove the folder")]
    Photos {
        /// The class.
        class: String,
        /// Its photos.
        photos: usize,
    },
    /// A class with fewer photos than were asked for.
    #[error(
        "class `{class}` has {photos} photo(s), fewer than the {shots} shots asked for; add photos or lower --shots"
    )]
    Shots {
        /// The class.
        class: String,
        /// Its photos.
        photos: usize,
        /// Photos of each class that were asked for.
        shots: usize,
    },
}

impl Dataset {
    /// Lists the photos below `folder`: each folder in it is a class, with all photos in it and below it. Hidden files and
    /// files that are no photos by their name are passed over.
    ///
    /// # Errors
    /// Anything that is not one folder of photos per class: [`DatasetError`].
    pub fn open(folder: &Path) -> Result<Self, DatasetError> {
        let path = || folder.to_path_buf();
        if !folder.is_dir() {
            return Err(match folder.exists() {
                true => DatasetError::NotAFolder { path: path() },
                false => DatasetError::NotFound { path: path() },
            });
        }
        let (mut class_folders, mut loose) = (Vec::new(), 0);
        for entry in visible(folder).max_depth(1) {
            let Some(entry) = usable(entry)? else { continue };
            match entry.file_type().is_dir() {
                true => class_folders.push(entry.into_path()),
                false => loose += usize::from(is_photo_name(entry.path())),
            }
        }
        if class_folders.is_empty() {
            return Err(match loose {
                0 => DatasetError::Empty { path: path() },
                count => DatasetError::LoosePhotos { path: path(), count },
            });
        }
        if class_folders.len() > u16::MAX as usize {
            return Err(DatasetError::TooManyClasses { path: path(), count: class_folders.len() });
        }
        let mut dataset = Self { classes: Vec::new(), samples: Vec::new() };
        for (label, class) in (0..).zip(class_folders) {
            let Some(name) =
                class.file_name().and_then(|name| name.to_str()).filter(|name| !name.contains(char::is_control))
            else {
                return Err(DatasetError::ClassName { path: class });
            };
            dataset.classes.push(name.to_owned());
            let photos = photos_below(&class)?;
            if photos.is_empty() {
                return Err(DatasetError::EmptyClass { path: class });
            }
            dataset.samples.extend(photos.into_iter().map(|path| Sample { path, label }));
        }
        Ok(dataset)
    }

    /// Photos of each class, in the order of the classes.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for sample in &self.samples {
            counts[usize::from(sample.label)] += 1;
        }
        counts
    }

    /// Whether there are two classes and two photos of each: the least from which a head and its accuracy can be had.
    ///
    /// # Errors
    /// The first class that is too small.
    pub fn check_teachable(&self) -> Result<(), TooFew> {
        if let [class] = self.classes.as_slice() {
            return Err(TooFew::Classes { class: class.clone() });
        }
        let too_small = self.classes.iter().zip(self.counts()).find(|(_, photos)| *photos < 2);
        match too_small {
            Some((class, photos)) => Err(TooFew::Photos { class: class.clone(), photos }),
            None => Ok(()),
        }
    }

    /// Takes `shots` photos of each class at random, the same for the same `seed`.
    ///
    /// # Errors
    /// A class with fewer photos.
    pub fn shots(&self, shots: usize, seed: u64) -> Result<Self, TooFew> {
        let mut rng = SplitMix64(seed);
        let mut chosen = Vec::new();
        for (label, class) in (0..).zip(&self.classes) {
            let mut photos: Vec<&Sample> = self.samples.iter().filter(|sample| sample.label == label).collect();
            if photos.len() < shots {
                return Err(TooFew::Shots { class: class.clone(), photos: photos.len(), shots });
            }
            // The first steps of a Fisher-Yates shuffle.
            for i in 0..shots {
                let other = i + rng.below(photos.len() - i);
                photos.swap(i, other);
            }
            photos.truncate(shots);
            photos.sort_by(|a, b| a.path.cmp(&b.path));
            chosen.extend(photos.into_iter().cloned());
        }
        Ok(Self { classes: self.classes.clone(), samples: chosen })
    }
}

/// Everything below `folder`, sorted, links followed, hidden files left out, `folder` itself too.
fn visible(folder: &Path) -> WalkDirVisible {
    WalkDirVisible(WalkDir::new(folder).min_depth(1).follow_links(true).sort_by_file_name())
}

/// A [`WalkDir`] that passes over hidden files and folders.
struct WalkDirVisible(WalkDir);

impl WalkDirVisible {
    fn max_depth(self, depth: usize) -> Self {
        Self(self.0.max_depth(depth))
    }
}

impl IntoIterator for WalkDirVisible {
    type Item = walkdir::Result<walkdir::DirEntry>;
    type IntoIter = Box<dyn Iterator<Item = Self::Item>>;

    fn into_iter(self) -> Self::IntoIter {
        let is_hidden = |entry: &walkdir::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b".");
        Box::new(self.0.into_iter().filter_entry(move |entry| !is_hidden(entry)))
    }
}

/// Photos in `folder` and below it, sorted; what can't be read is an error.
///
/// # Errors
/// [`DatasetError::Read`].
pub fn photos_below(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let mut photos = Vec::new();
    for entry in visible(folder) {
        let Some(entry) = usable(entry)? else { continue };
        if entry.file_type().is_file() && is_photo_name(entry.path()) {
            photos.push(entry.into_path());
        }
    }
    Ok(photos)
}

/// The entry; `None` for a link that leads nowhere or in a circle, which holds no photo.
fn usable(entry: walkdir::Result<walkdir::DirEntry>) -> Result<Option<walkdir::DirEntry>, DatasetError> {
    let error = match entry {
        Ok(entry) => return Ok(Some(entry)),
        Err(error) => error,
    };
    let path = error.path().unwrap_or(Path::new("")).to_path_buf();
    match error.io_error() {
        Some(io) if io.kind() != std::io::ErrorKind::NotFound => {
            Err(DatasetError::Read { path, message: io.to_string() })
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = dir.path().join(file);
            let folder = if file.ends_with('/') { path.as_path() } else { path.parent().expect("below the folder") };
            fs::create_dir_all(folder).expect("a folder");
            if !file.ends_with('/') {
                fs::write(path, b"").expect("a file");
            }
        }
        dir
    }

    #[test]
    fn classes_are_folders_and_what_is_no_photo_is_passed_over() {
        let dir = folder(&["b/2.JPG", "b/1.png", "a/deep/er/x.webp", "a/notes.txt", ".git/x.jpg", "b/.x.jpg", "c.jpg"]);
        let dataset = Dataset::open(dir.path()).expect("a dataset");
        assert_eq!(dataset.classes, ["a", "b"]);
        assert_eq!(dataset.counts(), [1, 2]);
        let names: Vec<_> =
            dataset.samples.iter().map(|s| (s.path.strip_prefix(dir.path()).unwrap(), s.label)).collect();
        assert_eq!(names, [(Path::new("a/deep/er/x.webp"), 0), (Path::new("b/1.png"), 1), (Path::new("b/2.JPG"), 1)]);
    }

    #[test]
    fn what_is_no_dataset_says_why() {
        let open = |dir: &tempfile::TempDir| Dataset::open(dir.path()).expect_err("no dataset");
        assert!(matches!(open(&folder(&[])), DatasetError::Empty { .. }));
        assert!(matches!(open(&folder(&["x.jpg", "y.jpg"])), DatasetError::LoosePhotos { count: 2, .. }));
        assert!(matches!(open(&folder(&["a/x.jpg", "b/"])), DatasetError::EmptyClass { .. }));
        assert!(matches!(open(&folder(&["a/x.jpg", "b/x.txt"])), DatasetError::EmptyClass { .. }));
        let dir = folder(&["x.jpg"]);
        assert!(matches!(Dataset::open(&dir.path().join("x.jpg")), Err(DatasetError::NotAFolder { .. })));
        assert!(matches!(Dataset::open(&dir.path().join("y")), Err(DatasetError::NotFound { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_those_that_lead_nowhere_hold_no_photo() {
        use std::os::unix::fs::symlink;
        let dir = folder(&["a/1.jpg", "elsewhere/2.jpg", "b/3.jpg"]);
        symlink(dir.path().join("elsewhere/2.jpg"), dir.path().join("a/2.jpg")).expect("a link");
        symlink(dir.path().join("gone.jpg"), dir.path().join("a/gone.jpg")).expect("a link");
        symlink(dir.path(), dir.path().join("b/circle")).expect("a link");
        let dataset = Dataset::open(dir.path()).expect("a dataset");
        assert_eq!((dataset.classes.len(), dataset.counts()), (3, vec![2, 1, 1]));
    }

    #[test]
    fn too_few_classes_photos_or_shots_are_named() {
        let one_class = Dataset::open(folder(&["a/1.jpg", "a/2.jpg"]).path()).expect("a dataset");
        assert_eq!(one_class.check_teachable(), Err(TooFew::Classes { class: "a".into() }));
        let one_photo = Dataset::open(folder(&["a/1.jpg", "a/2.jpg", "b/1.jpg"]).path()).expect("a dataset");
        assert_eq!(one_photo.check_teachable(), Err(TooFew::Photos { class: "b".into(), photos: 1 }));
        assert_eq!(one_photo.shots(2, 0), Err(TooFew::Shots { class: "b".into(), photos: 1, shots: 2 }));
    }

    #[test]
    fn shots_are_different_photos_and_the_same_for_the_same_seed() {
        let names: Vec<String> = (0..40).map(|i| format!("{}/{i}.jpg", i % 2)).collect();
        let dir = folder(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let dataset = Dataset::open(dir.path()).expect("a dataset");
        let chosen = dataset.shots(5, 7).expect("enough");
        assert_eq!(chosen.counts(), [5, 5]);
        let mut paths: Vec<_> = chosen.samples.iter().map(|s| &s.path).collect();
        paths.dedup();
        assert_eq!(paths.len(), 10);
        assert_eq!(chosen, dataset.shots(5, 7).expect("enough"));
        assert_ne!(chosen, dataset.shots(5, 8).expect("enough"));
        assert_eq!(dataset.shots(20, 3).expect("all of them"), dataset);
    }
}
