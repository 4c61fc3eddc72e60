//! What can go wrong with the folder of models.

use std::io;
use std::path::PathBuf;

use crate::learn::SaveError;
use crate::trunk::{CatalogError, OpenError};

/// Why a model cannot be found in the folder, or not be added to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The environment does not say where files may be kept.
    #[error("there is no folder to keep models in; set XDG_CACHE_HOME or HOME to an absolute path")]
    NoFolder,
    /// The folder's own catalog cannot be used.
    #[error("{source}")]
    Catalog {
        /// What is wrong with it.
        #[from]
        source: CatalogError,
    },
    /// The folder's own catalog has a file that would lie elsewhere, or over another.
    #[error("the catalog {} says that the file of {name} is {file:?}; give the name of a file in its folder", catalog.display())]
    FileName {
        /// The catalog.
        catalog: PathBuf,
        /// The entry.
        name: String,
        /// What it says.
        file: String,
    },
    /// No catalog has the name.
    #[error("no model is called {name:?}; the nearest names are {}, and `topgraft models list` has all", nearest.join(", "))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The three names that look most like it, best first.
        nearest: Vec<String>,
    },
    /// The model is known, but its file is not in the folder.
    #[error("{name} is known, but not here; {}", match downloadable {
        true => format!("get it by `topgraft models pull {name}`"),
        false => "nobody says where to download it; give its file to `topgraft models add FILE`".into(),
    })]
    NotHere {
        /// The model's name.
        name: String,
        /// Whether a catalog says where it can be downloaded.
        downloadable: bool,
    },
    /// The file in the folder is not the catalog's.
    #[error(
        "{}: has {found} bytes, and the catalog's {name} has {expected}; remove the file, then `topgraft models pull {name}`",
        path.display()
    )]
    Damaged {
        /// The model's name.
        name: String,
        /// The file.
        path: PathBuf,
        /// Its bytes.
        found: u64,
        /// The catalog's.
        expected: u64,
    },
    /// The name is that of word vectors.
    #[error("{name} is a file of word vectors, no network; `topgraft models list` lists the networks too")]
    NoBackbone {
        /// The model's name.
        name: String,
    },
    /// No file and no word vectors of that name.
    #[error("{name}: no such file, and no word vectors are called so; `topgraft models list` lists {}", nearest.join(", "))]
    NoFileOrVectors {
        /// What was given.
        name: String,
        /// The names most like it.
        nearest: Vec<String>,
    },
    /// The name is that of a network.
    #[error("{name} is a network, no file of word vectors; `topgraft models list` lists those too")]
    NoVectors {
        /// The model's name.
        name: String,
    },
    /// What should be added cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something in the folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("{source}")]
    Save {
        /// Which, and why.
        #[from]
        source: SaveError,
    },
    /// What should be added is a folder, a pipe, a device.
    #[error("{}: is no file; give an ONNX file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A name for a model that could not be the name of a file everywhere.
    #[error(
        "{name:?} cannot be a model's name; give one of 1 to 100 letters, digits and `-`, `_`, `.`, the first a letter or digit"
    )]
    BadName {
        /// The name.
        name: String,
    },
    /// The name, or the file that it would have, is another model's.
    #[error("{name} is another model's name already; give another one by --name")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The file is one that has a name already.
    #[error("{} is the model {known}, and is found by that name; leave --name out", path.display())]
    HasName {
        /// The file.
        path: PathBuf,
        /// Its name.
        known: String,
    },
    /// The file is called like a known one, but is another.
    #[error("{} is called like the file of {known}, but {found} is not {expected}: it is damaged or another model; get it again, or give it a name of its own by --name", path.display())]
    OtherFile {
        /// The file.
        path: PathBuf,
        /// The model that is called so.
        known: String,
        /// SHA-256 or size of the known file.
        expected: String,
        /// The same of this file.
        found: String,
    },
    /// The file is none of those that the catalogs know.
    #[error("{}: no catalog knows this file (SHA-256 {sha256}); give it a name by --name", path.display())]
    NeedsName {
        /// The file.
        path: PathBuf,
        /// Its checksum, hexadecimal.
        sha256: String,
    },
    /// The file has weights in other files, which would stay behind.
    #[error("{}: keeps its weights in other files; give its path to --backbone, or save it as one file first", path.display())]
    WeightsElsewhere {
        /// The file.
        path: PathBuf,
    },
    /// The file is no network that can be used.
    #[error("{source}")]
    Open {
        /// Why.
        #[from]
        source: OpenError,
    },
}

impl StoreError {
    /// Whether the machine failed, rather than what was asked for being wrong.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Save { source: SaveError::Write { .. } })
    }
}
