//! What is learned from: a folder of photos, rows of numbers, or texts.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use topgraft::learn::{
    Dataset, Extracted, FeatureCache, Model, Rows, Sample, Scaling, TextTrunk, Texts, Views, choose_pooling, scaling_of,
};
use topgraft::topgraft_core::head::Kind;
use topgraft::trunk::Trunk;
use topgraft::words::{Coverage, Embedder, Recipe};

use super::backbone::BackboneArgs;
use super::photos::{extract, name_skipped, progress_bar_of};
use super::text::{counted, percent, plain};
use super::vectors::{VectorsArgs, check_name};

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
    #[command(flatten)]
    vectors: VectorsArgs,
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
        let given = [self.backbone.file(), self.trunk.clone(), self.labels.clone()].into_iter().flatten();
        given.chain(self.vectors.files())
    }

    /// What makes vectors of the names of classes, of the words in `path`.
    pub fn names(&self, path: &Path) -> anyhow::Result<Embedder> {
        self.vectors.names(path)
    }

    /// An option that was given and is of no use for `input`.
    pub fn unused(&self, input: &Input) -> Option<&'static str> {
        self.vectors.given().filter(|_| input.texts.is_none())
    }

    /// Whether the pooling of a text's words is left to the texts.
    pub fn chooses_pooling(&self) -> bool {
        self.vectors.is_open()
    }

    /// What is learned from; texts become features as `like` says, unless the options say otherwise.
    pub fn input(&self, path: &Path, like: Option<&Recipe>) -> anyhow::Result<Input> {
        if self.vectors.files().next().is_none() {
            return Input::open(path, self.labels.as_deref());
        }
        if self.labels.is_some() {
            bail!("{}: --labels is for .npy files; texts have their labels with them", path.display());
        }
        let texts = Texts::open(path)?;
        let all: Vec<&str> = texts.texts.iter().map(String::as_str).collect();
        let trunk = self.vectors.trunk(&all, like)?;
        check_name(trunk.recipe())?;
        Input::of_texts(path, texts, trunk)
    }

    /// The trunk for `input`.
    pub fn trunk(&self, input: &Input) -> anyhow::Result<Trunk> {
        match &self.trunk {
            Some(_) if input.texts.is_some() => {
                bail!("{}: --trunk is for photos and rows; these are texts", input.path.display())
            }
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
            let things = if input.texts.is_some() { "texts" } else { "rows of numbers" };
            bail!("{}: {option} is for photos; these are {things}", input.path.display());
        }
        if let Some(texts) = &input.texts {
            return Ok(texts.trunk());
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

/// Whether a file is of texts by its ending.
pub fn is_of_texts(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ["tsv", "txt"].iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

/// Labelled photos, rows or texts.
pub struct Input {
    path: PathBuf,
    pub dataset: Dataset,
    /// Rows, or the features of texts.
    pub rows: Option<Rows>,
    pub texts: Option<TextInput>,
}

/// Texts, and what made features of them.
pub struct TextInput {
    texts: Texts,
    trunk: TextTrunk,
    coverage: Coverage,
    /// What the features took.
    time: Duration,
    /// Places of the texts of which nothing is known.
    unknown: HashSet<PathBuf>,
}

impl TextInput {
    /// How texts become features: for the head file.
    pub fn recipe(&self) -> &Recipe {
        self.trunk.recipe()
    }

    fn trunk(&self) -> Trunk {
        let recipe = self.recipe();
        let columns = recipe.feature_dim() as u32;
        Trunk::made_elsewhere(&self.trunk.name(), &recipe.cut(), columns, recipe.fingerprint())
    }

    /// Whether no word of the text at that place is known.
    pub fn is_unknown(&self, place: &Path) -> bool {
        self.unknown.contains(place)
    }

    /// What is known of the texts' words, or pieces.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// The same, a line for a person.
    pub fn words(&self) -> String {
        let Coverage { tokens, unknown_texts, missing, .. } = &self.coverage;
        let noun = if self.trunk.vectors().is_some() { "word" } else { "piece" };
        let mut line = format!("{} of {} known", percent(self.coverage.share()), counted(*tokens as usize, noun));
        if *unknown_texts > 0 {
            line += &format!("; of {} none", counted(*unknown_texts, "text"));
        }
        if !missing.is_empty() {
            let most: Vec<String> = missing.iter().take(5).map(|(word, n)| format!("{} {n}", plain(word))).collect();
            line += &format!("; unknown: {}", most.join(", "));
        }
        line
    }

    /// The same, with stable keys; documented in docs/json.md.
    pub fn json(&self) -> Value {
        coverage_json(&self.coverage, 20)
    }
}

/// What vectors know of texts, and the `top` most frequent words that they do not.
pub fn coverage_json(coverage: &Coverage, top: usize) -> Value {
    let missing = |(word, count): &(String, u64)| json!({ "word": word, "count": count });
    json!({
        "tokens": coverage.tokens,
        "known": coverage.known,
        "texts": coverage.texts,
        "texts_without": coverage.unknown_texts,
        "missing": coverage.missing.iter().take(top).map(missing).collect::<Value>(),
    })
}

impl Input {
    pub fn open(path: &Path, labels: Option<&Path>) -> anyhow::Result<Self> {
        let path = path.to_path_buf();
        if Rows::is_rows(&path) && !path.is_dir() {
            let rows = Rows::labelled(&path, labels)?;
            return Ok(Self { path, dataset: rows.dataset.clone(), rows: Some(rows), texts: None });
        }
        if path.is_file() && is_of_texts(&path) {
            bail!("{}: texts need --vectors or --encoder, where a command has them", path.display());
        }
        if labels.is_some() {
            bail!(
                "{}: --labels is for .npy files; the labels of photos are the names of their folders",
                path.display()
            );
        }
        Ok(Self { dataset: Dataset::open(&path)?, path, rows: None, texts: None })
    }

    /// Texts that were read from `path`, and what makes features of them.
    pub fn of_texts(path: &Path, texts: Texts, trunk: TextTrunk) -> anyhow::Result<Self> {
        let bar = progress_bar_of(texts.texts.len(), "texts");
        let start = Instant::now();
        let made = texts.rows(&trunk, || bar.inc(1));
        let time = start.elapsed();
        bar.finish_and_clear();
        let (rows, found) = made?;
        let all = texts.texts.iter().map(String::as_str);
        let coverage = match trunk.vectors() {
            Some(vectors) => Coverage::new(vectors, trunk.recipe().fold, all),
            None => Coverage {
                texts: found.len(),
                tokens: found.iter().map(|text| text.tokens as u64).sum(),
                known: found.iter().map(|text| text.known as u64).sum(),
                unknown_texts: found.iter().filter(|text| text.known == 0).count(),
                missing: Vec::new(),
            },
        };
        if coverage.known == 0 {
            let vectors = &trunk.recipe().file;
            bail!("{}: no word of these texts is in {vectors}: are they of the same language?", path.display());
        }
        let places = texts.dataset.samples.iter().map(|sample| &sample.path);
        let unknown = places.zip(&found).filter(|(_, text)| text.known == 0).map(|(path, _)| path.clone()).collect();
        let (dataset, texts) = (texts.dataset.clone(), TextInput { texts, trunk, coverage, time, unknown });
        Ok(Self { path: path.to_path_buf(), dataset, rows: Some(rows), texts: Some(texts) })
    }

    /// Texts whose words are pooled as suits those of `dataset`, which is all or some of them.
    pub fn choose_pooling(
        self,
        dataset: &Dataset,
        scalings: Option<&[Scaling]>,
        kinds: &[Kind],
    ) -> anyhow::Result<Self> {
        let Self { path, dataset: all, texts: Some(TextInput { texts, trunk, coverage, unknown, .. }), .. } = self
        else {
            bail!("{}: these are no texts", self.path.display());
        };
        let embedder = trunk.into_words().with_context(|| format!("{}: no word vectors", path.display()))?;
        let trunk = TextTrunk::from(choose_pooling(embedder, &texts, dataset, scalings, kinds)?);
        let start = Instant::now();
        let (rows, _) = texts.rows(&trunk, || {})?;
        let texts = TextInput { texts, trunk, coverage, time: start.elapsed(), unknown };
        Ok(Self { path, dataset: all, rows: Some(rows), texts: Some(texts) })
    }

    /// Scalings that suit the features. What a network gives is alike in all of them; the columns of a table have units of their
    /// own.
    pub fn scalings(&self) -> Vec<Scaling> {
        match (&self.texts, &self.rows) {
            (Some(texts), _) => vec![scaling_of(texts.recipe().pooling)],
            (None, Some(_)) => Scaling::ALL.to_vec(),
            (None, None) => vec![Scaling::L2],
        }
    }

    /// What one of them is called.
    pub fn noun(&self) -> &'static str {
        match (&self.texts, &self.rows) {
            (Some(_), _) => "text",
            (None, Some(_)) => "row",
            (None, None) => "photo",
        }
    }

    /// Whether `dataset`, which is all of it or what of it can be read, has two classes, and `needed` photos or rows of each.
    pub fn check_teachable(&self, dataset: &Dataset, needed: usize) -> anyhow::Result<()> {
        if let Some(TextInput { texts, .. }) = &self.texts {
            return Ok(texts.check_teachable(&self.path, needed)?);
        }
        if let Some(rows) = &self.rows {
            return Ok(rows.check_teachable(&self.path, needed)?);
        }
        dataset.check_teachable()?;
        match dataset.class_below(needed) {
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
            bail!("{}: --views is for photos; these are {}s", self.path.display(), self.noun());
        }
        let start = Instant::now();
        let mut extracted = Extracted::of_rows(trunk, rows, dataset, spares);
        let time = self.texts.as_ref().map_or_else(|| start.elapsed(), |texts| texts.time);
        name_skipped(&extracted);
        extracted.check_trunk().with_context(|| self.path.display().to_string())?;
        Ok((extracted, time))
    }
}
