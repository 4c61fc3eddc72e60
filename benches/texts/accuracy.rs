//! Accuracy on the test texts, mean of five splits, beside scikit-learn's in the same run (if Python has it) and the one that was
//! recorded.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use ndarray::Array2;
use serde::Deserialize;
use topgraft::learn::{Dataset, Settings, Texts, choose_pooling, fit_with, scaling_of};
use topgraft::topgraft_core::head::argmax;
use topgraft::topgraft_core::kernel::Kernels;
use topgraft::words::{Embedder, Limits, TextPooling, Vectors};

/// A set, and the recorded accuracies for 10 and 50 of each class and all: scikit-learn's LogisticRegression with C = 1 on
/// means of the lower-cased words' vectors.
const SETS: [(&str, &[&str], [f64; 3]); 2] =
    [("sms_spam", &["sms_spam"], [85.9, 89.1, 95.6]), ("trec", &["trec_train", "trec_test"], [38.4, 49.3, 69.4])];
const SHOTS: [&str; 3] = ["k10", "k50", "full"];

#[derive(Deserialize)]
struct Splits {
    labels: Vec<u16>,
    splits: Vec<Split>,
}

#[derive(Deserialize)]
struct Split {
    test: Vec<usize>,
    full: Vec<usize>,
    k10: Vec<usize>,
    k50: Vec<usize>,
}

pub fn run(shared: &Path) -> Result<()> {
    let glove = shared.join("data/vectors/glove.6B.50d.top20k.txt");
    let names = TextPooling::ALL.map(TextPooling::name).join(" | ");
    println!("| set | texts of a class | scikit-learn, recorded | in this run | {names} | chosen, the default |");
    println!("|---|---|---|---|---|---|---|---|");
    let mut gains = vec![Vec::new(); TextPooling::ALL.len() + 1];
    for (set, files, reference) in SETS {
        let path = shared.join(format!("data/splits/text_{set}.json"));
        let splits: Splits = serde_json::from_str(&fs::read_to_string(&path).context("no splits")?)?;
        let (mut texts, mut samples, mut classes) = (Vec::new(), Vec::new(), Vec::new());
        for file in files {
            let read = Texts::open(&shared.join(format!("data/text/{file}.tsv")))?;
            texts.extend(read.texts);
            samples.extend(read.dataset.samples);
            classes = read.dataset.classes;
        }
        let texts = Texts { texts, dataset: Dataset { classes, samples } };
        let labels = texts.dataset.samples.iter().map(|sample| sample.label);
        anyhow::ensure!(labels.eq(splits.labels.iter().copied()), "{set} has other labels than its splits");
        let mut peer = super::python("texts_accuracy.py");
        peer.arg(&glove).arg(&path).args(files.iter().map(|file| shared.join(format!("data/text/{file}.tsv"))));
        let peer = super::output(peer);
        for (shots, reference) in SHOTS.into_iter().zip(reference) {
            let line = |text: &String| {
                text.lines().find_map(|line| line.strip_prefix(shots)).map(str::trim).map(str::to_owned)
            };
            let beside = peer.as_ref().ok().and_then(line).unwrap_or_else(|| "-".to_owned());
            let name = shots.replace("full", "all");
            print!("| {set} | {} | {reference:.1} | {beside} |", name.trim_start_matches('k'));
            let poolings = TextPooling::ALL.into_iter().map(Some).chain([None]);
            for (pooling, gains) in poolings.zip(&mut gains) {
                let accuracy = accuracy(&glove, &texts, &splits, shots, pooling)?;
                gains.push(accuracy - reference);
                print!(" {accuracy:.1} |");
            }
            println!();
        }
    }
    let mean = |gains: &Vec<f64>| format!("{:+.1}", gains.iter().sum::<f64>() / gains.len() as f64);
    println!("| mean, less the recorded | | | | {} |\n", gains.iter().map(mean).collect::<Vec<_>>().join(" | "));
    Ok(())
}

/// Mean test accuracy in percent, as `learn` does with these texts and `--pooling`; `None` is without it.
fn accuracy(glove: &Path, texts: &Texts, splits: &Splits, shots: &str, pooling: Option<TextPooling>) -> Result<f64> {
    let kernels = Kernels::detect();
    let n_classes = usize::from(*splits.labels.iter().max().context("no labels")?) + 1;
    let mut sum = 0.0;
    for split in &splits.splits {
        let training = match shots {
            "k10" => &split.k10,
            "k50" => &split.k50,
            _ => &split.full,
        };
        let taught: Vec<&str> = training.iter().map(|at| texts.texts[*at].as_str()).collect();
        let labels: Vec<u16> = training.iter().map(|at| splits.labels[*at]).collect();
        let vectors = Vectors::open(glove, &Limits::default())?;
        let mut embedder = Embedder::fit(vectors, pooling.unwrap_or(TextPooling::Mean), None, &taught)?;
        let settings = Settings::default();
        if pooling.is_none() {
            let samples = training.iter().map(|at| texts.dataset.samples[*at].clone()).collect();
            let dataset = Dataset { samples, ..texts.dataset.clone() };
            embedder = choose_pooling(embedder, texts, &dataset, None, settings.kinds)?;
        }
        let features = |at: &usize| embedder.features(&texts.texts[*at]).map(|text| text.features);
        let rows = training.iter().map(features).collect::<Result<Vec<_>, _>>()?;
        let rows = Array2::from_shape_vec((rows.len(), embedder.recipe().feature_dim()), rows.concat())?;
        let settings = Settings { scalings: &[scaling_of(embedder.recipe().pooling)], ..settings };
        let fitted = fit_with(rows.view(), &labels, n_classes, &settings)?;
        let mut correct = 0;
        for at in &split.test {
            let mut features = features(at)?;
            fitted.scaler.apply(kernels, &mut features);
            let mut logits = vec![0.0; n_classes];
            fitted.head.logits(kernels, &features, &mut logits);
            correct += usize::from(argmax(&logits) == Some(usize::from(splits.labels[*at])));
        }
        sum += 100.0 * correct as f64 / split.test.len() as f64;
    }
    Ok(sum / splits.splits.len() as f64)
}
