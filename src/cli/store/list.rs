//! What is in a store.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use topgraft::store::SampleStore;

use super::StoreArgs;
use crate::cli::Outcome;
use crate::cli::text::{bytes, counted, percent, plain, plain_path, table};

#[derive(clap::Args)]
pub struct ListArgs {
    /// Every sample with its number
    #[arg(long)]
    samples: bool,
    #[command(flatten)]
    store: StoreArgs,
}

pub fn list(args: &ListArgs) -> anyhow::Result<Outcome> {
    let store = SampleStore::open(&args.store.store)?;
    let (classes, usage) = (store.classes()?, store.usage()?);
    let samples = if args.samples { store.samples()? } else { Vec::new() };
    let mut out = std::io::stdout().lock();
    if args.store.json {
        let samples = samples.iter().map(|sample| {
            json!({
                "id": sample.id,
                "class": sample.class,
                "source": sample.source,
                "time": seconds(sample.time),
                "bytes": sample.bytes,
                "sha256": crate::cli::text::hex(&sample.sha256),
            })
        });
        let summary = json!({
            "store": args.store.store.display().to_string(),
            "classes": classes.iter().map(|(name, count)| json!({ "name": name, "samples": count })).collect::<Value>(),
            "removed": usage.removed,
            "pending": usage.pending,
            "heads": usage.heads,
            "bytes": usage.bytes,
            "file_bytes": usage.file_bytes,
            "samples": args.samples.then(|| samples.collect::<Value>()),
        });
        writeln!(out, "{summary}")?;
        return Ok(Outcome::Done);
    }
    writeln!(out, "store      {} ({})", plain_path(&args.store.store), bytes(usage.file_bytes))?;
    let shown: Vec<String> = classes.iter().map(|(name, count)| format!("{} {count}", plain(name))).collect();
    writeln!(out, "classes    {}{}{}", classes.len(), if shown.is_empty() { "" } else { ": " }, shown.join(", "))?;
    writeln!(out, "samples    {}, and {} that can be brought back by undo", usage.samples, usage.removed)?;
    writeln!(out, "heads      {}", counted(usage.heads, "version"))?;
    writeln!(out, "pending    {} for a label", counted(usage.pending, "frame"))?;
    if args.samples {
        let mut rows = vec![["sample", "class", "size", "taken", "from"].map(str::to_owned).to_vec()];
        for sample in &samples {
            let (class, source) = (plain(&sample.class), plain(&sample.source));
            rows.push(vec![sample.id.to_string(), class, bytes(sample.bytes), utc(sample.time), source]);
        }
        write!(out, "\n{}", table(&rows, &[0, 2]))?;
    }
    Ok(Outcome::Done)
}

pub fn pending(args: &StoreArgs) -> anyhow::Result<Outcome> {
    let pending = SampleStore::open(&args.store)?.pending()?;
    let mut out = std::io::stdout().lock();
    if args.json {
        let frames = pending.iter().map(|frame| {
            json!({
                "id": frame.id,
                "guess": frame.guess,
                "probability": frame.probability,
                "source": frame.source,
                "time": seconds(frame.time),
            })
        });
        writeln!(out, "{}", json!({ "pending": frames.collect::<Value>() }))?;
        return Ok(Outcome::Done);
    }
    if pending.is_empty() {
        writeln!(out, "no frame waits for a label")?;
        return Ok(Outcome::Done);
    }
    let mut rows = vec![["frame", "may be", "", "taken", "from"].map(str::to_owned).to_vec()];
    for frame in &pending {
        let (guess, source) = (plain(&frame.guess), plain(&frame.source));
        rows.push(vec![frame.id.to_string(), guess, percent(frame.probability.into()), utc(frame.time), source]);
    }
    write!(out, "{}", table(&rows, &[0, 2]))?;
    Ok(Outcome::Done)
}

pub fn heads(args: &StoreArgs) -> anyhow::Result<Outcome> {
    let heads = SampleStore::open(&args.store)?.heads()?;
    let mut out = std::io::stdout().lock();
    if args.json {
        let heads = heads.iter().map(|head| {
            json!({
                "version": head.version,
                "time": seconds(head.time),
                "samples": head.samples,
                "bytes": head.bytes,
                "has_samples": head.has_samples,
            })
        });
        writeln!(out, "{}", json!({ "heads": heads.collect::<Value>() }))?;
        return Ok(Outcome::Done);
    }
    if heads.is_empty() {
        writeln!(out, "no head was measured yet")?;
        return Ok(Outcome::Done);
    }
    let mut rows = vec![["head", "measured", "samples", "size", ""].map(str::to_owned).to_vec()];
    for head in &heads {
        let note = if head.has_samples { "" } else { "no way back" }.to_owned();
        rows.push(vec![head.version.to_string(), utc(head.time), head.samples.to_string(), bytes(head.bytes), note]);
    }
    write!(out, "{}", table(&rows, &[0, 2, 3]))?;
    Ok(Outcome::Done)
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as f64 / 1e3
}

/// `2026-11-27T22:40:05Z`
fn utc(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}
