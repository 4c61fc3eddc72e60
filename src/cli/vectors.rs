//! Which word vectors, and how texts become features with them.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use topgraft::learn::TextTrunk;
use topgraft::models::{Store, StoreError};
use topgraft::topgraft_core::format::is_plain;
use topgraft::words::{Embedder, Fold, Limits, Recipe, TextPooling, Vectors};

use super::budget::free_memory;
use super::message::message;
use super::text::counted;

/// Which of the words of a file are taken.
#[derive(Clone, clap::Args)]
pub struct LimitArgs {
    /// Take only the first N words of the vectors, which are the most frequent ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub top_words: Option<u64>,
    /// Leave out words with a space in them, that are not UTF-8, or that were there before, instead of refusing the file
    #[arg(long)]
    pub skip_bad_words: bool,
}

impl LimitArgs {
    fn given(&self) -> Option<&'static str> {
        self.top_words.map(|_| "--top-words").or(self.skip_bad_words.then_some("--skip-bad-words"))
    }

    pub fn limits(&self) -> Limits {
        let memory = free_memory().unwrap_or(u64::MAX);
        Limits { top: self.top_words, skip_bad: self.skip_bad_words, memory }
    }

    /// Opens vectors; words that were left out are said on standard error.
    pub fn open(&self, path: &Path) -> anyhow::Result<Vectors> {
        if path.as_os_str().to_str().is_some_and(|path| path.ends_with(".onnx")) {
            bail!("{}: is a network, not word vectors", path.display());
        }
        let path = &place(path)?;
        let vectors = Vectors::open(path, &self.limits())?;
        if vectors.skipped() > 0 {
            message(format_args!("{}: {} left out", path.display(), counted(vectors.skipped() as usize, "bad word")));
        }
        Ok(vectors)
    }
}

/// The file that `given` is: the path of one, or a model's name, with that of a file in it if it is an archive.
pub fn place(given: &Path) -> anyhow::Result<PathBuf> {
    let (name, inside) =
        match given.to_str().map(|text| text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)))) {
            Some((name, inside)) if !name.is_empty() && !name.contains(['\\', '.']) => (name, inside),
            _ => return Ok(given.to_path_buf()),
        };
    if given.exists() || Path::new(name).exists() {
        return Ok(given.to_path_buf());
    }
    match (Store::of_user()?.vectors(name), inside) {
        (found, None) => Ok(found?),
        (Ok(archive), Some(inside)) => Ok(archive.join(inside)),
        // A path of folders that are not there.
        (Err(StoreError::NoFileOrVectors { .. }), Some(_)) => Ok(given.to_path_buf()),
        (Err(error), Some(_)) => Err(error.into()),
    }
}

/// Refuses a file whose name a head file cannot hold: before the work.
pub fn check_name(recipe: &Recipe) -> anyhow::Result<()> {
    match is_plain(&recipe.file) {
        true => Ok(()),
        false => bail!("{:?}: a head file cannot hold the name of this file; rename it", recipe.file),
    }
}

/// The file of the file system that is read for `given`: the archive, if that is a file in one.
pub fn file_of(given: &Path) -> PathBuf {
    let path = place(given).unwrap_or_else(|_| given.to_path_buf());
    let file = path.ancestors().find(|path| path.is_file()).map(Path::to_path_buf);
    file.unwrap_or(path)
}

/// How the vectors of a text's words become its features.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PoolingArg {
    Mean,
    #[value(name = "max+mean")]
    MaxMean,
    Sif,
}

impl From<PoolingArg> for TextPooling {
    fn from(arg: PoolingArg) -> Self {
        match arg {
            PoolingArg::Mean => Self::Mean,
            PoolingArg::MaxMean => Self::MaxMean,
            PoolingArg::Sif => Self::Sif,
        }
    }
}

/// Which form of a word is looked up.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CaseArg {
    Lower,
    Cased,
}

/// How features are made of texts.
#[derive(clap::Args)]
pub struct PoolingArgs {
    /// How the vectors of a text's words become its features [default: mean or max+mean, whichever has
    /// the lower left-out log-loss]
    #[arg(long, value_enum, value_name = "POOLING", requires = "vectors")]
    pooling: Option<PoolingArg>,
    /// Which form of a word is looked up [default: lower if the vectors have no upper case]
    #[arg(long, value_enum, value_name = "CASE", requires = "vectors")]
    case: Option<CaseArg>,
    #[command(flatten)]
    limits: LimitArgs,
}

