//! Cameras that the benches make up.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use image::RgbImage;
use topgraft::learn::{ImportLimits, Teacher, import};
use topgraft::live::Frames;
use topgraft::live::camera::{Counts, Event, Frame, Next};
use topgraft::store::{Limits, SampleStore};
use topgraft::trunk::{Backbone, Trunk};

/// Gives pictures one after the other, so many a second or as fast as they are taken, each with noise of its own, until there were
/// so many.
pub struct Camera {
    pub pictures: Vec<RgbImage>,
    pub wait: Duration,
    pub most: u64,
    pub given: Arc<AtomicU64>,
    pub spare: Vec<Vec<u8>>,
}

impl Camera {
    pub fn new(pictures: Vec<RgbImage>, wait: Duration, most: u64) -> Self {
        Self { pictures, wait, most, given: Arc::default(), spare: Vec::new() }
    }
}

impl Frames for Camera {
    fn next(&mut self, _: Duration) -> Next {
        let number = self.given.load(Ordering::Relaxed);
        if number >= self.most {
            return Next::Over;
        }
        std::thread::sleep(self.wait);
        self.given.store(number + 1, Ordering::Relaxed);
        let picture = &self.pictures[number as usize % self.pictures.len()];
        let mut pixels = self.spare.pop().unwrap_or_default();
        pixels.clear();
        pixels.extend_from_slice(picture.as_raw());
        let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        // Noise here and there is enough to make every frame another one.
        for at in (0..pixels.len()).step_by(31) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            pixels[at] = pixels[at].saturating_add_signed((state >> 60) as i8 - 8);
        }
        let image = RgbImage::from_raw(picture.width(), picture.height(), pixels).expect("of that size");
        Next::Frame(Frame { image, number, time: SystemTime::now() })
    }

    fn recycle(&mut self, frame: Frame) {
        self.spare.push(frame.image.into_raw());
    }

    fn events(&mut self) -> Vec<Event> {
        Vec::new()
    }

    fn counts(&self) -> Counts {
        Counts { captured: self.given.load(Ordering::Relaxed), dropped: 0, damaged: 0 }
    }

    fn name(&self) -> String {
        "bench".into()
    }
}

/// A folder for a store on the disk that is built on: what is in memory syncs in no time.
pub fn folder() -> Result<tempfile::TempDir> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

/// The default network, cut as `learn` does.
pub fn trunk() -> Result<Trunk> {
    let backbone = Backbone::embedded()?;
    Ok(backbone.cut(&backbone.penultimate()?.output, &backbone.preprocess().0)?)
}

/// A store of the 1,000 photos of ten classes, with their features.
pub fn thousand(shared: &Path, store: &Path) -> Result<Teacher> {
    let mut samples = SampleStore::open_or_create(store)?;
    let photos = shared.join("data/images/signdigits10");
    import(&mut samples, &photos, ImportLimits::default(), || {}).with_context(|| photos.display().to_string())?;
    let mut teacher = Teacher::new(samples, Arc::new(trunk()?), Limits::default())?;
    while teacher.extract()?.left > 0 {}
    Ok(teacher)
}

/// Bytes that this process has in memory now.
pub fn resident() -> Result<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: f64 = statm.split(' ').nth(1).context("statm")?.parse()?;
    Ok(pages * 4096.0)
}

/// The middle one, and the one that 95 of 100 are below.
pub fn quantiles(times: &mut [f64]) -> [f64; 2] {
    times.sort_by(f64::total_cmp);
    [times[times.len() / 2], times[(times.len() * 95 / 100).min(times.len() - 1)]]
}
