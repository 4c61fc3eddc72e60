//! Teaching on the device: samples in a store, and a head that follows them at once.

mod follow;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rayon::prelude::*;
use topgraft_core::format::Calibration;
use topgraft_core::head::Kind;
use topgraft_core::kernel::Kernels;
use topgraft_core::scaler::Scaler;
use topgraft_core::solver::FitError;

use super::evaluation::Evaluation;
use super::model::Model;
use super::online_head::OnlineHead;
use super::settle::{Settled, Snapshot};
use crate::store::{Batch, Features, Limits, MadeRoom, NewSample, SampleStore, SampleStoreError, Taught, Undone};
use crate::trunk::{RunError, Trunk};
use crate::vision::{self, DecodeError, Preprocessor};

/// A revision that no store has.
const STALE: i64 = -1;
/// Photos whose features are made before they are kept.
const BATCH: usize = 16;

/// Why something was not taught. The store and the head are as they were.
#[derive(Debug, thiserror::Error)]
pub enum TeachError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] SampleStoreError),
    /// The photo cannot be read.
    #[error("the photo cannot be taught: {0}")]
    Decode(#[from] DecodeError),
    /// The trunk failed on it.
    #[error("the photo cannot be taught: {0}")]
    Run(#[from] RunError),
    /// The head cannot be fitted.
    #[error("the head cannot be fitted: {0}")]
    Fit(#[from] FitError),
    /// The head does not fit the format of head files.
    #[error("the head file cannot be kept: {0}")]
    Emit(#[from] topgraft_core::format::EmitError),
}

impl TeachError {
    /// Whether the machine failed, and not what was asked for.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Store(error) => error.is_failure(),
            other => matches!(other, Self::Run(_)),
        }
    }
}

/// What came of a photo that was taught.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// Whether it is new.
    pub taught: Taught,
    /// What it is undone with.
    pub batch: Batch,
    /// What had to go for it.
    pub made_room: MadeRoom,
    /// Time of decoding and of the trunk, where they were part of it,
    pub trunk_time: Duration,
    /// until it was on the disk,
    pub store_time: Duration,
    /// and until the head knew it.
    pub fit_time: Duration,
}

/// What [`Teacher::extract`] has done.
#[derive(Debug)]
pub struct Extraction {
    /// Samples that have features now.
    pub made: usize,
    /// Samples that have none yet.
    pub left: usize,
    /// Whether the head knows those that were made, as it does once none is left.
    pub followed: bool,
    /// Samples whose photo cannot be used, with the reason: they are not tried again.
    pub bad: Vec<(i64, TeachError)>,
}

/// What the last measured head has chosen: later ones use it until the next is measured.
#[derive(Clone, Debug, Default)]
struct Basis {
    l2: Option<f32>,
    calibration: Option<Calibration>,
    /// Scale, threshold, rate.
    rejection: Option<[f32; 3]>,
}

impl Basis {
    fn of(model: &Model) -> Self {
        let rejection = model.rejection.as_ref().map(|r| [r.scale, r.threshold, r.rate]);
        Self { l2: (model.kind == Kind::Softmax).then_some(model.l2), calibration: model.calibration, rejection }
    }
}

/// A store, the trunk for its photos, and the head of the samples in it. Each call that changes the samples has a head that knows it
/// when it returns: softmax regression, with the penalty that was chosen last, a few steps from the optimum, which
/// [`polish`](Self::polish) goes to. [`snapshot`](Self::snapshot), [`settle`] and
/// [`settled`](Self::settled) choose it anew, and measure.
///
/// [`settle`]: super::settle()
pub struct Teacher {
    store: SampleStore,
    trunk: Arc<Trunk>,
    preprocessor: Preprocessor,
    limits: Limits,
    /// Revision of the store that the head is of.
    revision: i64,
    /// `None` while there are fewer than two classes, or more samples than it takes.
    online: Option<OnlineHead>,
    /// Whether the head is a few steps from its optimum.
    is_rough: bool,
    basis: Basis,
    model: Option<Arc<Model>>,
    /// What was measured last, at which revision.
    evaluation: Option<(i64, Arc<Evaluation>)>,
    /// Samples whose photo gives no features.
    unreadable: HashSet<i64>,
}

