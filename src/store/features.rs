//! Features of the samples, so that the trunk runs once on each.

use rusqlite::{OptionalExtension, Transaction, params};

use super::error::SampleStoreError;
use super::open::{Failed, SampleStore};

/// What a trunk made of a photo.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a> {
    /// Fingerprint of the trunk.
    pub trunk: [u8; 32],
    /// `[feature_dim]`
    pub numbers: &'a [f32],
}

/// Samples with the features that a trunk made of them, sorted by class and number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Featured {
    /// `[n_samples]`, their numbers,
    pub ids: Vec<i64>,
    /// and the names of their classes.
    pub classes: Vec<String>,
    /// `[n_samples, feature_dim]`, row-major.
    pub rows: Vec<f32>,
    /// Samples whose features are not those that were put in, by their checksum, or no numbers.
    pub damaged: Vec<i64>,
}

impl SampleStore {
    /// Keeps features of samples; those of samples that are gone by now are passed over.
    ///
    /// # Errors
    /// [`SampleStoreError`]; then none were kept.
    pub fn put_features(&mut self, features: &[(i64, Features<'_>)]) -> Result<(), SampleStoreError> {
        self.write(|transaction| {
            for (id, features) in features {
                let is_there = "SELECT 1 FROM sample WHERE id = ?";
                if transaction.query_row(is_there, [id], |_| Ok(())).optional()?.is_some() {
                    put(transaction, *id, features)?;
                }
            }
            Ok(())
        })
    }

    /// All samples with what the trunk of that fingerprint made of them.
    ///
    /// # Errors
    /// [`SampleStoreError`].
    pub fn features(&self, trunk: [u8; 32], feature_dim: usize) -> Result<Featured, SampleStoreError> {
        let read = || {
            let mut query = self.db.prepare(
                "SELECT sample.id, name, crc, numbers FROM trunk JOIN feature ON feature.trunk = trunk.id
                 JOIN sample ON sample.id = feature.sample JOIN class ON class.id = sample.class
                 WHERE fingerprint = ? ORDER BY name, sample.id",
            )?;
            let mut rows = query.query([&trunk])?;
            let mut featured = Featured::default();
            while let Some(row) = rows.next()? {
                let id = row.get(0)?;
                match sound(row.get(2)?, row.get_ref(3)?.as_blob()?, Some(feature_dim)) {
                    None => featured.damaged.push(id),
                    Some(numbers) => {
                        featured.ids.push(id);
                        featured.classes.push(row.get(1)?);
                        featured.rows.extend(numbers);
                    }
                }
            }
            Ok(featured)
        };
        self.sql(read())
    }

    /// Samples that have no features of that trunk, the oldest first.
    ///
    /// # Errors
    /// [`SampleStoreError`].
    pub fn without_features(&self, trunk: [u8; 32]) -> Result<Vec<i64>, SampleStoreError> {
        let read = || {
            let mut query = self.db.prepare(
                "SELECT id FROM sample WHERE class IS NOT NULL AND NOT EXISTS
                 (SELECT 1 FROM feature JOIN trunk ON trunk.id = trunk WHERE sample = sample.id AND fingerprint = ?)
                 ORDER BY id",
            )?;
            query.query_map([&trunk], |row| row.get(0))?.collect()
        };
        self.sql(read())
    }

    /// Throws features of samples away, as they are damaged: they count as not made then.
    ///
    /// # Errors
    /// [`SampleStoreError`]; then none was.
    pub fn drop_features(&mut self, trunk: [u8; 32], ids: &[i64]) -> Result<(), SampleStoreError> {
        self.write(|transaction| {
            for id in ids {
                transaction.execute(
                    "DELETE FROM feature WHERE sample = ? AND trunk = (SELECT id FROM trunk WHERE fingerprint = ?)",
                    params![id, &trunk],
                )?;
            }
            Ok(())
        })
    }

    /// The samples that have features of that trunk, with the names of their classes, sorted by class and number; without reading
    /// the features.
    ///
    /// # Errors
    /// [`SampleStoreError`].
    pub fn featured(&self, trunk: [u8; 32]) -> Result<Vec<(i64, String)>, SampleStoreError> {
        let read = || {
            let mut query = self.db.prepare(
                "SELECT sample.id, name FROM trunk JOIN feature ON feature.trunk = trunk.id
                 JOIN sample ON sample.id = feature.sample JOIN class ON class.id = sample.class
                 WHERE fingerprint = ? ORDER BY name, sample.id",
            )?;
            let rows = query.query_map([&trunk], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        self.sql(read())
    }

    /// `[feature_dim]`: what the trunk made of one sample; `None` if it has not, or if that is damaged.
    ///
    /// # Errors
    /// [`SampleStoreError`].
    pub fn features_of(&self, trunk: [u8; 32], id: i64) -> Result<Option<Vec<f32>>, SampleStoreError> {
        let query = "SELECT crc, numbers FROM trunk JOIN feature ON feature.trunk = trunk.id
                     WHERE fingerprint = ? AND sample = ?";
        let read = |row: &rusqlite::Row<'_>| Ok(sound(row.get(0)?, row.get_ref(1)?.as_blob()?, None));
        let found = self.sql(self.db.query_row(query, params![&trunk, id], read).optional())?;
        Ok(found.flatten())
    }
}

/// The numbers, if they are as they were put in, and as many.
fn sound(crc: i64, bytes: &[u8], feature_dim: Option<usize>) -> Option<Vec<f32>> {
    let is_whole = feature_dim.is_none_or(|dim| bytes.len() == 4 * dim) && crc == i64::from(crc32fast::hash(bytes));
    let (chunks, _) = bytes.as_chunks();
    let numbers: Vec<f32> = chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    (is_whole && numbers.iter().all(|number| number.is_finite())).then_some(numbers)
}

/// Keeps them, in place of earlier ones.
pub(super) fn put(transaction: &Transaction<'_>, sample: i64, features: &Features<'_>) -> Result<(), Failed> {
    let trunk = trunk_id(transaction, features)?;
    let numbers = to_bytes(features.numbers);
    transaction.execute(
        "INSERT OR REPLACE INTO feature (trunk, sample, crc, numbers) VALUES (?, ?, ?, ?)",
        params![trunk, sample, crc32fast::hash(&numbers), numbers],
    )?;
    Ok(())
}

/// The trunk that made them; it always gives as many numbers.
pub(super) fn trunk_id(transaction: &Transaction<'_>, features: &Features<'_>) -> Result<i64, Failed> {
    let got = features.numbers.len();
    transaction.execute(
        "INSERT OR IGNORE INTO trunk (fingerprint, feature_dim) VALUES (?, ?)",
        params![&features.trunk, got as i64],
    )?;
    let query = "SELECT id, feature_dim FROM trunk WHERE fingerprint = ?";
    let (id, wanted) =
        transaction.query_row(query, [&features.trunk], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as usize)))?;
    match wanted == got {
        true => Ok(id),
        false => Err(SampleStoreError::FeatureDim { wanted, got }.into()),
    }
}

pub(super) fn to_bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}
