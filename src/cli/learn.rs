//! `topgraft learn`: a folder of photos -> a head file.

mod order;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};
use topgraft::export::{neck_json, unknown_json};
use topgraft::learn::{
    Advice, Cost, CurvePoint, Dataset, Extracted, FeatureCache, Fitted, LearningCurve, Model, PowerLaw, Sample,
    Settings, TooFew, UNKNOWN_RATE, WarmStart, WarmStartError, fit_with, held_out_auroc, learning_curve, refit,
    warm_start,
};
use topgraft::topgraft_core::head::{Kind, Predictor};
use topgraft::topgraft_core::rejection::Rejection;
use topgraft::topgraft_core::solver::FitReport;
use topgraft::trunk::Trunk;

use super::Outcome;
use super::budget::{self, BudgetArgs};
use super::guard::check_output;
use super::input::{Input, TextInput, TrunkArgs};
use super::kinds::{HeadArg, ScalingArg};
use super::message::message;
use super::names::{MeasuredNames, Names};
use super::photos::skipped_json;
use super::text::{counted, duration, hex, percent, plain, plain_path, shortest};
use super::vectors::file_of;
use super::views::ViewsArgs;
use super::weights::ClassWeights;
use order::Order;

/// Learn a head from labelled photos, one folder per class
#[derive(clap::Args)]
pub struct Args {
    /// Folder that holds one folder of photos per class, named after it; or rows of numbers, a .csv or .npy file; or with
    /// --vectors or --encoder texts: a .tsv (label TAB text), a .csv with a header, a folder of .txt files per class
    photos: PathBuf,
    /// Head file to write
    #[arg(short, long, value_name = "HEAD.graft")]
    output: PathBuf,
    #[command(flatten)]
    pub trunk: TrunkArgs,
    /// Take this many photos of each class, at random [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    shots: Option<u32>,
    /// Seed of that choice
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// File that keeps the features of photos, so that the trunk runs once on each; made if it is not there
    #[arg(long, value_name = "FILE")]
    cache: Option<PathBuf>,
    /// What to do to the features before the head [default: l2; for rows of numbers auto, or with --warm-start that
    /// of its head]
    #[arg(long, value_enum, value_name = "SCALING")]
    scaling: Option<ScalingArg>,
    /// Kind of head
    #[arg(long, value_enum, value_name = "KIND", default_value = "auto")]
    head: HeadArg,
    /// Share of the photos of these classes that may be called unknown, percent, below 50; 0: nothing is
    #[arg(long, value_name = "PERCENT", allow_hyphen_values = true, default_value_t = 100.0 * UNKNOWN_RATE, value_parser = unknown_rate)]
    unknown_rate: f64,
    /// How often the photos of a class count: `balanced` (all classes alike), or LABEL=WEIGHT,...
    #[arg(long, value_name = "WEIGHTS")]
    class_weights: Option<ClassWeights>,
    /// Head on the same trunk to start from, for classes of the same names: the optimum is the same
    #[arg(long, value_name = "HEAD.graft")]
    warm_start: Option<PathBuf>,
    /// Learn the names of the classes too, by word vectors: `classify --candidates` can then ask for names that were never
    /// taught. The head is ridge regression's
    #[arg(long, value_name = "VECTORS")]
    pub words: Option<PathBuf>,
    #[command(flatten)]
    views: ViewsArgs,
    #[command(flatten)]
    budget: BudgetArgs,
    /// Replace the head file if it is there
    #[arg(long)]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was chosen with a kind of head, as text: `; L2 0.01`.
pub fn setting(model: &Model) -> String {
    match (&model.head, model.kind) {
        (Predictor::Nearest(head), _) => {
            format!("; the {} nearest of {}", head.k(), counted(head.labels().len(), "photo"))
        }
        (_, Kind::Lda) => format!("; shrinkage {}", model.l2),
        (_, Kind::Prototype | Kind::Nearest) => String::new(),
        (_, Kind::Softmax | Kind::Ridge) => format!("; L2 {}", model.l2),
    }
}

fn unknown_rate(text: &str) -> Result<f64, String> {
    let percent = text.parse().ok().filter(|percent| (0.0..50.0).contains(percent));
    percent.ok_or_else(|| "give a percentage from 0 to below 50".to_owned())
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    // What can be refused is refused before the work starts.
    Model::check_path(&args.output, args.force)?;
    let folder = args.output.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        anyhow::bail!("{}: no such folder to write the head file to; make it first", folder.display());
    }
    let given = args.cache.iter().chain(&args.warm_start).chain([&args.photos]).cloned();
    let given = given.chain(args.words.as_deref().map(file_of));
    let files: Vec<PathBuf> = given.chain(args.trunk.files()).collect();
    check_output(&args.output, files, None, "the head file", "--output")?;
    let source = args.warm_start.as_deref().map(Model::open).transpose()?;
    let like = source.as_ref().and_then(|source| source.recipe.as_ref());
    let mut input = args.trunk.input(&args.photos, like)?;
    check_output(&args.output, [], Some(&input.dataset), "the head file", "--output")?;
    input.check_teachable(&input.dataset, 2)?;
    if let Some(option) = args.trunk.unused(&input).filter(|_| args.words.is_none()) {
        anyhow::bail!("{}: {option} is for word vectors; give those by --vectors", args.photos.display());
    }
    if input.rows.is_some() && args.cache.is_some() {
        anyhow::bail!("{}: --cache is for photos; {}s have nothing to keep", args.photos.display(), input.noun());
    }
    let names = args.words.as_deref().map(|path| Names::open(args, path, &input.dataset.classes)).transpose()?;
    let mut dataset = input.dataset.clone();
    let mut order = Order::new(args, &input, source.as_ref())?;
    let mut spares = Vec::new();
    if let Some(shots) = args.shots {
        (dataset, spares) = dataset.shots_and_spares(shots as usize, args.seed)?;
    }
    let mut choice_time = None;
    if args.trunk.chooses_pooling() && like.is_none() {
        // The most features that it may come to.
        order.check(&dataset, input.noun(), 2 * input.texts.as_ref().map_or(0, |texts| texts.recipe().dims))?;
        let start = Instant::now();
        let given = args.scaling.map(|_| order.scalings.as_slice());
        input = input.choose_pooling(&dataset, given, &order.kinds)?;
        choice_time = Some(start.elapsed());
        order.scalings = Order::scalings(args, &input, source.as_ref());
    }
    let trunk = args.trunk.trunk(&input)?;
    let remedy = "use --cut at a layer with fewer features (`topgraft layers` lists them) or fewer --shots";
    let views = args.views.views(args.seed).map_or(1, |views| views.per_photo);
    budget::check_features(views * dataset.samples.len(), trunk.feature_dim(), Some(trunk.cut()), remedy)?;