impl Teacher {
    /// Takes over a store; the head is that of the samples whose features are known. [`extract`](Self::extract) makes those that are
    /// missing.
    ///
    /// # Errors
    /// [`TeachError`].
    ///
    /// # Panics
    /// If the trunk takes no photos.
    pub fn new(store: SampleStore, trunk: Arc<Trunk>, limits: Limits) -> Result<Self, TeachError> {
        let preprocessor = Preprocessor::new(trunk.preprocess()).expect("a trunk has checked its preprocessing");
        let latest = store.latest_head()?.and_then(|(_, file)| Model::parse(&file).ok());
        let latest = latest.filter(|model| model.fingerprint == trunk.fingerprint());
        let basis = latest.as_ref().map(Basis::of).unwrap_or_default();
        let (online, is_rough, model, evaluation, unreadable) = (None, false, None, None, HashSet::new());
        let mut teacher = Self {
            store,
            trunk,
            preprocessor,
            limits,
            revision: STALE,
            online,
            is_rough,
            basis,
            model,
            evaluation,
            unreadable,
        };
        teacher.rebuild()?;
        Ok(teacher)
    }

    /// Revision of the store that the head is of.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The store.
    pub fn store(&self) -> &SampleStore {
        &self.store
    }

    /// How much the store may hold.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The store, for what does not concern the samples; what does is seen by [`refresh`](Self::refresh).
    pub fn store_mut(&mut self) -> &mut SampleStore {
        &mut self.store
    }

    /// The trunk.
    pub fn trunk(&self) -> &Arc<Trunk> {
        &self.trunk
    }

    /// The head of the samples as they are, unless they are of fewer than two classes.
    pub fn model(&self) -> Option<&Arc<Model>> {
        self.model.as_ref()
    }

    /// What the head of the samples as they are says of left-out ones, once it was measured ([`settled`](Self::settled)).
    pub fn evaluation(&self) -> Option<&Arc<Evaluation>> {
        self.evaluation.as_ref().filter(|(revision, _)| *revision == self.revision).map(|(_, evaluation)| evaluation)
    }

    /// The largest cosine between features `[feature_dim]` and those of a sample, -1..=1; `None` where the samples are not in memory.
    ///
    /// # Panics
    /// If the features are of another length.
    pub fn likest(&self, features: &[f32]) -> Option<f32> {
        let mut row = features.to_vec();
        Scaler::<Vec<f32>>::L2.apply(Kernels::detect(), &mut row);
        self.online.as_ref().map(|online| online.likest(&row))
    }

    /// Teaches what a photo shows. When this returns it is on the disk, and the head knows it. With `batch` it is undone together
    /// with what else is part of that.
    ///
    /// # Errors
    /// [`TeachError`]; then nothing was taught.
    pub fn teach(
        &mut self,
        class: &str,
        photo: &[u8],
        source: &str,
        time: SystemTime,
        batch: Option<Batch>,
    ) -> Result<Lesson, TeachError> {
        let start = Instant::now();
        let features = self.trunk.features(self.preprocessor.apply(&vision::decode(photo)?))?;
        let trunk_time = start.elapsed();
        let features = Some(Features { trunk: self.trunk.fingerprint(), numbers: &features });
        let lesson = self.teach_sample(&NewSample { photo, class, source, time, features }, batch)?;
        Ok(Lesson { trunk_time, ..lesson })
    }

    /// The same for a photo with the features that this trunk has made of it; without them the head knows it after
    /// [`extract`](Self::extract).
    ///
    /// # Errors
    /// [`TeachError`]; then nothing was taught.
    pub fn teach_sample(&mut self, sample: &NewSample<'_>, batch: Option<Batch>) -> Result<Lesson, TeachError> {
        let start = Instant::now();
        let lessons = self.store.teach(&[*sample], &format!("teach {}", sample.class), batch, Some(&self.limits))?;
        let taught = lessons.taught.into_iter().next().expect("one for each sample");
        let store_time = start.elapsed();
        let start = Instant::now();
        let known = sample.features.map(|features| (taught.id(), features.numbers));
        if self.follow(known).is_err() {
            // It is taught all the same. The next refresh tries again, and says what is wrong.
            self.revision = STALE;
        }
        let (batch, made_room) = (lessons.batch, lessons.made_room);
        let fit_time = start.elapsed();
        Ok(Lesson { taught, batch, made_room, trunk_time: Duration::ZERO, store_time, fit_time })
    }

