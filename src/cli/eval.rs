//! `topgraft eval`: how good a head is on labelled photos that it has not seen.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use topgraft::learn::{ClassReport, Classifier, Evaluation, Extracted, Model, Prediction, Texts};
use topgraft::trunk::{Backbone, Pooling};

use super::Outcome;
use super::backbone::BackboneArgs;
use super::guard::check_output;
use super::input::{Input, check_neck};
use super::photos::skipped_json;
use super::probe::{Measured, spread};
use super::report::{Place, Written};
use super::text::{counted, percent, plain, table};
use super::vectors::HeadVectorsArgs;

/// Measure a head on labelled photos that it has not learned from
#[derive(clap::Args)]
pub struct Args {
    /// Folder that holds one folder of photos per class, named as in the head; or rows or texts, as the head was taught on
    photos: PathBuf,
    /// Head file, as written by `topgraft learn`
    #[arg(short, long, value_name = "HEAD.graft")]
    model: PathBuf,
    #[command(flatten)]
    backbone: BackboneArgs,
    #[command(flatten)]
    vectors: HeadVectorsArgs,
    /// Neck that the head was taught on, to be sure of it: the head file holds it too
    #[arg(long, value_name = "NECK.graft")]
    trunk: Option<PathBuf>,
    /// Labels of a .npy file: a .npy of whole numbers, or a text with a class a line
    #[arg(long, value_name = "LABELS")]
    labels: Option<PathBuf>,
    /// Folder to write a report into: a page and its pictures
    #[arg(long, value_name = "FOLDER")]
    report: Option<PathBuf>,
    /// Compare so many layers of the network in the report, as `topgraft probe` does, with these photos
    #[arg(long, value_name = "N", requires = "report", value_parser = clap::value_parser!(u16).range(1..=64))]
    cuts: Option<u16>,
    /// Replace a report that is there
    #[arg(long, requires = "report")]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let place = args.report.as_ref().map(|folder| Place::open(folder, args.force)).transpose()?;
    let model = Model::open(&args.model)?;
    check_neck(&model, &args.model, args.trunk.as_deref())?;
    let input = match &model.recipe {
        None => {
            if let Some(given) = args.vectors.file() {
                bail!("{}: the head was not taught on texts; leave out {}", args.model.display(), given.display());
            }
            Input::open(&args.photos, args.labels.as_deref())?
        }
        Some(_) if args.labels.is_some() => {
            bail!("{}: --labels is for .npy files; texts have their labels with them", args.photos.display())
        }
        Some(recipe) => {
            let trunk = args.vectors.trunk(recipe, &args.model)?;
            Input::of_texts(&args.photos, Texts::open(&args.photos)?, trunk)?
        }
    };
    if place.is_some() && input.rows.is_some() {
        bail!("{}: --report is for photos; these are {}s", args.photos.display(), input.noun());
    }
    for file in place.iter().flat_map(Place::files) {
        let read = [Some(args.model.clone()), args.backbone.file(), args.trunk.clone()].into_iter().flatten();
        check_output(&file, read, Some(&input.dataset), "in the report", "--report")?;
    }
    if args.cuts.is_some() {
        if model.raw_trunk().is_some() {
            bail!("{}: --cuts compares layers of a network, and the head's trunk has none", args.model.display());
        }
        input.dataset.check_teachable()?;
    }
    let label_of = labels_of_classes(&input, &model, &args.photos)?;
    let trunk = args.backbone.trunk_of(&model, &args.model)?;
    let classifier = Classifier::new(model, trunk).with_context(|| args.model.display().to_string())?;

    input.check(classifier.trunk())?;
    let (extracted, _) = input.extract(classifier.trunk(), &input.dataset, Vec::new(), None, None)?;
    if extracted.dataset.samples.is_empty() {
        bail!("{}: none of its {}s can be read", args.photos.display(), input.noun());
    }
    let truth = extracted.dataset.samples.iter().map(|sample| label_of[usize::from(sample.label)]);
    let rows = extracted.features.rows();
    let predict = |row: ndarray::ArrayView1<f32>| classifier.predict(row.as_slice().expect("standard layout"));
    let predictions: Result<Vec<_>, _> = rows.into_iter().map(predict).collect();
    let mut predictions = predictions.with_context(|| args.model.display().to_string())?;
    // As `classify`: of no word at all the head has nothing to go by, whatever it says.
    for (sample, prediction) in extracted.dataset.samples.iter().zip(&mut predictions) {
        if input.texts.as_ref().is_some_and(|texts| texts.is_unknown(&sample.path)) {
            prediction.unknown = Some(true);
        }
    }
    let labels = &classifier.model().labels;
    let truth: Vec<u16> = truth.collect();
    let cuts = args.cuts.map(|layers| compared(args, classifier.model(), layers, &input)).transpose()?;
    let write =
        |place: Place| place.write(classifier.model(), &extracted, &args.photos, &truth, &predictions, cuts.as_ref());
    let report = place.map(write);
    let report = report.transpose()?;
    let pairs: Vec<(u16, u16)> = truth.into_iter().zip(predictions.iter().map(Prediction::class)).collect();
    let refuses = classifier.model().rejection.is_some() || input.texts.is_some();
    let refused = refuses.then(|| Refused::new(&predictions, &pairs));
    let evaluation = Evaluation::new(labels.len(), pairs);

