//! A softmax head that stays at its optimum while samples come and go.

use std::collections::{BTreeSet, HashMap, HashSet};

use topgraft_core::head::Head;
use topgraft_core::kernel::Kernels;
use topgraft_core::rejection::quantize;
use topgraft_core::solver::softmax::Settings;
use topgraft_core::solver::softmax::online::{Online, Paused};
use topgraft_core::solver::{FitError, FitReport};

use super::fit::zero_head;

/// Samples that it can hold: memory grows with their square, and is below 85 MB for so many of ten classes with 1280 features.
pub const MOST_SAMPLES: usize = 2048;
/// Room beyond the samples that are there, so that few of those that come need a new place for all.
const SPARE: usize = 64;
/// Steps that are taken at once for one sample more.
pub const QUICK: u32 = 8;
/// A multiple that the solver is fastest with.
const BLOCK: usize = 32;

/// Scaled samples and the optimum of them.
#[derive(Debug)]
pub struct OnlineHead {
    feature_dim: usize,
    /// Names of the classes, in the order of the solver's labels.
    classes: Vec<String>,
    samples: HashMap<i64, Held>,
    /// `[n_classes, feature_dim]`, in f64, so that coming and going leaves no trace.
    sums: Vec<f64>,
    /// The solver's, which is put away between calls.
    floats: Box<[f32]>,
    labels: Box<[u16]>,
    paused: Paused,
}

#[derive(Debug)]
struct Held {
    slot: usize,
    class: usize,
    row: Box<[f32]>,
}

/// A sample: its number, the name of its class, its scaled features `[feature_dim]`.
pub type Scaled<'a> = (i64, &'a str, &'a [f32]);

/// A sample's number, the name of its class.
type Labelled<'a> = (i64, &'a str);

impl OnlineHead {
    /// Takes in samples of two classes or more.
    ///
    /// # Errors
    /// [`FitError`]: fewer classes, features that are not finite, more than [`MOST_SAMPLES`].
    pub fn new(feature_dim: usize, samples: &[Scaled<'_>]) -> Result<Self, FitError> {
        let classes: BTreeSet<&str> = samples.iter().map(|(_, class, _)| *class).collect();
        let classes: Vec<String> = classes.into_iter().map(str::to_owned).collect();
        let capacity = (samples.len() + SPARE).next_multiple_of(BLOCK).min(MOST_SAMPLES.max(samples.len()));
        if samples.len() > MOST_SAMPLES {
            return Err(FitError::Full { what: "samples", capacity: MOST_SAMPLES });
        }
        let len = Online::buffer_len(capacity, classes.len(), feature_dim).expect("fits memory");
        let mut floats = vec![0.0; len].into_boxed_slice();
        let mut labels = vec![0; capacity].into_boxed_slice();
        let online = Online::new(Kernels::detect(), classes.len(), feature_dim, &mut floats, &mut labels)?;
        let paused = online.pause();
        let sums = vec![0.0; classes.len() * feature_dim];
        let mut head = Self { feature_dim, classes, samples: HashMap::new(), sums, floats, labels, paused };
        for (id, class, row) in samples {
            head.add(*id, class, row)?;
        }
        Ok(head)
    }

    /// Samples with their classes that it lacks or has in another class, and those that it has and should not have: what is to be done so
    /// that it holds `wanted`. `None` if that is not possible, or not worth it: it is to be made anew then.
    pub fn difference<'a>(&self, wanted: &'a [(i64, String)]) -> Option<(Vec<Labelled<'a>>, Vec<i64>)> {
        let classes: BTreeSet<&str> = wanted.iter().map(|(_, class)| class.as_str()).collect();
        let same_classes = classes.len() == self.classes.len() && self.labels().iter().map(String::as_str).eq(classes);
        let is_other = |(id, class): &&'a (i64, String)| self.class_of(*id) != Some(class.as_str());
        let other: Vec<_> = wanted.iter().filter(is_other).map(|(id, class)| (*id, class.as_str())).collect();
        let ids: HashSet<i64> = wanted.iter().map(|(id, _)| *id).collect();
        let gone: Vec<i64> = self.samples.keys().copied().filter(|id| !ids.contains(id)).collect();
        // Few are taken in one by one; many come cheaper all at once.
        let is_small = 8 * (other.len() + gone.len()) <= wanted.len().max(16);
        (same_classes && is_small && wanted.len() <= self.labels.len()).then_some((other, gone))
    }

