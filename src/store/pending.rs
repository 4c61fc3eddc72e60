//! Frames that wait for a label.

use std::time::SystemTime;

use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::error::SampleStoreError;
use super::features::{Features, to_bytes, trunk_id};
use super::log::{new_batch, set_class};
use super::open::{Failed, SampleStore, milliseconds, time};
use super::samples::class_id;

/// A frame that the head was not sure of.
#[derive(Clone, Copy, Debug)]
pub struct NewPending<'a> {
    /// Bytes of the photo's file.
    pub photo: &'a [u8],
    /// Where it comes from.
    pub source: &'a str,
    /// When it was taken.
    pub time: SystemTime,
    /// The class that the head took it for,
    pub guess: &'a str,
    /// and how probable that was, 0..=1.
    pub probability: f32,
    /// What the trunk made of it.
    pub features: Features<'a>,
}

/// A frame that waits, without its photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// Its number.
    pub id: i64,
    /// Where it comes from.
    pub source: String,
    /// When it was taken.
    pub time: SystemTime,
    /// The class that the head took it for,
    pub guess: String,
    /// and how probable that was, 0..=1.
    pub probability: f32,
}

impl SampleStore {
    /// Keeps a frame until somebody says what it shows. Of more than `most` the oldest go; a photo that is there already, here or
    /// as a sample, is not kept twice. Returns its number if it was kept.
    ///
    /// # Errors
    /// [`SampleStoreError`].
    pub fn keep_pending(&mut self, frame: &NewPending<'_>, most: usize) -> Result<Option<i64>, SampleStoreError> {
        let sha256: [u8; 32] = Sha256::digest(frame.photo).into();
        self.write(|transaction| {
            let known = "SELECT 1 FROM sample WHERE sha256 = ?1 UNION SELECT 1 FROM pending WHERE sha256 = ?1";
            if most == 0 || transaction.query_row(known, [&sha256], |_| Ok(())).optional()?.is_some() {
                return Ok(None);
            }
            let trunk = trunk_id(transaction, &frame.features)?;
            transaction.execute(
                "INSERT INTO pending (sha256, source, time, guess, probability, trunk, numbers, photo)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                params![
                    &sha256,
                    frame.source,
                    milliseconds(frame.time),
                    frame.guess,
                    f64::from(frame.probability),
                    trunk,
                    to_bytes(frame.features.numbers),
                    frame.photo
                ],
            )?;
            let id = transaction.last_insert_rowid();
            let oldest = "DELETE FROM pending WHERE id NOT IN (SELECT id FROM pending ORDER BY id DESC LIMIT ?)";
            transaction.execute(oldest, [most as i64])?;
            Ok(Some(id))
        })
    }

    /// Frames that wait, the oldest first.
    ///
    /// # Errors
    /// [`SampleStoreError`].
    pub fn pending(&self) -> Result<Vec<Pending>, SampleStoreError> {
        let read = || {
            let mut query = self.db.prepare("SELECT id, source, time, guess, probability FROM pending ORDER BY id")?;
            let rows = query.query_map([], |row| {
                Ok(Pending {
                    id: row.get(0)?,
                    source: row.get(1)?,
                    time: time(row.get(2)?),
                    guess: row.get(3)?,
                    probability: row.get::<_, f64>(4)? as f32,
                })
            })?;
            rows.collect()
        };
        self.sql(read())
    }

    /// `[n, feature_dim]` row-major: what the trunk made of the frames that wait, the oldest first.
    ///
    /// # Errors
    /// [`SampleStoreError`].
    pub fn pending_features(&self, trunk: [u8; 32], feature_dim: usize) -> Result<Vec<f32>, SampleStoreError> {
        let read = || {
            let mut query = self.db.prepare(
                "SELECT numbers FROM pending JOIN trunk ON trunk.id = trunk WHERE fingerprint = ?
                 AND length(numbers) = ? ORDER BY pending.id",
            )?;
            let mut rows = query.query(params![&trunk, 4 * feature_dim as i64])?;
            let mut numbers = Vec::new();
            while let Some(row) = rows.next()? {
                let (row, _) = row.get_ref(0)?.as_blob()?.as_chunks();
                numbers.extend(row.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            }
            Ok(numbers)
        };
        self.sql(read())
    }

    /// Bytes of the photo of a frame that waits.
    ///
    /// # Errors
    /// [`SampleStoreError::NoPending`], [`SampleStoreError::DamagedPhoto`], or what failed.
    pub fn pending_photo(&self, id: i64) -> Result<Vec<u8>, SampleStoreError> {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, Vec<u8>>(1)?));
        let found = self.db.query_row("SELECT sha256, photo FROM pending WHERE id = ?", [id], read);
        let (sha256, photo) = self.sql(found.optional())?.ok_or(SampleStoreError::NoPending { id })?;
        match sha256 == <[u8; 32]>::from(Sha256::digest(&photo)) {
            true => Ok(photo),
            false => Err(SampleStoreError::DamagedPhoto { id }),
        }
    }

    /// Says what frames that wait show: they become samples of that class, whose features are to be made of the photo, as those of any
    /// sample are. Returns the samples' numbers.
    ///
    /// # Errors
    /// [`SampleStoreError`]; then none did.
    pub fn label_pending(&mut self, ids: &[i64], class: &str) -> Result<Vec<i64>, SampleStoreError> {
        // A damaged one shall be no sample.
        ids.iter().try_for_each(|id| self.pending_photo(*id).map(drop))?;
        self.change(|transaction| {
            let class_id = class_id(transaction, class)?;
            let batch = new_batch(transaction, &format!("teach {class}"), None)?;
            let label = |id: &i64| -> Result<i64, Failed> {
                let missing = || SampleStoreError::NoPending { id: *id };
                // A removed sample may have the same photo.
                let moved = transaction.execute(
                    "INSERT OR IGNORE INTO sample (sha256, source, time, bytes)
                     SELECT sha256, source, time, length(photo) FROM pending WHERE id = ?",
                    [id],
                )?;
                let sample = "SELECT sample.id FROM sample JOIN pending USING (sha256) WHERE pending.id = ?";
                let sample = transaction.query_row(sample, [id], |row| row.get::<_, i64>(0)).optional()?;
                let sample = sample.ok_or_else(missing)?;
                if moved > 0 {
                    let photo = "INSERT INTO photo SELECT ?, photo FROM pending WHERE id = ?";
                    transaction.execute(photo, [sample, *id])?;
                }
                transaction.execute("DELETE FROM pending WHERE id = ?", [id])?;
                set_class(transaction, batch, sample, Some(class_id))?;
                Ok(sample)
            };
            ids.iter().map(label).collect()
        })
    }

    /// Throws away frames that wait.
    ///
    /// # Errors
    /// [`SampleStoreError`]; then none was.
    pub fn drop_pending(&mut self, ids: &[i64]) -> Result<(), SampleStoreError> {
        self.write(|transaction| {
            for id in ids {
                if transaction.execute("DELETE FROM pending WHERE id = ?", [id])? == 0 {
                    return Err(SampleStoreError::NoPending { id: *id }.into());
                }
            }
            Ok(())
        })
    }
}