    let mut out = std::io::stdout().lock();
    match args.json {
        true => {
            let mut json = to_json(&evaluation, refused, labels, &extracted);
            json["report"] = report.map_or(Value::Null, |report| report.json);
            writeln!(out, "{json}")?;
        }
        false => {
            print(&evaluation, refused, labels, &extracted, input.noun(), &mut out)?;
            if let Some(Written { line, .. }) = report {
                writeln!(out, "\nreport     {line}")?;
            }
        }
    }
    Ok(if extracted.skipped.is_empty() { Outcome::Done } else { Outcome::SomeInputBad })
}

/// Cuts of the head's network, with its preprocessing.
fn compared(args: &Args, model: &Model, layers: u16, input: &Input) -> anyhow::Result<(Backbone, Measured)> {
    let backbone = args.backbone.open()?;
    let cuts = spread(&backbone, layers, &Pooling::OF_MAPS)?;
    let measured = Measured::new(&backbone, &cuts, &model.preprocess, &input.dataset)?;
    Ok((backbone, measured))
}

/// Photos that the head calls unknown, although they are of its classes.
#[derive(Clone, Copy)]
struct Refused {
    photos: usize,
    /// Those of them whose label would have been right.
    correct: usize,
}

impl Refused {
    fn new(predictions: &[Prediction], pairs: &[(u16, u16)]) -> Self {
        let refused = predictions.iter().zip(pairs).filter(|(prediction, _)| prediction.unknown == Some(true));
        let correct = refused.clone().filter(|(_, (truth, predicted))| truth == predicted).count();
        Self { photos: refused.count(), correct }
    }
}

/// The head's class for each folder.
fn labels_of_classes(input: &Input, model: &Model, photos: &Path) -> anyhow::Result<Vec<u16>> {
    let label_of = |class: &String| {
        let Some(label) = model.labels.iter().position(|label| label == class) else {
            let known = model.labels.join(", ");
            if input.rows.is_some() {
                bail!(
                    "{}: the head knows no class `{class}`, only {known}; leave these {}s out",
                    photos.display(),
                    input.noun()
                );
            }
            let folder = photos.join(class);
            bail!("{}: the head knows no class of that name, only {known}; rename or remove it", folder.display());
        };
        Ok(label as u16)
    };
    input.dataset.classes.iter().map(label_of).collect()
}

/// Share of the naive model, which always says the largest class.
fn baseline(evaluation: &Evaluation) -> f64 {
    f64::from(evaluation.majority()) / f64::from(evaluation.n_samples())
}

fn print(
    evaluation: &Evaluation,
    refused: Option<Refused>,
    labels: &[String],
    extracted: &Extracted,
    noun: &str,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let [low, high] = evaluation.interval();
    writeln!(
        out,
        "accuracy   {}, {} of {}, 95 % interval {:.1} to {:.1} %",
        percent(evaluation.accuracy()),
        evaluation.correct(),
        counted(evaluation.n_samples() as usize, noun),
        100.0 * low,
        100.0 * high
    )?;
    let support: Vec<u32> = evaluation.per_class().iter().map(|class| class.support).collect();
    let largest = (0..labels.len()).rev().max_by_key(|class| support[*class]).unwrap_or(0);
    writeln!(out, "naive      {} by always saying {}", percent(baseline(evaluation)), plain(&labels[largest]))?;
    if let Some(Refused { photos, correct }) = refused {
        writeln!(out, "unknown    {} refused, {correct} of them with the right label", counted(photos, noun))?;
    }
    if !extracted.skipped.is_empty() {
        writeln!(out, "skipped    {} could not be read", counted(extracted.skipped.len(), noun))?;
    }
    let share = |share: Option<f64>| share.map_or("-".to_owned(), percent);
    let mut rows = vec![["class", "precision", "recall", &format!("{noun}s")].map(str::to_owned).to_vec()];
    for (label, ClassReport { precision, recall, support }) in labels.iter().zip(evaluation.per_class()) {
        rows.push(vec![label.clone(), share(precision), share(recall), support.to_string()]);
    }
    write!(out, "\n{}", table(&rows, &[1, 2, 3]))?;
    // The columns are numbered, so that long names do not make the matrix wide.
    let mut rows = vec![vec!["true class \\ predicted".to_owned()]];
    rows[0].extend((1..=labels.len()).map(|column| column.to_string()));
    for (i, (label, row)) in labels.iter().zip(evaluation.confusion()).enumerate() {
        let cells = row.iter().map(|n| if *n == 0 { ".".to_owned() } else { n.to_string() });
        rows.push([format!("{} {label}", i + 1)].into_iter().chain(cells).collect());
    }
    write!(out, "\n{}", table(&rows, &(1..=labels.len()).collect::<Vec<_>>()))
}

/// One object with stable keys; documented in docs/json.md.
fn to_json(evaluation: &Evaluation, refused: Option<Refused>, labels: &[String], extracted: &Extracted) -> Value {
    let class = |(label, report): (&String, ClassReport)| {
        let ClassReport { precision, recall, support } = report;
        json!({ "label": label, "precision": precision, "recall": recall, "f1": report.f1(), "support": support })
    };
    json!({
        "accuracy": evaluation.accuracy(),
        "interval": evaluation.interval(),
        "baseline": baseline(evaluation),
        "correct": evaluation.correct(),
        "n_samples": evaluation.n_samples(),
        "per_class": labels.iter().zip(evaluation.per_class()).map(class).collect::<Value>(),
        "confusion": evaluation.confusion().collect::<Vec<_>>(),
        "unknown": refused.map(|Refused { photos, correct }| json!({ "photos": photos, "correct": correct })),
        "skipped": skipped_json(extracted),
    })
}