    /// Name of a sample's class, if it is held.
    pub fn class_of(&self, id: i64) -> Option<&str> {
        self.samples.get(&id).map(|held| self.classes[held.class].as_str())
    }

    /// The largest cosine between scaled features of length 1 and those of a sample, -1..=1.
    pub fn likest(&self, row: &[f32]) -> f32 {
        let kernels = Kernels::detect();
        self.samples.values().map(|held| kernels.dot(&held.row, row)).fold(-1.0, f32::max)
    }

    /// Adds a sample with scaled features `[feature_dim]`.
    ///
    /// # Errors
    /// [`FitError`]: no room, no such class, not finite. Nothing is added.
    pub fn add(&mut self, id: i64, class: &str, row: &[f32]) -> Result<(), FitError> {
        let class = self.classes.iter().position(|name| name == class);
        let class = class.ok_or(FitError::Absent { what: "class", index: self.classes.len() })?;
        if row.len() != self.feature_dim {
            return Err(FitError::Length { what: "features", expected: self.feature_dim, got: row.len() });
        }
        if !row.iter().all(|x| x.is_finite()) {
            return Err(FitError::NotFinite { sample: self.samples.len() });
        }
        self.remove(id);
        let slot = self.online(|online| online.add(row, class as u16))?;
        self.sum(class, row, 1.0);
        self.samples.insert(id, Held { slot, class, row: row.into() });
        Ok(())
    }

    /// Removes a sample, if it is there.
    pub fn remove(&mut self, id: i64) {
        if let Some(Held { slot, class, row }) = self.samples.remove(&id) {
            self.online(|online| online.remove(slot));
            self.sum(class, &row, -1.0);
        }
    }

    /// Names of the classes in the order of the head's rows: sorted.
    pub fn labels(&self) -> Vec<String> {
        let mut labels = self.classes.clone();
        labels.sort();
        labels
    }

    /// The optimum of the samples that are there, with that penalty, or what is nearest to it after at most so many steps from where the
    /// last fit ended.
    ///
    /// # Errors
    /// [`FitError::EmptyClass`], or what else a fit says.
    pub fn fit(&mut self, l2: f32, most: Option<u32>) -> Result<(Head<Vec<f32>>, FitReport), FitError> {
        let (n_classes, feature_dim) = (self.classes.len(), self.feature_dim);
        let mut head = zero_head(0, n_classes, feature_dim).0;
        let report = self.online(|online| {
            let settings = Settings::new(l2);
            let max_iterations = most.unwrap_or(settings.max_iterations);
            let report = online.fit(&Settings { max_iterations, ..settings })?;
            online.head(&mut head);
            Ok::<_, FitError>(report)
        })?;
        Ok((head, report))
    }

    /// Mean of each class's scaled features in 8 bits: `[n_classes]` steps, `[n_classes, feature_dim]` codes.
    pub fn means(&self) -> (Vec<f32>, Vec<i8>) {
        let (mut steps, mut codes) = (Vec::new(), vec![0; self.sums.len()]);
        let rows = self.sums.chunks_exact(self.feature_dim.max(1)).zip(codes.chunks_exact_mut(self.feature_dim.max(1)));
        for ((sums, codes), class) in rows.zip(0..) {
            let count = self.samples.values().filter(|held| held.class == class).count().max(1);
            let mean: Vec<f32> = sums.iter().map(|sum| (sum / count as f64) as f32).collect();
            steps.push(quantize(&mean, codes));
        }
        (steps, codes)
    }