    /// [`SampleStore::undo`], and the head of what is left.
    ///
    /// # Errors
    /// [`TeachError`].
    pub fn undo(&mut self) -> Result<Undone, TeachError> {
        let undone = self.store.undo()?;
        self.follow(None)?;
        Ok(undone)
    }

    /// [`SampleStore::relabel`], and the head of it.
    ///
    /// # Errors
    /// [`TeachError`].
    pub fn relabel(&mut self, ids: &[i64], class: &str) -> Result<(), TeachError> {
        self.store.relabel(ids, class)?;
        self.follow(None)
    }

    /// [`SampleStore::remove`], and the head of what is left.
    ///
    /// # Errors
    /// [`TeachError`].
    pub fn remove(&mut self, ids: &[i64]) -> Result<(), TeachError> {
        self.store.remove(ids)?;
        self.follow(None)
    }

    /// [`SampleStore::roll_back`], and the head of these samples; returns how many changed.
    ///
    /// # Errors
    /// [`TeachError`].
    pub fn roll_back(&mut self, version: i64) -> Result<usize, TeachError> {
        let changed = self.store.roll_back(version)?;
        // What was chosen for those samples suits them.
        if let Ok(model) = Model::parse(&self.store.head(version)?)
            && model.fingerprint == self.trunk.fingerprint()
        {
            self.basis = Basis::of(&model);
        }
        self.rebuild()?;
        Ok(changed)
    }

    /// Sees what others have changed in the store, another program or [`store_mut`](Self::store_mut); whether there was anything.
    ///
    /// # Errors
    /// [`TeachError`].
    pub fn refresh(&mut self) -> Result<bool, TeachError> {
        let changed = self.store.revision()? != self.revision;
        if changed {
            self.follow(None)?;
        }
        Ok(changed)
    }

    /// Samples that have no features of this trunk yet, as after another trunk was chosen; but for those whose photo cannot be used.
    ///
    /// # Errors
    /// [`TeachError`].
    pub fn missing(&self) -> Result<Vec<i64>, TeachError> {
        let mut missing = self.store.without_features(self.trunk.fingerprint())?;
        missing.retain(|id| !self.unreadable.contains(id));
        Ok(missing)
    }

    /// Makes features of a few of the samples that have none, and keeps them: what is done is done, whatever stops this. The head
    /// knows all when none is left.
    ///
    /// # Errors
    /// [`TeachError`].
    pub fn extract(&mut self) -> Result<Extraction, TeachError> {
        let mut missing = self.missing()?;
        let left = missing.split_off(missing.len().min(BATCH)).len();
        // A photo that is damaged, or gone meanwhile, is one sample's fault, anything else the store's.
        let photo = |id: &i64| match self.store.photo(*id) {
            Err(error) if error.is_failure() => Err(error),
            photo => Ok(photo),
        };
        let photos = missing.iter().map(photo).collect::<Result<Vec<_>, _>>()?;
        let (trunk, preprocess) = (&self.trunk, *self.trunk.preprocess());
        let features = |preprocessor: &mut Preprocessor, photo: Result<Vec<u8>, SampleStoreError>| {
            Ok(trunk.features(preprocessor.apply(&vision::decode(&photo?)?))?)
        };
        let preprocessor = || Preprocessor::new(&preprocess).expect("a trunk has checked its preprocessing");
        let rows: Vec<Result<Vec<f32>, TeachError>> = photos.into_par_iter().map_init(preprocessor, features).collect();
        let trunk = self.trunk.fingerprint();
        let good = missing.iter().zip(&rows).filter_map(|(id, row)| Some((*id, row.as_ref().ok()?)));
        let good: Vec<_> = good.map(|(id, numbers)| (id, Features { trunk, numbers })).collect();
        if !good.is_empty() {
            self.store.put_features(&good)?;
            // The head is to know them, too.
            self.revision = STALE;
        }
        let made = good.len();
        let bad = missing.into_iter().zip(rows).filter_map(|(id, row)| Some((id, row.err()?)));
        let bad: Vec<(i64, TeachError)> = bad.collect();
        self.unreadable.extend(bad.iter().map(|(id, _)| *id));
        let followed = left == 0 && self.revision == STALE;
        if followed {
            self.rebuild()?;
        }
        Ok(Extraction { made, left, followed, bad })
    }

