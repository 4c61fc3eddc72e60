//! `topgraft probe`: how much of a backbone to use.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use topgraft::learn::{Dataset, Extracted, PassTimes, Probed, Readings, Settings, pass_times, recommended};
use topgraft::topgraft_core::preprocess::Preprocess;
use topgraft::trunk::{Backbone, Layer, Part, Pooling, Tap};
use topgraft::vision::{self, Preprocessor};

use super::Outcome;
use super::backbone::{BackboneArgs, preprocess_of};
use super::budget;
use super::guard::check_output;
use super::photos::{extract_taps, progress_bar_of, skipped_json};
use super::report::Chart;
use super::text::{bytes, count, counted, duration, percent, plain, table};

/// Compare cuts of a backbone: what a head on each is worth for these photos, and what it costs
#[derive(clap::Args)]
pub struct Args {
    /// Folder that holds one folder of photos per class, as for `learn`
    photos: PathBuf,
    #[command(flatten)]
    backbone: BackboneArgs,
    /// Cuts to compare, written as for `learn`; `topgraft layers` lists the layers [default: --cuts layers, spread over the
    /// network]
    #[arg(long, value_name = "CUT", conflicts_with_all = ["cuts", "pooling"])]
    cut: Vec<String>,
    /// How many layers to compare
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    cuts: u16,
    /// How the maps of these layers become features, one or more, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "average,max,pyramid")]
    pooling: Vec<PoolingArg>,
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

/// A pooling of maps.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum PoolingArg {
    /// Mean of each channel
    Average,
    /// Maximum of each channel
    Max,
    /// Means of the four quarters of each channel, which say where
    Pyramid,
}

impl PoolingArg {
    fn pooling(&self) -> Pooling {
        match self {
            Self::Average => Pooling::Average,
            Self::Max => Pooling::Max,
            Self::Pyramid => Pooling::Pyramid,
        }
    }
}

/// Cuts of a network, measured with photos.
pub struct Measured {
    pub extracted: Extracted,
    pub probed: Vec<Probed>,
    pub times: PassTimes,
    /// Which of them to take.
    pub recommended: usize,
}

/// What came out.
struct Report<'a> {
    backbone: &'a Backbone,
    measured: Measured,
    chart: Option<&'a Path>,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let chart = args.chart.as_ref().map(|path| Chart::open(path, args.force)).transpose()?;
    let dataset = Dataset::open(&args.photos)?;
    if let Some(chart) = &args.chart {
        check_output(chart, args.backbone.file(), Some(&dataset), "the chart", "--chart")?;
    }
    dataset.check_teachable()?;
    let backbone = args.backbone.open()?;
    let measured = Measured::new(&backbone, &cuts(args, &backbone)?, &preprocess_of(&backbone), &dataset)?;
    if let Some(chart) = chart {
        chart.write(&backbone, &measured)?;
    }
    let report = Report { backbone: &backbone, measured, chart: args.chart.as_deref() };
    let mut out = std::io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", report.json())?,
        false => report.print(&mut out)?,
    }
    Ok(if report.measured.extracted.skipped.is_empty() { Outcome::Done } else { Outcome::SomeInputBad })
}

impl Measured {
    /// Reads the photos of `dataset` once at all `cuts`, fits a head at each, and times them.
    pub fn new(
        backbone: &Backbone,
        cuts: &[String],
        preprocess: &Preprocess,
        dataset: &Dataset,
    ) -> anyhow::Result<Self> {
        let taps = backbone.taps(cuts, preprocess)?;
        budget::check_features(
            dataset.samples.len(),
            taps.feature_dim(),
            None,
            "give fewer cuts (--cut, --cuts, --pooling) or fewer photos",
        )?;
        let extracted = extract_taps(&taps, dataset)?;
        let bar = progress_bar_of(taps.list().len(), "cuts");
        let (features, labels) = (extracted.features.view(), extracted.labels());
        let n_classes = extracted.dataset.classes.len();
        let readings = Readings { taps: taps.list(), features, labels: &labels, n_classes };
        let mut probed = readings.probe(&Settings::default(), || bar.inc(1))?;
        bar.finish_and_clear();
        probed.extend(readings.probe_joined(&probed, &Settings::default())?);
        // Any photo will do.
        let photo = vision::open(&extracted.dataset.samples[0].path)?;
        let input = Preprocessor::new(preprocess)?.apply(&photo);
        let read: Vec<&Tap> = probed.iter().map(|probed| &probed.tap).collect();
        let times = pass_times(backbone, &taps, &read, preprocess, &input)?;
        let recommended = recommended(&probed).expect("one cut at least");
        Ok(Self { extracted, probed, times, recommended })
    }
}

