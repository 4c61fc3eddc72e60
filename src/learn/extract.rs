//! Photos -> features, on all cores, in bounded memory.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

use image::RgbImage;
use ndarray::{Array2, Axis};
use rayon::prelude::*;
use topgraft_core::preprocess::Preprocess;

use super::cache::FeatureCache;
use super::dataset::{Dataset, Sample};
use super::random::SplitMix64;
use super::rows::Rows;
use crate::trunk::{RunError, Taps, Trunk};
use crate::vision::{self, Augment, InputTensor, OpenError, Preprocessor};

/// Bytes that photos may take up at the same time while they are decoded.
const PHOTO_MEMORY: u64 = 192 << 20;

/// Why a photo has no features.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The photo cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The trunk failed on it.
    #[error("{}: {source}", path.display())]
    Run {
        /// The photo.
        path: PathBuf,
        /// What failed.
        source: RunError,
    },
}

/// Features `[feature_dim]` of each photo, in the order of `paths`, or why there are none. One photo a thread; `done` is
/// called after each, from any thread.
pub fn extract(
    trunk: &Trunk,
    paths: &[impl AsRef<Path> + Sync],
    done: impl Fn() + Sync,
) -> Vec<Result<Vec<f32>, ExtractError>> {
    for_each_photo(trunk.preprocess(), paths, done, |input| trunk.features(input))
}

/// What `run` makes of each photo's input tensor; otherwise as [`extract`].
///
/// # Panics
/// If the preprocessing is out of range, which that of a trunk is not.
pub fn for_each_photo<T: Send>(
    preprocess: &Preprocess,
    paths: &[impl AsRef<Path> + Sync],
    done: impl Fn() + Sync,
    run: impl Fn(InputTensor) -> Result<T, RunError> + Sync,
) -> Vec<Result<T, ExtractError>> {
    let inputs = |preprocessor: &mut Preprocessor, _, photo: &RgbImage| vec![preprocessor.apply(photo)];
    for_each_image(preprocess, paths, done, inputs, |mut inputs| run(inputs.swap_remove(0)))
}

/// Photo -> input tensors -> what `run` makes of them. Only the first step, which is given the photo's place among the paths,
/// has the photo in memory.
fn for_each_image<T: Send>(
    preprocess: &Preprocess,
    paths: &[impl AsRef<Path> + Sync],
    done: impl Fn() + Sync,
    inputs: impl Fn(&mut Preprocessor, usize, &RgbImage) -> Vec<InputTensor> + Sync,
    run: impl Fn(Vec<InputTensor>) -> Result<T, RunError> + Sync,
) -> Vec<Result<T, ExtractError>> {
    let budget = Budget::new(PHOTO_MEMORY);
    let result = |preprocessor: &mut Preprocessor, at: usize, path: &Path| {
        let inputs = {
            let bytes = match path.is_file() {
                true => vision::decoding_memory(path)?,
                // A pipe can be read only once: suppose the worst.
                false => PHOTO_MEMORY,
            };
            let _share = budget.take(bytes);
            inputs(preprocessor, at, &vision::open(path)?)
        };
        run(inputs).map_err(|source| ExtractError::Run { path: path.to_path_buf(), source })
    };
    let preprocessor = || Preprocessor::new(preprocess).expect("a trunk has checked its preprocessing");
    paths
        .par_iter()
        .enumerate()
        .map_init(preprocessor, |preprocessor, (at, path)| {
            let result = result(preprocessor, at, path.as_ref());
            done();
            result
        })
        .collect()
}

/// Further views of each photo, to learn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Views {
    /// What is changed in them.
    pub augment: Augment,
    /// How many of each photo there are with itself, at least 1.
    pub per_photo: usize,
    /// The same seed gives the same views.
    pub seed: u64,
}

