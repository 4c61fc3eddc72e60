//! Versions of the head.

use std::time::SystemTime;

use rusqlite::{OptionalExtension, params};

use super::error::SampleStoreError;
use super::open::{SampleStore, milliseconds, time};

/// A version of the head, without its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadVersion {
    /// Its number; later versions have higher ones.
    pub version: i64,
    /// When it was fitted.
    pub time: SystemTime,
    /// Samples that it was fitted to.
    pub samples: usize,
    /// Length of its file.
    pub bytes: u64,
    /// Whether its samples are known still.
    pub has_samples: bool,
}

impl SampleStore {
    /// Keeps a head file that was fitted to the samples as they were at `revision` ([`revision`](Self::revision) before they were
    /// read); returns its version. `None` if they have changed since: it is not the head of these samples any more.
    /// Of more than `most` versions the oldest go.
    ///
    /// # Errors
    /// [`SampleStoreError`].
    pub fn save_head(
        &mut self,
        file: &[u8],
        samples: usize,
        revision: i64,
        most: usize,
    ) -> Result<Option<i64>, SampleStoreError> {
        self.write(|transaction| {
            let now: i64 = transaction.query_row("SELECT revision FROM meta", [], |row| row.get(0))?;
            if now != revision {
                return Ok(None);
            }
            // Of all that were ever made, as those of samples that are gone are gone, too.
            let last = "SELECT seq FROM sqlite_sequence WHERE name = 'change'";
            let last: Option<i64> = transaction.query_row(last, [], |row| row.get(0)).optional()?;
            // Two programs may have measured the same samples; the head is the same, too.
            let same = "SELECT id FROM head WHERE change IS ? AND file = ? ORDER BY id DESC LIMIT 1";
            let same = transaction.query_row(same, params![last.unwrap_or(0), file], |row| row.get(0)).optional()?;
            if same.is_some() {
                return Ok(same);
            }
            transaction.execute(
                "INSERT INTO head (change, time, samples, file) VALUES (?, ?, ?, ?)",
                params![last.unwrap_or(0), milliseconds(SystemTime::now()), samples as i64, file],
            )?;
            let version = transaction.last_insert_rowid();
            transaction.execute(
                "DELETE FROM head WHERE id NOT IN (SELECT id FROM head ORDER BY id DESC LIMIT ?)",
                [most.max(1) as i64],
            )?;
            Ok(Some(version))
        })
    }

    /// All versions, the latest first.
    ///
    /// # Errors
    /// [`SampleStoreError`].
    pub fn heads(&self) -> Result<Vec<HeadVersion>, SampleStoreError> {
        let read = || {
            let mut query = self
                .db
                .prepare("SELECT id, time, samples, length(file), change IS NOT NULL FROM head ORDER BY id DESC")?;
            let rows = query.query_map([], |row| {
                let (samples, bytes) = (row.get::<_, i64>(2)? as usize, row.get::<_, i64>(3)? as u64);
                let has_samples = row.get(4)?;
                Ok(HeadVersion { version: row.get(0)?, time: time(row.get(1)?), samples, bytes, has_samples })
            })?;
            rows.collect()
        };
        self.sql(read())
    }

    /// The head file of a version.
    ///
    /// # Errors
    /// [`SampleStoreError::NoHead`], or what failed.
    pub fn head(&self, version: i64) -> Result<Vec<u8>, SampleStoreError> {
        let file = self.db.query_row("SELECT file FROM head WHERE id = ?", [version], |row| row.get(0));
        self.sql(file.optional())?.ok_or(SampleStoreError::NoHead { version })
    }

    /// The latest version with its file.
    ///
    /// # Errors
    /// [`SampleStoreError`].
    pub fn latest_head(&self) -> Result<Option<(i64, Vec<u8>)>, SampleStoreError> {
        let query = "SELECT id, file FROM head ORDER BY id DESC LIMIT 1";
        self.sql(self.db.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).optional())
    }
}
