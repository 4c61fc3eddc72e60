//! What can go wrong with a download.

use std::io;
use std::path::PathBuf;

use crate::learn::SaveError;

/// Why a model was not downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// Nobody says where the file is.
    #[error("nobody says where {name} can be downloaded; give --url, or its file to `topgraft models add FILE`")]
    NoUrl {
        /// The model's name.
        name: String,
    },
    /// The file that is there is not the catalog's.
    #[error("{}: is not {name} as the catalog knows it: its size or SHA-256 is another; remove the file, then pull it again", path.display())]
    Damaged {
        /// The model's name.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// The file that is there cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// That is no address of a file on the web.
    #[error("{url:?} is no address; give one that begins with https:// or http://")]
    Url {
        /// The address.
        url: String,
    },
    /// There is no way to the server.
    #[error("no connection for {url}: {reason}; is there a network?")]
    Connect {
        /// The address.
        url: String,
        /// What failed.
        reason: String,
    },
    /// The server said nothing for too long.
    #[error(
        "nothing came from {url} for {seconds} s; what came before is kept, so try again, or with a longer --timeout"
    )]
    Stalled {
        /// The address.
        url: String,
        /// How long.
        seconds: f64,
    },
    /// The connection ended before the file did.
    #[error("the connection for {url} was lost after {received}{} bytes; they are kept, so try again", match size {
        Some(size) => format!(" of {size}"),
        None => String::new(),
    })]
    Lost {
        /// The address.
        url: String,
        /// Bytes that are there.
        received: u64,
        /// Bytes that there should be.
        size: Option<u64>,
    },
    /// The server has no such file, or does not give it.
    #[error("{url} answers {status}; give another address by --url, or the file to `topgraft models add FILE`")]
    Status {
        /// The address.
        url: String,
        /// Code and name, `404 Not Found`.
        status: String,
        /// The code.
        code: u16,
    },
    /// Each answer was another address.
    #[error("{url} leads to one other address after the other, more than {limit}; give another one by --url")]
    Redirects {
        /// The first address.
        url: String,
        /// How many are followed.
        limit: u32,
    },
    /// From `https` to `http`.
    #[error("{url} leads to an address without https, where anybody may change the file; give another one by --url")]
    Insecure {
        /// The first address.
        url: String,
    },
    /// The answer is none of HTTP, or its certificate is not good.
    #[error("{url}: {reason}")]
    Protocol {
        /// The address.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The server's file is of another size.
    #[error("{url} has {found} bytes, but {name} has {expected}: it is another file; give another address by --url")]
    Size {
        /// The model's name.
        name: String,
        /// The address.
        url: String,
        /// The catalog's size.
        expected: u64,
        /// The server's.
        found: u64,
    },
    /// More came than there should be.
    #[error("{url} sends more than the {limit} bytes that {name} may have: it is another file; nothing of it is kept")]
    TooLarge {
        /// The model's name.
        name: String,
        /// The address.
        url: String,
        /// The catalog's size, or the most of a file without one.
        limit: u64,
    },
    /// The bytes are others than they should be.
    #[error(
        "{name} has SHA-256 {found}, but should have {expected}: it is damaged or another file; nothing of it is kept"
    )]
    Checksum {
        /// The model's name.
        name: String,
        /// The catalog's checksum, hexadecimal.
        expected: String,
        /// That of what came, hexadecimal.
        found: String,
    },
    /// The file cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is kept beside the file cannot be written.
    #[error("{source}")]
    Save {
        /// Which, and why.
        #[from]
        source: SaveError,
    },
}

impl PullError {
    /// Whether it may be otherwise a little later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Stalled { .. } | Self::Lost { .. } => true,
            Self::Status { code, .. } => matches!(code, 408 | 429 | 500..=599),
            _ => false,
        }
    }

    /// Whether the machine, the network or the server failed, rather than what was asked for being wrong.
    pub fn is_failure(&self) -> bool {
        !matches!(self, Self::NoUrl { .. } | Self::Url { .. })
    }
}
