//! Into a store and out of it.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;
use topgraft::learn::{ImportLimits, import as import_photos, save};
use topgraft::store::SampleStore;

use super::StoreArgs;
use crate::cli::Outcome;
use crate::cli::live;
use crate::cli::message::message;
use crate::cli::photos::progress_bar_of;
use crate::cli::text::{bytes, counted, plain, plain_path};

#[derive(clap::Args)]
pub struct ImportArgs {
    /// Folder or zip archive
    #[arg(value_name = "FOLDER|ZIP")]
    from: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(clap::Args)]
pub struct ExportArgs {
    /// Folder to make
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(clap::Args)]
pub struct PhotoArgs {
    /// Its number
    #[arg(value_name = "NUMBER")]
    id: i64,
    /// It is the number of a frame that waits for a label
    #[arg(long)]
    pending: bool,
    #[command(flatten)]
    file: FileArgs,
}

#[derive(clap::Args)]
pub struct HeadArgs {
    /// Number of the head, as `topgraft store heads` lists them [default: the latest]
    #[arg(value_name = "HEAD")]
    version: Option<i64>,
    #[command(flatten)]
    file: FileArgs,
}

/// A store, and a file that is written out of it.
#[derive(clap::Args)]
struct FileArgs {
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(clap::Args)]
pub struct MergeArgs {
    /// The other store, which stays as it is
    #[arg(value_name = "OTHER.store")]
    other: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
}

pub fn import(args: &ImportArgs) -> anyhow::Result<Outcome> {
    let was_there = args.store.store.exists();
    let mut store = SampleStore::open_or_create(&args.store.store)?;
    // How many there will be is known only at the end.
    let bar = progress_bar_of(0, "photos");
    let imported = import_photos(&mut store, &args.from, ImportLimits::default(), || {
        bar.inc_length(1);
        bar.inc(1);
    });
    bar.finish_and_clear();
    if imported.is_err() {
        drop(store);
        live::remove_if_new_and_empty(&args.store.store, was_there);
    }
    let imported = imported?;
    for skipped in &imported.skipped {
        message(format_args!("skipped {skipped}"));
    }
    let mut out = std::io::stdout().lock();
    if args.store.json {
        let moved = imported.moved.iter().map(|(id, from)| json!({ "id": id, "from": from }));
        let summary = json!({
            "new": imported.new,
            "known": imported.known,
            "moved": moved.collect::<serde_json::Value>(),
            "skipped": imported.skipped,
        });
        writeln!(out, "{summary}")?;
    } else {
        writeln!(out, "new        {}", counted(imported.new, "sample"))?;
        writeln!(out, "known      {}", counted(imported.known, "photo"))?;
        for (id, from) in &imported.moved {
            writeln!(out, "moved      sample {id} was {}", plain(from))?;
        }
    }
    Ok(if imported.skipped.is_empty() { Outcome::Done } else { Outcome::SomeInputBad })
}

pub fn export(args: &ExportArgs) -> anyhow::Result<Outcome> {
    let (count, skipped) = SampleStore::open(&args.store.store)?.export(&args.folder)?;
    for (id, error) in &skipped {
        message(format_args!("skipped sample {id}: {error}"));
    }
    let skipped: Vec<i64> = skipped.into_iter().map(|(id, _)| id).collect();
    let mut out = std::io::stdout().lock();
    match args.store.json {
        true => writeln!(
            out,
            "{}",
            json!({ "folder": args.folder.display().to_string(), "photos": count, "skipped": skipped })
        )?,
        false => writeln!(out, "written    {} ({})", plain_path(&args.folder), counted(count, "photo"))?,
    }
    Ok(if skipped.is_empty() { Outcome::Done } else { Outcome::SomeInputBad })
}

pub fn photo(args: &PhotoArgs) -> anyhow::Result<Outcome> {
    let store = SampleStore::open(&args.file.store.store)?;
    let photo = if args.pending { store.pending_photo(args.id)? } else { store.photo(args.id)? };
    write_file(&args.file, &photo)
}

pub fn head(args: &HeadArgs) -> anyhow::Result<Outcome> {
    let store = SampleStore::open(&args.file.store.store)?;
    let version = args.version.or(store.heads()?.first().map(|head| head.version));
    let Some(version) = version else { anyhow::bail!("no head was measured yet; `topgraft teach` does it") };
    write_file(&args.file, &store.head(version)?)
}

pub fn merge(args: &MergeArgs) -> anyhow::Result<Outcome> {
    let other = SampleStore::open(&args.other)?;
    let was_there = args.store.store.exists();
    let merged = SampleStore::open_or_create(&args.store.store)?.merge(&other);
    if merged.is_err() {
        live::remove_if_new_and_empty(&args.store.store, was_there);
    }
    let merged = merged?;
    for id in &merged.damaged {
        message(format_args!("skipped sample {id} of {}: its photo is damaged", args.other.display()));
    }
    let outcome = if merged.damaged.is_empty() { Outcome::Done } else { Outcome::SomeInputBad };
    let mut out = std::io::stdout().lock();
    if args.store.json {
        let conflicts =
            merged.conflicts.iter().map(|(id, here, there)| json!({ "id": id, "here": here, "there": there }));
        let conflicts = conflicts.collect::<serde_json::Value>();
        writeln!(
            out,
            "{}",
            json!({ "new": merged.new, "known": merged.known, "conflicts": conflicts, "damaged": merged.damaged })
        )?;
        return Ok(outcome);
    }
    writeln!(out, "new        {}", counted(merged.new, "sample"))?;
    writeln!(out, "known      {}", counted(merged.known, "sample"))?;
    for (id, here, there) in &merged.conflicts {
        writeln!(out, "conflict   sample {id} stays {}, it is {} there", plain(here), plain(there))?;
    }
    Ok(outcome)
}

fn write_file(args: &FileArgs, content: &[u8]) -> anyhow::Result<Outcome> {
    let path = &args.output;
    live::check_not_the_store(path, &args.store.store)?;
    save(path, content, args.force)?;
    let mut out = std::io::stdout().lock();
    match args.store.json {
        true => writeln!(out, "{}", json!({ "path": path.display().to_string(), "bytes": content.len() }))?,
        false => writeln!(out, "written    {} ({})", plain_path(path), bytes(content.len() as u64))?,
    }
    Ok(Outcome::Done)
}
