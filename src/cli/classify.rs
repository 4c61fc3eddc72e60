//! `topgraft classify`: photos, rows or texts -> labels with probabilities.

mod names;
mod texts;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::builder::{OsStringValueParser, TypedValueParser};
use serde_json::{Map, Value, json};
use topgraft::learn::{ExtractError, Model, NotFinite, Panel, Prediction, Rows, extract, photos_below};
use topgraft::topgraft_core::head::softmax;
use topgraft::trunk::{RunError, Trunk};

use super::Outcome;
use super::backbone::BackboneArgs;
use super::input::check_neck;
use super::message::message;
use super::photos::progress_bar;
use super::text::{percent, plain, plain_path, shortest};
use super::vectors::HeadVectorsArgs;

/// Photos that are read before the first of them is printed.
const BATCH: usize = 64;

/// Letters of a text that are printed.
const SHOWN: usize = 60;

/// Name what is on photos, with a head that was learned, or with the backbone's own 1000 classes
#[derive(clap::Args)]
pub struct Args {
    /// Photos, or folders of photos; for a head of rows .csv or .npy files; for one of texts a text, or a file with one a line
    /// [default: the lines of standard input]
    #[arg(value_name = "IMG|TEXT", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    photos: Vec<PathBuf>,
    /// Head file, as written by `topgraft learn`; may be given several times: heads of the same trunk share its pass
    #[arg(short, long, value_name = "HEAD.graft", required_unless_present = "imagenet")]
    model: Vec<PathBuf>,
    /// Use the backbone's own classifier instead of a head
    #[arg(long, conflicts_with = "model")]
    imagenet: bool,
    #[command(flatten)]
    backbone: BackboneArgs,
    /// Say which of these names fits best, whether they were taught or not: of a head that was learned with --words. `*` is the
    /// 10,000 most frequent words
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', requires = "model", conflicts_with = "imagenet")]
    candidates: Vec<String>,
    /// Word vectors that the names are looked up in, as `learn --words` was given them [default: the file of the same name
    /// beside the head, in this folder, or among the models]
    #[arg(long, value_name = "VECTORS", requires = "candidates")]
    words: Option<PathBuf>,
    #[command(flatten)]
    vectors: HeadVectorsArgs,
    /// Neck that the head was taught on, to be sure of it: the head file holds it too
    #[arg(long, value_name = "NECK.graft", requires = "model")]
    trunk: Option<PathBuf>,
    /// Classes to print for each photo [default: 3; 5 with --imagenet]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(1..))]
    top: Option<u16>,
    /// Name a class even for a photo or text that looks like none of them
    #[arg(long)]
    no_unknown: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Features -> prediction: heads on their trunks, or a backbone's own classifier.
enum Judge {
    Heads(Panel),
    Whole { trunk: Box<Trunk>, labels: Vec<String>, logits: bool },
}

impl Judge {
    fn new(args: &Args) -> anyhow::Result<Self> {
        if !args.model.is_empty() {
            let mut panel = Panel::default();
            for path in &args.model {
                let mut model = Model::open(path)?;
                if args.no_unknown {
                    model.rejection = None;
                }
                check_neck(&model, path, args.trunk.as_deref())?;
                if !args.candidates.is_empty() {
                    model = names::for_candidates(&model, args, path)?;
                }
                let added = panel.add(model, |model| args.backbone.trunk_of(model, path));
                added.with_context(|| path.display().to_string())?;
            }
            return Ok(Self::Heads(panel));
        }
        let backbone = args.backbone.open()?;
        let labels = backbone.entry().map(|entry| entry.labels()).transpose()?.flatten();
        let (Some(layer), Some(labels)) = (backbone.classifier(), labels) else {
            bail!("{} has no classifier of its own with known labels; learn a head with it instead", backbone.name());
        };
        let trunk = backbone.cut(&layer.output, &backbone.preprocess().0)?;
        if trunk.feature_dim() != labels.len() {
            bail!("{} has {} outputs, but {} labels", backbone.name(), trunk.feature_dim(), labels.len());
        }
        Ok(Self::Whole { trunk: Box::new(trunk), labels, logits: backbone.gives_logits() })
    }

    /// For each photo its features by each trunk.
    fn features(&self, photos: &[PathBuf], done: impl Fn() + Sync) -> Vec<Result<Vec<Vec<f32>>, ExtractError>> {
        match self {
            Self::Heads(panel) => panel.features(photos, done),
            Self::Whole { trunk, .. } => {
                extract(trunk, photos, done).into_iter().map(|features| Ok(vec![features?])).collect()
            }
        }
    }

