//! From 'hold the button' on a frame to a prediction that knows it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use image::RgbImage;
use image::imageops::{FilterType, resize};
use topgraft::learn::settle;
use topgraft::live::{Mind, Newer, Session, SessionSettings, TeachingSettings};

use super::scene::{self, Camera, quantiles, thousand};

/// Samples that are taught, and undone again, so that there are 1,000 before each.
const TIMES: usize = 60;

pub fn run(shared: &Path) -> Result<()> {
    let folder = scene::folder()?;
    let mut teacher = thousand(shared, &folder.path().join("x.store"))?;
    let classes = teacher.store().classes()?;
    let start = Instant::now();
    let settled = settle(&teacher.snapshot()?, teacher.trunk())?;
    let measuring = start.elapsed();
    teacher.settled(settled)?;
    let feature_dim = teacher.trunk().feature_dim();
    println!(
        "{} samples of {} classes, d = {feature_dim}; measured in {:.1} s on all cores\n",
        teacher.store().usage()?.samples,
        classes.len(),
        measuring.as_secs_f64()
    );
    // A photo of each class, as a camera's frame.
    let mut pictures: Vec<RgbImage> = Vec::new();
    for (class, _) in &classes {
        let id = teacher.store().samples()?.into_iter().find(|s| &s.class == class).expect("has some").id;
        let photo = topgraft::vision::decode(&teacher.store().photo(id)?)?;
        pictures.push(resize(&photo, 640, 480, FilterType::Triangle));
    }
    let camera = Camera::new(pictures, Duration::from_millis(100), u64::MAX);
    // No measuring in between.
    let teaching = TeachingSettings { settle: 3600.0, ..TeachingSettings::default() };
    let settings = SessionSettings { teaching, ..SessionSettings::default() };
    let session = Session::start(camera, Mind::Teacher(Box::new(teacher)), settings)?;
    let (mut all, mut trunk, mut store, mut fit, mut rest) = (vec![], vec![], vec![], vec![], vec![]);
    let (mut number, mut frame) = (0, None);
    for i in 0..TIMES {
        // A frame that has just come.
        let before = loop {
            match session.newer(number, Duration::from_secs(10)) {
                Newer::Value(newer, seen) => {
                    number = newer;
                    // Not the one before, seen by the head that has unlearned it.
                    if frame.replace(seen.number) != Some(seen.number) {
                        break seen;
                    }
                }
                other => ensure!(matches!(other, Newer::Waiting), "the loop has ended"),
            }
        };
        let class = classes[i % classes.len()].0.clone();
        let start = Instant::now();
        let lesson = session.teach(&class)?;
        // What is to be seen now is of the head that knows it.
        let Newer::Value(_, seen) = session.newer(number, Duration::ZERO) else { anyhow::bail!("nothing is seen") };
        let time = start.elapsed();
        ensure!(seen.taught > before.taught && seen.prediction.is_some());
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        all.push(ms(time));
        trunk.push(ms(lesson.trunk_time));
        store.push(ms(lesson.store_time));
        fit.push(ms(lesson.fit_time));
        rest.push(ms(time) - ms(lesson.trunk_time) - ms(lesson.store_time) - ms(lesson.fit_time));
        session.with(|teacher| teacher.undo())??;
    }
    let mut beyond: Vec<f64> = all.iter().zip(&trunk).map(|(all, trunk)| all - trunk).collect();
    println!("| ms, median and 95 % of {TIMES} | median | 95 % |\n|---|---|---|");
    for (name, times) in [
        ("from the button to a prediction that knows it", &mut all),
        ("decoding and the trunk's pass", &mut trunk),
        ("the store: on the disk", &mut store),
        ("the head's fit", &mut fit),
        ("JPEG, prediction, threads", &mut rest),
        ("all but the pass", &mut beyond),
    ] {
        let [median, most] = quantiles(times);
        println!("| {name} | {median:.1} | {most:.1} |");
    }
    Ok(())
}
