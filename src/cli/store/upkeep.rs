//! What keeps a store in order.

use std::io::Write;

use serde_json::json;
use topgraft::store::SampleStore;

use super::StoreArgs;
use crate::cli::Outcome;
use crate::cli::text::{bytes, plain};

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

pub fn compact(args: &StoreArgs) -> anyhow::Result<Outcome> {
    let mut store = SampleStore::open(&args.store)?;
    let before = store.usage()?.file_bytes;
    store.compact()?;
    let after = store.usage()?.file_bytes;
    let mut out = std::io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", json!({ "before": before, "after": after }))?,
        false => writeln!(out, "compacted  {} to {}", bytes(before), bytes(after))?,
    }
    Ok(Outcome::Done)
}
