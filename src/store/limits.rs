//! How large a store may grow, and what goes first.

use std::path::Path;

use rusqlite::{OptionalExtension, Transaction};

use super::error::SampleStoreError;
use super::log::forget_empty;
use super::open::{Failed, SampleStore, beside};
use super::samples::NewSample;

/// How much a store may hold. What goes first where there is no room: samples that were removed, the oldest of them first; then of the
/// class that has most samples its oldest one, again and again, but never one of the last two of a class. A store that holds more, as
/// after an import, shrinks only where it is told to ([`make_room`](SampleStore::make_room)): new samples take the places of as many
/// others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Samples.
    pub samples: usize,
    /// Bytes of all photos with their features.
    pub bytes: u64,
    /// Versions of the head.
    pub heads: usize,
}

impl Default for Limits {
    /// 2,000 samples, as many as the head follows at once, and 1 GB, a small part of a card.
    fn default() -> Self {
        Self { samples: 2_000, bytes: 1_000_000_000, heads: 50 }
    }
}

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Samples.
    pub samples: usize,
    /// Samples that were removed, and can still be brought back.
    pub removed: usize,
    /// Bytes of the photos and features of both.
    pub bytes: u64,
    /// Versions of the head.
    pub heads: usize,
    /// Frames that wait for a label.
    pub pending: usize,
    /// Length of the file with its log of changes.
    pub file_bytes: u64,
}

/// What went to make room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MadeRoom {
    /// Removed samples that cannot be brought back any more.
    pub removed: usize,
    /// Samples that are gone, with the names of their classes.
    pub samples: Vec<(i64, String)>,
}

impl SampleStore {
    /// What it holds.
    ///
    /// # Errors
    /// [`SampleStoreError`].
    pub fn usage(&self) -> Result<Usage, SampleStoreError> {
        let read = || {
            let (samples, removed) =
                self.db.query_row("SELECT count(class), count(*) - count(class) FROM sample", [], |row| {
                    Ok((row.get::<_, i64>(0)? as usize, row.get::<_, i64>(1)? as usize))
                })?;
            let count = |table: &str| {
                let query = format!("SELECT count(*) FROM {table}");
                self.db.query_row(&query, [], |row| Ok(row.get::<_, i64>(0)? as usize))
            };
            let (heads, pending) = (count("head")?, count("pending")?);
            Ok(Usage { samples, removed, bytes: bytes(&self.db)?, heads, pending, file_bytes: 0 })
        };
        let usage = self.sql(read())?;
        let len = |path: &Path| path.metadata().map_or(0, |file| file.len());
        Ok(Usage { file_bytes: len(self.path()) + len(&beside(self.path(), "-wal")), ..usage })
    }

    /// Lets samples go until the limits hold, however many.
    ///
    /// # Errors
    /// [`SampleStoreError`]; then nothing went.
    pub fn make_room(&mut self, limits: &Limits) -> Result<MadeRoom, SampleStoreError> {
        self.change(|transaction| make_room(transaction, limits, None))
    }

    /// Writes all that is in it into a new file, as it is at one moment, while others read and write.
    ///
    /// # Errors
    /// [`SampleStoreError`], as where the file is there already.
    pub fn copy_to(&self, path: &Path) -> Result<(), SampleStoreError> {
        let path = path.to_string_lossy();
        self.sql(self.db.execute("VACUUM INTO ?", [&*path])).map(drop)
    }

    /// Gives the room of removed samples back to the disk; what was done before cannot be undone then. Takes as much room once
    /// more while it runs.
    ///
    /// # Errors
    /// [`SampleStoreError`].
    pub fn compact(&mut self) -> Result<(), SampleStoreError> {
        self.write(|transaction| {
            // Other heads than the one of the samples as they are now cannot be rolled back to.
            transaction.execute("UPDATE head SET change = NULL WHERE change < (SELECT max(id) FROM change)", [])?;
            transaction.execute("DELETE FROM sample WHERE class IS NULL", [])?;
            transaction.execute("DELETE FROM change", [])?;
            transaction.execute("DELETE FROM batch", [])?;
            transaction.execute("DELETE FROM class WHERE id NOT IN (SELECT class FROM sample)", [])?;
            transaction.execute(
                "DELETE FROM trunk WHERE id NOT IN (SELECT trunk FROM feature) AND id NOT IN (SELECT trunk FROM pending)",
                [],
            )?;
            Ok(())
        })?;
        self.sql(self.db.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);"))
    }
}

