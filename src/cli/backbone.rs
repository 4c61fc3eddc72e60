//! Which network, and where to cut it.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use topgraft::learn::{Model, WrongTrunk};
use topgraft::models::{Store, StoreError};
use topgraft::topgraft_core::format::is_plain;
use topgraft::topgraft_core::preprocess::Preprocess;
use topgraft::trunk::{Backbone, CutError, OpenError, Provenance, Source, Trunk};

use super::message::message;

/// Why a name is refused.
const NOT_PLAIN: &str = "which is empty, longer than 65535 bytes or has control characters";

/// The option that every command with a trunk has.
#[derive(clap::Args)]
pub struct BackboneArgs {
    /// Pretrained network, an ONNX file or a name of `topgraft models list` [default: the built-in EfficientNet-Lite0]
    #[arg(long, value_name = "MODEL.onnx|NAME")]
    backbone: Option<PathBuf>,
}

impl BackboneArgs {
    /// As if it had been given by the option.
    pub fn of(backbone: Option<PathBuf>) -> Self {
        Self { backbone }
    }

    /// The network's file, if it is not the built-in one; of a name that is not good, nothing.
    pub fn file(&self) -> Option<PathBuf> {
        place(self.backbone.as_ref()).ok().flatten()
    }

    /// Whether a network was asked for.
    pub fn is_given(&self) -> bool {
        self.backbone.is_some()
    }

    /// The network that was asked for.
    pub fn open(&self) -> anyhow::Result<Backbone> {
        open(self.backbone.as_ref())
    }

    /// The network's file, to carry its layers elsewhere.
    pub fn source(&self) -> anyhow::Result<Source> {
        match place(self.backbone.as_ref())? {
            Some(path) => Ok(Source::open(&path)?),
            #[cfg(feature = "embed-backbone")]
            None => Ok(Source::embedded()?),
            #[cfg(not(feature = "embed-backbone"))]
            None => bail!("this program was built without a backbone; give an ONNX file"),
        }
    }

    /// The trunk for a new head: cut at `cut`, or at the penultimate layer.
    pub fn trunk(&self, cut: Option<&str>) -> anyhow::Result<Trunk> {
        let backbone = self.open()?;
        let preprocess = preprocess_of(&backbone);
        // By the output tensor, which is unique: another node or tensor may have the layer's name.
        let cut = match cut {
            Some(cut) => cut,
            None => &backbone.penultimate().context("use --cut LAYER; `topgraft layers` lists them")?.output,
        };
        let trunk = backbone.cut(cut, &preprocess)?;
        // Before the work, not when the head file is written.
        let file = self.file().unwrap_or_else(|| backbone.name().into());
        if !is_plain(backbone.name()) {
            let remedy = match backbone.preprocess().1 {
                Provenance::Beside => "change its `name` in the catalog.toml beside it",
                _ => "rename the file",
            };
            bail!("{}: a head file cannot hold this network's name, {NOT_PLAIN}; {remedy}", file.display());
        }
        if !is_plain(trunk.cut()) {
            let start: String = trunk.cut().chars().take(40).collect();
            bail!(
                "{}: a head file cannot hold the name of the layer's output `{start}`, {NOT_PLAIN}; give another layer by \
                 --cut, or rename it in the network",
                file.display()
            );
        }
        Ok(trunk)
    }

    /// The trunk that a model was taught on, with the model's own preprocessing; `head` is the model's file, for messages.
    pub fn trunk_of(&self, model: &Model, head: &Path) -> anyhow::Result<Trunk> {
        let wrong = |found: &str| Err(WrongTrunk::new(model, found)).with_context(|| head.display().to_string());
        if let Some(trunk) = model.raw_trunk() {
            return match &self.backbone {
                Some(path) => wrong(&path.display().to_string()),
                None => Ok(trunk),
            };
        }
        // Whatever its file or catalog says of the size now, the head was taught at this one.
        let backbone = match place(self.backbone.as_ref())? {
            Some(path) => match Backbone::open_sized(&path, model.preprocess.width, model.preprocess.height) {
                Err(OpenError::Analysis { .. }) => return wrong(&path.display().to_string()),
                opened => opened?,
            },
            None => open(None)?,
        };
        match backbone.cut(&model.cut, &model.preprocess) {
            // Another network, else it would have the layer: say so, rather than list its layers.
            Err(CutError::UnknownLayer { .. } | CutError::Ambiguous { .. } | CutError::Input { .. }) => {
                wrong(backbone.name())
            }
            result => match &model.neck {
                None => Ok(result?),
                Some(neck) => result?.with_neck(neck.clone()).or_else(|_| wrong(backbone.name())),
            },
        }
    }
}

/// How a photo becomes the network's input; a guess is said on standard error.
pub fn preprocess_of(backbone: &Backbone) -> Preprocess {
    let (preprocess, provenance) = backbone.preprocess();
    if provenance == Provenance::Assumed {
        message(format_args!(
            "warning: nothing is known of how {} wants its pictures; assuming ImageNet's mean and scale. \
             Say it in a catalog.toml beside the file (models/README.md)",
            backbone.name()
        ));
    }
    preprocess
}

/// The file of the network that `given` is: the path of one, or a model's name. None is the built-in network.
fn place(given: Option<&PathBuf>) -> Result<Option<PathBuf>, StoreError> {
    let Some(given) = given else { return Ok(None) };
    // What looks like a path and is none is told as a file that cannot be read.
    let is_name = |text: &&str| !text.is_empty() && !text.contains(['/', '\\']) && !text.ends_with(".onnx");
    match given.to_str().filter(is_name) {
        Some(name) if !given.exists() => Store::of_user()?.network(name),
        _ => Ok(Some(given.clone())),
    }
}

/// The network that `given` is, a file or a model's name, or the built-in one.
pub fn open(given: Option<&PathBuf>) -> anyhow::Result<Backbone> {
    match place(given)? {
        Some(path) => Ok(Backbone::open(&path)?),
        #[cfg(feature = "embed-backbone")]
        None => Ok(Backbone::embedded()?),
        #[cfg(not(feature = "embed-backbone"))]
        None => bail!("this program was built without a backbone; give an ONNX file"),
    }
}