    fn online<T>(&mut self, work: impl FnOnce(&mut Online<'_>) -> T) -> T {
        let mut online = Online::resume(self.paused, &mut self.floats, &mut self.labels);
        let result = work(&mut online);
        self.paused = online.pause();
        result
    }

    fn sum(&mut self, class: usize, row: &[f32], sign: f64) {
        let sums = &mut self.sums[class * self.feature_dim..][..self.feature_dim];
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += sign * f64::from(*x));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three classes about three corners, deterministic.
    fn row(i: usize) -> [f32; 4] {
        let noise = |k: usize| ((i * 31 + k * 17) % 23) as f32 / 46.0;
        std::array::from_fn(|k| noise(k) + if k == i % 3 { 1.0 } else { 0.0 })
    }

    fn name(i: usize) -> &'static str {
        ["cat", "dog", "owl"][i % 3]
    }

    #[test]
    fn it_is_that_of_the_samples_that_are_there() {
        let rows: Vec<[f32; 4]> = (0..30).map(row).collect();
        let sample = |i: usize| (i as i64, name(i), &rows[i][..]);
        let mut head = OnlineHead::new(4, &(0..12).map(sample).collect::<Vec<_>>()).expect("sound");
        head.fit(0.01, None).expect("fits");
        for (i, row) in rows.iter().enumerate().skip(12) {
            head.add(i as i64, name(i), row).expect("there is room");
            head.fit(0.01, None).expect("fits");
        }
        head.add(7, "owl", &rows[7]).expect("is moved");
        head.remove(99);
        assert_eq!(head.class_of(7), Some("owl"));
        let wanted: Vec<(i64, String)> =
            (6..30).map(|i| (i as i64, if i == 7 { "owl" } else { name(i) }.into())).collect();
        assert_eq!(head.difference(&wanted), None, "six of thirty are many");
        let few = [&wanted[..], &[(3, "cat".into()), (4, "cat".into()), (0, "cat".into()), (5, "owl".into())]].concat();
        let (other, gone) = head.difference(&few).expect("few");
        assert_eq!(other, [(4, "cat")]);
        assert_eq!(BTreeSet::from_iter(gone), BTreeSet::from([1, 2]));
        (0..6).for_each(|id| head.remove(id));
        assert_eq!(head.difference(&wanted), Some((vec![], vec![])));
        let (came_and_went, report) = head.fit(0.01, None).expect("fits");
        assert!(report.converged);
        let left: Vec<_> = (6..30).map(|i| (i as i64, if i == 7 { "owl" } else { name(i) }, &rows[i][..])).collect();
        let mut fresh = OnlineHead::new(4, &left).expect("sound");
        let (expected, _) = fresh.fit(0.01, None).expect("fits");
        let pairs = came_and_went.parameters().iter().zip(expected.parameters());
        pairs.for_each(|(a, b)| assert!((a - b).abs() < 2e-3, "{a} {b}"));
        assert_eq!(head.means(), fresh.means());
        assert_eq!(head.labels(), ["cat", "dog", "owl"]);
    }

    /// What `MOST_SAMPLES` says of itself.
    #[test]
    fn as_many_as_it_can_hold_fit_a_small_board() {
        let floats = Online::buffer_len(MOST_SAMPLES, 10, 1280).expect("fits") + MOST_SAMPLES * 1280;
        assert!((70e6..85e6).contains(&(4.0 * floats as f64)), "{floats}");
    }

    #[test]
    fn what_has_no_optimum_is_refused() {
        let rows = [row(0), row(1)];
        let one = OnlineHead::new(4, &[(1, "cat", &rows[0]), (2, "cat", &rows[1])]);
        assert!(matches!(one, Err(FitError::TooFewClasses { n_classes: 1 })));
        let mut head = OnlineHead::new(4, &[(1, "cat", &rows[0]), (2, "dog", &rows[1])]).expect("sound");
        assert!(head.add(3, "cat", &[f32::NAN; 4]).is_err() && head.class_of(3).is_none());
        head.remove(2);
        assert!(matches!(head.fit(0.1, None), Err(FitError::EmptyClass { class: 1 })));
    }
}