    /// Whether [`polish`](Self::polish) has something to do.
    pub fn is_rough(&self) -> bool {
        self.is_rough
    }

    /// Goes all the way to the optimum, if the last change was followed only a few steps; whether it was.
    ///
    /// # Errors
    /// [`TeachError`].
    pub fn polish(&mut self) -> Result<bool, TeachError> {
        let was_rough = std::mem::take(&mut self.is_rough);
        if was_rough {
            self.refit(None)?;
        }
        Ok(was_rough)
    }

    /// The samples as they are, to [`settle`](super::settle()) them, perhaps on another thread.
    ///
    /// # Errors
    /// [`TeachError`].
    pub fn snapshot(&self) -> Result<Snapshot, TeachError> {
        let revision = self.store.revision()?;
        Ok(Snapshot::new(self.featured()?, revision))
    }

    /// Takes what was chosen for them. If they have not changed since, the head is this one, and the store keeps it as a new version,
    /// which is returned.
    ///
    /// # Errors
    /// [`TeachError`].
    pub fn settled(&mut self, settled: Settled) -> Result<Option<i64>, TeachError> {
        self.basis = Basis::of(&settled.model);
        let samples = settled.evaluation.n_samples() as usize;
        let file = settled.model.to_bytes()?;
        let version = self.store.save_head(&file, samples, settled.revision, self.limits.heads)?;
        match version {
            Some(_) if self.revision == settled.revision => {
                (self.is_rough, self.model) = (false, Some(Arc::new(settled.model)));
                self.evaluation = Some((self.revision, Arc::new(settled.evaluation)));
            }
            _ if self.online.is_some() => self.refit(None)?,
            _ => self.rebuild()?,
        }
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::online_head::MOST_SAMPLES;
    use crate::learn::settle::settle;
    use crate::vision::encode_jpeg;
    use image::{Rgb, RgbImage};

    /// A photo that is bright on one side, the class, and differs from all others.
    fn photo(class: usize, number: usize) -> Vec<u8> {
        let bright = |x: u32, y: u32| match class {
            0 => x < 24,
            1 => y < 24,
            _ => x >= 40,
        };
        let noise = |x: u32, y: u32| (x * 7 + y * 13 + number as u32 * 29) % 61;
        encode_jpeg(&RgbImage::from_fn(64, 64, |x, y| {
            let level = if bright(x, y) { 190 } else { 20 };
            Rgb([(level + noise(x, y)) as u8; 3])
        }))
    }

    const NAMES: [&str; 3] = ["left", "top", "right"];

    fn trunk() -> Arc<Trunk> {
        Arc::new(Trunk::pixels(8))
    }

    fn open(folder: &tempfile::TempDir) -> Teacher {
        let store = SampleStore::open_or_create(&folder.path().join("x.store")).expect("opens");
        Teacher::new(store, trunk(), Limits::default()).expect("opens")
    }

    fn teach(teacher: &mut Teacher, class: usize, number: usize) -> Lesson {
        teacher.teach(NAMES[class], &photo(class, number), "test", SystemTime::now(), None).expect("teaches")
    }

    fn class(teacher: &Teacher, class: usize, number: usize) -> String {
        let model = teacher.model().expect("a head");
        let trunk = teacher.trunk();
        let input = Preprocessor::new(trunk.preprocess())
            .expect("sound")
            .apply(&vision::decode(&photo(class, number)).expect("a photo"));
        let features = trunk.features(input).expect("runs");
        model.labels[usize::from(model.predict(Kernels::detect(), &features).expect("finite").class())].clone()
    }

    fn near(a: &Teacher, b: &Teacher) {
        let [a, b] = [a, b].map(|teacher| teacher.model().expect("a head").clone());
        assert_eq!((&a.labels, a.l2, &a.calibration), (&b.labels, b.l2, &b.calibration));
        let [a, b] = [&a, &b].map(|model| model.head.linear().expect("linear").parameters().to_vec());
        a.iter().zip(&b).for_each(|(a, b)| assert!((a - b).abs() < 3e-2, "{a} {b}"));
    }

    #[test]
    fn the_head_follows_every_photo() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut teacher = open(&folder);
        for number in 0..2 {
            teach(&mut teacher, 0, number);
            assert!(teacher.model().is_none(), "one class alone has no head");
        }
        teach(&mut teacher, 1, 0);
        assert_eq!(class(&teacher, 1, 9), "top");
        teach(&mut teacher, 2, 0);
        for number in 1..4 {
            (0..3).for_each(|class| drop(teach(&mut teacher, class, number)));
        }
        (0..3).for_each(|of| assert_eq!(class(&teacher, of, 20), NAMES[of]));
        // The same head as one that is made of the store at once.
        teacher.polish().expect("fits");
        assert!(!teacher.polish().expect("has nothing to do"));
        near(&teacher, &open(&folder));
        let before = teacher.model().expect("a head").clone();
        let wrong = teacher.teach("top", &photo(2, 7), "test", SystemTime::now(), None).expect("teaches");
        assert_ne!(teacher.model().expect("a head").head, before.head);
        teacher.relabel(&[wrong.taught.id()], "right").expect("relabels");
        teacher.polish().expect("fits");
        near(&teacher, &open(&folder));
        assert_eq!(teacher.undo().expect("undoes").what, "relabel 1 sample as right");
        assert_eq!(teacher.undo().expect("undoes").what, "teach top");
        teacher.polish().expect("fits");
        near(&teacher, &open(&folder));
        let ids: Vec<i64> =
            teacher.store().samples().expect("lists").iter().filter(|s| s.class == "right").map(|s| s.id).collect();
        teacher.remove(&ids).expect("removes");
        assert_eq!(teacher.model().expect("a head").labels, ["left", "top"]);
        let not_a_photo = teacher.teach("top", b"no photo", "test", SystemTime::now(), None);
        assert!(matches!(not_a_photo, Err(TeachError::Decode(_))));
    }

