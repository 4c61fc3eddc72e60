//! `topgraft export`: a head, or trunk and head, in the formats of other programs.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use topgraft::export::{self, Calibrator, Firmware, NotLinear, Ranges};
use topgraft::learn::{Classifier, Model, Written, check_path, for_each_photo, is_same_file, photos_below};

use super::Outcome;
use super::backbone::BackboneArgs;
use super::message::message;
use super::photos::progress_bar;
use super::text::{hex, plain_path};

/// Write what was learned in the formats of other programs
#[derive(clap::Args)]
#[group(id = "formats", required = true, multiple = true, args = ["onnx", "safetensors", "rust", "c"])]
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
    /// Trunk and head on 8-bit integers, as a Rust module for a microcontroller
    #[arg(long, value_name = "OUT.rs", requires = "calibrate")]
    rust: Option<PathBuf>,
    /// The same in C99; its names begin with the file's
    #[arg(long, value_name = "OUT.c", requires = "calibrate")]
    c: Option<PathBuf>,
    /// Photos as the camera will see them: --rust and --c choose the scales of the integers by them
    #[arg(long, value_name = "PHOTOS")]
    calibrate: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A file to write.
struct File<'a> {
    format: &'static str,
    path: &'a Path,
    bytes: Vec<u8>,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    check_paths(args)?;
    let model = Model::open(&args.model)?;
    if model.recipe.is_some() && (args.onnx.is_some() || args.rust.is_some() || args.c.is_some()) {
        bail!("{}: a head for texts can only be written by --safetensors", args.model.display());
    }
    if model.head.linear().is_none() {
        return Err(NotLinear).with_context(|| args.model.display().to_string());
    }
    let mut summary = json!({
        "backbone": model.backbone,
        "cut": model.cut,
        "fingerprint": hex(&model.fingerprint),
        "n_classes": model.head.n_classes(),
        "feature_dim": model.head.feature_dim(),
    });
    let mut outcome = Outcome::Done;
    let mut about_firmware = None;
    // All that can fail comes before the first file is written.
    let mut files = Vec::new();
    if let Some(path) = &args.safetensors {
        files.push(File { format: "safetensors", path, bytes: export::safetensors(&model)? });
    }
    if args.onnx.is_some() || args.rust.is_some() || args.c.is_some() {
        let trunk = args.backbone.trunk_of(&model, &args.model)?;
        let classifier = Classifier::new(model, trunk).with_context(|| args.model.display().to_string())?;
        if let Some(path) = &args.onnx {
            files.push(File { format: "onnx", path, bytes: export::onnx(&classifier, args.backbone.source()?)? });
        }
        if let (true, Some(photos)) = (args.rust.is_some() || args.c.is_some(), &args.calibrate) {
            let calibrated = Calibrated::new(&classifier, args, photos)?;
            if !calibrated.skipped.is_empty() {
                outcome = Outcome::SomeInputBad;
            }
            let firmware = &calibrated.firmware;
            if let Some(path) = &args.rust {
                files.push(File { format: "rust", path, bytes: firmware.to_rust().into_bytes() });
            }
            if let Some(path) = &args.c {
                let prefix = path.file_stem().unwrap_or_default().to_string_lossy();
                files.push(File { format: "c", path, bytes: firmware.to_c(&prefix).into_bytes() });
            }
            about_firmware = Some(calibrated);
        }
    }
    // All of them, or none.
    let written = files.iter().map(|file| Written::new(file.path, &file.bytes, args.force));
    for file in written.collect::<Result<Vec<_>, _>>()? {
        file.name()?;
    }

    let mut out = std::io::stdout().lock();
    if args.json {
        let file = |File { format, path, bytes }: &File| json!({ "format": format, "path": path.display().to_string(), "bytes": bytes.len() });
        summary["files"] = files.iter().map(file).collect();
        summary["firmware"] = about_firmware.map_or(Value::Null, |calibrated| calibrated.json());
        writeln!(out, "{summary}")?;
    } else {
        if let Some(calibrated) = about_firmware {
            calibrated.print(&mut out)?;
        }
        for File { path, bytes, .. } in &files {
            writeln!(out, "written    {} ({:.1} KB)", plain_path(path), bytes.len() as f64 / 1e3)?;
        }
    }
    Ok(outcome)
}