    /// Numbers in a row, of heads that were taught on rows and not on photos.
    fn columns(&self) -> anyhow::Result<Option<usize>> {
        let Self::Heads(panel) = self else { return Ok(None) };
        let mut columns = panel.trunks().iter().map(|trunk| trunk.columns());
        let first = columns.next().flatten();
        match columns.all(|other| other == first) {
            true => Ok(first),
            false => {
                bail!("these heads take different input, photos or rows of other lengths; classify with one at a time")
            }
        }
    }

    /// Features of a row by each trunk.
    fn row_features(&self, row: &[f32]) -> Result<Vec<Vec<f32>>, RunError> {
        let Self::Heads(panel) = self else { return Ok(Vec::new()) };
        panel.trunks().iter().map(|trunk| trunk.row_features(row)).collect()
    }

    /// Labels of each head.
    fn labels(&self) -> Vec<&[String]> {
        match self {
            Self::Heads(panel) => panel.classifiers().map(|classifier| &classifier.model().labels[..]).collect(),
            Self::Whole { labels, .. } => vec![labels],
        }
    }

    /// What each head says.
    fn predict(&self, mut features: Vec<Vec<f32>>, args: &Args) -> anyhow::Result<Vec<Prediction>> {
        match self {
            Self::Heads(panel) => {
                let named = |(at, error): (usize, NotFinite)| {
                    anyhow::Error::new(error).context(args.model[at].display().to_string())
                };
                panel.predict(&features).map_err(named)
            }
            Self::Whole { logits, .. } => {
                let mut features = features.swap_remove(0);
                if *logits {
                    softmax(&mut features);
                }
                Ok(vec![Prediction::new(features)])
            }
        }
    }
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let judge = Judge::new(args)?;
    let top = args.top.map_or(if args.imagenet { 5 } else { 3 }, usize::from);
    let recipe = match &judge {
        Judge::Heads(panel) => texts::recipe(panel, args)?,
        Judge::Whole { .. } => None,
    };
    if let Some(recipe) = recipe {
        return texts::classify(args, &judge, &recipe, top);
    }
    if args.photos.is_empty() {
        bail!("no photo is given; give photos, or folders of photos");
    }
    if let Some(columns) = judge.columns()? {
        return classify_rows(args, &judge, columns, top);
    }
    let (photos, mut all_good) = list(args)?;
    let mut out = std::io::stdout().lock();
    let bar = progress_bar(photos.len());
    // What the trunk said to the first photo that it failed on, and whether it has failed on all.
    let (mut failure, mut all_failed) = (None, true);
    for batch in photos.chunks(BATCH) {
        let results = judge.features(batch, || bar.inc(1));
        for (path, result) in batch.iter().zip(results) {
            match result {
                Ok(features) => {
                    all_failed = false;
                    let predictions = judge.predict(features, args)?;
                    let said: Vec<Said<'_>> = judge.labels().into_iter().zip(&predictions).collect();
                    bar.suspend(|| print(&mut out, Item::Path(path), args, &said, top))?;
                }
                Err(error) => {
                    all_good = false;
                    bar.suspend(|| refuse(&mut out, path, &error.to_string(), args.json))?;
                    match error {
                        ExtractError::Run { .. } => _ = failure.get_or_insert(error),
                        ExtractError::Open(_) => all_failed = false,
                    }
                }
            }
        }
    }
    bar.finish_and_clear();
    if let Some(error) = failure.filter(|_| all_failed) {
        return Err(error.into());
    }
    Ok(if all_good { Outcome::Done } else { Outcome::SomeInputBad })
}

/// Rows in place of photos.
fn classify_rows(args: &Args, judge: &Judge, columns: usize, top: usize) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::Done;
    let mut out = std::io::stdout().lock();
    for path in &args.photos {
        let rows = match Rows::unlabelled(path, columns) {
            Ok(rows) => rows,
            Err(error) => {
                outcome = Outcome::SomeInputBad;
                refuse(&mut out, path, &error.to_string(), args.json)?;
                continue;
            }
        };
        for (sample, row) in rows.dataset.samples.iter().zip(rows.values.rows()) {
            match judge.row_features(row.as_slice().expect("standard layout")) {
                Ok(features) => {
                    let predictions = judge.predict(features, args)?;
                    let said: Vec<Said<'_>> = judge.labels().into_iter().zip(&predictions).collect();
                    print(&mut out, Item::Path(&sample.path), args, &said, top)?;
                }
                Err(error) => {
                    outcome = Outcome::SomeInputBad;
                    refuse(&mut out, &sample.path, &format!("{}: {error}", sample.path.display()), args.json)?;
                }
            }
        }
    }
    Ok(outcome)
}

