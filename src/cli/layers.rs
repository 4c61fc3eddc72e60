//! `topgraft layers`: where a backbone can be cut.

use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};
use topgraft::trunk::Layer;

use super::Outcome;
use super::backbone;
use super::text::{count, hex, shape, table};

/// List the layers at which a backbone can be cut
#[derive(clap::Args)]
pub struct Args {
    /// Pretrained network, an ONNX file or a name of `topgraft models list` [default: the built-in EfficientNet-Lite0]
    #[arg(value_name = "MODEL.onnx|NAME")]
    backbone: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let backbone = backbone::open(args.backbone.as_ref())?;
    let penultimate = backbone.penultimate().ok();
    let default_cut = penultimate.map(|layer| backbone.cut_name(layer));
    let mut out = std::io::stdout().lock();
    if args.json {
        let layer = |layer: &Layer| {
            json!({
                "name": layer.name,
                "output": layer.output,
                "operator": layer.operator,
                "shape": layer.shape,
                "feature_dim": layer.feature_dim,
                "parameters": layer.parameters,
                "multiply_adds": layer.multiply_adds,
            })
        };
        let summary = json!({
            "backbone": backbone.name(),
            "sha256": hex(&backbone.sha256()),
            "default_cut": default_cut,
            "layers": backbone.layers().iter().map(layer).collect::<Value>(),
        });
        writeln!(out, "{summary}")?;
        return Ok(Outcome::Done);
    }
    let heading = ["", "layer", "operator", "output", "features", "parameters", "multiply-adds"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for layer in backbone.layers() {
        rows.push(vec![
            if penultimate.is_some_and(|cut| cut.output == layer.output) { "*" } else { "" }.to_owned(),
            layer.name.clone(),
            layer.operator.clone(),
            shape(&layer.shape),
            layer.feature_dim.to_string(),
            count(layer.parameters),
            count(layer.multiply_adds),
        ]);
    }
    write!(out, "{}", table(&rows, &[4, 5, 6]))?;
    if penultimate.is_some() {
        writeln!(out, "\n* the default cut. Parameters and multiply-adds are those of the trunk up to that layer.")?;
    }
    Ok(Outcome::Done)
}
