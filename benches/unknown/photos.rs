//! Features of labelled photos, and which of them are taught, known and unknown.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use ndarray::{Array2, ArrayView2, Axis, concatenate};
use topgraft::learn::{Dataset, Extracted, extract};
use topgraft::trunk::Backbone;

use super::npy::{Split, read_npy, read_splits};

/// Features `[n_samples, feature_dim]` and labels; the samples of no class are of another set.
pub struct Photos {
    pub features: Array2<f32>,
    labels: Vec<Option<u16>>,
    n_classes: u16,
}

/// A set of photos.
pub struct Set {
    pub name: &'static str,
    pub trunk: &'static str,
    pub photos: Photos,
    splits: Vec<Split>,
}

/// One class held out of one split.
pub struct Task {
    pub training: Vec<usize>,
    held_out: u16,
    /// Of the training samples.
    pub labels: Vec<u16>,
    pub n_classes: usize,
    /// Test samples of the classes that are taught.
    pub known: Vec<usize>,
    /// Test samples of the class that is not.
    pub near: Vec<usize>,
    /// Samples of another set.
    pub far: Vec<usize>,
}

impl Set {
    pub fn all(shared: &Path) -> Result<Vec<Self>> {
        let mut sets = vec![Self::demo(shared)?];
        for trunk in ["efficientnet_lite0", "mobilenet_v2_tv"] {
            let npy = |set: &str| read_npy(&shared.join(format!("data/features/{set}.{trunk}.npy")));
            let splits = read_splits(shared, "signdigits10")?;
            let (own, other) = (npy("signdigits10")?, npy("ants_bees")?);
            let photos = Photos::new(own.view(), &splits.labels, other.view())?;
            sets.push(Self { name: "signdigits10", trunk, photos, splits: splits.splits });
        }
        Ok(sets)
    }

    /// The demo's photos, through the embedded network; every tenth ant, bee and hand is of another set.
    fn demo(shared: &Path) -> Result<Self> {
        let backbone = Backbone::embedded()?;
        let trunk = backbone.cut(&backbone.penultimate()?.name, &backbone.preprocess().0)?;
        let folder = |name| Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo").join(name);
        let of = |name| Ok::<_, anyhow::Error>(Extracted::new(&trunk, &Dataset::open(&folder(name))?, || {}));
        let (learn, new) = (of("learn")?, of("new")?);
        let mut others = Vec::new();
        for set in ["ants_bees", "signdigits10"] {
            let files = read_splits(shared, set)?.files;
            others.extend(files.iter().step_by(10).map(|file| shared.join("data/images").join(set).join(file)));
        }
        let others = extract(&trunk, &others, || {}).into_iter().collect::<Result<Vec<_>, _>>()?;
        let others = Array2::from_shape_vec((others.len(), trunk.feature_dim()), others.concat())?;
        let own = concatenate(Axis(0), &[learn.features.view(), new.features.view()])?;
        let labels = [learn.labels(), new.labels()].concat();
        let n = learn.features.nrows();
        let training: Vec<usize> = (0..n).collect();
        let split = Split { test: (n..labels.len()).collect(), k5: training.clone(), k10: Vec::new(), full: training };
        let photos = Photos::new(own.view(), &labels, others.view())?;
        Ok(Self { name: "demo", trunk: "efficientnet_lite0", photos, splits: vec![split] })
    }

    pub fn shots(&self) -> Vec<&'static str> {
        if self.name == "demo" { vec!["5"] } else { vec!["5", "10", "all"] }
    }

    /// Each class held out once of each split.
    pub fn tasks(&self, shots: &str) -> Vec<Task> {
        let n_classes = self.photos.n_classes;
        self.splits.iter().flat_map(|split| (0..n_classes).map(|held_out| self.task(split, shots, held_out))).collect()
    }

    fn task(&self, split: &Split, shots: &str, held_out: u16) -> Task {
        let labels = &self.photos.labels;
        let samples = match shots {
            "5" => &split.k5,
            "10" => &split.k10,
            _ => &split.full,
        };
        let with = |samples: &[usize], keep: &dyn Fn(Option<u16>) -> bool| -> Vec<usize> {
            samples.iter().copied().filter(|sample| keep(labels[*sample])).collect()
        };
        let training = with(samples, &|label| label != Some(held_out));
        let label = |sample: &usize| {
            let label = labels[*sample].expect("of this set");
            label - u16::from(label > held_out)
        };
        let all: Vec<usize> = (0..labels.len()).collect();
        Task {
            held_out,
            labels: training.iter().map(label).collect(),
            training,
            n_classes: usize::from(self.photos.n_classes) - 1,
            known: with(&split.test, &|label| label != Some(held_out)),
            near: with(&split.test, &|label| label == Some(held_out)),
            far: with(&all, &|label| label.is_none()),
        }
    }
}

impl Task {
    /// The head's class of a sample that is known.
    pub fn label(&self, photos: &Photos, sample: usize) -> u16 {
        let label = photos.labels[sample].expect("of this set");
        label - u16::from(label > self.held_out)
    }
}

impl Photos {
    fn new(own: ArrayView2<'_, f32>, labels: &[u16], others: ArrayView2<'_, f32>) -> Result<Self> {
        ensure!(own.nrows() == labels.len(), "{} rows of features, but {} labels", own.nrows(), labels.len());
        let n_classes = labels.iter().max().context("no labels")? + 1;
        let none = std::iter::repeat_n(None, others.nrows());
        let labels = labels.iter().copied().map(Some).chain(none).collect();
        Ok(Self { features: concatenate(Axis(0), &[own, others])?, labels, n_classes })
    }
}
