//! How often the drift alarm is false, and how soon it comes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use image::RgbImage;
use image::imageops::{blur, crop_imm};
use ndarray::Array2;
use topgraft::learn::{Scaling, Settings, fit_with};
use topgraft::live::{Drift, DriftSettings};
use topgraft::topgraft_core::head::Kind;
use topgraft::topgraft_core::kernel::Kernels;
use topgraft::topgraft_core::random::SplitMix64;
use topgraft::trunk::Trunk;
use topgraft::vision::{Preprocessor, open};

use super::scene::trunk;
use super::splits::Splits;

/// Steps to a false alarm that are asked for; a month at one in ten seconds is 259,200.
const ASKED: f64 = 1_000.0;
const MONTH: f64 = 259_200.0;
/// Runs of the alarm for each figure.
const RUNS: usize = 200;

pub fn run(shared: &Path) -> Result<()> {
    let trunk = trunk()?;
    println!(
        "| photos | shots | false alarms, steps between them ({ASKED} asked for) | {} |",
        CHANGES.map(|(name, _)| name).join(" | ")
    );
    println!("|---|---|---|{}", "---|".repeat(CHANGES.len()));
    for set in ["ants_bees", "signdigits10"] {
        let splits = Splits::open(&shared.join(format!("data/splits/{set}.json")))?;
        let folder = shared.join("data/images").join(set);
        for shots in ["10", "all"] {
            println!("| {set} | {shots} | {} |", cells(&trunk, &splits, &folder, shots)?.join(" | "));
        }
    }
    Ok(())
}

/// What may happen to a camera.
type Change = fn(&RgbImage, &mut SplitMix64) -> RgbImage;
const CHANGES: [(&str, Change); 4] = [
    ("night: steps to the alarm (of 100)", |photo, random| {
        let mut dark = photo.clone();
        dark.iter_mut().for_each(|x| *x = (f32::from(*x) * 0.06 + 12.0 * random.unit()) as u8);
        dark
    }),
    ("dirty lens", |photo, _| blur(photo, photo.width() as f32 / 40.0)),
    ("half turned away", |photo, _| {
        let (width, height) = photo.dimensions();
        let mut away = RgbImage::from_pixel(width, height, image::Rgb([110, 105, 95]));
        let rest = crop_imm(photo, 0, 0, width * 2 / 5, height).to_image();
        image::imageops::replace(&mut away, &rest, i64::from(width - width * 2 / 5), 0);
        away
    }),
    ("a wall", |photo, random| {
        let shade = 90.0 + 40.0 * random.unit();
        RgbImage::from_fn(photo.width(), photo.height(), |x, _| {
            image::Rgb([
                (shade + x as f32 / 40.0) as u8,
                (shade + 4.0 + 3.0 * random.unit()) as u8,
                (shade - 6.0) as u8,
            ])
        })
    }),
];

fn cells(trunk: &Trunk, splits: &Splits, folder: &Path, shots: &str) -> Result<Vec<String>> {
    let (kernels, mut random) = (Kernels::detect(), SplitMix64(3));
    let split = &splits.splits[0];
    let mut preprocessor = Preprocessor::new(trunk.preprocess())?;
    let mut features = |photo: &RgbImage| trunk.features(preprocessor.apply(photo));
    let photo = |at: usize| open(&PathBuf::from(folder).join(&splits.files[at]));
    let training = split.training(shots);
    let rows = training.iter().map(|at| Ok(features(&photo(*at)?)?)).collect::<Result<Vec<Vec<f32>>>>()?;
    let rows = Array2::from_shape_vec((rows.len(), trunk.feature_dim()), rows.concat())?;
    let labels: Vec<u16> = training.iter().map(|at| splits.labels[*at]).collect();
    let classes = 1 + usize::from(*labels.iter().max().expect("some"));
    let settings = Settings { scalings: &[Scaling::L2], kinds: &[Kind::Softmax], ..Settings::default() };
    let fitted = fit_with(rows.view(), &labels, classes, &settings)?;
    let names = (0..classes).map(|class| class.to_string()).collect();
    let model = topgraft::learn::Model::new(trunk, names, &fitted);
    let mut score = |photo: &RgbImage| -> Result<f32> {
        let features = features(photo)?;
        Ok(model.predict(kernels, &features)?.score.unwrap_or(f32::NAN))
    };
    let reference = fitted.novelty.scores().to_vec();
    let drift = |steps: f64| {
        let mut drift = Drift::new(DriftSettings { every: 1.0, false_alarm_days: steps / 86_400.0 });
        drift.set_reference(reference.clone());
        drift
    };
    let photos: Vec<RgbImage> = split.test.iter().take(120).map(|at| Ok(photo(*at)?)).collect::<Result<_>>()?;
    let plain: Vec<f32> = photos.iter().map(&mut score).collect::<Result<_>>()?;
    let mut draw = |scores: &[f32]| scores[((random.unit() * scores.len() as f32) as usize).min(scores.len() - 1)];
    // Photos of the same classes that were not taught, in any order: runs end at an alarm or after twenty times what was asked for.
    let (mut steps, mut alarms) = (0u64, 0u64);
    for _ in 0..RUNS {
        let mut drift = drift(ASKED);
        for step in 0..(20.0 * ASKED) as u64 {
            steps += 1;
            if drift.see(draw(&plain), Duration::from_secs(step)) {
                alarms += 1;
                break;
            }
        }
    }
    let mut cells = vec![match alarms {
        0 => format!("over {}", steps / RUNS as u64),
        _ => format!("{:.0}", steps as f64 / alarms as f64),
    }];
    for (_, change) in CHANGES {
        let mut random = SplitMix64(9);
        let scores: Vec<f32> = photos.iter().map(|photo| score(&change(photo, &mut random))).collect::<Result<_>>()?;
        let (mut delays, mut missed) = (Vec::new(), 0);
        for _ in 0..RUNS {
            let mut drift = drift(MONTH);
            for step in 0..200 {
                drift.see(draw(&plain), Duration::from_secs(step));
            }
            match (200..300).position(|step| drift.see(draw(&scores), Duration::from_secs(step))) {
                Some(delay) => delays.push(delay + 1),
                None => missed += 1,
            }
        }
        delays.sort_unstable();
        let median = delays.get(delays.len() / 2).map_or("-".to_owned(), ToString::to_string);
        cells.push(match missed {
            0 => median,
            _ => format!("{median}, missed {:.0} %", 100.0 * f64::from(missed) / RUNS as f64),
        });
    }
    Ok(cells)
}
