//! `topgraft models add`: a file that the user has, by name from then on.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;
use topgraft::export::preprocess_json;
use topgraft::models::{State, Store};

use crate::cli::Outcome;
use crate::cli::message::message;
use crate::cli::text::{bytes, hex, plain, plain_path};

/// Keep a model's file, to use it by name; needs no network
#[derive(clap::Args)]
pub struct Args {
    /// The file: one that `topgraft models list` knows, or any network
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name of a network that is not known; what a catalog.toml beside it says of it is kept
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let added = Store::of_user()?.add(&args.file, args.name.as_deref())?;
    let known = &added.known;
    if let Some(preprocess) = &added.assumed {
        message(format_args!(
            "warning: nothing is known of how {} wants its pictures; {} x {} pixels and ImageNet's mean and scale are assumed. \
             Say it in a catalog.toml beside the file, and add it again (models/README.md)",
            known.name, preprocess.width, preprocess.height
        ));
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        let summary = json!({
            "name": known.name,
            "state": known.state.name(),
            "path": known.path.as_ref().map(|path| path.display().to_string()),
            "bytes": added.bytes,
            "sha256": hex(&added.sha256),
            "copied": added.copied,
            "checked": known.sha256 == Some(added.sha256),
            "assumed": added.assumed.as_ref().map(preprocess_json),
        });
        writeln!(out, "{summary}")?;
        return Ok(Outcome::Done);
    }
    let (name, path) = (plain(&known.name), known.path.as_deref().map(plain_path).unwrap_or_default());
    match known.state {
        State::BuiltIn => writeln!(out, "here       {name} is built into this program")?,
        _ if !added.copied => writeln!(out, "here       {name} is here already: {path}")?,
        _ => writeln!(out, "added      {name}: {path} ({})", bytes(added.bytes))?,
    }
    Ok(Outcome::Done)
}
