//! Names that were never taught.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, bail};
use topgraft::learn::{Model, for_names, name_vectors};
use topgraft::topgraft_core::format::is_plain;
use topgraft::words::Vectors;

use super::super::vectors::embedder_of;
use super::Args;

/// Words of the vectors that are candidates if all are: 50 MB of numbers with 1,280 features.
const ALL: usize = 10_000;

/// The head for the names that are asked for.
pub fn for_candidates(model: &Model, args: &Args, path: &Path) -> anyhow::Result<Model> {
    let Some(names) = &model.names else {
        bail!("{}: knows only the names that it was taught; learn it with --words to use --candidates", path.display());
    };
    let embedder = embedder_of(args.words.as_deref(), "--words", &names.vectors, path)?;
    let candidates: Vec<String> = match &args.candidates[..] {
        [all] if all == "*" => words(embedder.vectors()),
        names => names.iter().map(|name| name.trim().to_owned()).collect(),
    };
    let mut seen = HashSet::new();
    if let Some(name) = candidates.iter().find(|name| !is_plain(name) || !seen.insert(*name)) {
        bail!("--candidates: the name `{name}` is empty, there twice or not plain text");
    }
    let taught = name_vectors(&embedder, &model.labels).with_context(|| path.display().to_string())?;
    let wanted = name_vectors(&embedder, &candidates).context("--candidates")?;
    Ok(for_names(model, taught.view(), &candidates, wanted.view()))
}

/// The most frequent words that are words.
fn words(vectors: &Vectors) -> Vec<String> {
    let words = (0..vectors.len()).map(|number| vectors.word(number));
    words.filter(|word| word.chars().all(char::is_alphabetic)).take(ALL).map(str::to_owned).collect()
}
