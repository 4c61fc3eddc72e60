//! Whether a store is whole.

use sha2::{Digest, Sha256};
use topgraft_core::format::Graft;

use super::error::SampleStoreError;
use super::open::SampleStore;

/// Something that is wrong with a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Pages or tables: what SQLite says of them.
    File {
        /// Its words.
        reason: String,
    },
    /// The photo of a sample is not the one that was put in.
    Photo {
        /// Number of the sample.
        id: i64,
    },
    /// The photo of a frame that waits for a label is not the one that was put in.
    Pending {
        /// Number of the frame.
        id: i64,
    },
    /// Features of a sample are not those that were put in. They are made anew when they are needed.
    Features {
        /// Number of the sample.
        id: i64,
    },
    /// A version of the head cannot be read.
    Head {
        /// The version.
        version: i64,
    },
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { reason } => write!(f, "the file: {reason}"),
            Self::Photo { id } => write!(f, "the photo of sample {id} is damaged; teach it again, or remove it"),
            Self::Pending { id } => write!(f, "the photo of frame {id}, which waits for a label, is damaged; drop it"),
            Self::Features { id } => write!(f, "features of sample {id} are damaged; they will be made anew"),
            Self::Head { version } => write!(f, "head {version} is damaged"),
        }
    }
}

impl SampleStore {
    /// Reads everything: SQLite's pages and tables, each photo by its SHA-256, all features by their CRC-32, each head file. Returns
    /// what is wrong.
    ///
    /// # Errors
    /// [`SampleStoreError`] if so little can be read that nothing can be said.
    pub fn check(&self) -> Result<Vec<Fault>, SampleStoreError> {
        let mut faults = Vec::new();
        let pages = || {
            let mut query = self.db.prepare("PRAGMA integrity_check(20)")?;
            let rows = query.query_map([], |row| row.get::<_, String>(0))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        match pages() {
            Ok(lines) => {
                let wrong = lines.into_iter().filter(|line| line != "ok");
                faults.extend(
                    wrong.map(|line| Fault::File { reason: line.split_whitespace().collect::<Vec<_>>().join(" ") }),
                );
            }
            Err(error) => faults.push(Fault::File { reason: error.to_string() }),
        }
        // What a damaged page takes with it is told once, above.
        let mut tell = |result: rusqlite::Result<()>| match result {
            Err(error) if faults.is_empty() => faults.push(Fault::File { reason: error.to_string() }),
            _ => {}
        };
        let mut found = Vec::new();
        tell(self.each("SELECT sample.id, sha256, photo FROM sample LEFT JOIN photo ON sample = sample.id", |row| {
            let photo = row.get_ref(2)?.as_blob_or_null()?;
            let sha256: [u8; 32] = row.get(1)?;
            if photo.is_none_or(|photo| sha256 != <[u8; 32]>::from(Sha256::digest(photo))) {
                found.push(Fault::Photo { id: row.get(0)? });
            }
            Ok(())
        }));
        tell(self.each("SELECT id, sha256, photo FROM pending", |row| {
            if row.get::<_, [u8; 32]>(1)? != <[u8; 32]>::from(Sha256::digest(row.get_ref(2)?.as_blob()?)) {
                found.push(Fault::Pending { id: row.get(0)? });
            }
            Ok(())
        }));
        tell(self.each("SELECT sample, crc, numbers FROM feature", |row| {
            if row.get_ref(2)?.as_blob().map(|numbers| i64::from(crc32fast::hash(numbers))) != Ok(row.get(1)?) {
                found.push(Fault::Features { id: row.get(0)? });
            }
            Ok(())
        }));
        tell(self.each("SELECT id, file FROM head", |row| {
            if Graft::parse(&row.get::<_, Vec<u8>>(1)?).is_err() {
                found.push(Fault::Head { version: row.get(0)? });
            }
            Ok(())
        }));
        faults.extend(found);
        Ok(faults)
    }

    fn each(
        &self,
        query: &str,
        mut take: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut query = self.db.prepare(query)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            take(row)?;
        }
        Ok(())
    }
}