    let mut cache = args.cache.as_deref().map(|path| FeatureCache::open(path, &trunk)).transpose()?;

    let mut lesson = Lesson::teach(&trunk, &input, &dataset, spares, cache.as_mut(), &order)?;
    if let (Some(source), Some(path)) = (&source, &args.warm_start) {
        lesson.start_from(&trunk, source).with_context(|| path.display().to_string())?;
    }
    let mut model = lesson.model(&trunk, args.unknown_rate / 100.0);
    model.recipe = input.texts.as_ref().map(|texts| texts.recipe().clone());
    let names = names.map(|names| names.measure(&lesson.extracted, &lesson.fitted)).transpose()?;
    model.names = names.as_ref().map(|names| names.names.clone());
    model.save(&args.output, args.force)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        let mut summary = lesson.json(&model);
        summary["output"] = json!(args.output.display().to_string());
        summary["names"] = names.as_ref().map_or(Value::Null, MeasuredNames::json);
        summary["seconds"]["pooling"] = json!(choice_time.map(|time: Duration| time.as_secs_f64()));
        summary["words"] = input.texts.as_ref().map_or(Value::Null, TextInput::json);
        writeln!(out, "{summary}")?;
    } else {
        if let Some(texts) = &input.texts {
            writeln!(out, "words      {}", texts.words())?;
            if let Some(time) = choice_time {
                let pooling = texts.recipe().pooling.name();
                writeln!(out, "pooling    {pooling}, of the lower left-out log-loss ({})", duration(time))?;
            }
        }
        lesson.print(&model, &mut out)?;
        if let Some(names) = &names {
            writeln!(out, "names      {}", names.text())?;
        }
        let bytes = std::fs::metadata(&args.output).map_or(0, |file| file.len());
        writeln!(out, "written    {} ({:.1} KB)", plain_path(&args.output), bytes as f64 / 1e3)?;
    }
    Ok(lesson.outcome())
}

