//! `topgraft export`: a head, or trunk and head, in the formats of other programs.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::json;
use topgraft::export;
use topgraft::learn::{Classifier, Model, check_path, save};

use super::Outcome;
use super::backbone::BackboneArgs;
use super::text::{hex, plain_path};

/// Write what was learned in the formats of other programs
#[derive(clap::Args)]
#[group(id = "formats", required = true, multiple = true, args = ["onnx", "safetensors"])]
pub struct Args {
    /// Head file, as written by `topgraft learn`
    #[arg(short, long, value_name = "HEAD.graft")]
    model: PathBuf,
    #[command(flatten)]
    backbone: BackboneArgs,
    /// Trunk and head in one ONNX file
    #[arg(long, value_name = "OUT.onnx")]
    onnx: Option<PathBuf>,
    /// The head alone, as safetensors
    #[arg(long, value_name = "OUT.safetensors")]
    safetensors: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let paths: Vec<&PathBuf> = [&args.onnx, &args.safetensors].into_iter().flatten().collect();
    for (at, path) in paths.iter().enumerate() {
        check_path(path, args.force)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            bail!("{}: no such folder to write to; make it first", folder.display());
        }
        if paths[..at].contains(path) {
            bail!("{}: is the name of two of the files to write; give each its own", path.display());
        }
    }
    let model = Model::open(&args.model)?;
    // All that can fail comes before the first file is written.
    let mut files: Vec<(&str, &Path, Vec<u8>)> = Vec::new();
    if let Some(path) = &args.safetensors {
        files.push(("safetensors", path, export::safetensors(&model)));
    }
    let summary = json!({
        "backbone": model.backbone,
        "cut": model.cut,
        "fingerprint": hex(&model.fingerprint),
        "n_classes": model.head.n_classes(),
        "feature_dim": model.head.feature_dim(),
    });
    if let Some(path) = &args.onnx {
        let trunk = args.backbone.trunk_of(&model, &args.model)?;
        let classifier = Classifier::new(model, trunk).with_context(|| args.model.display().to_string())?;
        files.push(("onnx", path, export::onnx(&classifier, args.backbone.source()?)?));
    }
    for (_, path, bytes) in &files {
        save(path, bytes, args.force)?;
    }

    let mut out = std::io::stdout().lock();
    if args.json {
        let mut summary = summary;
        let file = |(format, path, bytes): &(&str, &Path, Vec<u8>)| json!({ "format": format, "path": path.display().to_string(), "bytes": bytes.len() });
        summary["files"] = files.iter().map(file).collect();
        writeln!(out, "{summary}")?;
    } else {
        for (_, path, bytes) in &files {
            writeln!(out, "written    {} ({:.1} KB)", plain_path(path), bytes.len() as f64 / 1e3)?;
        }
    }
    Ok(Outcome::Done)
}
