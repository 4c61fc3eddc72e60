//! `topgraft probe`: how much of a backbone to use.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use topgraft::learn::{Dataset, Extracted, PassTimes, Probed, Settings, pass_times, probe, recommended};
use topgraft::trunk::{Backbone, Layer};
use topgraft::vision::{self, Preprocessor};

use super::Outcome;
use super::backbone::{BackboneArgs, preprocess_of};
use super::message::message;
use super::photos::{progress_bar, skipped_json};
use super::report::Chart;
use super::text::{bytes, count, counted, duration, percent, plain, table};

/// Compare cuts of a backbone: what a head on each is worth for these photos, and what it costs
#[derive(clap::Args)]
pub struct Args {
    /// Folder that holds one folder of photos per class, as for `learn`
    photos: PathBuf,
    #[command(flatten)]
    backbone: BackboneArgs,
    /// Layers to compare; `topgraft layers` lists them [default: --cuts of them, spread over the network]
    #[arg(long, value_name = "LAYER", conflicts_with = "cuts")]
    cut: Vec<String>,
    /// How many layers to compare
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    cuts: u16,
    /// Draw accuracy against time into this PNG file
    #[arg(long, value_name = "FILE.png")]
    chart: Option<PathBuf>,
    /// Replace a chart that is there
    #[arg(long, requires = "chart")]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What came out.
struct Report<'a> {
    backbone: &'a Backbone,
    extracted: &'a Extracted,
    probed: Vec<Probed>,
    times: PassTimes,
    recommended: usize,
    chart: Option<&'a Path>,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let chart = args.chart.as_ref().map(|path| Chart::open(path, args.force)).transpose()?;
    let dataset = Dataset::open(&args.photos)?;
    dataset.check_teachable()?;
    let backbone = args.backbone.open()?;
    let preprocess = preprocess_of(&backbone);
    let mut layers: Vec<&Layer> = match args.cut.as_slice() {
        [] => backbone.candidates(args.cuts.into()),
        cuts => cuts.iter().map(|cut| backbone.layer(cut)).collect::<Result<_, _>>()?,
    };
    layers.sort_by_key(|layer| layer.multiply_adds);
    layers.dedup_by_key(|layer| &layer.output);
    let cuts: Vec<&str> = layers.iter().map(|layer| layer.output.as_str()).collect();
    let taps = backbone.tap(&cuts, &preprocess)?;
    let bar = progress_bar(dataset.samples.len());
    let mut extracted = Extracted::of_taps(&taps, &dataset, || bar.inc(1));
    bar.finish_and_clear();
    for (_, error) in &extracted.skipped {
        message(format_args!("skipped {error}"));
    }
    extracted.check_trunk()?;
    extracted.dataset.check_teachable()?;
    let probed = probe(&taps, &extracted, &Settings::default())?;
    // Any photo will do.
    let photo = vision::open(&extracted.dataset.samples[0].path)?;
    let input = Preprocessor::new(&preprocess)?.apply(&photo);
    let times = pass_times(&backbone, &taps, &preprocess, &input)?;
    let recommended = recommended(&probed).expect("one cut at least");
    if let Some(chart) = chart {
        chart.write(&backbone, &probed, &times.cuts, recommended)?;
    }
    let report =
        Report { backbone: &backbone, extracted: &extracted, probed, times, recommended, chart: args.chart.as_deref() };
    let mut out = std::io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", report.json())?,
        false => report.print(&mut out)?,
    }
    Ok(if extracted.skipped.is_empty() { Outcome::Done } else { Outcome::SomeInputBad })
}

/// Bytes of a cut's weights in 32 bits.
fn weight_bytes(layer: &Layer) -> u64 {
    4 * layer.parameters
}

impl Report<'_> {
    fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        let heading = [
            "",
            "cut",
            "features",
            "left-out accuracy",
            "95 % interval",
            "head",
            "a photo",
            "multiply-adds",
            "weights",
        ];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        for (at, (Probed { layer, fitted }, time)) in self.probed.iter().zip(&self.times.cuts).enumerate() {
            let [low, high] = fitted.evaluation.interval();
            rows.push(vec![
                if at == self.recommended { "*" } else { "" }.to_owned(),
                plain(self.backbone.cut_name(layer)),
                layer.feature_dim.to_string(),
                percent(fitted.evaluation.accuracy()),
                format!("{:.1} to {}", 100.0 * low, percent(high)),
                fitted.left_out.kind.name().to_owned(),
                duration(*time),
                count(layer.multiply_adds),
                bytes(weight_bytes(layer)),
            ]);
        }
        let extracted = self.extracted;
        writeln!(
            out,
            "{}: {} of {} classes\n",
            plain(self.backbone.name()),
            counted(extracted.features.nrows(), "photo"),
            extracted.dataset.classes.len()
        )?;
        write!(out, "{}", table(&rows, &[2, 3, 4, 6, 7, 8]))?;
        let best = &self.probed[self.recommended].layer;
        writeln!(
            out,
            "\n* the cheapest within one standard error of the best: topgraft learn --cut {}\n\
             All of them in one pass: {} a photo. Times are of one thread.",
            plain(self.backbone.cut_name(best)),
            duration(self.times.taps)
        )
    }

    /// One object with stable keys; documented in docs/json.md.
    fn json(&self) -> Value {
        let milliseconds = |time: &Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let cut = |(Probed { layer, fitted }, time): (&Probed, &Duration)| {
            json!({
                "cut": self.backbone.cut_name(layer),
                "feature_dim": layer.feature_dim,
                "accuracy": fitted.evaluation.accuracy(),
                "interval": fitted.evaluation.interval(),
                "head": fitted.left_out.kind.name(),
                "milliseconds": milliseconds(time),
                "multiply_adds": layer.multiply_adds,
                "parameters": layer.parameters,
                "weight_bytes": weight_bytes(layer),
            })
        };
        json!({
            "backbone": self.backbone.name(),
            "n_samples": self.extracted.features.nrows(),
            "classes": self.extracted.dataset.classes,
            "cuts": self.probed.iter().zip(&self.times.cuts).map(cut).collect::<Value>(),
            "recommended": self.backbone.cut_name(&self.probed[self.recommended].layer),
            "one_pass_milliseconds": milliseconds(&self.times.taps),
            "chart": self.chart.map(|path| path.display().to_string()),
            "skipped": skipped_json(self.extracted),
        })
    }
}
