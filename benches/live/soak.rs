//! A day of frames.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use image::{Rgb, RgbImage};
use topgraft::learn::Teacher;
use topgraft::live::{KeepSettings, LiveEvent, Mind, Newer, Session, SessionSettings, TeachingSettings};
use topgraft::store::{Limits, SampleStore};
use topgraft::trunk::Trunk;

use super::scene::{self, Camera, resident, trunk};

/// Ten a second.
const DAY: u64 = 24 * 3600 * 10;

pub fn run() -> Result<()> {
    println!("| frames | seconds | resident, MB | store, MB | samples | frames kept |\n|---|---|---|---|---|---|");
    println!("| a trunk of 8 x 8 pixels | | | | | |");
    watch(Arc::new(Trunk::pixels(8)), DAY, [160, 120], 200)?;
    println!("| the default network | | | | | |");
    watch(Arc::new(trunk()?), 6_000, [640, 480], 40)
}

fn watch(trunk: Arc<Trunk>, frames: u64, [width, height]: [u32; 2], samples: usize) -> Result<()> {
    let folder = scene::folder()?;
    let path = folder.path().join("x.store");
    let limits = Limits { samples, bytes: 4_000_000, heads: 10 };
    let teacher = Teacher::new(SampleStore::open_or_create(&path)?, trunk, limits)?;
    // Stripes of eight directions: three are taught, the others are novel.
    let picture = |i: u32| {
        RgbImage::from_fn(width, height, |x, y| {
            let on = ((x * (i + 1) + y * (8 - i)) / 64).is_multiple_of(2);
            Rgb(if on { [200, 180, 40 + 20 * i as u8] } else { [20, 40, 60] })
        })
    };
    let camera = Camera::new((0..8).map(picture).collect(), Duration::ZERO, u64::MAX);
    let settings = SessionSettings {
        // Many are kept, and as many go.
        keep: KeepSettings { every: 0.02, frames: 50, below: 1.0, alike: 0.9999 },
        teaching: TeachingSettings { every: 0.0, settle: 0.2 },
        ..SessionSettings::default()
    };
    let session = Session::start(camera, Mind::Teacher(Box::new(teacher)), settings)?;
    let (mut number, mut next, mut taught) = (0, frames / 10, 0u64);
    let mut kept = 0u64;
    let start = Instant::now();
    let mut sizes = Vec::new();
    loop {
        let frame = match session.newer(number, Duration::from_secs(60)) {
            Newer::Over => break,
            Newer::Waiting => continue,
            Newer::Value(newer, seen) => {
                number = newer;
                seen.looked
            }
        };
        kept += session.events().iter().filter(|event| matches!(event, LiveEvent::Kept { .. })).count() as u64;
        // 1,700 samples, and things undone now and then.
        if frame * 1_700 / frames >= taught {
            taught += 1;
            session.teach(["a", "b", "c"][(taught % 3) as usize])?;
            if taught.is_multiple_of(7) {
                session.with(Teacher::undo)??;
            }
        }
        if frame >= next {
            next += frames / 10;
            let usage = session.with(|teacher| teacher.store().usage())??;
            let memory = resident()? / 1e6;
            println!(
                "| {frame} | {:.0} | {memory:.1} | {:.1} | {} | {} of {kept} |",
                start.elapsed().as_secs_f64(),
                usage.file_bytes as f64 / 1e6,
                usage.samples,
                usage.pending
            );
            sizes.push(memory);
            if frame >= frames {
                break;
            }
        }
    }
    // The store is full up to its limits then.
    let growth = sizes.last().zip(sizes.get(2)).map_or(0.0, |(last, first)| 100.0 * (last / first - 1.0));
    println!("| growth from the third tenth to the last | | {growth:+.1} % | | | |");
    ensure!(!sizes.is_empty());
    Ok(())
}
