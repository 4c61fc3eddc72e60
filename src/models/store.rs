//! The folder that keeps models, and what is known of them.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::StoreError;
use crate::trunk::{Catalog, Entry, Vectors, nearest};

/// The folder's own catalog.
pub(super) const CATALOG: &str = "catalog.toml";

/// Where a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// In this program.
    BuiltIn,
    /// In the folder, downloaded.
    Pulled,
    /// In the folder, from the user.
    Added,
    /// In the folder, but not as long as the catalog says.
    Damaged,
    /// Not on this machine, as far as is known.
    Missing,
}

impl State {
    /// `built in`, `pulled`, `added`, `damaged`, `not here`
    pub fn name(self) -> &'static str {
        match self {
            Self::BuiltIn => "built in",
            Self::Pulled => "pulled",
            Self::Added => "added",
            Self::Damaged => "damaged",
            Self::Missing => "not here",
        }
    }
}

/// What a model is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// A network, with what a catalog says of it; nothing if it was added without.
    Backbone(Option<Box<Entry>>),
    /// A file of word vectors.
    Vectors(Box<Vectors>),
}

/// A model that a catalog or the folder knows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Known {
    /// Name for the command line.
    pub name: String,
    /// Name of its file, without folders.
    pub file: String,
    /// SHA-256 of the file's bytes.
    pub sha256: Option<[u8; 32]>,
    /// The file's size in bytes.
    pub bytes: Option<u64>,
    /// Where it can be downloaded.
    pub url: Option<String>,
    /// An SPDX expression; empty if nobody states one.
    pub licence: String,
    /// Where it comes from; may be empty.
    pub source: String,
    /// What one should know of it.
    pub note: Option<String>,
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub state: State,
    /// The file, if it is in the folder.
    pub path: Option<PathBuf>,
}

impl Known {
    /// Its file; none if it is [built in](State::BuiltIn).
    fn here(self) -> Result<Option<PathBuf>, StoreError> {
        match self.state {
            State::Damaged => {
                let path = self.path.unwrap_or_default();
                let found = path.metadata().map_or(0, |file| file.len());
                Err(StoreError::Damaged { name: self.name, path, found, expected: self.bytes.unwrap_or(found) })
            }
            State::Missing => Err(StoreError::NotHere { name: self.name, downloadable: self.url.is_some() }),
            _ => Ok(self.path),
        }
    }
}