    #[test]
    fn a_measured_head_is_that_of_the_samples_whatever_the_way_to_them() {
        let folders = [0, 1].map(|_| tempfile::tempdir().expect("a folder"));
        let [mut straight, mut roundabout] = [0, 1].map(|at| open(&folders[at]));
        for number in 0..7 {
            (0..3).for_each(|class| drop(teach(&mut straight, class, number)));
        }
        assert!(!roundabout.snapshot().expect("reads").is_measurable());
        for number in 0..7 {
            (0..3).for_each(|class| drop(teach(&mut roundabout, class, number)));
            teach(&mut roundabout, number % 3, number + 30);
            roundabout.undo().expect("undoes");
            let snapshot = roundabout.snapshot().expect("reads");
            if snapshot.is_measurable() {
                let settled = settle(&snapshot, &trunk()).expect("fits");
                assert!(roundabout.settled(settled).expect("keeps").is_some());
            }
        }
        let settled = settle(&straight.snapshot().expect("reads"), &trunk()).expect("fits");
        assert!(settled.evaluation.accuracy() > 0.9);
        straight.settled(settled).expect("keeps");
        let [a, b] = [&straight, &roundabout].map(|teacher| teacher.model().expect("a head").clone());
        assert_eq!(a, b, "the same bits");
        assert!(a.evaluation.is_some() && a.rejection.is_some());
        // What was chosen holds for the next one, also for whom opens the store anew.
        teach(&mut straight, 0, 50);
        let quick = straight.model().expect("a head").clone();
        assert_eq!((quick.l2, quick.calibration, quick.evaluation), (a.l2, a.calibration, None));
        let means = |model: &Model| model.rejection.as_ref().map(|r| r.means.len());
        assert_eq!(means(&quick), means(&a));
        straight.polish().expect("fits");
        near(&straight, &open(&folders[0]));
        assert_eq!(straight.roll_back(1).expect("rolls back"), 1);
        straight.polish().expect("fits");
        near(&straight, &roundabout);
    }