/// The photos that were asked for, folders opened up; false if a folder could not be.
fn list(args: &Args) -> anyhow::Result<(Vec<PathBuf>, bool)> {
    let (mut photos, mut all_good) = (Vec::new(), true);
    let mut out = std::io::stdout().lock();
    for path in &args.photos {
        if !path.is_dir() {
            photos.push(path.clone());
            continue;
        }
        let reason = match photos_below(path) {
            Ok(found) if found.is_empty() => format!("{}: no photo in this folder", path.display()),
            Ok(found) => {
                photos.extend(found);
                continue;
            }
            Err(error) => error.to_string(),
        };
        all_good = false;
        refuse(&mut out, path, &reason, args.json)?;
    }
    Ok((photos, all_good))
}

/// What a head says, and its labels.
type Said<'a> = (&'a [String], &'a Prediction);

/// What a line is about.
#[derive(Clone, Copy)]
enum Item<'a> {
    Path(&'a Path),
    Text { text: &'a str, tokens: usize, known: usize },
}

impl Item<'_> {
    fn json(self) -> Map<String, Value> {
        let object = match self {
            Self::Path(path) => json!({ "path": path.display().to_string() }),
            Self::Text { text, tokens, known } => json!({ "text": text, "tokens": tokens, "known": known }),
        };
        let Value::Object(map) = object else { unreachable!("is one") };
        map
    }

    /// The path, or the start of the text.
    fn name(self) -> String {
        match self {
            Self::Path(path) => plain_path(path),
            Self::Text { text, .. } => {
                let start: String = text.chars().take(SHOWN).collect();
                plain(&if start.len() < text.len() { format!("{start}...") } else { start })
            }
        }
    }
}

/// A line for the photo, row or text; with several heads, in text, one for each of them.
fn print(out: &mut impl Write, item: Item<'_>, args: &Args, said: &[Said<'_>], top: usize) -> std::io::Result<()> {
    match (said, args.json) {
        ([only], true) => {
            let mut line = item.json();
            line.extend(json(*only, top));
            writeln!(out, "{}", Value::Object(line))
        }
        ([only], false) => writeln!(out, "{}: {}", item.name(), text(*only, top)),
        (several, true) => {
            let head = |(model, said): (&PathBuf, &Said<'_>)| {
                let mut head = json!({ "model": model.display().to_string() });
                head.as_object_mut().expect("an object").extend(json(*said, top));
                head
            };
            let heads: Vec<Value> = args.model.iter().zip(several).map(head).collect();
            let mut line = item.json();
            line.insert("heads".to_owned(), heads.into());
            writeln!(out, "{}", Value::Object(line))
        }
        (several, false) => {
            for (model, said) in args.model.iter().zip(several) {
                writeln!(out, "{}: {}: {}", item.name(), plain_path(model), text(*said, top))?;
            }
            Ok(())
        }
    }
}

fn json((labels, prediction): Said<'_>, top: usize) -> Map<String, Value> {
    let label = |class: u16| &labels[usize::from(class)];
    let (class, probability) = prediction.top(1).next().unwrap_or_default();
    let entry = |(class, probability)| json!({ "label": label(class), "probability": shortest(probability) });
    let object = json!({
        "label": label(class),
        "probability": shortest(probability),
        "top": prediction.top(top).map(entry).collect::<Value>(),
        "unknown": prediction.unknown,
    });
    let Value::Object(map) = object else { unreachable!("is one") };
    map
}

fn text((labels, prediction): Said<'_>, top: usize) -> String {
    let entry = |(class, p): (u16, f32)| format!("{} {}", plain(&labels[usize::from(class)]), percent(p.into()));
    let classes = prediction.top(top).map(entry).collect::<Vec<_>>().join(", ");
    match prediction.unknown {
        Some(true) => format!("unknown ({classes})"),
        _ => classes,
    }
}

/// A photo that has no prediction: a line on standard error, and in JSON an object of its own.
fn refuse(out: &mut impl Write, path: &Path, reason: &str, as_json: bool) -> std::io::Result<()> {
    if as_json {
        writeln!(out, "{}", json!({ "path": path.display().to_string(), "error": reason }))?;
    }
    message(format_args!("skipped {reason}"));
    Ok(())
}
