//! `topgraft models list` and `show`: what is known, and what is here.

use std::io::Write;

use serde_json::{Value, json};
use topgraft::export::{channels, filter, layout, preprocess_json};
use topgraft::models::{Kind, Known, Store};
use topgraft::topgraft_core::preprocess::Resize;
use topgraft::trunk::Entry;

use crate::cli::Outcome;
use crate::cli::text::{bytes, hex, plain_path, table};

/// List the models that are known by name, and which are here
#[derive(clap::Args)]
pub struct ListArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Show all that is known of a model, and where it is
#[derive(clap::Args)]
pub struct ShowArgs {
    /// Name, as `topgraft models list` has it
    #[arg(value_name = "NAME")]
    name: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn list(args: &ListArgs) -> anyhow::Result<Outcome> {
    let store = Store::of_user()?;
    let models = store.models()?;
    let mut out = std::io::stdout().lock();
    if args.json {
        let folder = store.folder().display().to_string();
        let models = models.iter().map(to_json).collect::<Value>();
        writeln!(out, "{}", json!({ "folder": folder, "models": models }))?;
        return Ok(Outcome::Done);
    }
    let mut rows = vec![["name", "size", "licence", "input", "state"].map(str::to_owned).to_vec()];
    for known in &models {
        let input = match &known.kind {
            Kind::Backbone(Some(entry)) => size(entry),
            Kind::Vectors(vectors) => format!("{} words x {}", vectors.words, dimensions(&vectors.dimensions)),
            _ => String::new(),
        };
        let (name, state) = (known.name.clone(), known.state.name().to_owned());
        rows.push(vec![name, file_size(known), known.licence.clone(), input, state]);
    }
    write!(out, "{}", table(&rows, &[1]))?;
    writeln!(out, "\nThose that are here lie in {}", plain_path(store.folder()))?;
    Ok(Outcome::Done)
}

pub fn show(args: &ShowArgs) -> anyhow::Result<Outcome> {
    let known = Store::of_user()?.find(&args.name)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", to_json(&known))?;
        return Ok(Outcome::Done);
    }
    let mut rows = vec![
        ("name", known.name.clone()),
        ("state", known.state.name().to_owned()),
        ("path", known.path.as_ref().map_or(String::new(), |path| path.display().to_string())),
        ("file", known.file.clone()),
        ("size", file_size(&known)),
        ("sha256", known.sha256.map_or(String::new(), |sha256| hex(&sha256))),
        ("licence", if known.licence.is_empty() { "not stated".to_owned() } else { known.licence.clone() }),
        ("source", known.source.clone()),
        ("url", known.url.clone().unwrap_or_default()),
    ];
    match &known.kind {
        Kind::Backbone(Some(entry)) => rows.extend(preprocess(entry)),
        Kind::Backbone(None) => {
            rows.push(("input", "nothing is known of it; ImageNet's mean and scale are assumed".into()))
        }
        Kind::Vectors(vectors) => {
            rows.push(("words", vectors.words.to_string()));
            rows.push(("dimensions", dimensions(&vectors.dimensions)));
        }
        _ => {}
    }
    rows.push(("note", known.note.clone().unwrap_or_default()));
    let rows = rows.into_iter().filter(|(_, value)| !value.is_empty());
    write!(out, "{}", table(&rows.map(|(name, value)| vec![name.to_owned(), value]).collect::<Vec<_>>(), &[]))?;
    Ok(Outcome::Done)
}

/// One object with stable keys; documented in docs/json.md.
fn to_json(known: &Known) -> Value {
    let (entry, vectors) = match &known.kind {
        Kind::Backbone(entry) => (entry.as_deref(), None),
        Kind::Vectors(vectors) => (None, Some(vectors)),
        _ => (None, None),
    };
    let stated = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "name": known.name,
        "kind": if vectors.is_some() { "vectors" } else { "backbone" },
        "state": known.state.name(),
        "path": known.path.as_ref().map(|path| path.display().to_string()),
        "file": known.file,
        "bytes": length(known),
        "sha256": known.sha256.map(|sha256| hex(&sha256)),
        "licence": stated(&known.licence),
        "source": stated(&known.source),
        "url": known.url,
        "note": known.note,
        "preprocess": entry.map(|entry| preprocess_json(&entry.preprocess())),
        "cuts": entry.map(|entry| {
            let cuts = entry.cuts.iter().map(|cut| json!({ "layer": cut.layer, "feature_dim": cut.feature_dim }));
            cuts.collect::<Value>()
        }),
        "dimensions": vectors.map(|vectors| &vectors.dimensions),
        "words": vectors.map(|vectors| vectors.words),
    })
}

fn preprocess(entry: &Entry) -> Vec<(&'static str, String)> {
    let preprocess = entry.preprocess();
    let part = match preprocess.resize {
        Resize::Squeeze => "whole photo squeezed".to_owned(),
        Resize::CenterCrop { fraction } => format!("centre crop {fraction}"),
    };
    let numbers = |each: [f32; 3]| format!("{:?}", &each[..preprocess.channels.count()]);
    let cuts = entry.cuts.iter().map(|cut| format!("{} ({} features)", cut.layer, cut.feature_dim));
    vec![
        ("input", format!("{} {} {}", size(entry), channels(&preprocess), layout(&preprocess))),
        ("resize", format!("{part}, {}", filter(&preprocess))),
        ("mean", format!("{} of 0..255", numbers(preprocess.mean))),
        ("scale", numbers(preprocess.scale)),
        ("cuts", cuts.collect::<Vec<_>>().join(", ")),
    ]
}

/// Of the file that is here, else as the catalog says.
fn length(known: &Known) -> Option<u64> {
    let here = known.path.as_ref().and_then(|path| std::fs::metadata(path).ok());
    here.map(|file| file.len()).or(known.bytes)
}

fn file_size(known: &Known) -> String {
    length(known).map_or(String::new(), bytes)
}

fn size(entry: &Entry) -> String {
    let preprocess = entry.preprocess();
    format!("{} x {}", preprocess.width, preprocess.height)
}

/// `50, 100, 200 or 300`
fn dimensions(all: &[u32]) -> String {
    let words: Vec<String> = all.iter().map(u32::to_string).collect();
    match &words[..] {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        words => words.concat(),
    }
}