    #[test]
    fn what_was_measured_too_late_is_not_kept_but_its_choice_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut teacher = open(&folder);
        for number in 0..6 {
            (0..2).for_each(|class| drop(teach(&mut teacher, class, number)));
        }
        let settled = settle(&teacher.snapshot().expect("reads"), &trunk()).expect("fits");
        let l2 = settled.model.l2;
        teach(&mut teacher, 0, 9);
        assert_eq!(teacher.settled(settled).expect("takes the choice"), None);
        assert_eq!(teacher.model().expect("a head").l2, l2);
        assert!(teacher.store().heads().expect("lists").is_empty());
    }

    #[test]
    fn another_program_and_another_trunk_are_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut teacher = open(&folder);
        let mut other = open(&folder);
        for number in 0..3 {
            (0..2).for_each(|class| drop(teach(&mut other, class, number)));
        }
        assert!(teacher.refresh().expect("reads") && !teacher.refresh().expect("reads"));
        near(&teacher, &other);
        let store = SampleStore::open(&folder.path().join("x.store")).expect("opens");
        let mut moved = Teacher::new(store, Arc::new(Trunk::pixels(16)), Limits::default()).expect("opens");
        assert!(moved.model().is_none());
        // A photo that cannot be read is named once.
        let bad = NewSample { photo: b"no photo", class: "left", source: "", time: SystemTime::now(), features: None };
        moved.store_mut().teach(&[bad], "teach left", None, None).expect("teaches");
        let extracted = moved.extract().expect("extracts");
        assert_eq!((extracted.made, extracted.left, extracted.bad.len()), (6, 0, 1));
        assert!(moved.missing().expect("reads").is_empty());
        assert_eq!(moved.model().expect("a head").labels, ["left", "top"]);
        assert_eq!(moved.model().expect("a head").head.feature_dim(), 256);
        // A whole batch of good ones, then one that is bad and last.
        for number in 10..10 + BATCH {
            let photo = photo(number % 2, number);
            let good = NewSample { photo: &photo, class: NAMES[number % 2], ..bad };
            moved.store_mut().teach(&[good], "teach", None, None).expect("teaches");
        }
        let last = NewSample { photo: b"no photo either", ..bad };
        moved.store_mut().teach(&[last], "teach left", None, None).expect("teaches");
        let first = moved.extract().expect("extracts");
        assert_eq!((first.made, first.left, first.followed, first.bad.len()), (BATCH, 1, false, 0));
        let last = moved.extract().expect("extracts");
        assert_eq!((last.made, last.left, last.followed, last.bad.len()), (0, 0, true, 1));
        assert!(moved.missing().expect("reads").is_empty());
        moved.polish().expect("fits");
        assert_eq!(moved.model().expect("a head").labels, ["left", "top"]);
    }

    /// As many as the head can hold: with each one more another one goes, first.
    #[test]
    fn at_the_limit_one_comes_and_one_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SampleStore::open_or_create(&folder.path().join("x.store")).expect("opens");
        let limits = Limits { samples: MOST_SAMPLES, ..Limits::default() };
        let mut teacher = Teacher::new(store, Arc::new(Trunk::pixels(2)), limits).expect("opens");
        let trunk = teacher.trunk().fingerprint();
        let rows: Vec<Vec<f32>> =
            (0..MOST_SAMPLES).map(|at| (0..4).map(|x| ((at * 31 + x * 7) % 97) as f32).collect()).collect();
        let names: Vec<String> = (0..MOST_SAMPLES).map(|at| format!("photo {at}")).collect();
        let samples: Vec<NewSample<'_>> = rows
            .iter()
            .zip(&names)
            .enumerate()
            .map(|(at, (numbers, name))| NewSample {
                photo: name.as_bytes(),
                class: NAMES[at % 2],
                source: "",
                time: SystemTime::now(),
                features: Some(Features { trunk, numbers }),
            })
            .collect();
        teacher.store_mut().teach(&samples, "teach", None, Some(&limits)).expect("teaches");
        teacher.refresh().expect("fits");
        for number in 0..3 {
            let lesson = teach(&mut teacher, number % 2, number);
            assert_eq!(lesson.made_room.samples.len(), 1);
            assert_eq!(teacher.revision(), teacher.store().revision().expect("reads"), "the head followed");
            assert!(teacher.online.is_some());
        }
    }
}
