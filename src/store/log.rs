//! What was done, and how to undo it.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::error::SampleStoreError;
use super::open::{Failed, SampleStore, milliseconds};

/// Changes that are undone together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch(pub(super) i64);

/// What was undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// What it was: `teach cat`, `remove 3 samples`.
    pub what: String,
    /// Samples that are of another class now, or there again, or not there any more.
    pub samples: usize,
}

impl SampleStore {
    /// Undoes the last thing that was done and is not undone yet; called again, the one before. Every sample that it concerned
    /// is again of the class that it was of before.
    ///
    /// # Errors
    /// [`SampleStoreError::NothingToUndo`], or what failed.
    pub fn undo(&mut self) -> Result<Undone, SampleStoreError> {
        self.change(|transaction| {
            let Some((id, what)) = last(transaction)? else { return Err(SampleStoreError::NothingToUndo.into()) };
            let undoing = new_batch(transaction, &format!("undo: {what}"), Some(Batch(id)))?;
            // What was said of a sample last and holds still; else what it was before anything was. Two programs may have taught it
            // by turns, so what it was before this batch may be what is undone already.
            let before = "SELECT DISTINCT sample, ifnull(
                              (SELECT ifnull(new, 0) FROM change AS said JOIN batch ON batch.id = said.batch
                               WHERE said.sample = change.sample AND undoes IS NULL
                               AND NOT EXISTS (SELECT 1 FROM batch AS undo WHERE undo.undoes = batch.id)
                               ORDER BY said.id DESC LIMIT 1),
                              (SELECT old FROM change AS first WHERE first.sample = change.sample ORDER BY id LIMIT 1))
                          FROM change WHERE batch = ?";
            Ok(Undone { what, samples: set_back(transaction, undoing, before, id)? })
        })
    }

    /// What [`undo`](Self::undo) would undo.
    ///
    /// # Errors
    /// [`SampleStoreError`].
    pub fn next_undo(&self) -> Result<Option<String>, SampleStoreError> {
        Ok(self.sql(last(&self.db))?.map(|(_, what)| what))
    }

    /// Makes the samples those that a version of the head knew; returns how many are of another class now, there again, or
    /// not there any more. This can be undone, too. Samples that are gone for good stay so.
    ///
    /// # Errors
    /// [`SampleStoreError::NoHead`], [`SampleStoreError::Forgotten`], or what failed.
    pub fn roll_back(&mut self, version: i64) -> Result<usize, SampleStoreError> {
        self.change(|transaction| {
            let query = "SELECT change FROM head WHERE id = ?";
            let known = transaction.query_row(query, [version], |row| row.get::<_, Option<i64>>(0)).optional()?;
            let known = known.ok_or(SampleStoreError::NoHead { version })?;
            let known = known.ok_or(SampleStoreError::Forgotten { version })?;
            let batch = new_batch(transaction, &format!("roll back to head {version}"), None)?;
            let first = "SELECT sample, old FROM change WHERE id IN
                         (SELECT min(id) FROM change WHERE id > ? GROUP BY sample)";
            set_back(transaction, batch, first, known)
        })
    }
}

/// The last thing that was done and is not undone.
fn last(db: &Connection) -> rusqlite::Result<Option<(i64, String)>> {
    let query = "SELECT id, what FROM batch AS done WHERE undoes IS NULL
                 AND NOT EXISTS (SELECT 1 FROM batch WHERE undoes = done.id)
                 AND EXISTS (SELECT 1 FROM change WHERE batch = done.id) ORDER BY id DESC LIMIT 1";
    db.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

/// Gives samples the classes that a query has for them; returns how many had another one.
fn set_back(transaction: &Transaction<'_>, batch: Batch, query: &str, parameter: i64) -> Result<usize, Failed> {
    let mut query = transaction.prepare(query)?;
    let pairs = query.query_map([parameter], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut pairs = pairs.collect::<rusqlite::Result<Vec<(i64, Option<i64>)>>>()?;
    // No class has the number 0: it stands for none, where NULL means that nothing was found.
    pairs.iter_mut().filter(|(_, class)| *class == Some(0)).for_each(|(_, class)| *class = None);
    let mut count = 0;
    for (sample, old) in pairs {
        count += usize::from(set_class(transaction, batch, sample, old)?);
    }
    Ok(count)
}

/// Whether more can be part of it: it is there, and not undone.
pub(super) fn is_open(transaction: &Transaction<'_>, batch: Batch) -> rusqlite::Result<bool> {
    let query =
        "SELECT EXISTS (SELECT 1 FROM batch WHERE id = ?1) AND NOT EXISTS (SELECT 1 FROM batch WHERE undoes = ?1)";
    transaction.query_row(query, [batch.0], |row| row.get(0))
}

/// Forgets what was done to nothing, or to nothing but samples that are gone.
pub(super) fn forget_empty(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute(
        "DELETE FROM batch WHERE id NOT IN (SELECT batch FROM change)
         AND id NOT IN (SELECT undoes FROM batch WHERE undoes IS NOT NULL)",
        [],
    )?;
    Ok(())
}

pub(super) fn new_batch(transaction: &Transaction<'_>, what: &str, undoes: Option<Batch>) -> rusqlite::Result<Batch> {
    transaction.execute(
        "INSERT INTO batch (time, what, undoes) VALUES (?, ?, ?)",
        params![milliseconds(SystemTime::now()), what, undoes.map(|batch| batch.0)],
    )?;
    Ok(Batch(transaction.last_insert_rowid()))
}

/// Gives a sample a class, or none, and logs it; whether it had another one.
pub(super) fn set_class(
    transaction: &Transaction<'_>,
    batch: Batch,
    sample: i64,
    new: Option<i64>,
) -> rusqlite::Result<bool> {
    let query = "SELECT class FROM sample WHERE id = ?";
    let old: Option<i64> = transaction.query_row(query, [sample], |row| row.get(0))?;
    if old == new {
        return Ok(false);
    }
    transaction.execute("UPDATE sample SET class = ? WHERE id = ?", params![new, sample])?;
    transaction.execute(
        "INSERT INTO change (batch, sample, old, new) VALUES (?, ?, ?, ?)",
        params![batch.0, sample, old, new],
    )?;
    Ok(true)
}