impl PoolingArgs {
    /// What makes vectors of the names of classes, of the words in `path`.
    pub fn names(&self, path: &Path) -> anyhow::Result<Embedder> {
        let embedder = Embedder::fit(self.limits.open(path)?, TextPooling::Mean, None, &[])?;
        check_name(embedder.recipe()).map(|()| embedder)
    }

    /// Whether the pooling is left to the texts.
    pub fn is_open(&self) -> bool {
        self.pooling.is_none()
    }

    /// An option that is for word vectors, if one is given.
    pub fn given(&self) -> Option<&'static str> {
        let case = self.case.is_some().then_some("--case");
        self.pooling.is_some().then_some("--pooling").or(case).or_else(|| self.limits.given())
    }

    /// The options as they were given, for a command that takes them too.
    pub fn text(&self) -> String {
        let pooling = self.pooling.map(|pooling| format!(" --pooling {}", TextPooling::from(pooling).name()));
        let case = self.case.map(|case| match case {
            CaseArg::Lower => " --case lower".to_owned(),
            CaseArg::Cased => " --case cased".to_owned(),
        });
        let top = self.limits.top_words.map(|top| format!(" --top-words {top}"));
        let skip = self.limits.skip_bad_words.then(|| " --skip-bad-words".to_owned());
        [pooling, case, top, skip].into_iter().flatten().collect()
    }

    /// What makes features of texts with the vectors in `path`, fitted to `texts`.
    pub fn embedder(&self, path: &Path, texts: &[&str]) -> anyhow::Result<Embedder> {
        let vectors = self.limits.open(path)?;
        let fold = self.case.map(|case| match case {
            CaseArg::Lower => Fold::Lower,
            CaseArg::Cased => Fold::Cased,
        });
        let pooling = self.pooling.map_or(TextPooling::Mean, TextPooling::from);
        Ok(Embedder::fit(vectors, pooling, fold, texts)?)
    }
}

/// The options of a command that learns from texts.
#[derive(clap::Args)]
pub struct VectorsArgs {
    /// Learn from texts, with these word vectors: a file of GloVe, word2vec or fastText, gzipped or not, a table made of one by
    /// `topgraft words convert`, or a name of `topgraft models list`
    #[arg(long, value_name = "VECTORS")]
    vectors: Option<PathBuf>,
    #[command(flatten)]
    encoder: EncoderArgs,
    #[command(flatten)]
    pooling: PoolingArgs,
}

impl VectorsArgs {
    /// The files, if texts are learned from.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.vectors.as_deref().map(file_of).into_iter().chain(self.encoder.files())
    }

    /// What makes vectors of the names of classes, of the words in `path`.
    pub fn names(&self, path: &Path) -> anyhow::Result<Embedder> {
        self.pooling.names(path)
    }

    /// An option that is for word vectors, if one is given.
    pub fn given(&self) -> Option<&'static str> {
        self.pooling.given()
    }

    /// Whether the pooling is left to the texts.
    pub fn is_open(&self) -> bool {
        self.vectors.is_some() && self.pooling.is_open()
    }

    /// What makes features of texts, as `like` says or else fitted to these.
    pub fn trunk(&self, texts: &[&str], like: Option<&Recipe>) -> anyhow::Result<TextTrunk> {
        let Some(path) = &self.vectors else {
            if let Some(option) = self.pooling.given() {
                bail!("{option} is for word vectors; a sentence encoder has its own ways");
            }
            return self.encoder.open();
        };
        let Some(recipe) = like.filter(|_| self.is_open() && self.pooling.case.is_none()) else {
            return Ok(self.pooling.embedder(path, texts)?.into());
        };
        let vectors = self.pooling.limits.open(path)?;
        Ok(Embedder::of_recipe(vectors, recipe.clone()).context("--warm-start")?.into())
    }
}

/// A sentence encoder.
#[derive(clap::Args)]
pub struct EncoderArgs {
    /// Sentence encoder in place of word vectors: an ONNX file with input_ids and attention_mask, such as all-MiniLM-L6-v2
    #[arg(long, value_name = "MODEL.onnx", conflicts_with = "vectors")]
    encoder: Option<PathBuf>,
    /// Its tokenizer [default: tokenizer.json beside it]
    #[arg(long, value_name = "TOKENIZER.json", requires = "encoder")]
    tokenizer: Option<PathBuf>,
}

impl EncoderArgs {
    fn files(&self) -> impl Iterator<Item = PathBuf> {
        [&self.encoder, &self.tokenizer].into_iter().flatten().cloned().collect::<Vec<_>>().into_iter()
    }

    /// The encoder.
    fn open(&self) -> anyhow::Result<TextTrunk> {
        open_encoder(self.encoder.as_deref().unwrap_or(Path::new("")), self.tokenizer.as_deref())
    }
}

