//! Two stores made one.

use std::collections::HashSet;

use super::error::SampleStoreError;
use super::features::Features;
use super::log::Batch;
use super::open::SampleStore;
use super::samples::NewSample;

/// Photos that are copied in one transaction.
const CHUNK: usize = 32;

/// What came of a merge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Samples that are new here.
    pub new: usize,
    /// Samples that were here, under the same name.
    pub known: usize,
    /// Samples that are of another class here, and stay so: number here, name here, name there.
    pub conflicts: Vec<(i64, String, String)>,
    /// Samples there whose photo cannot be read.
    pub damaged: Vec<i64>,
}

impl SampleStore {
    /// Copies the samples of another store with their features. What is here stays as it is: of a photo that is of another class
    /// there, ours holds. All of it is undone at once; if it is interrupted, what was copied is there, and it can be called again.
    ///
    /// # Errors
    /// [`SampleStoreError`] of this store or of the other one.
    pub fn merge(&mut self, other: &Self) -> Result<Merged, SampleStoreError> {
        let here = self.samples()?;
        let known: std::collections::HashMap<_, _> = here.iter().map(|sample| (sample.sha256, sample)).collect();
        let mut merged = Merged::default();
        let mut new = Vec::new();
        for sample in other.samples()? {
            match known.get(&sample.sha256) {
                None => new.push(sample),
                Some(same) if same.class == sample.class => merged.known += 1,
                Some(same) => merged.conflicts.push((same.id, same.class.clone(), sample.class)),
            }
        }
        let trunks = other.trunks()?;
        let mut batch: Option<Batch> = None;
        for chunk in new.chunks(CHUNK) {
            let mut photos = Vec::with_capacity(CHUNK);
            for sample in chunk {
                match other.photo(sample.id) {
                    Ok(photo) => photos.push((sample, photo)),
                    Err(SampleStoreError::DamagedPhoto { .. } | SampleStoreError::Damaged { .. }) => {
                        merged.damaged.push(sample.id);
                    }
                    Err(error) => return Err(error),
                }
            }
            let samples: Vec<NewSample<'_>> = photos
                .iter()
                .map(|(sample, photo)| NewSample {
                    photo,
                    class: &sample.class,
                    source: &sample.source,
                    time: sample.time,
                    features: None,
                })
                .collect();
            let lessons = self.teach(&samples, &format!("merge {}", other.path().display()), batch, None)?;
            batch = Some(lessons.batch);
            merged.new += lessons.taught.len();
        }
        // By trunk, so that only the features of one are in memory.
        let ids: std::collections::HashMap<_, _> =
            self.samples()?.into_iter().map(|sample| (sample.sha256, sample.id)).collect();
        let wanted: HashSet<i64> = new.iter().map(|sample| sample.id).collect();
        let there: std::collections::HashMap<_, _> = new.iter().map(|sample| (sample.id, sample.sha256)).collect();
        for (trunk, feature_dim) in trunks {
            // What cannot be read is made anew.
            let Ok(featured) = other.features(trunk, feature_dim) else { continue };
            let rows = featured.ids.iter().zip(featured.rows.chunks_exact(feature_dim.max(1)));
            let features: Vec<_> = rows
                .filter(|(id, _)| wanted.contains(id))
                .filter_map(|(id, numbers)| Some((*ids.get(&there[id])?, Features { trunk, numbers })))
                .collect();
            for chunk in features.chunks(CHUNK) {
                self.put_features(chunk)?;
            }
        }
        Ok(merged)
    }

    /// Trunks of which there are features: fingerprint and `feature_dim`.
    fn trunks(&self) -> Result<Vec<([u8; 32], usize)>, SampleStoreError> {
        let read = || {
            let mut query = self.db.prepare("SELECT fingerprint, feature_dim FROM trunk ORDER BY id")?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as usize)))?;
            rows.collect()
        };
        self.sql(read())
    }
}
