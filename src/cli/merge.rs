//! `topgraft merge`: what several devices have learned -> one store, or one head.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::bail;
use serde_json::{Value, json};
use topgraft::learn::{
    Model, SaveError, Statistics, StatisticsFileError, StatisticsHead, Written, check_path, is_same_file,
};
use topgraft::store::{Merged, SampleStore};

use super::Outcome;
use super::guard::check_output;
use super::live;
use super::message::message;
use super::text::{counted, plain, plain_path, shortest};

/// Merge what several devices have learned: stores into a new store, or statistics, which hold no photos, into a head
#[derive(clap::Args)]
pub struct Args {
    /// Stores, or files that `topgraft store statistics` has written; they stay as they are
    #[arg(value_name = "FILE.store|FILE.stats", required = true)]
    inputs: Vec<PathBuf>,
    /// Store or head file to write
    #[arg(short, long, value_name = "UNION.store|HEAD.graft")]
    output: PathBuf,
    /// Kind of the head that is made of statistics
    #[arg(long, value_name = "KIND", value_enum, default_value_t)]
    head: MergedHead,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Kinds of heads that statistics are enough for.
#[derive(Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum MergedHead {
    /// Linear discriminant analysis
    #[default]
    Lda,
    /// The nearest class mean
    Prototype,
}

impl From<MergedHead> for StatisticsHead {
    fn from(head: MergedHead) -> Self {
        match head {
            MergedHead::Lda => Self::Lda,
            MergedHead::Prototype => Self::Prototype,
        }
    }
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    check_path(&args.output, args.force)?;
    check_output(&args.output, args.inputs.iter().cloned(), None, "what is merged", "--output")?;
    for (at, path) in args.inputs.iter().enumerate() {
        if args.inputs[..at].iter().any(|other| is_same_file(other, path)) {
            bail!("{}: is given twice; give each file once", path.display());
        }
    }
    let kinds = args.inputs.iter().map(|path| is_statistics(path)).collect::<Result<Vec<bool>, _>>()?;
    match kinds.iter().position(|kind| *kind != kinds[0]) {
        Some(other) => {
            let (store, statistics) = if kinds[0] { (other, 0) } else { (0, other) };
            let [store, statistics] = [store, statistics].map(|at| args.inputs[at].display());
            bail!("{store} is a store and {statistics} is statistics; give files of one kind");
        }
        None if kinds[0] => merge_statistics(args),
        None if args.head != MergedHead::default() => bail!("--head is for statistics; these are stores"),
        None => merge_stores(args),
    }
}

/// Whether a file is of statistics, by its first bytes; what else it is, is told when it is opened as a store.
fn is_statistics(path: &Path) -> Result<bool, StatisticsFileError> {
    // A folder, or no file at all: the store says so.
    if !path.is_file() {
        return Ok(path.extension().is_some_and(|ending| ending == "stats"));
    }
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(8).read_to_end(&mut start));
    read.map_err(|source| StatisticsFileError::Read { path: path.to_path_buf(), source })?;
    Ok(Statistics::is_named_by(&start))
}

fn merge_statistics(args: &Args) -> anyhow::Result<Outcome> {
    let parts = args.inputs.iter().map(|path| Statistics::open(path)).collect::<Result<Vec<_>, _>>()?;
    for (at, part) in parts.iter().enumerate() {
        if let Some(same) = parts[..at].iter().position(|other| other == part) {
            let [first, second] = [same, at].map(|at| args.inputs[at].display());
            bail!("{first} and {second} are the same statistics, whose samples would count twice; give one of them");
        }
    }
    let all = Statistics::merge(&parts)?;
    let model: Model = all.model(args.head.into())?;
    model.save(&args.output, args.force)?;
    let classes = |part: &Statistics| -> Vec<(String, usize)> {
        let counts = part.counts().iter().map(|count| *count as usize);
        part.classes().iter().cloned().zip(counts).collect()
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        let source = |(path, part): (&PathBuf, &Statistics)| json!({ "path": path.display().to_string(), "samples": part.n_samples(), "classes": list(&classes(part)) });
        let sources: Value = args.inputs.iter().zip(&parts).map(source).collect();
        let summary = json!({
            "kind": "head",
            "output": args.output.display().to_string(),
            "sources": sources,
            "samples": all.n_samples(),
            "classes": list(&classes(&all)),
            "head": model.kind.name(),
            "l2": shortest(model.l2),
        });
        writeln!(out, "{summary}")?;
        return Ok(Outcome::Done);
    }
    for (path, part) in args.inputs.iter().zip(&parts) {
        let [samples, classes] = [(part.n_samples() as usize, "sample"), (part.classes().len(), "class")]
            .map(|(number, noun)| counted(number, noun));
        writeln!(out, "merged     {}: {samples}, {classes}", plain_path(path))?;
    }
    writeln!(out, "classes    {}", shown(&classes(&all)))?;
    let shrinkage = match args.head {
        MergedHead::Lda => format!(", shrinkage {}", model.l2),
        MergedHead::Prototype => String::new(),
    };
    writeln!(out, "head       {}{shrinkage}; not measured, not calibrated", model.kind.name())?;
    writeln!(out, "written    {}", plain_path(&args.output))?;
    Ok(Outcome::Done)
}

