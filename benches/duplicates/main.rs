//! How alike the features of copies of a photo are, and those of different photos: where the line is between them.
//!
//! `cargo bench --bench duplicates -- [SHARED]`, SHARED being a folder with `data/images/` (default `../shared`). Every photo
//! of the demo and every fifth of the other sets is copied by re-encoding, shrinking, cropping, brightening and mirroring;
//! prints the cosine of the centred features of copy and original, lowest, tenth part and median, and that of each photo and
//! the most similar different one, median, highest hundredth and highest. docs/review.md is what it printed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, imageops};
use topgraft::learn::{extract, photos_below};
use topgraft::trunk::Backbone;

const COPIES: [&str; 6] =
    ["JPEG quality 50", "shrunk to half", "cropped by 5 %", "cropped by 10 %", "brighter", "mirrored"];

fn main() -> Result<()> {
    let shared = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let shared = shared.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let backbone = Backbone::embedded()?;
    let trunk = backbone.cut(&backbone.penultimate()?.name, &backbone.preprocess().0)?;
    println!("| set | pair | photos | lowest | 10 % | median | 99 % | highest |\n|---|---|---|---|---|---|---|---|");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
    for (set, folder, step) in [
        ("demo", demo, 1),
        ("ants_bees", shared.join("data/images/ants_bees"), 5),
        ("signdigits10", shared.join("data/images/signdigits10"), 5),
    ] {
        let photos: Vec<PathBuf> = photos_below(&folder)?.into_iter().step_by(step).collect();
        let features = |paths: &[PathBuf]| extract(&trunk, paths, || {}).into_iter().collect::<Result<Vec<_>, _>>();
        let originals = features(&photos)?;
        let mean: Vec<f32> = (0..trunk.feature_dim())
            .map(|k| originals.iter().map(|row| row[k]).sum::<f32>() / originals.len() as f32)
            .collect();
        let others: Vec<f32> = originals
            .iter()
            .enumerate()
            .map(|(i, a)| {
                let others = originals.iter().enumerate().filter(|(j, _)| *j != i);
                others.map(|(_, b)| cosine(a, b, &mean)).fold(-1.0, f32::max)
            })
            .collect();
        row(set, "most similar other", others);
        for kind in COPIES {
            let folder = tempfile::tempdir()?;
            let copies: Vec<PathBuf> = (0..photos.len()).map(|i| folder.path().join(format!("{i}.jpg"))).collect();
            for (photo, copy) in photos.iter().zip(&copies) {
                let original = image::open(photo).with_context(|| photo.display().to_string())?;
                write_copy(&original, kind, copy)?;
            }
            let copies = features(&copies)?;
            row(set, kind, originals.iter().zip(&copies).map(|(a, b)| cosine(a, b, &mean)).collect());
        }
    }
    Ok(())
}

fn write_copy(original: &DynamicImage, kind: &str, path: &Path) -> Result<()> {
    let (w, h) = (original.width(), original.height());
    let cropped = |part: u32| original.crop_imm(w / part / 2, h / part / 2, w - w / part, h - h / part);
    let copy = match kind {
        "shrunk to half" => original.resize_exact((w / 2).max(1), (h / 2).max(1), FilterType::Triangle),
        "cropped by 5 %" => cropped(20),
        "cropped by 10 %" => cropped(10),
        "brighter" => original.brighten(25),
        "mirrored" => imageops::flip_horizontal(&original.to_rgb8()).into(),
        _ => original.clone(),
    };
    let quality = if kind == "JPEG quality 50" { 50 } else { 90 };
    copy.to_rgb8().write_with_encoder(JpegEncoder::new_with_quality(fs::File::create(path)?, quality))?;
    Ok(())
}

fn cosine(a: &[f32], b: &[f32], mean: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).zip(mean).map(|((a, b), m)| (a - m) * (b - m)).sum() };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn row(set: &str, pair: &str, mut values: Vec<f32>) {
    values.sort_by(f32::total_cmp);
    let n = values.len();
    let at = |share: f64| values[((n - 1) as f64 * share).round() as usize];
    let [low, tenth, median, high, highest] = [0.0, 0.1, 0.5, 0.99, 1.0].map(at);
    println!("| {set} | {pair} | {n} | {low:.3} | {tenth:.3} | {median:.3} | {high:.3} | {highest:.3} |");
}
