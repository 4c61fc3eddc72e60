//! `topgraft store statistics`: what other devices may know of the samples.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use topgraft::learn::{LEAST_SAMPLES, Statistics, check_path, save};
use topgraft::store::SampleStore;

use super::StoreArgs;
use crate::cli::Outcome;
use crate::cli::live::{self, LiveArgs};
use crate::cli::text::{bytes, counted, plain, plain_path};

#[derive(clap::Args)]
pub struct StatisticsArgs {
    /// File to write
    #[arg(short, long, value_name = "FILE.stats")]
    output: PathBuf,
    /// Leave classes out that have fewer samples: the fewer, the more their mean says of each
    #[arg(long, value_name = "N", default_value_t = LEAST_SAMPLES, value_parser = clap::value_parser!(u32).range(1..))]
    least: u32,
    /// Pretrained network, an ONNX file or a name of `topgraft models list` [default: the built-in EfficientNet-Lite0]
    #[arg(long, value_name = "MODEL.onnx|NAME")]
    backbone: Option<PathBuf>,
    /// Layer whose output are the features [default: the last before the network's own classifier]
    #[arg(long, value_name = "LAYER")]
    cut: Option<String>,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    store: StoreArgs,
}

pub fn statistics(args: &StatisticsArgs) -> anyhow::Result<Outcome> {
    let (path, store) = (&args.output, &args.store.store);
    live::check_not_the_store(path, store)?;
    check_path(path, args.force)?;
    // Not one that is made for this.
    drop(SampleStore::open(store)?);
    let (backbone, cut) = (args.backbone.clone(), args.cut.clone());
    let config = LiveArgs { config: None, store: None, backbone, cut }.config()?;
    let mut teacher = live::teacher(&config, store)?;
    let all_good = live::extract(&mut teacher, &AtomicBool::new(false))?;
    let (statistics, withheld) = Statistics::of_at_least(&teacher.snapshot()?, teacher.trunk(), args.least)?;
    let content = statistics.to_bytes();
    save(path, &content, args.force)?;
    let classes = statistics.classes().iter().zip(statistics.counts());
    let mut out = std::io::stdout().lock();
    if args.store.json {
        let object = |(name, samples): (&String, &u32)| json!({ "name": name, "samples": samples });
        let withheld: Value = withheld.iter().map(|(name, samples)| object((name, samples))).collect();
        let classes: Value = classes.map(object).collect();
        let path = path.display().to_string();
        writeln!(out, "{}", json!({ "path": path, "bytes": content.len(), "classes": classes, "withheld": withheld }))?;
    } else {
        let shown: Vec<String> = classes.map(|(name, samples)| format!("{} {samples}", plain(name))).collect();
        writeln!(out, "classes    {}: {}", shown.len(), shown.join(", "))?;
        for (name, samples) in &withheld {
            let samples = counted(*samples as usize, "sample");
            writeln!(out, "withheld   {}: {samples}, fewer than {}", plain(name), args.least)?;
        }
        writeln!(out, "written    {} ({})", plain_path(path), bytes(content.len() as u64))?;
    }
    Ok(if all_good { Outcome::Done } else { Outcome::SomeInputBad })
}
