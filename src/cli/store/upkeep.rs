//! What keeps a store in order.

use std::io::Write;

use serde_json::json;
use topgraft::store::{Limits, SampleStore};

use super::StoreArgs;
use crate::cli::Outcome;
use crate::cli::text::{bytes, counted, plain};

pub fn check(args: &StoreArgs) -> anyhow::Result<Outcome> {
    let faults: Vec<String> = SampleStore::open(&args.store)?.check()?.iter().map(ToString::to_string).collect();
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", json!({ "faults": faults }))?;
    } else if faults.is_empty() {
        writeln!(out, "sound      every page, photo and head is as it was written")?;
    } else {
        for fault in &faults {
            writeln!(out, "damaged    {}", plain(fault))?;
        }
    }
    Ok(if faults.is_empty() { Outcome::Done } else { Outcome::SomeInputBad })
}

#[derive(clap::Args)]
pub struct CompactArgs {
    /// Let samples go, too, until so many are left: the oldest of the class that has most, again and again
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    samples: Option<u32>,
    /// The same until photos and features take up so many megabytes
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(1..))]
    megabytes: Option<u32>,
    #[command(flatten)]
    store: StoreArgs,
}

pub fn compact(args: &CompactArgs) -> anyhow::Result<Outcome> {
    let mut store = SampleStore::open(&args.store.store)?;
    let before = store.usage()?.file_bytes;
    let limits = Limits {
        samples: args.samples.map_or(usize::MAX, |samples| samples as usize),
        bytes: args.megabytes.map_or(u64::MAX, |megabytes| 1_000_000 * u64::from(megabytes)),
        ..Limits::default()
    };
    let gone = store.make_room(&limits)?.samples.len();
    store.compact()?;
    let after = store.usage()?.file_bytes;
    let mut out = std::io::stdout().lock();
    match args.store.json {
        true => writeln!(out, "{}", json!({ "before": before, "after": after, "gone": gone }))?,
        false => {
            writeln!(out, "compacted  {} to {}, {} gone", bytes(before), bytes(after), counted(gone, "sample"))?;
        }
    }
    Ok(Outcome::Done)
}