/// Refuses to replace a store whose newest samples are in the log beside it: SQLite would add that log to the new one.
fn check_not_in_use(store: &Path) -> anyhow::Result<()> {
    let mut log = store.as_os_str().to_owned();
    log.push("-wal");
    if Path::new(&log).metadata().is_ok_and(|log| log.len() > 0) {
        bail!(
            "{}: another program has this store open, or did not close it; end it, or give another name",
            store.display()
        );
    }
    Ok(())
}

fn merge_stores(args: &Args) -> anyhow::Result<Outcome> {
    // Before the work: none is left out, and none is made.
    let stores = args.inputs.iter().map(|path| SampleStore::open(path)).collect::<Result<Vec<_>, _>>()?;
    args.inputs.iter().try_for_each(|store| live::check_not_the_store(&args.output, store))?;
    check_not_in_use(&args.output)?;
    let (written, (merged, classes)) = Written::with(&args.output, args.force, |file| -> anyhow::Result<_> {
        let folder = args.output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let write = |source| SaveError::Write { path: args.output.clone(), source };
        let temporary = tempfile::Builder::new().prefix(".topgraft-").tempdir_in(folder).map_err(write)?;
        let path = temporary.path().join("union.store");
        let mut union = SampleStore::open_or_create(&path)?;
        let merged = stores.iter().map(|store| union.merge(store)).collect::<Result<Vec<Merged>, _>>()?;
        let classes = union.classes()?;
        // All that is in its log comes into its file.
        drop(union);
        File::open(&path).and_then(|mut store| std::io::copy(&mut store, file)).map_err(write)?;
        Ok((merged, classes))
    })?;
    written.name()?;
    let mut all_good = true;
    for (path, merged) in args.inputs.iter().zip(&merged) {
        for id in &merged.damaged {
            all_good = false;
            message(format_args!("skipped sample {id} of {}: its photo is damaged", path.display()));
        }
    }
    print_stores(args, &merged, &classes)?;
    Ok(if all_good { Outcome::Done } else { Outcome::SomeInputBad })
}

fn print_stores(args: &Args, merged: &[Merged], classes: &[(String, usize)]) -> anyhow::Result<()> {
    let samples: usize = classes.iter().map(|(_, samples)| samples).sum();
    let sources = args.inputs.iter().zip(merged);
    let mut out = std::io::stdout().lock();
    if args.json {
        let source = |(path, merged): (&PathBuf, &Merged)| {
            let Merged { new, known, conflicts, damaged } = merged;
            let conflict =
                |(id, here, there): &(i64, String, String)| json!({ "id": id, "here": here, "there": there });
            let conflicts: Value = conflicts.iter().map(conflict).collect();
            let path = path.display().to_string();
            json!({ "path": path, "new": new, "known": known, "conflicts": conflicts, "damaged": damaged })
        };
        let summary = json!({
            "kind": "store",
            "output": args.output.display().to_string(),
            "sources": sources.map(source).collect::<Value>(),
            "samples": samples,
            "classes": list(classes),
        });
        writeln!(out, "{summary}")?;
        return Ok(());
    }
    for (path, Merged { new, known, conflicts, .. }) in sources {
        let path = plain_path(path);
        writeln!(out, "merged     {path}: {new} new, {known} known")?;
        for (id, here, there) in conflicts {
            writeln!(out, "conflict   sample {id} stays {}, it is {} in {path}", plain(here), plain(there))?;
        }
    }
    writeln!(out, "classes    {}", shown(classes))?;
    writeln!(out, "written    {} ({})", plain_path(&args.output), counted(samples, "sample"))?;
    Ok(())
}

fn list(classes: &[(String, usize)]) -> Value {
    classes.iter().map(|(name, samples)| json!({ "name": name, "samples": samples })).collect()
}

/// `2: cat 7, dog 5`
fn shown(classes: &[(String, usize)]) -> String {
    let shown: Vec<String> = classes.iter().map(|(name, samples)| format!("{} {samples}", plain(name))).collect();
    format!("{}: {}", classes.len(), shown.join(", "))
}
