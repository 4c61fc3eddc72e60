//! What changes the samples.

use std::collections::BTreeSet;
use std::io::Write;

use anyhow::bail;
use serde_json::json;
use topgraft::store::SampleStore;

use super::StoreArgs;
use crate::cli::Outcome;
use crate::cli::text::{counted, plain};

#[derive(clap::Args)]
pub struct RollBackArgs {
    /// Number of the head, as `topgraft store heads` lists them
    #[arg(value_name = "HEAD")]
    version: i64,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(clap::Args)]
pub struct RelabelArgs {
    /// Numbers, as the lists have them
    #[arg(value_name = "NUMBER", required = true)]
    ids: Vec<i64>,
    /// Name of the class
    #[arg(short, long, value_name = "NAME")]
    class: String,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(clap::Args)]
pub struct RemoveArgs {
    /// Numbers of samples, as `topgraft store list --samples` has them
    #[arg(value_name = "NUMBER", required_unless_present = "class")]
    ids: Vec<i64>,
    /// A class with all of its samples
    #[arg(short, long, value_name = "NAME", conflicts_with = "ids")]
    class: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(clap::Args)]
pub struct RenameArgs {
    /// Name of the class
    #[arg(value_name = "NAME")]
    name: String,
    /// Its new name
    #[arg(value_name = "NEW")]
    new: String,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(clap::Args)]
pub struct DropArgs {
    /// Numbers of frames, as `topgraft store pending` lists them
    #[arg(value_name = "NUMBER", required_unless_present = "all")]
    ids: Vec<i64>,
    /// All of them
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    #[command(flatten)]
    store: StoreArgs,
}

pub fn undo(args: &StoreArgs) -> anyhow::Result<Outcome> {
    let undone = SampleStore::open(&args.store)?.undo()?;
    say(args, "undone", &plain(&undone.what), undone.samples)
}

pub fn roll_back(args: &RollBackArgs) -> anyhow::Result<Outcome> {
    let mut store = SampleStore::open(&args.store.store)?;
    let changed = store.roll_back(args.version)?;
    let known = store.heads()?.into_iter().find(|head| head.version == args.version).map_or(0, |head| head.samples);
    let now = store.usage()?.samples;
    say(&args.store, "rolled back", &format!("to head {}", args.version), changed)?;
    if now < known {
        crate::cli::message::message(format_args!(
            "head {} was of {known} samples, of which {} are gone for good",
            args.version,
            known - now
        ));
        return Ok(Outcome::SomethingFailed);
    }
    Ok(Outcome::Done)
}

pub fn relabel(args: &RelabelArgs) -> anyhow::Result<Outcome> {
    let ids = distinct(&args.ids);
    SampleStore::open(&args.store.store)?.relabel(&ids, &args.class)?;
    say(&args.store, "moved", &format!("to {}", plain(&args.class)), ids.len())
}

pub fn remove(args: &RemoveArgs) -> anyhow::Result<Outcome> {
    let mut store = SampleStore::open(&args.store.store)?;
    let (what, count) = match &args.class {
        Some(class) => (format!("class {}", plain(class)), store.remove_class(class)?),
        None => {
            let ids = distinct(&args.ids);
            store.remove(&ids)?;
            (String::new(), ids.len())
        }
    };
    say(&args.store, "removed", &what, count)
}

pub fn rename(args: &RenameArgs) -> anyhow::Result<Outcome> {
    if args.name == args.new {
        bail!("`{}` has that name already", args.name);
    }
    let count = SampleStore::open(&args.store.store)?.rename_class(&args.name, &args.new)?;
    say(&args.store, "renamed", &format!("{} to {}", plain(&args.name), plain(&args.new)), count)
}

pub fn label(args: &RelabelArgs) -> anyhow::Result<Outcome> {
    let ids = SampleStore::open(&args.store.store)?.label_pending(&distinct(&args.ids), &args.class)?;
    say(&args.store, "taught", &plain(&args.class), ids.len())
}

pub fn drop_pending(args: &DropArgs) -> anyhow::Result<Outcome> {
    let mut store = SampleStore::open(&args.store.store)?;
    let all = store.pending()?.into_iter().map(|frame| frame.id);
    let ids = if args.all { all.collect() } else { distinct(&args.ids) };
    store.drop_pending(&ids)?;
    say(&args.store, "dropped", "", ids.len())
}

/// Each number once.
fn distinct(ids: &[i64]) -> Vec<i64> {
    ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect()
}

/// `undone     teach cat: 3 samples`
fn say(args: &StoreArgs, done: &str, what: &str, count: usize) -> anyhow::Result<Outcome> {
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", json!({ "done": done, "what": what, "count": count }))?;
        return Ok(Outcome::Done);
    }
    let things = if done == "dropped" { "frame" } else { "sample" };
    let separator = if what.is_empty() { "" } else { ": " };
    writeln!(out, "{done:<10} {what}{separator}{}", counted(count, things))?;
    Ok(Outcome::Done)
}
