//! The names of classes as words: what `learn --words` adds.

use std::path::Path;

use anyhow::Context;
use ndarray::Array2;
use serde_json::{Value, json};
use topgraft::learn::{ClassNames, Extracted, Fitted, HeldOut, held_out, name_vectors, temperature};
use topgraft::words::Recipe;

use super::learn::Args;
use super::text::percent;

/// The names of the classes, with their vectors.
pub struct Names {
    recipe: Recipe,
    /// `[n_classes, dims]`, of length 1.
    vectors: Array2<f32>,
}

impl Names {
    /// Looks the names up, before the work.
    pub fn open(args: &Args, path: &Path, classes: &[String]) -> anyhow::Result<Self> {
        let embedder = args.trunk.names(path)?;
        let vectors = name_vectors(&embedder, classes).with_context(|| path.display().to_string())?;
        Ok(Self { recipe: embedder.recipe().clone(), vectors })
    }

    /// What the head file holds of them, and how well names are told that were not taught.
    pub fn measure(self, extracted: &Extracted, fitted: &Fitted) -> anyhow::Result<MeasuredNames> {
        let (labels, names) = (extracted.labels(), self.vectors.view());
        let temperature = temperature(&fitted.left_out.logits, &labels, names);
        let held_out = held_out(extracted.features.view(), &labels, names, fitted.scaling)?;
        Ok(MeasuredNames { names: ClassNames { vectors: self.recipe, temperature }, held_out })
    }
}

/// Names, measured.
pub struct MeasuredNames {
    pub names: ClassNames,
    held_out: Option<HeldOut>,
}

impl MeasuredNames {
    /// A line for a person.
    pub fn text(&self) -> String {
        let Some(found) = &self.held_out else {
            return "not measured: four classes are needed to hold some out".to_owned();
        };
        let share = |count: u32| percent(f64::from(count) / f64::from(found.samples.max(1)));
        let chance = |of: usize| percent(1.0 / of as f64);
        format!(
            "never taught, {} of {} classes at a time: {} named right among these (chance {}), {} among all (chance {}), {} among \
             the first 5 (chance {})",
            found.classes,
            found.of,
            share(found.first_of_held_out),
            chance(found.classes),
            share(found.first_of_all),
            chance(found.of),
            share(found.top5_of_all),
            percent((5.0 / found.of as f64).min(1.0))
        )
    }

    /// The same, with stable keys; documented in docs/json.md.
    pub fn json(&self) -> Value {
        let held_out = self.held_out.map(|found| {
            json!({
                "classes": found.classes,
                "of": found.of,
                "samples": found.samples,
                "first_of_held_out": found.first_of_held_out,
                "first_of_all": found.first_of_all,
                "top5_of_all": found.top5_of_all,
            })
        });
        json!({
            "vectors": self.names.vectors.file,
            "words": self.names.vectors.words,
            "temperature": self.names.temperature,
            "held_out": held_out,
        })
    }
}