/// As [`extract`], the features `[per_photo * feature_dim]` of each photo being those of itself and of its further views.
fn extract_views(
    trunk: &Trunk,
    paths: &[&Path],
    views: Views,
    done: impl Fn() + Sync,
) -> Vec<Result<Vec<f32>, ExtractError>> {
    let inputs = |preprocessor: &mut Preprocessor, at: usize, photo: &RgbImage| {
        let mut random = SplitMix64(views.seed ^ (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let further = (1..views.per_photo).map(|_| views.augment.apply(photo, &mut || random.unit().into()));
        let mut inputs = vec![preprocessor.apply(photo)];
        inputs.extend(further.map(|view| preprocessor.apply(&view)));
        inputs
    };
    for_each_image(trunk.preprocess(), paths, done, inputs, |inputs| {
        let features = inputs.into_iter().map(|input| trunk.features(input)).collect::<Result<Vec<_>, _>>()?;
        Ok(features.concat())
    })
}

/// Photos whose features are kept together: what a crash can lose.
const BATCH: usize = 256;

/// As [`extract`], but takes from the cache what it knows, and keeps there what it does not. That they cannot be kept is no
/// reason to stop: what is left of it then is in the cache's memory.
fn extract_unless_known(
    trunk: &Trunk,
    paths: &[&Path],
    cache: Option<&mut FeatureCache>,
    done: impl Fn() + Sync,
) -> Vec<Result<Vec<f32>, ExtractError>> {
    let Some(cache) = cache else { return extract(trunk, paths, done) };
    let mut rows = Vec::with_capacity(paths.len());
    for paths in paths.chunks(BATCH) {
        // A photo that cannot be read has no key, why is found out below; nor has a pipe, which can be read only once.
        let key = |path: &&Path| path.is_file().then(|| FeatureCache::key(path).ok()).flatten();
        let keys: Vec<_> = paths.par_iter().map(key).collect();
        let known: Vec<_> =
            keys.iter().map(|key| key.as_ref().and_then(|key| cache.get(key)).map(<[f32]>::to_vec)).collect();
        let new: Vec<&Path> =
            paths.iter().zip(&known).filter(|(_, row)| row.is_none()).map(|(path, _)| *path).collect();
        let mut new = extract(trunk, &new, &done).into_iter();
        for (key, known) in keys.into_iter().zip(known) {
            let row = match known {
                Some(row) => {
                    done();
                    Ok(row)
                }
                None => new.next().expect("one for each photo that is not known"),
            };
            if let (Some(key), Ok(row)) = (key, &row)
                && cache.get(&key).is_none()
            {
                cache.put(key, row);
            }
            rows.push(row);
        }
        let _ = cache.save();
    }
    rows
}

/// Features of a dataset's photos, and the photos that have none.
#[derive(Debug)]
pub struct Extracted {
    /// The photos that could be read.
    pub dataset: Dataset,
    /// `[n_samples, feature_dim]`, a row for each sample of `dataset`.
    pub features: Array2<f32>,
    /// `[n_samples * (per_photo - 1), feature_dim]`: of the further views of the first sample, then of those of the next ...
    pub views: Array2<f32>,
    /// The photos that could not, and why.
    pub skipped: Vec<(Sample, ExtractError)>,
}

impl Extracted {
    /// [`extract`]s the features of a dataset; a photo that cannot be read is skipped.
    pub fn new(trunk: &Trunk, dataset: &Dataset, done: impl Fn() + Sync) -> Self {
        Self::with_spares(trunk, dataset, Vec::new(), None, done)
    }

    /// As [`new`](Self::new), and for each photo that is skipped the next readable one of its class's `spares`
    /// ([`Dataset::shots_and_spares`]) takes its place, as long as there are any. Samples come out sorted by class and path.
    /// The trunk does not run on photos that the cache knows.
    pub fn with_spares(
        trunk: &Trunk,
        dataset: &Dataset,
        spares: Vec<Vec<Sample>>,
        mut cache: Option<&mut FeatureCache>,
        done: impl Fn() + Sync,
    ) -> Self {
        Self::collect(
            dataset,
            spares,
            trunk.feature_dim(),
            |sample| sample.path.clone(),
            |paths| extract_unless_known(trunk, paths, cache.as_deref_mut(), &done),
        )
    }

    /// As [`with_spares`](Self::with_spares), with further views of each photo.
    pub fn with_views(
        trunk: &Trunk,
        dataset: &Dataset,
        spares: Vec<Vec<Sample>>,
        views: Views,
        done: impl Fn() + Sync,
    ) -> Self {
        let feature_dim = trunk.feature_dim();
        let width = views.per_photo * feature_dim;
        let mut extracted = Self::collect(
            dataset,
            spares,
            width,
            |sample| sample.path.clone(),
            |paths| extract_views(trunk, paths, views, &done),
        );
        let all = extracted.features;
        let columns = |from: usize, to: usize| all.slice_axis(Axis(1), (from..to).into());
        extracted.features = columns(0, feature_dim).to_owned();
        let further = columns(feature_dim, all.ncols()).iter().copied().collect();
        let shape = (all.nrows() * (views.per_photo - 1), feature_dim);
        extracted.views = Array2::from_shape_vec(shape, further).expect("that many views");
        extracted
    }

    /// As [`new`](Self::new), with the features of all taps in a row.
    pub fn of_taps(taps: &Taps, dataset: &Dataset, done: impl Fn() + Sync) -> Self {
        Self::collect(
            dataset,
            Vec::new(),
            taps.feature_dim(),
            |sample| sample.path.clone(),
            |paths| for_each_photo(taps.preprocess(), paths, &done, |input| taps.features(input)),
        )
    }

    /// As [`with_spares`](Self::with_spares), of rows and not of photos, on a trunk that takes such.
    ///
    /// # Panics
    /// If a sample of `dataset` or of `spares` is not one of `rows`.
    pub fn of_rows(trunk: &Trunk, rows: &Rows, dataset: &Dataset, spares: Vec<Vec<Sample>>) -> Self {
        let index = rows.index();
        let features = |path: &&Path| {
            let row = rows.values.row(index[path]);
            let features = trunk.row_features(row.as_slice().expect("standard layout"));
            features.map_err(|source| ExtractError::Run { path: path.to_path_buf(), source })
        };
        // As they stand in the file: by their places `x.csv:10` would come before `x.csv:2`.
        let place = |sample: &Sample| index[sample.path.as_path()];
        Self::collect(dataset, spares, trunk.feature_dim(), place, |paths| paths.par_iter().map(features).collect())
    }

    /// Samples come out sorted by class and `order`.
    fn collect<K: Ord>(
        dataset: &Dataset,
        spares: Vec<Vec<Sample>>,
        feature_dim: usize,
        order: impl Fn(&Sample) -> K,
        mut extract: impl FnMut(&[&Path]) -> Vec<Result<Vec<f32>, ExtractError>>,
    ) -> Self {
        let mut spares: Vec<_> = spares.into_iter().map(Vec::into_iter).collect();
        let (mut kept, mut skipped) = (Vec::new(), Vec::new());
        let mut samples = dataset.samples.clone();
        while !samples.is_empty() {
            let paths: Vec<&Path> = samples.iter().map(|sample| sample.path.as_path()).collect();
            let results = extract(&paths);
            for (sample, result) in std::mem::take(&mut samples).into_iter().zip(results) {
                match result {
                    Ok(features) => kept.push((sample, features)),
                    Err(error) => {
                        samples.extend(spares.get_mut(usize::from(sample.label)).and_then(Iterator::next));
                        skipped.push((sample, error));
                    }
                }
            }
        }
        kept.sort_by_cached_key(|(sample, _)| (sample.label, order(sample)));
        let (samples, rows): (Vec<_>, Vec<_>) = kept.into_iter().unzip();
        let shape = (samples.len(), feature_dim);
        let features = Array2::from_shape_vec(shape, rows.concat()).expect("a row of feature_dim for each photo kept");
        let views = Array2::zeros((0, feature_dim));
        Self { dataset: Dataset { classes: dataset.classes.clone(), samples }, features, views, skipped }
    }

    /// The first photo's error, if the trunk failed on every photo: the fault is then not the photos'.
    ///
    /// # Errors
    /// [`ExtractError::Run`].
    pub fn check_trunk(&mut self) -> Result<(), ExtractError> {
        let failed = self.skipped.iter().all(|(_, error)| matches!(error, ExtractError::Run { .. }));
        match failed && self.dataset.samples.is_empty() && !self.skipped.is_empty() {
            true => Err(self.skipped.swap_remove(0).1),
            false => Ok(()),
        }
    }

    /// Views of each photo that there are, with itself.
    pub fn views_per_photo(&self) -> usize {
        1 + self.views.nrows() / self.features.nrows().max(1)
    }

    /// Label of each row.
    pub fn labels(&self) -> Vec<u16> {
        self.dataset.samples.iter().map(|sample| sample.label).collect()
    }
}

/// Bytes that threads share: who wants more than is left waits.
struct Budget {
    total: u64,
    left: Mutex<u64>,
    returned: Condvar,
}

/// Bytes on loan, returned when dropped.
struct Share<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Budget {
    fn new(total: u64) -> Self {
        Self { total, left: Mutex::new(total), returned: Condvar::new() }
    }

    /// Waits until `bytes` are left. Who wants more than there is at all gets all, alone.
    fn take(&self, bytes: u64) -> Share<'_> {
        let bytes = bytes.min(self.total);
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = self.returned.wait_while(left, |left| *left < bytes).unwrap_or_else(PoisonError::into_inner);
        *left -= bytes;
        Share { budget: self, bytes }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.budget.left.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.budget.returned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn shares_never_add_up_to_more_than_the_budget() {
        let budget = Budget::new(100);
        let (in_use, peak) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (budget, in_use, peak) = (&budget, &in_use, &peak);
                scope.spawn(move || {
                    for turn in 0..200 {
                        let bytes = (thread * 31 + turn * 17) % 150;
                        let share = budget.take(bytes);
                        let now = in_use.fetch_add(share.bytes, Ordering::SeqCst) + share.bytes;
                        peak.fetch_max(now, Ordering::SeqCst);
                        in_use.fetch_sub(share.bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(peak.into_inner() <= 100);
        assert_eq!(*budget.left.lock().expect("sound"), 100);
    }
}
