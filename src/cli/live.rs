//! What the commands with a camera have in common.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use topgraft::learn::{Model, Teacher, check_path, is_same_file};
use topgraft::live::Config;
use topgraft::live::camera::Source;
use topgraft::store::{SampleStore, Usage};
use topgraft::trunk::{Backbone, Trunk};

use super::backbone;
use super::message::message;
use super::photos::progress_bar_of;

/// Settings, and where the samples are.
#[derive(clap::Args)]
pub struct LiveArgs {
    /// File of settings; options go before what is in it
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    /// File that holds the samples; made if it is not there
    #[arg(short, long, value_name = "FILE.store")]
    pub store: Option<PathBuf>,
    /// Pretrained network, an ONNX file or a name of `topgraft models list` [default: the built-in EfficientNet-Lite0]
    #[arg(long, value_name = "MODEL.onnx|NAME")]
    pub backbone: Option<PathBuf>,
    /// Layer whose output are the features [default: the last before the network's own classifier]
    #[arg(long, value_name = "LAYER")]
    pub cut: Option<String>,
}

impl LiveArgs {
    /// The settings that hold.
    pub fn config(&self) -> anyhow::Result<Config> {
        let mut config = match &self.config {
            Some(path) => Config::open(path)?,
            None => Config::default(),
        };
        config.store = self.store.clone().or(config.store);
        config.backbone = self.backbone.clone().or(config.backbone);
        config.cut = self.cut.clone().or(config.cut);
        Ok(config)
    }
}

/// The store with its trunk, and the head of what is in it.
pub fn teacher(config: &Config, store: &Path) -> anyhow::Result<Teacher> {
    let samples = SampleStore::open_or_create(store)?;
    Ok(Teacher::new(samples, Arc::new(trunk(config)?), config.limits())?)
}

/// Removes a store that was made for nothing: it `was_there` not, and nothing came into it.
pub fn remove_if_new_and_empty(store: &Path, was_there: bool) {
    let is_empty = || {
        SampleStore::open(store).is_ok_and(|store| {
            store.usage().is_ok_and(|usage| usage == Usage { file_bytes: usage.file_bytes, ..Usage::default() })
        })
    };
    if !was_there && is_empty() {
        let _ = std::fs::remove_file(store);
    }
}

fn trunk(config: &Config) -> anyhow::Result<Trunk> {
    let opened: Backbone = backbone::open(config.backbone.as_ref())?;
    let preprocess = backbone::preprocess_of(&opened);
    let cut = match &config.cut {
        Some(cut) => cut,
        None => &opened.penultimate().context("use --cut LAYER; `topgraft layers` lists them")?.output,
    };
    Ok(opened.cut(cut, &preprocess)?)
}

/// Features of samples that have none of this trunk, with a bar; photos that cannot be used are named. Whether all could; ends early
/// when it is to `stop`.
pub fn extract(teacher: &mut Teacher, stop: &AtomicBool) -> anyhow::Result<bool> {
    let missing = teacher.missing()?.len();
    let bar = progress_bar_of(missing, "photos");
    let (mut left, mut all_good) = (missing, true);
    while left > 0 && !stop.load(Ordering::Relaxed) {
        let extracted = teacher.extract()?;
        for (id, error) in &extracted.bad {
            all_good = false;
            bar.suspend(|| message(format_args!("sample {id}: {error}")));
        }
        bar.inc(left.saturating_sub(extracted.left) as u64);
        left = extracted.left;
    }
    bar.finish_and_clear();
    Ok(all_good)
}

/// Refuses a path for head files that is something else's: it will be written over.
pub fn check_head_path(path: &Path, store: &Path) -> anyhow::Result<()> {
    check_path(path, true)?;
    check_not_the_store(path, store)?;
    if path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        bail!("{}: there is no such folder for the head; make it first", path.display());
    }
    if path.is_file() && path.metadata().is_ok_and(|file| file.len() > 0) && Model::open(path).is_err() {
        bail!("{}: is there, and is no head file; give another name for the head", path.display());
    }
    Ok(())
}

/// Refuses to write over the store, or over what SQLite keeps beside it.
pub fn check_not_the_store(path: &Path, store: &Path) -> anyhow::Result<()> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    for ending in ["", "-wal", "-shm"] {
        let mut name = store.as_os_str().to_owned();
        name.push(ending);
        let file = PathBuf::from(name);
        if is_same_file(path, &file) || absolute(path) == absolute(&file) {
            bail!("{}: is the store, or a part of it; give the file another name", path.display());
        }
    }
    Ok(())
}

/// The source that was asked for: `camera` is that of the settings.
pub fn source(from: &str, config: &Config) -> anyhow::Result<Source> {
    match from {
        "camera" => Ok(config.source()?),
        text => Ok(text.parse()?),
    }
}