/// What samples take up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Room {
    samples: u64,
    bytes: u64,
}

impl Room {
    /// And a sample more.
    pub fn with(self, sample: &NewSample<'_>) -> Self {
        let features = sample.features.map_or(0, |features| 4 * features.numbers.len());
        Self { samples: self.samples + 1, bytes: self.bytes + (sample.photo.len() + features) as u64 }
    }
}

/// Lets samples go until the limits hold, or, if so much `came`, until as much has gone.
pub(super) fn make_room(
    transaction: &Transaction<'_>,
    limits: &Limits,
    came: Option<Room>,
) -> Result<MadeRoom, Failed> {
    let mut made = MadeRoom::default();
    let mut held = bytes(transaction)?;
    while held > limits.bytes {
        // A sample's number says when it came, its time may be that of an old photo.
        let Some((id, len)) = oldest(transaction, "class IS NULL", [])? else { break };
        transaction.execute("DELETE FROM sample WHERE id = ?", [id])?;
        (held, made.removed) = (held.saturating_sub(len), made.removed + 1);
    }
    let mut count: i64 = transaction.query_row("SELECT count(class) FROM sample", [], |row| row.get(0))?;
    let mut gone = Room::default();
    loop {
        let may_go = |gone: u64, came: Option<u64>| came.is_none_or(|came| gone < came);
        let too_many = count as u64 > limits.samples as u64 && may_go(gone.samples, came.map(|room| room.samples));
        let too_large = held > limits.bytes && may_go(gone.bytes, came.map(|room| room.bytes));
        if !too_many && !too_large {
            break;
        }
        let largest = "SELECT class.id, name FROM sample JOIN class ON class.id = sample.class GROUP BY class.id
                       HAVING count(*) > 2 ORDER BY count(*) DESC, name LIMIT 1";
        let largest = transaction
            .query_row(largest, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
            .optional()?;
        let Some((class, name)) = largest else { break };
        let Some((id, len)) = oldest(transaction, "class = ?", [class])? else { break };
        transaction.execute("DELETE FROM sample WHERE id = ?", [id])?;
        (held, count) = (held.saturating_sub(len), count - 1);
        gone = Room { samples: gone.samples + 1, bytes: gone.bytes + len };
        made.samples.push((id, name));
    }
    if made != MadeRoom::default() {
        // What was done to nothing but these cannot be undone any more.
        forget_empty(transaction)?;
    }
    Ok(made)
}

/// Bytes of all photos and features.
fn bytes(db: &rusqlite::Connection) -> rusqlite::Result<u64> {
    let query = "SELECT (SELECT ifnull(sum(bytes), 0) FROM sample)
                 + (SELECT ifnull(sum(4 * feature_dim), 0) FROM feature JOIN trunk ON trunk.id = trunk)";
    db.query_row(query, [], |row| Ok(row.get::<_, i64>(0)? as u64))
}

/// The oldest sample of those, with what goes if it does.
fn oldest<P: rusqlite::Params>(
    transaction: &Transaction<'_>,
    those: &str,
    params: P,
) -> Result<Option<(i64, u64)>, Failed> {
    let query = format!(
        "SELECT id, bytes + (SELECT ifnull(sum(4 * feature_dim), 0) FROM feature JOIN trunk ON trunk.id = trunk
         WHERE sample = sample.id) FROM sample WHERE {those} ORDER BY id LIMIT 1"
    );
    let oldest = transaction.query_row(&query, params, |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)));
    Ok(oldest.optional()?)
}