/// The cuts to compare, from the cheapest to the dearest, each once.
fn cuts(args: &Args, backbone: &Backbone) -> anyhow::Result<Vec<String>> {
    match args.cut.as_slice() {
        [] => {
            let poolings: Vec<Pooling> = args.pooling.iter().map(PoolingArg::pooling).collect();
            spread(backbone, args.cuts, &poolings)
        }
        cuts => sorted(backbone, cuts.iter().cloned()),
    }
}

/// So many layers, spread over the network, the map of each pooled in each of the ways.
pub fn spread(backbone: &Backbone, layers: u16, poolings: &[Pooling]) -> anyhow::Result<Vec<String>> {
    let each = |layer: &Layer| match layer.shape[..] {
        [_, _, height, width] if height > 1 && width > 1 => {
            poolings.iter().map(|pooling| format!("{}:{}", layer.output, pooling.name())).collect::<Vec<_>>()
        }
        // A vector, or a map of one pixel, is taken as it is.
        _ => vec![layer.output.clone()],
    };
    sorted(backbone, backbone.candidates(layers.into()).into_iter().flat_map(each))
}

/// From the cheapest to the dearest, each once.
fn sorted(backbone: &Backbone, cuts: impl Iterator<Item = String>) -> anyhow::Result<Vec<String>> {
    let mut taps: Vec<Tap> = cuts.map(|cut| backbone.tap(&cut)).collect::<Result<_, _>>()?;
    taps.sort_by_key(Tap::multiply_adds);
    let mut cuts = Vec::new();
    for tap in &taps {
        let cut = tap.to_string();
        if !cuts.contains(&cut) {
            cuts.push(cut);
        }
    }
    Ok(cuts)
}

/// Bytes of a cut's weights in 32 bits.
fn weight_bytes(tap: &Tap) -> u64 {
    4 * tap.parameters()
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
        for (at, (Probed { tap, fitted }, time)) in
            self.measured.probed.iter().zip(&self.measured.times.cuts).enumerate()
        {
            let [low, high] = fitted.evaluation.interval();
            rows.push(vec![
                if at == self.measured.recommended { "*" } else { "" }.to_owned(),
                plain(&self.backbone.tap_name(tap)),
                tap.feature_dim().to_string(),
                percent(fitted.evaluation.accuracy()),
                format!("{:.1} to {}", 100.0 * low, percent(high)),
                fitted.left_out.kind.name().to_owned(),
                duration(*time),
                count(tap.multiply_adds()),
                bytes(weight_bytes(tap)),
            ]);
        }
        let extracted = &self.measured.extracted;
        writeln!(
            out,
            "{}: {} of {} classes\n",
            plain(self.backbone.name()),
            counted(extracted.features.nrows(), "photo"),
            extracted.dataset.classes.len()
        )?;
        write!(out, "{}", table(&rows, &[2, 3, 4, 6, 7, 8]))?;
        let best = &self.measured.probed[self.measured.recommended].tap;
        writeln!(
            out,
            "\n* recommended: the deepest, or the cheapest of those that are clearly better: topgraft learn --cut {}\n\
             All of them in one pass: {} a photo. Times are of one thread.",
            plain(&self.backbone.tap_name(best)),
            duration(self.measured.times.taps)
        )
    }

    /// One object with stable keys; documented in docs/json.md.
    fn json(&self) -> Value {
        let part =
            |part: &Part| json!({ "layer": self.backbone.cut_name(&part.layer), "pooling": part.pooling.name() });
        let layers = |tap: &Tap| tap.parts().iter().map(part).collect::<Value>();
        let milliseconds = |time: &Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let cut = |(Probed { tap, fitted }, time): (&Probed, &Duration)| {
            json!({
                "cut": self.backbone.tap_name(tap),
                "layers": layers(tap),
                "feature_dim": tap.feature_dim(),
                "accuracy": fitted.evaluation.accuracy(),
                "interval": fitted.evaluation.interval(),
                "log_loss": fitted.left_out.log_loss(),
                "head": fitted.left_out.kind.name(),
                "milliseconds": milliseconds(time),
                "multiply_adds": tap.multiply_adds(),
                "parameters": tap.parameters(),
                "weight_bytes": weight_bytes(tap),
            })
        };
        json!({
            "backbone": self.backbone.name(),
            "n_samples": self.measured.extracted.features.nrows(),
            "classes": self.measured.extracted.dataset.classes,
            "cuts": self.measured.probed.iter().zip(&self.measured.times.cuts).map(cut).collect::<Value>(),
            "recommended": self.backbone.tap_name(&self.measured.probed[self.measured.recommended].tap),
            "one_pass_milliseconds": milliseconds(&self.measured.times.taps),
            "chart": self.chart.map(|path| path.display().to_string()),
            "skipped": skipped_json(&self.measured.extracted),
        })
    }
}