/// Photos that were learned from, and what came out.
pub struct Lesson {
    extracted: Extracted,
    /// What one of them is called.
    noun: &'static str,
    extract_time: Duration,
    /// Whether the features could be kept, if they were to be.
    is_kept: bool,
    /// What the fit was said to take.
    cost: Cost,
    fitted: Fitted,
    /// The start from another head, if there was one.
    warm_start: Option<WarmStart>,
    /// How well a class that was held out is told apart, and the time that it took to see.
    auroc: Option<f64>,
    auroc_time: Duration,
    curve: Option<LearningCurve>,
}

impl Lesson {
    fn teach(
        trunk: &Trunk,
        input: &Input,
        dataset: &Dataset,
        spares: Vec<Vec<Sample>>,
        mut cache: Option<&mut FeatureCache>,
        order: &Order<'_>,
    ) -> anyhow::Result<Self> {
        let feature_dim = trunk.feature_dim();
        let Order { scalings, kinds, class_weights, views, .. } = order;
        // Before the photos are read; and again, as fewer of them may need another way to fit.
        order.check(dataset, input.noun(), feature_dim)?;
        let with_shots = !spares.is_empty();
        let (extracted, extract_time) = input.extract(trunk, dataset, spares, cache.as_deref_mut(), *views)?;
        // No reason not to learn.
        let is_kept = cache.map_or(Ok(()), FeatureCache::save).map_err(message).is_ok();
        extracted.dataset.check_teachable()?;
        if with_shots {
            // As many as were asked for, or none.
            let counts = dataset.counts().into_iter().zip(extracted.dataset.counts());
            for (class, (shots, photos)) in dataset.classes.iter().zip(counts) {
                if photos < shots {
                    return Err(TooFew::Shots { class: class.clone(), photos, shots }.into());
                }
            }
        }
        order.check(&extracted.dataset, input.noun(), feature_dim)?;
        let cost = order.cost(&extracted.dataset.counts(), feature_dim, kinds);
        budget::state(&extracted.dataset, input.noun(), feature_dim, &cost);
        let (labels, n_classes) = (extracted.labels(), dataset.classes.len());
        let class_weights = class_weights.map(|weights| weights.of(&dataset.classes, &labels)).transpose()?;
        let settings = Settings { scalings, kinds, class_weights: class_weights.as_deref() };
        let fitted = fit_with(extracted.features.view(), &labels, n_classes, &settings)?;
        let fitted = refit(fitted, extracted.features.view(), &labels, extracted.views.view())?;
        let start = Instant::now();
        let auroc = held_out_auroc(extracted.features.view(), &labels, &fitted)?;
        let auroc_time = start.elapsed();
        let curve = learning_curve(extracted.features.view(), &labels, &fitted)?;
        let (noun, warm_start) = (input.noun(), None);
        Ok(Self { extracted, noun, extract_time, is_kept, cost, fitted, warm_start, auroc, auroc_time, curve })
    }

    /// Fits the head once more, from the rows of another one.
    fn start_from(&mut self, trunk: &Trunk, source: &Model) -> Result<(), WarmStartError> {
        let (features, labels) = (self.extracted.features.view(), self.extracted.labels());
        let classes = &self.extracted.dataset.classes;
        let start = warm_start(features, &labels, classes, trunk.fingerprint(), &mut self.fitted, source)?;
        self.warm_start = Some(start);
        Ok(())
    }

    /// A lesson with the default settings.
    pub fn with_defaults(trunk: &Trunk, input: &Input) -> anyhow::Result<Self> {
        let (scalings, kinds) = (ScalingArg::L2.scalings(), HeadArg::Auto.kinds());
        let order = Order { scalings, kinds, class_weights: None, views: None, budget: &BudgetArgs::NONE };
        Self::teach(trunk, input, &input.dataset, Vec::new(), None, &order)
    }

    /// What came out, as a head file has it. `unknown_rate`: share of the photos of these classes that may be called unknown.
    pub fn model(&self, trunk: &Trunk, unknown_rate: f64) -> Model {
        let mut model = Model::new(trunk, self.extracted.dataset.classes.clone(), &self.fitted);
        let rejection = self.fitted.novelty.rejection(unknown_rate);
        model.rejection =
            rejection.map(|rejection| Rejection { auroc: self.auroc.map(|area| area as f32), ..rejection });
        model
    }

