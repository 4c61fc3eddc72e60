//! A folder of photos, one folder a class.

use std::collections::{BTreeSet, HashSet};
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
    #[error("{}: holds {} but no class; move them into one folder per class, named after it", path.display(), counted(*count))]
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
    /// A link among the class folders that leads nowhere.
    #[error("{}: this class is a link that leads nowhere; mend or remove it", path.display())]
    DeadLink {
        /// Path of the link.
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
    #[error("class `{class}` has {}, at least 2 are needed; add photos or remove the folder", usable(*photos))]
    Photos {
        /// The class.
        class: String,
        /// Its photos.
        photos: usize,
    },
    /// A class with fewer photos than were asked for.
    #[error(
        "class `{class}` has {}, fewer than the {shots} shots asked for; add photos or lower --shots",
        usable(*photos)
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
    /// files that are no photos by their name are passed over. What cannot be read is listed as a photo ([`photos_below`]).
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
        for entry in visible(folder, 1) {
            match entry {
                Ok(entry) if entry.file_type().is_dir() => class_folders.push(entry.into_path()),
                Ok(entry) => loose += usize::from(is_photo_name(entry.path())),
                Err(error) => match unreadable(&error, folder) {
                    Unreadable { path, message } if path == folder => return Err(DatasetError::Read { path, message }),
                    // By its name no photo: a class that would be missing.
                    Unreadable { path, .. } if may_hold_photos(&path) && !is_photo_name(&path) => {
                        return Err(DatasetError::DeadLink { path });
                    }
                    _ => {}
                },
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

    /// Samples at these places with the names of their classes, sorted; without names all are of label 0, and there are no
    /// classes. If labels cannot count the classes, how many they are.
    pub(super) fn of_names(places: Vec<PathBuf>, names: &[String]) -> Result<Self, usize> {
        let classes: Vec<String> = names.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect();
        if classes.len() > u16::MAX as usize {
            return Err(classes.len());
        }
        let label = |at: usize| names.get(at).and_then(|name| classes.binary_search(name).ok()).unwrap_or(0) as u16;
        let samples = places.into_iter().enumerate().map(|(at, path)| Sample { path, label: label(at) }).collect();
        Ok(Self { classes, samples })
    }

    /// The first class with fewer than `needed` samples, and how many it has.
    pub fn class_below(&self, needed: usize) -> Option<(&str, usize)> {
        let counts = self.counts().into_iter();
        self.classes.iter().map(String::as_str).zip(counts).find(|(_, samples)| *samples < needed)
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
        match self.class_below(2) {
            Some((class, photos)) => Err(TooFew::Photos { class: class.to_owned(), photos }),
            None => Ok(()),
        }
    }

    /// Takes `shots` photos of each class at random, the same for the same `seed`.
    ///
    /// # Errors
    /// A class with fewer photos.
    pub fn shots(&self, shots: usize, seed: u64) -> Result<Self, TooFew> {
        self.shots_and_spares(shots, seed).map(|(chosen, _)| chosen)
    }

    /// [`shots`](Self::shots), and for each class the photos that were not chosen, in random order: to take the place of
    /// chosen ones that turn out to be unreadable.
    ///
    /// # Errors
    /// A class with fewer photos.
    pub fn shots_and_spares(&self, shots: usize, seed: u64) -> Result<(Self, Vec<Vec<Sample>>), TooFew> {
        let mut rng = SplitMix64(seed);
        let (mut chosen, mut spares) = (Vec::new(), Vec::new());
        for (label, class) in (0..).zip(&self.classes) {
            let mut photos: Vec<&Sample> = self.samples.iter().filter(|sample| sample.label == label).collect();
            if photos.len() < shots {
                return Err(TooFew::Shots { class: class.clone(), photos: photos.len(), shots });
            }
            // The first steps of a Fisher-Yates shuffle; the others with numbers of their own, so that the choice in the next
            // class does not depend on them.
            let mut others = SplitMix64(!rng.0);
            for i in 0..photos.len() {
                let rng = if i < shots { &mut rng } else { &mut others };
                let other = i + rng.below(photos.len() - i);
                photos.swap(i, other);
            }
            spares.push(photos.split_off(shots).into_iter().cloned().collect());
            photos.sort_by(|a, b| a.path.cmp(&b.path));
            chosen.extend(photos.into_iter().cloned());
        }
        Ok((Self { classes: self.classes.clone(), samples: chosen }, spares))
    }
}

/// Everything in `folder` and below it, sorted, links followed, hidden files and folders left out, `folder` itself too. A
/// folder that several links lead to is gone through once: links to folders with links multiply.
fn visible(folder: &Path, depth: usize) -> impl Iterator<Item = walkdir::Result<walkdir::DirEntry>> {
    let walk = WalkDir::new(folder).min_depth(1).max_depth(depth).follow_links(true).sort_by_file_name();
    let mut visited: HashSet<_> = identity(folder).into_iter().collect();
    walk.into_iter().filter_entry(move |entry| {
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        // At the greatest depth nothing is gone into.
        let mut again = || {
            let is_folder = entry.file_type().is_dir() && entry.depth() < depth;
            is_folder && identity(entry.path()).is_some_and(|identity| !visited.insert(identity))
        };
        !hidden && !again()
    })
}

/// What a folder is by whatever path: device and inode.
#[cfg(unix)]
fn identity(folder: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    folder.metadata().ok().map(|folder| (folder.dev(), folder.ino()))
}

/// What a folder is by whatever path.
#[cfg(not(unix))]
fn identity(folder: &Path) -> Option<PathBuf> {
    folder.canonicalize().ok()
}

/// Photos in `folder` and below it, sorted. What cannot be read and may hold photos is among them, so that it is named when
/// it is opened: a folder that may not be read, a link that leads nowhere and has a photo's name or no ending.
///
/// # Errors
/// [`DatasetError::Read`] if `folder` itself cannot be read.
pub fn photos_below(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let mut photos = Vec::new();
    for entry in visible(folder, usize::MAX) {
        match entry {
            Ok(entry) if entry.file_type().is_file() && is_photo_name(entry.path()) => photos.push(entry.into_path()),
            Ok(_) => {}
            Err(error) => match unreadable(&error, folder) {
                Unreadable { path, message } if path == folder => return Err(DatasetError::Read { path, message }),
                Unreadable { path, .. } => photos.extend(Some(path).filter(|path| may_hold_photos(path))),
            },
        }
    }
    Ok(photos)
}

/// An entry that the system could not read.
struct Unreadable {
    path: PathBuf,
    message: String,
}

fn unreadable(error: &walkdir::Error, folder: &Path) -> Unreadable {
    let path = error.path().unwrap_or(folder).to_path_buf();
    Unreadable { path, message: error.io_error().map_or(error.to_string(), ToString::to_string) }
}

/// Whether an entry that cannot be read may be a photo or a folder of photos. A link in a circle leads to what is gone
/// through anyway.
fn may_hold_photos(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    // It is there, so it is a folder: one that may not be read.
    let is_folder = path.is_dir();
    let is_circle = is_folder && path.read_dir().is_ok();
    !hidden && !is_circle && (is_folder || is_photo_name(path) || path.extension().is_none())
}

/// `1 photo`, `2 photos`
fn counted(photos: usize) -> String {
    if photos == 1 { "1 photo".to_owned() } else { format!("{photos} photos") }
}

/// `1 usable photo`, `2 usable photos`
fn usable(photos: usize) -> String {
    counted(photos).replace(' ', " usable ")
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
    fn links_are_followed_and_those_that_lead_nowhere_are_named() {
        use std::os::unix::fs::symlink;
        let dir = folder(&["a/1.jpg", "elsewhere/2.jpg", "b/3.jpg"]);
        let link = |to: &str, from: &str| symlink(dir.path().join(to), dir.path().join(from)).expect("a link");
        link("elsewhere/2.jpg", "a/2.jpg");
        link("", "b/circle");
        let dataset = Dataset::open(dir.path()).expect("a dataset");
        assert_eq!((dataset.classes.len(), dataset.counts()), (3, vec![2, 1, 1]));
        // Photos, or folders of photos, that cannot be read: they are listed, and named when they are opened.
        for (to, from) in [("gone.jpg", "a/gone.jpg"), ("a/self", "a/self"), ("unmounted", "b/more")] {
            link(to, from);
        }
        link("gone.txt", "b/notes.txt");
        link("gone", "b/.hidden");
        link("gone.jpg", "loose.jpg");
        let dataset = Dataset::open(dir.path()).expect("a dataset");
        assert_eq!(dataset.counts(), [4, 2, 1]);
        let named = |name: &str| dataset.samples.iter().any(|sample| sample.path.ends_with(name));
        assert!(named("a/gone.jpg") && named("a/self") && named("b/more"));
        link("gone", "class");
        assert!(matches!(Dataset::open(dir.path()), Err(DatasetError::DeadLink { path }) if path.ends_with("class")));
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_is_gone_through_once_however_many_links_lead_to_it() {
        use std::os::unix::fs::symlink;
        let dir = folder(&["a/00/1.jpg", "b/1.jpg"]);
        // Each of 15 folders has two links to the next: 2^15 paths.
        for i in 0..15 {
            let next = dir.path().join(format!("a/{:02}", i + 1));
            fs::create_dir(&next).expect("a folder");
            fs::write(next.join("1.jpg"), b"").expect("a file");
            for name in ["x", "y"] {
                symlink(&next, dir.path().join(format!("a/{i:02}/{name}"))).expect("a link");
            }
        }
        symlink(dir.path().join("b"), dir.path().join("c")).expect("a link");
        let dataset = Dataset::open(dir.path()).expect("a dataset");
        assert_eq!(dataset.counts(), [16, 1, 1], "a folder may be of two classes");
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
        let (again, spares) = dataset.shots_and_spares(5, 7).expect("enough");
        assert_eq!((again, spares[0].len(), spares[1].len()), (chosen.clone(), 15, 15));
        let all: std::collections::HashSet<_> =
            chosen.samples.iter().chain(spares.iter().flatten()).map(|s| &s.path).collect();
        assert_eq!(all.len(), 40, "each photo once");
        assert!(!spares[0].is_sorted_by(|a, b| a.path < b.path));
    }
}