#[cfg(feature = "encoder")]
fn open_encoder(model: &Path, tokenizer: Option<&Path>) -> anyhow::Result<TextTrunk> {
    Ok(TextTrunk::Encoder(Box::new(topgraft::learn::SentenceEncoder::open(model, tokenizer)?)))
}

#[cfg(not(feature = "encoder"))]
fn open_encoder(model: &Path, _: Option<&Path>) -> anyhow::Result<TextTrunk> {
    bail!("{}: this program was built without sentence encoders; build it with --features encoder", model.display())
}

/// The options of a command that uses a head for texts.
#[derive(clap::Args)]
pub struct HeadVectorsArgs {
    /// Word vectors that a head for texts was taught on [default: the file of the same name beside the head, in this folder, or
    /// among the models]
    #[arg(long, value_name = "VECTORS")]
    vectors: Option<PathBuf>,
    #[command(flatten)]
    encoder: EncoderArgs,
}

impl HeadVectorsArgs {
    /// The file that is given.
    pub fn file(&self) -> Option<PathBuf> {
        self.vectors.clone().or_else(|| self.encoder.encoder.clone())
    }

    /// What makes features as the head in the file `head` was taught on.
    pub fn trunk(&self, recipe: &Recipe, head: &Path) -> anyhow::Result<TextTrunk> {
        if recipe.pooling != TextPooling::Encoder {
            if let Some(encoder) = &self.encoder.encoder {
                bail!(
                    "{}: taught on word vectors, not on {}; give those by --vectors",
                    head.display(),
                    encoder.display()
                );
            }
            return Ok(embedder_of(self.vectors.as_deref(), "--vectors", recipe, head)?.into());
        }
        if let Some(vectors) = &self.vectors {
            bail!(
                "{}: taught on a sentence encoder, not on {}; give it by --encoder",
                head.display(),
                vectors.display()
            );
        }
        let model = match &self.encoder.encoder {
            Some(model) => model.clone(),
            None => find(recipe, "--encoder", head)?,
        };
        let trunk = open_encoder(&model, self.encoder.tokenizer.as_deref())?;
        if trunk.recipe().fingerprint() != recipe.fingerprint() {
            bail!(
                "{}: taught on the encoder `{}`, and {} is another, or its tokenizer is; give the one by --encoder",
                head.display(),
                recipe.file,
                model.display()
            );
        }
        Ok(trunk)
    }
}

/// What makes features by the `recipe` in the file `head`, of the vectors that are given by `option` or else are found.
pub fn embedder_of(given: Option<&Path>, option: &str, recipe: &Recipe, head: &Path) -> anyhow::Result<Embedder> {
    let path = match given {
        Some(path) => place(path)?,
        None => find(recipe, option, head)?,
    };
    // As many words as the head was taught with; what was left out then is left out again.
    let limits = LimitArgs { top_words: Some(recipe.words), skip_bad_words: true };
    let vectors = Vectors::open(&path, &limits.limits())?;
    let embedder = Embedder::of_recipe(vectors, recipe.clone());
    embedder.with_context(|| format!("{}: give others by {option}", head.display()))
}

/// Whether a file holds what the recipe wants; of a network that is seen later.
fn suits(path: &Path, recipe: &Recipe) -> bool {
    if recipe.pooling == TextPooling::Encoder {
        return true;
    }
    let limits = LimitArgs { top_words: Some(recipe.words), skip_bad_words: true };
    Vectors::open(path, &limits.limits()).is_ok_and(|vectors| vectors.digest() == recipe.digest)
}

/// The vectors of a head, where they are looked for.
fn find(recipe: &Recipe, option: &str, head: &Path) -> anyhow::Result<PathBuf> {
    let beside = head.parent().map(Path::to_path_buf);
    let models = Store::of_user().ok().map(|store| store.folder().to_path_buf());
    let places = [beside, Some(PathBuf::new()), models].into_iter().flatten();
    let mut found: Vec<PathBuf> =
        places.map(|folder| folder.join(&recipe.file)).filter(|path| path.is_file()).collect();
    // Where there are several of that name, the right one; what is wrong with a single one is said when it is used.
    if found.len() > 1
        && let Some(at) = found.iter().position(|path| suits(path, recipe))
    {
        found.swap(0, at);
    }
    let found = found.into_iter().next();
    found.with_context(|| {
        format!(
            "{}: the head was taught on `{}`, which is neither beside it nor in this folder nor among the models; give it by \
             {option}",
            head.display(),
            recipe.file
        )
    })
}