    /// Photos that were skipped show in the exit code, and features that could not be kept.
    pub fn outcome(&self) -> Outcome {
        match self.extracted.skipped.is_empty() {
            _ if !self.is_kept => Outcome::SomethingFailed,
            true => Outcome::Done,
            false => Outcome::SomeInputBad,
        }
    }

    /// The class that the naive model always says.
    fn majority_class<'a>(&self, model: &'a Model) -> &'a str {
        let counts = self.extracted.dataset.counts();
        let largest = (0..counts.len()).rev().max_by_key(|class| counts[*class]).unwrap_or(0);
        &model.labels[largest]
    }

    /// What the learning curve says to do, and how that is said; `None` without a curve or with nothing to do.
    fn advice(&self, model: &Model) -> Option<(Advice, String)> {
        let evaluation = &self.fitted.evaluation;
        let advice = self.curve.as_ref()?.advice(evaluation)?;
        let text = advice.text(evaluation, &model.labels, self.noun);
        let is_at_the_end = advice.is_shown && advice.more.is_none();
        Some((advice, if is_at_the_end { text + "; see `topgraft review`" } else { text }))
    }

    /// A few lines for a person.
    pub fn print(&self, model: &Model, out: &mut impl Write) -> std::io::Result<()> {
        let Self { extracted, noun, extract_time, fitted, .. } = self;
        let counts = extracted.dataset.counts();
        let classes: Vec<String> = model.labels.iter().zip(&counts).map(|(label, n)| format!("{label} {n}")).collect();
        let n = extracted.features.nrows();
        writeln!(
            out,
            "trunk      {} cut at {}{}: {}",
            plain(&model.backbone),
            plain(&model.cut),
            if model.neck.is_some() { ", with a neck" } else { "" },
            counted(model.head.feature_dim(), "feature")
        )?;
        writeln!(out, "classes    {}, shots: {}", model.labels.len(), plain(&classes.join(", ")))?;
        if let views @ 2.. = extracted.views_per_photo() {
            writeln!(out, "views      {views} of each photo, which the accuracy below is measured without")?;
        }
        if let Some(weights) = &fitted.class_weights {
            let weights = model.labels.iter().zip(weights).map(|(label, weight)| format!("{label} {weight:.3}"));
            writeln!(out, "weights    {}", plain(&weights.collect::<Vec<_>>().join(", ")))?;
        }
        if !extracted.skipped.is_empty() {
            writeln!(
                out,
                "skipped    {} of {} could not be read",
                extracted.skipped.len(),
                counted(n + extracted.skipped.len(), noun)
            )?;
        }
        let per_photo = duration(*extract_time / (n + extracted.skipped.len()).max(1) as u32);
        let threads = rayon::current_num_threads();
        writeln!(
            out,
            "features   {} for {}, {per_photo} a {noun}, {threads} at a time",
            duration(*extract_time),
            counted(n, noun)
        )?;
        let exactly = match &fitted.report {
            None if model.kind == Kind::Nearest => format!("to keep every {noun}"),
            None => "in closed form".to_owned(),
            Some(FitReport { converged: true, passes, .. }) => {
                format!("to the optimum, {}", counted(*passes as usize, "pass"))
            }
            Some(FitReport { passes, .. }) => {
                format!("as near to the optimum as 32 bits allow, {}", counted(*passes as usize, "pass"))
            }
        };
        let kind = model.kind.name();
        let (scaling, setting) = (fitted.scaling.name(), setting(model));
        writeln!(out, "training   {kind}, {} {exactly}{setting}; scaling {scaling}", duration(fitted.fit_time))?;
        if let Some(WarmStart { classes, cold, warm }) = &self.warm_start {
            let from = format!("from the rows of {}", counted(classes.len(), "class"));
            match warm {
                Some(warm) => writeln!(
                    out,
                    "warm start {from}: {} instead of {}",
                    counted(warm.iterations as usize, "iteration"),
                    cold.iterations
                ),
                None => writeln!(out, "warm start of no use: fewer {noun}s than features are fitted in their own span"),
            }?;
        }
        let evaluation = &fitted.evaluation;
        let [low, high] = evaluation.interval();
        writeln!(
            out,
            "accuracy   {} on left-out {noun}s ({}, {}), 95 % interval {:.1} to {:.1} %",
            percent(evaluation.accuracy()),
            method(fitted.left_out.folds, n),
            duration(fitted.left_out_time),
            100.0 * low,
            100.0 * high
        )?;
        let naive = f64::from(evaluation.majority()) / f64::from(evaluation.n_samples());
        writeln!(out, "naive      {} by always saying {}", percent(naive), plain(self.majority_class(model)))?;
        let calibration = &fitted.calibration;
        let [before, after] = [calibration.ece_before, calibration.ece_after].map(percent);
        match calibration.temperature {
            1.0 => writeln!(out, "calibrated error {before}; no temperature makes it better"),
            temperature => writeln!(
                out,
                "calibrated temperature {temperature:.2}; calibration error {before} without it, {after} with it"
            ),
        }?;
        let held_out =
            self.auroc.map(|area| format!("; a class held out: AUROC {area:.2} ({})", duration(self.auroc_time)));
        match &model.rejection {
            None => writeln!(out, "unknown    nothing is: not asked for, or too few {noun}s"),
            Some(rejection) => writeln!(
                out,
                "unknown    refuses {} of {noun}s of these classes{}",
                percent(rejection.rate.into()),
                held_out.unwrap_or_default()
            ),
        }?;
        match self.advice(model) {
            Some((_, text)) => writeln!(out, "advice     {text}"),
            None => Ok(()),
        }
    }

    /// One object with stable keys; documented in docs/json.md.
    pub fn json(&self, model: &Model) -> Value {
        let Self { extracted, extract_time, fitted, .. } = self;
        let counts = extracted.dataset.counts();
        let weight = |class: usize| fitted.class_weights.as_ref().map_or(1.0, |weights| shortest(weights[class]));
        let class = |(class, (label, photos)): (usize, (&String, usize))| json!({ "label": label, "photos": photos, "weight": weight(class) });
        let evaluation = &fitted.evaluation;
        json!({
            "backbone": model.backbone,
            "cut": model.cut,
            "fingerprint": hex(&model.fingerprint),
            "feature_dim": model.head.feature_dim(),
            "classes": model.labels.iter().zip(counts).enumerate().map(class).collect::<Value>(),
            "n_samples": evaluation.n_samples(),
            "views": extracted.views_per_photo(),
            "l2": shortest(model.l2),
            "head": model.kind.name(),
            "scaling": fitted.scaling.name(),
            "converged": fitted.report.is_none_or(|report| report.converged),
            "accuracy": evaluation.accuracy(),
            "interval": evaluation.interval(),
            "baseline": f64::from(evaluation.majority()) / f64::from(evaluation.n_samples()),
            "folds": fitted.left_out.folds,
            "calibration": {
                "temperature": shortest(fitted.calibration.temperature),
                "ece_before": fitted.calibration.ece_before,
                "ece_after": fitted.calibration.ece_after,
            },
            "unknown": unknown_json(model),
            "curve": self.curve.as_ref().map(|curve| {
                let point = |point: &CurvePoint| json!({ "shots": point.shots, "accuracy": point.accuracy });
                let PowerLaw { floor, scale, exponent } = curve.law;
                json!({
                    "points": curve.points.iter().map(point).collect::<Value>(),
                    "law": { "floor": floor, "scale": scale, "exponent": exponent },
                })
            }),
            "advice": self.advice(model).map(|(advice, text)| {
                json!({
                    "text": text,
                    "label": model.labels[usize::from(advice.class)],
                    "more_photos": advice.more,
                    "gain": advice.gain,
                })
            }),
            "memory": { "estimate": self.cost.bytes },
            "warm_start": self.warm_start.as_ref().map(|start| {
                json!({
                    "classes": start.classes,
                    "iterations": start.warm.map(|report| report.iterations),
                    "cold_iterations": start.cold.iterations,
                })
            }),
            "neck": model.neck.as_ref().map(neck_json),
            "seconds": {
                "features": extract_time.as_secs_f64(),
                "fit": fitted.fit_time.as_secs_f64(),
                "evaluation": fitted.left_out_time.as_secs_f64(),
            },
            "skipped": skipped_json(extracted),
        })
    }
}

/// What a number of folds is called.
pub fn method(folds: usize, n_samples: usize) -> String {
    match folds {
        _ if folds == n_samples => "leave-one-out".to_owned(),
        1 => "held out".to_owned(),
        _ => format!("{folds}-fold cross-validation"),
    }
}
