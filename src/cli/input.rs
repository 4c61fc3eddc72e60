//! What is learned from: a folder of photos, or rows of numbers.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use topgraft::learn::{Dataset, Extracted, FeatureCache, Model, Rows, Sample, Views};
use topgraft::trunk::Trunk;

use super::backbone::BackboneArgs;
use super::photos::{extract, name_skipped};
use super::text::counted;

/// The options that say what the features are.
#[derive(clap::Args)]
pub struct TrunkArgs {
    #[command(flatten)]
    backbone: BackboneArgs,
    /// Neck that was developed behind the network or on raw numbers, as written by `topgraft develop`
    #[arg(long, value_name = "NECK.graft", conflicts_with_all = ["cut", "raw"])]
    trunk: Option<PathBuf>,
    #[command(flatten)]
    cut: CutArgs,
    /// Labels of a .npy file: a .npy of whole numbers, or a text with a class a line
    #[arg(long, value_name = "LABELS")]
    labels: Option<PathBuf>,
}

/// Which features there are, without a neck.
#[derive(clap::Args)]
pub struct CutArgs {
    /// Layer whose output are the features; `topgraft layers` lists them [default: the penultimate]. LAYER:max and
    /// LAYER:pyramid pool its map otherwise, LAYER+LAYER joins two
    #[arg(long, value_name = "CUT")]
    cut: Option<String>,
    /// No network: the features are the grey pixels of the photo, squeezed to SIDE x SIDE
    #[arg(
        long, value_name = "SIDE", conflicts_with_all = ["cut", "backbone"],
        value_parser = clap::value_parser!(u16).range(1..=i64::from(Trunk::MAX_SIDE))
    )]
    raw: Option<u16>,
}

impl TrunkArgs {
    /// Files that are read, but for what is learned from.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        [self.backbone.file(), self.trunk.clone(), self.labels.clone()].into_iter().flatten()
    }

    /// What is learned from.
    pub fn input(&self, path: &Path) -> anyhow::Result<Input> {
        Input::open(path, self.labels.as_deref())
    }

    /// The trunk for `input`.
    pub fn trunk(&self, input: &Input) -> anyhow::Result<Trunk> {
        match &self.trunk {
            None => self.cut.trunk(&self.backbone, input),
            Some(path) => {
                let trunk = self.backbone.trunk_of(&open_neck(path)?, path)?;
                input.check(&trunk).map(|()| trunk)
            }
        }
    }
}

impl CutArgs {
    /// The trunk for `input`: rows as they are, pixels, or a network that is cut.
    pub fn trunk(&self, backbone: &BackboneArgs, input: &Input) -> anyhow::Result<Trunk> {
        let Some(rows) = &input.rows else {
            return match self.raw {
                Some(side) => Ok(Trunk::pixels(side)),
                None => backbone.trunk(self.cut.as_deref()),
            };
        };
        let given = [("--backbone", backbone.is_given()), ("--cut", self.cut.is_some()), ("--raw", self.raw.is_some())];
        if let Some((option, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
            bail!("{}: {option} is for photos; these are rows of numbers", input.path.display());
        }
        Ok(Trunk::rows(u32::try_from(rows.values.ncols())?))
    }
}

/// A file that holds a neck.
fn open_neck(path: &Path) -> anyhow::Result<Model> {
    let model = Model::open(path)?;
    match model.neck {
        Some(_) => Ok(model),
        None => bail!("{}: a head without a neck; give a file as written by `topgraft develop`", path.display()),
    }
}

/// Refuses a head that was not taught on the neck in `neck`.
pub fn check_neck(model: &Model, head: &Path, neck: Option<&Path>) -> anyhow::Result<()> {
    match neck {
        Some(neck) if open_neck(neck)?.fingerprint != model.fingerprint => bail!(
            "{}: the head was not taught on the neck in {}; leave out --trunk, the head file holds what it was taught on",
            head.display(),
            neck.display()
        ),
        _ => Ok(()),
    }
}

/// Labelled photos or rows.
pub struct Input {
    path: PathBuf,
    pub dataset: Dataset,
    pub rows: Option<Rows>,
}

impl Input {
    pub fn open(path: &Path, labels: Option<&Path>) -> anyhow::Result<Self> {
        let path = path.to_path_buf();
        if Rows::is_rows(&path) && !path.is_dir() {
            let rows = Rows::labelled(&path, labels)?;
            return Ok(Self { path, dataset: rows.dataset.clone(), rows: Some(rows) });
        }
        if labels.is_some() {
            bail!(
                "{}: --labels is for .npy files; the labels of photos are the names of their folders",
                path.display()
            );
        }
        Ok(Self { dataset: Dataset::open(&path)?, path, rows: None })
    }

    /// What one of them is called.
    pub fn noun(&self) -> &'static str {
        if self.rows.is_some() { "row" } else { "photo" }
    }

    /// Whether `dataset`, which is all of it or what of it can be read, has two classes, and `needed` photos or rows of each.
    pub fn check_teachable(&self, dataset: &Dataset, needed: usize) -> anyhow::Result<()> {
        if let Some(rows) = &self.rows {
            return Ok(rows.check_teachable(&self.path, needed)?);
        }
        dataset.check_teachable()?;
        let too_small = dataset.classes.iter().zip(dataset.counts()).find(|(_, photos)| *photos < needed);
        match too_small {
            Some((class, photos)) => bail!(
                "class `{class}` has {}, at least {needed} are needed; add photos or remove the folder",
                counted(photos, "usable photo")
            ),
            None => Ok(()),
        }
    }

    /// Whether they are what the trunk takes.
    pub fn check(&self, trunk: &Trunk) -> anyhow::Result<()> {
        match (&self.rows, trunk.columns()) {
            (Some(rows), Some(columns)) => Ok(rows.check_columns(&self.path, columns)?),
            (None, Some(columns)) => {
                bail!("{}: the trunk takes rows of {columns} numbers; give a .csv or .npy file", self.path.display())
            }
            (Some(_), None) => bail!("{}: the trunk takes photos; give a folder of them", self.path.display()),
            (None, None) => Ok(()),
        }
    }

    /// Features of `dataset`, which is all of it or a part, and how long that took; `spares` take the places of photos that
    /// cannot be read.
    pub fn extract(
        &self,
        trunk: &Trunk,
        dataset: &Dataset,
        spares: Vec<Vec<Sample>>,
        cache: Option<&mut FeatureCache>,
        views: Option<Views>,
    ) -> anyhow::Result<(Extracted, Duration)> {
        let Some(rows) = &self.rows else { return extract(trunk, dataset, spares, cache, views) };
        if views.is_some() {
            bail!("{}: --views is for photos; these are rows of numbers", self.path.display());
        }
        let start = Instant::now();
        let mut extracted = Extracted::of_rows(trunk, rows, dataset, spares);
        let time = start.elapsed();
        name_skipped(&extracted);
        extracted.check_trunk().with_context(|| self.path.display().to_string())?;
        Ok((extracted, time))
    }
}
