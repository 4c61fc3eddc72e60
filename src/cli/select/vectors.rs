//! Which word vectors suit some texts.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};
use topgraft::learn::{Candidate, Dataset, Extracted, Settings, Texts, choose_pooling};
use topgraft::trunk::Trunk;

use super::super::input::Input;
use super::super::text::{bytes, counted, duration, percent, plain_path, table};
use super::{Args, Outcome};

/// Vectors that were tried.
struct Tried {
    path: PathBuf,
    input: Input,
    candidate: Candidate,
    feature_dim: usize,
    file_bytes: u64,
}

impl Tried {
    fn new(args: &Args, path: &PathBuf, texts: &Texts) -> anyhow::Result<Self> {
        let all: Vec<&str> = texts.texts.iter().map(String::as_str).collect();
        let mut embedder = args.pooling.embedder(path, &all)?;
        if args.pooling.is_open() {
            embedder = choose_pooling(embedder, texts, &texts.dataset, None, Settings::default().kinds)?;
        }
        let feature_dim = embedder.recipe().feature_dim();
        let start = Instant::now();
        let input = Input::of_texts(&args.photos, texts.clone(), embedder.into())?;
        let per_text = start.elapsed() / all.len() as u32;
        let trunk = Trunk::rows(u32::try_from(feature_dim)?);
        let rows = input.rows.as_ref().expect("texts give rows");
        let extracted = Extracted::of_rows(&trunk, rows, &input.dataset, Vec::new());
        let settings = Settings { scalings: &input.scalings(), ..Settings::default() };
        let candidate = Candidate::new(&extracted, &settings, per_text)?;
        let file_bytes = std::fs::metadata(path).map_or(0, |file| file.len());
        Ok(Self { path: path.clone(), input, candidate, feature_dim, file_bytes })
    }

    /// Share of the words that is known.
    fn coverage(&self) -> f64 {
        self.input.texts.as_ref().map_or(0.0, |texts| texts.coverage().share())
    }

    fn json(&self) -> Value {
        json!({
            "vectors": self.path.display().to_string(),
            "feature_dim": self.feature_dim,
            "accuracy": self.candidate.accuracy(),
            "interval": self.candidate.fitted.evaluation.interval(),
            "coverage": self.coverage(),
            "head": self.candidate.fitted.left_out.kind.name(),
            "log_me": self.candidate.log_me,
            "h_score": self.candidate.h_score,
            "milliseconds": self.candidate.pass_time.as_secs_f64() * 1e3,
            "bytes": self.file_bytes,
        })
    }
}

/// Ranks vectors by left-out accuracy on these texts, and those that are as good by what they know of the words.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let texts = Texts::open(&args.photos)?;
    texts.check_teachable(&args.photos, 2)?;
    let mut tried =
        args.vectors.iter().map(|path| Tried::new(args, path, &texts)).collect::<anyhow::Result<Vec<_>>>()?;
    tried.sort_by(|a, b| {
        let accuracy = b.candidate.accuracy().total_cmp(&a.candidate.accuracy());
        accuracy.then(b.coverage().total_cmp(&a.coverage()))
    });
    let Dataset { classes, samples } = &texts.dataset;
    let mut out = std::io::stdout().lock();
    if args.json {
        let object = json!({
            "classes": classes,
            "n_samples": samples.len(),
            "vectors": tried.iter().map(Tried::json).collect::<Value>(),
            "best": tried[0].path.display().to_string(),
        });
        writeln!(out, "{object}")?;
        return Ok(Outcome::Done);
    }
    let heading =
        ["vectors", "features", "left-out accuracy", "95 % interval", "words known", "head", "a text", "file"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for vectors in &tried {
        let [low, high] = vectors.candidate.fitted.evaluation.interval();
        rows.push(vec![
            plain_path(&vectors.path),
            vectors.feature_dim.to_string(),
            percent(vectors.candidate.accuracy()),
            format!("{:.1} to {}", 100.0 * low, percent(high)),
            percent(vectors.coverage()),
            vectors.candidate.fitted.left_out.kind.name().to_owned(),
            duration(vectors.candidate.pass_time),
            bytes(vectors.file_bytes),
        ]);
    }
    writeln!(out, "{} of {} classes\n", counted(samples.len(), "text"), classes.len())?;
    write!(out, "{}", table(&rows, &[1, 2, 3, 4, 6, 7]))?;
    let (best, options) = (plain_path(&tried[0].path), args.pooling.text());
    writeln!(out, "\nThe best: topgraft learn --vectors {best}{options}")?;
    Ok(Outcome::Done)
}