/// What can be refused is refused before the work starts.
fn check_paths(args: &Args) -> anyhow::Result<()> {
    let paths: Vec<&PathBuf> = [&args.onnx, &args.safetensors, &args.rust, &args.c].into_iter().flatten().collect();
    for (at, path) in paths.iter().enumerate() {
        check_path(path, args.force)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            bail!("{}: no such folder to write to; make it first", folder.display());
        }
        if paths[..at].iter().any(|other| is_same_file(other, path)) {
            bail!("{}: is the name of two of the files to write; give each its own", path.display());
        }
        let read = [Some(args.model.clone()), args.backbone.file()].into_iter().flatten();
        if read.into_iter().any(|read| is_same_file(&read, path)) {
            bail!("{}: is read, so it cannot be written; give another name", path.display());
        }
    }
    Ok(())
}

/// Firmware, and how near it comes to the float model on the photos that its scales were chosen by.
struct Calibrated {
    firmware: Firmware,
    /// Cosine between the features of the trunk and of the firmware, for each photo.
    cosines: Vec<f64>,
    /// Photos to which both give the same class.
    same_class: usize,
    /// Photos that could not be read, and why.
    skipped: Vec<(PathBuf, String)>,
}

impl Calibrated {
    fn new(classifier: &Classifier, args: &Args, folder: &Path) -> anyhow::Result<Self> {
        let calibrator = Calibrator::new(classifier, args.backbone.source()?)?;
        let photos = photos_below(folder)?;
        if photos.is_empty() {
            bail!("{}: no photo in this folder; --calibrate wants some as the camera will see them", folder.display());
        }
        let trunk = classifier.trunk();
        let bar = progress_bar(photos.len());
        let results = for_each_photo(
            trunk.preprocess(),
            &photos,
            || bar.inc(1),
            |input| {
                let (ranges, integers) = (calibrator.ranges(&input), calibrator.quantize(&input));
                Ok((ranges, integers, trunk.features(input)?))
            },
        );
        bar.finish_and_clear();
        let (mut seen, mut samples, mut skipped) = (None::<Ranges>, Vec::new(), Vec::new());
        let mut first_error = None;
        for (path, result) in photos.into_iter().zip(results) {
            match result {
                Ok((ranges, integers, features)) => {
                    seen = Some(match seen {
                        Some(seen) => seen.with(&ranges),
                        None => ranges,
                    });
                    samples.push((integers, features));
                }
                Err(error) => {
                    message(format_args!("skipped {error}"));
                    skipped.push((path, error.to_string()));
                    first_error.get_or_insert(error);
                }
            }
        }
        let Some(ranges) = seen else {
            return Err(first_error.expect("a photo that was skipped").into());
        };
        let firmware = calibrator.firmware(classifier, ranges)?;
        let (mut cosines, mut same_class) = (Vec::new(), 0);
        for (integers, features) in &samples {
            cosines.push(cosine(&firmware.features(integers), features));
            let prediction = classifier.predict(features)?;
            same_class += usize::from(firmware.predict(integers).1 == usize::from(prediction.class()));
        }
        Ok(Self { firmware, cosines, same_class, skipped })
    }

    fn mean_cosine(&self) -> f64 {
        self.cosines.iter().sum::<f64>() / self.cosines.len() as f64
    }

    fn least_cosine(&self) -> f64 {
        self.cosines.iter().copied().fold(1.0, f64::min)
    }

    /// One object with stable keys; documented in docs/json.md.
    fn json(&self) -> Value {
        let skipped = |(path, error): &(PathBuf, String)| json!({ "path": path.display().to_string(), "error": error });
        json!({
            "arena_bytes": self.firmware.arena_bytes(),
            "constant_bytes": self.firmware.constant_bytes(),
            "n_samples": self.cosines.len(),
            "mean_cosine": self.mean_cosine(),
            "least_cosine": self.least_cosine(),
            "same_class": self.same_class,
            "skipped": self.skipped.iter().map(skipped).collect::<Value>(),
        })
    }

    fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        let Self { firmware, cosines, same_class, .. } = self;
        let (arena, constants) = (firmware.arena_bytes(), firmware.constant_bytes());
        writeln!(out, "memory     {arena} bytes of RAM (arena), {constants} bytes of flash (constants)")?;
        writeln!(
            out,
            "beside float, on the {} photos of --calibrate: features' cosine {:.4}, at least {:.4}; same class on {same_class}",
            cosines.len(),
            self.mean_cosine(),
            self.least_cosine()
        )
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    // Two vectors of zeros are the same.
    if lengths > 0.0 { dot(a, b) / lengths } else { f64::from(u8::from(a == b)) }
}
