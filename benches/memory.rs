//! Peak resident memory of `topgraft learn` on 5 classes of 20 photos of 12 megapixels.
//!
//! `cargo bench --bench memory`; needs GNU time (`apt-get install time`). The photos are demo photos, scaled up to
//! 4000 x 3000 with noise added, so that they are as large as a camera's; once as baseline JPEGs, and once, with
//! `--progressive` and libjpeg's `jpegtran` (`apt-get install libjpeg-turbo-progs`), as progressive ones, whose decoder needs more.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};

const CLASSES: [&str; 5] = ["birds", "fish", "flowers", "fruit", "tools"];
const PHOTOS: usize = 20;

fn main() -> Result<()> {
    let progressive = std::env::args().any(|arg| arg == "--progressive");
    let folder = tempfile::tempdir()?;
    let photos = folder.path().join("photos");
    for class in CLASSES {
        make_photos(class, &photos.join(class), progressive)?;
    }
    let learn = Command::new("/usr/bin/time")
        .arg("-v")
        .args([env!("CARGO_BIN_EXE_topgraft"), "learn"])
        .args([photos.as_path(), Path::new("-o"), &folder.path().join("test.graft")])
        .output()
        .context("GNU time is not installed")?;
    ensure!(learn.status.success(), "{}", String::from_utf8_lossy(&learn.stderr));
    print!("{}", String::from_utf8_lossy(&learn.stdout));
    let report = String::from_utf8_lossy(&learn.stderr);
    let peak = report.lines().find_map(|line| line.trim().strip_prefix("Maximum resident set size (kbytes): "));
    let kilobytes: f64 = peak.context("no figure from GNU time")?.parse()?;
    println!("peak resident memory: {:.0} MB", kilobytes * 1024.0 / 1e6);
    Ok(())
}

/// Twenty photos of 12 megapixels, from the class's five.
fn make_photos(class: &str, folder: &Path, progressive: bool) -> Result<()> {
    fs::create_dir_all(folder)?;
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/learn").join(class);
    let mut sources: Vec<_> = fs::read_dir(demo)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    sources.sort();
    let mut state = 1u32;
    for (source, name) in sources.iter().cycle().zip(0..PHOTOS) {
        let mut photo = resize(&image::open(source)?.to_rgb8(), 4000, 3000, FilterType::Triangle);
        for byte in photo.iter_mut() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = byte.saturating_add_signed((state >> 29) as i8 - 4);
        }
        let path = folder.join(format!("{name}.jpg"));
        JpegEncoder::new_with_quality(fs::File::create(&path)?, 90).encode_image(&photo)?;
        if progressive {
            let done = Command::new("jpegtran").args(["-progressive", "-outfile"]).args([&path, &path]).status();
            ensure!(done.context("jpegtran is not installed")?.success(), "jpegtran failed");
        }
    }
    Ok(())
}