/// The folder that keeps models.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use topgraft::models::{State, Store};
///
/// let folder = tempfile::tempdir()?;
/// let store = Store::at(folder.path());
/// assert_eq!(store.find("resnet18-v1")?.state, State::Missing);
/// assert!(store.find("resnet17").unwrap_err().to_string().contains("resnet18-v1"));
///
/// let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.onnx");
/// store.add(file.as_ref(), Some("tiny"))?;
/// assert_eq!(store.find("tiny")?.state, State::Added);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// The user's: `topgraft/models` in `$XDG_CACHE_HOME`, or if that is not set to an absolute path in `~/.cache` (XDG Base
    /// Directory Specification 0.8). It need not be there yet.
    ///
    /// # Errors
    /// [`StoreError::NoFolder`] if there is no home either.
    pub fn of_user() -> Result<Self, StoreError> {
        let absolute = |path: PathBuf| path.is_absolute().then_some(path);
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).and_then(absolute);
        let cache = cache.or_else(|| Some(std::env::home_dir().and_then(absolute)?.join(".cache")));
        Ok(Self { folder: cache.ok_or(StoreError::NoFolder)?.join("topgraft/models") })
    }

    /// Any other folder. It need not be there yet.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf() }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All models: the built-in catalog's, those of the folder's own, then networks in the folder that no catalog names. Of
    /// two with one name the first counts.
    ///
    /// # Errors
    /// [`StoreError::Catalog`] and [`StoreError::FileName`] for the folder's own catalog, [`StoreError::Io`] for the folder.
    pub fn models(&self) -> Result<Vec<Known>, StoreError> {
        let builtin = Catalog::builtin();
        let mut models = self.of_catalog(builtin);
        #[cfg(feature = "embed-backbone")]
        {
            let bytes = Some(crate::trunk::EMBEDDED.len() as u64);
            models[0] = Known { state: State::BuiltIn, path: None, bytes, ..models[0].clone() };
        }
        if let Some(own) = self.own_catalog()? {
            for known in self.of_catalog(&own) {
                if !is_file_name(&known.file) {
                    let (catalog, name, file) = (self.folder.join(CATALOG), known.name, known.file);
                    return Err(StoreError::FileName { catalog, name, file });
                }
                if models.iter().all(|other| other.name != known.name && other.file != known.file) {
                    models.push(known);
                }
            }
        }
        for file in self.networks()? {
            let name = file.trim_end_matches(".onnx");
            if models.iter().all(|known| known.file != file && known.name != name) {
                models.push(self.nameless(name));
            }
        }
        Ok(models)
    }

    /// The model of that name.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] with the nearest names; as [`models`](Self::models).
    pub fn find(&self, name: &str) -> Result<Known, StoreError> {
        let models = self.models()?;
        match models.iter().find(|known| known.name == name) {
            Some(known) => Ok(known.clone()),
            None => {
                let nearest = nearest(name, models.iter().map(|known| known.name.as_str()));
                Err(StoreError::Unknown { name: name.into(), nearest })
            }
        }
    }

    /// The file of the word vectors of that name.
    ///
    /// # Errors
    /// As [`network`](Self::network); [`StoreError::NoVectors`], [`StoreError::NoFileOrVectors`].
    pub fn vectors(&self, name: &str) -> Result<PathBuf, StoreError> {
        let models = self.models()?;
        let Some(known) = models.iter().find(|known| known.name == name) else {
            let vectors = models.iter().filter(|known| matches!(known.kind, Kind::Vectors(_)));
            let nearest = nearest(name, vectors.map(|known| known.name.as_str()));
            return Err(StoreError::NoFileOrVectors { name: name.into(), nearest });
        };
        match &known.kind {
            Kind::Vectors(_) => Ok(known.clone().here()?.unwrap_or_default()),
            _ => Err(StoreError::NoVectors { name: name.into() }),
        }
    }

    /// The file of the network of that name; none if it is [built in](State::BuiltIn).
    ///
    /// # Errors
    /// As [`find`](Self::find); [`StoreError::NotHere`], [`StoreError::NoBackbone`].
    pub fn network(&self, name: &str) -> Result<Option<PathBuf>, StoreError> {
        let known = self.find(name)?;
        match &known.kind {
            Kind::Vectors(_) => Err(StoreError::NoBackbone { name: known.name }),
            _ => known.here(),
        }
    }

    /// The catalog in the folder, if there is one.
    pub(super) fn own_catalog(&self) -> Result<Option<Catalog>, StoreError> {
        let path = self.folder.join(CATALOG);
        if path.exists() { Ok(Some(Catalog::open(&path)?)) } else { Ok(None) }
    }

    fn of_catalog(&self, catalog: &Catalog) -> Vec<Known> {
        let backbone = |entry: &Entry| Known {
            name: entry.name.clone(),
            file: entry.file.clone(),
            sha256: entry.sha256,
            bytes: entry.bytes,
            url: entry.url.clone(),
            licence: entry.licence.clone(),
            source: entry.source.clone(),
            note: entry.note.clone(),
            kind: Kind::Backbone(Some(Box::new(entry.clone()))),
            state: State::Missing,
            path: None,
        };
        let vectors = |vectors: &Vectors| Known {
            name: vectors.name.clone(),
            file: vectors.file.clone(),
            sha256: vectors.sha256,
            bytes: vectors.bytes,
            url: vectors.url.clone(),
            licence: vectors.licence.clone(),
            source: vectors.source.clone(),
            note: vectors.note.clone(),
            kind: Kind::Vectors(Box::new(vectors.clone())),
            state: State::Missing,
            path: None,
        };
        let models = catalog.entries().iter().map(backbone).chain(catalog.vectors().iter().map(vectors));
        models.map(|known| self.located(known)).collect()
    }

    /// A network that was added, and of which nothing else is known.
    pub(super) fn nameless(&self, name: &str) -> Known {
        self.located(Known {
            name: name.into(),
            file: format!("{name}.onnx"),
            sha256: None,
            bytes: None,
            url: None,
            licence: String::new(),
            source: String::new(),
            note: None,
            kind: Kind::Backbone(None),
            state: State::Missing,
            path: None,
        })
    }

    /// With state and path as they are now.
    pub(super) fn located(&self, mut known: Known) -> Known {
        let path = Some(self.folder.join(&known.file)).filter(|path| is_file_name(&known.file) && path.is_file());
        let is_other = |path: &PathBuf| {
            let len = path.metadata().ok().map(|file| file.len());
            known.bytes.is_some() && len.is_some() && known.bytes != len
        };
        known.state = match &path {
            None => State::Missing,
            Some(path) if is_other(path) => State::Damaged,
            Some(path) if origin(path).is_file() => State::Pulled,
            Some(_) => State::Added,
        };
        known.path = path;
        known
    }

    /// Names of the ONNX files in the folder, sorted.
    fn networks(&self) -> Result<Vec<String>, StoreError> {
        let io = |source| StoreError::Io { path: self.folder.clone(), source };
        let entries = match self.folder.read_dir() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(io)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(io)?;
            let name = entry.file_name().into_string().ok();
            names.extend(name.filter(|name| name.ends_with(".onnx") && is_file_name(name) && entry.path().is_file()));
        }
        names.sort();
        Ok(names)
    }
}

/// Whether a catalog's `file` stays in the folder, and is none of the folder's own files.
fn is_file_name(file: &str) -> bool {
    let own = [".part", ".origin", ".lock", ".toml"].iter().any(|end| file.ends_with(end));
    let elsewhere = file.is_empty() || file.len() > 200 || file.starts_with('.');
    !own && !elsewhere && !file.contains(|c: char| c == '/' || c == '\\' || c == ':' || c.is_control())
}

/// `FILE.ENDING`
pub(super) fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// What is kept beside a file that was downloaded, which tells it from one that was added.
pub(super) fn origin(file: &Path) -> PathBuf {
    beside(file, "origin")
}

/// SHA-256 and length of what a reader gives, which is handed on piece by piece.
pub(super) fn digest(
    mut reader: impl Read,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<([u8; 32], u64)> {
    let (mut hash, mut len, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((hash.finalize().into(), len)),
            Ok(n) => {
                hash.update(&buffer[..n]);
                each(&buffer[..n])?;
                len += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_in_the_folder_and_leave_its_own_alone() {
        for good in ["a.onnx", "glove.6B.zip", "wiki-news-300d-1M.vec.zip", "x", "ü.onnx"] {
            assert!(is_file_name(good), "{good}");
        }
        let bad = ["", ".", "..", "../a.onnx", "/etc/passwd", "a/b", "a\\b", "c:a", ".hidden", "a\n", "catalog.toml"];
        for bad in bad.into_iter().chain(["a.onnx.part", "a.onnx.origin", "catalog.lock"]) {
            assert!(!is_file_name(bad), "{bad}");
        }
        assert!(!is_file_name(&"a".repeat(201)));
        assert!(Catalog::builtin().entries().iter().all(|entry| is_file_name(&entry.file)));
    }

    #[test]
    fn a_folder_that_is_not_there_has_the_built_in_catalogs_models() {
        let store = Store::at(Path::new("no/such/folder"));
        let models = store.models().unwrap();
        let catalog = Catalog::builtin();
        assert_eq!(models.len(), catalog.entries().len() + catalog.vectors().len());
        assert!(models[1..].iter().all(|known| known.state == State::Missing && known.path.is_none()));
        assert_eq!(models[0].state == State::BuiltIn, cfg!(feature = "embed-backbone"));
        assert!(matches!(store.network("glove-6b"), Err(StoreError::NoBackbone { .. })));
        assert!(matches!(store.network("vgg16"), Err(StoreError::NotHere { downloadable: true, .. })));
        assert!(matches!(store.network("mobilenet_v2_tv"), Err(StoreError::NotHere { downloadable: false, .. })));
    }

    #[test]
    fn an_own_catalog_adds_models_but_changes_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path());
        let vectors = |name: &str, file: &str| {
            format!("[[vectors]]\nname = '{name}'\nfile = '{file}'\ndimensions = [3]\nwords = 2\n")
        };
        // Networks come first in the text, so a catalog without one says so.
        let write =
            |text: String| std::fs::write(folder.path().join(CATALOG), format!("backbone = []\n{text}")).unwrap();
        write(vectors("mine", "mine.txt") + &vectors("vgg16", "other.txt") + &vectors("other", "vgg16-7.onnx"));
        let models = store.models().unwrap();
        assert_eq!(models.last().unwrap().name, "mine");
        assert!(store.find("vgg16").unwrap().url.is_some());
        assert!(matches!(store.find("other"), Err(StoreError::Unknown { .. })));
        std::fs::write(folder.path().join("mine.txt"), "a 1 2 3\n").unwrap();
        assert_eq!(store.find("mine").unwrap().state, State::Added);
        write(vectors("mine", "../mine.txt"));
        assert!(matches!(store.models(), Err(StoreError::FileName { .. })));
        write("nonsense".into());
        assert!(matches!(store.models(), Err(StoreError::Catalog { .. })));
    }
}
