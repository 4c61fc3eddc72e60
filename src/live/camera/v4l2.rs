//! USB cameras, and whatever else is a V4L2 device.
//!
//! There was no device to run this with: tested is the choice of what to ask for, and elsewhere the conversion.

use std::cmp::Reverse;
use std::path::Path;
use std::time::Instant;

use rscam::{Camera, Config, IntervalInfo, ResolutionInfo};

use super::run::{Outlet, Pixels};
use super::settings::{Pace, Settings};

/// Intervals that cameras have, in seconds as fractions; for those that do not say which they have.
const COMMON_INTERVALS: [(u32, u32); 5] = [(1, 30), (1, 25), (1, 15), (1, 10), (1, 5)];

/// How a device sends pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Mjpg,
    Yuyv,
}

impl Format {
    fn code(self) -> &'static [u8; 4] {
        match self {
            Self::Mjpg => b"MJPG",
            Self::Yuyv => b"YUYV",
        }
    }

    fn of_code(code: &[u8; 4]) -> Option<Self> {
        [Self::Mjpg, Self::Yuyv].into_iter().find(|format| format.code() == code)
    }
}

/// Reads frames until the device fails or nobody wants them any more. Waiting for a frame has no time-out: a device that
/// sends none blocks until it is unplugged.
pub(super) fn read(device: &Path, settings: &Settings, outlet: &Outlet) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", device.display());
    let name = device.to_str().ok_or_else(|| failed(&"the name is not UTF-8"))?;
    let mut camera = Camera::new(name).map_err(|error| failed(&error))?;
    let (format, size) = choose(&offers(&camera), (settings.width, settings.height))
        .ok_or_else(|| failed(&"it sends neither MJPG nor YUYV; see v4l2-ctl --list-formats"))?;
    start(&mut camera, format, size, settings.fps).map_err(|error| failed(&error))?;
    let (width, height) = size;
    let mut pace = Pace::new(settings);
    loop {
        let frame = camera.capture().map_err(|error| failed(&error))?;
        // That nobody wants them is found out when one is put.
        if !pace.takes(Instant::now()) && !outlet.is_closed() {
            continue;
        }
        let pixels = match format {
            Format::Mjpg => Pixels::Jpeg(frame.to_vec()),
            Format::Yuyv => {
                // What the driver says of its rows' padding is not passed on; it is in the length.
                let stride = frame.len() / height as usize;
                if stride < 2 * width as usize {
                    // A lost packet. The next frame will do.
                    outlet.add_damage("it is cut");
                    continue;
                }
                let mut bytes = outlet.pool().take(frame.len());
                bytes.copy_from_slice(&frame);
                Pixels::Yuyv { bytes, stride, width, height }
            }
        };
        if outlet.put(pixels).is_err() {
            return Ok(());
        }
    }
}

fn offers(camera: &Camera) -> Vec<(Format, ResolutionInfo)> {
    let formats = camera.formats().map_while(Result::ok).filter_map(|info| Format::of_code(&info.format));
    formats.filter_map(|format| Some((format, camera.resolutions(format.code()).ok()?))).collect()
}

fn start(camera: &mut Camera, format: Format, size: (u32, u32), fps: f64) -> rscam::Result<()> {
    let first = camera.intervals(format.code(), size).ok().and_then(|intervals| choose_interval(&intervals, fps));
    let mut result = Err(rscam::Error::BadInterval);
    for interval in first.into_iter().chain(COMMON_INTERVALS) {
        let config = Config { interval, resolution: size, format: format.code(), nbuffers: 3, ..Config::default() };
        result = camera.start(&config);
        if !matches!(result, Err(rscam::Error::BadInterval)) {
            break;
        }
    }
    result
}

/// The format and the size nearest to the wanted one.
fn choose(offers: &[(Format, ResolutionInfo)], wanted: (u32, u32)) -> Option<(Format, (u32, u32))> {
    let sizes = |(format, sizes): &(Format, ResolutionInfo)| {
        let format = *format;
        let sizes = match sizes {
            ResolutionInfo::Discretes(sizes) => sizes.clone(),
            ResolutionInfo::Stepwise { min, max, step } => {
                vec![(snap(wanted.0, min.0, max.0, step.0), snap(wanted.1, min.1, max.1, step.1))]
            }
        };
        sizes.into_iter().map(move |size| (format, size))
    };
    let usable = |(format, (width, height)): &(Format, (u32, u32))| {
        *width > 0 && *height > 0 && (*format == Format::Mjpg || width.is_multiple_of(2))
    };
    offers.iter().flat_map(sizes).filter(usable).min_by_key(|&(format, (width, height))| {
        // Of the same size, raw frames spare the decoding, but of larger ones USB 2 carries only a few a second.
        let is_small = u64::from(width) * u64::from(height) <= 640 * 480;
        (width.abs_diff(wanted.0) + height.abs_diff(wanted.1), is_small != (format == Format::Yuyv))
    })
}

/// The value nearest to the wanted one among `min`, `min + step`, … up to `max`.
fn snap(wanted: u32, min: u32, max: u32, step: u32) -> u32 {
    let step = step.max(1);
    let max = max.max(min);
    let steps = (wanted.clamp(min, max) - min + step / 2) / step;
    min + steps.min((max - min) / step) * step
}

/// The interval of the slowest rate that is as fast as wanted, else of the fastest.
fn choose_interval(intervals: &IntervalInfo, fps: f64) -> Option<(u32, u32)> {
    let rate = |(numerator, denominator): (u32, u32)| f64::from(denominator) / f64::from(numerator);
    match intervals {
        IntervalInfo::Discretes(intervals) => {
            let sound = intervals.iter().copied().filter(|interval| interval.0 > 0 && interval.1 > 0);
            // In thousandths of a frame a second.
            let key = |interval: &(u32, u32)| (1000.0 * rate(*interval)).round() as u64;
            let wanted = (1000.0 * fps).round() as u64;
            sound.min_by_key(|interval| match key(interval) {
                fast if fast >= wanted => (0, fast, Reverse(0)),
                slow => (1, 0, Reverse(slow)),
            })
        }
        &IntervalInfo::Stepwise { min, max, .. } => {
            // The shortest interval is the fastest rate.
            let (slowest, fastest) = (rate(max), rate(min));
            let fps = if fps >= fastest {
                return Some(min);
            } else if fps <= slowest {
                return Some(max);
            } else {
                fps
            };
            let whole = fps.round();
            Some(if (fps - whole).abs() < 1e-9 { (1, whole as u32) } else { (1000, (1000.0 * fps).round() as u32) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discrete(sizes: &[(u32, u32)]) -> ResolutionInfo {
        ResolutionInfo::Discretes(sizes.to_vec())
    }

    #[test]
    fn the_nearest_size_is_chosen_in_the_format_that_suits_it() {
        use Format::{Mjpg, Yuyv};
        let webcam = [
            (Yuyv, discrete(&[(640, 480), (320, 240), (1280, 720)])),
            (Mjpg, discrete(&[(640, 480), (1280, 720), (1920, 1080)])),
        ];
        let cases = [
            ((640, 480), (Yuyv, (640, 480))),
            ((1280, 720), (Mjpg, (1280, 720))),
            ((300, 300), (Yuyv, (320, 240))),
            ((4000, 3000), (Mjpg, (1920, 1080))),
            ((1300, 700), (Mjpg, (1280, 720))),
        ];
        for (wanted, expected) in cases {
            assert_eq!(choose(&webcam, wanted), Some(expected), "{wanted:?}");
        }
        assert_eq!(choose(&[(Yuyv, discrete(&[(641, 480)])), (Mjpg, discrete(&[]))], (640, 480)), None);
        assert_eq!(choose(&[], (640, 480)), None);
        let steps = ResolutionInfo::Stepwise { min: (32, 32), max: (2592, 1944), step: (16, 2) };
        assert_eq!(choose(&[(Yuyv, steps)], (630, 479)), Some((Yuyv, (624, 480))));
    }

    #[test]
    fn sizes_stay_within_their_steps() {
        assert_eq!(snap(640, 64, 640, 1), 640);
        assert_eq!(snap(5000, 64, 650, 16), 640);
        assert_eq!(snap(1, 64, 650, 16), 64);
        assert_eq!(snap(100, 64, 650, 0), 100);
        assert_eq!(snap(100, 64, 64, 0), 64);
    }

    #[test]
    fn the_slowest_rate_that_is_fast_enough_is_chosen() {
        let intervals = IntervalInfo::Discretes(vec![(1, 30), (1, 15), (2, 15), (1, 5), (0, 1), (1001, 30_000)]);
        let chosen = |fps| choose_interval(&intervals, fps).unwrap();
        assert_eq!(chosen(10.0), (1, 15));
        assert_eq!(chosen(15.0), (1, 15));
        assert_eq!(chosen(29.9), (1001, 30_000));
        assert_eq!(chosen(60.0), (1, 30));
        assert_eq!(chosen(0.5), (1, 5));
        assert_eq!(choose_interval(&IntervalInfo::Discretes(vec![]), 10.0), None);
        let steps = IntervalInfo::Stepwise { min: (1, 60), max: (1, 1), step: (1, 1) };
        let chosen = |fps| choose_interval(&steps, fps).unwrap();
        assert_eq!([chosen(10.0), chosen(12.5), chosen(90.0), chosen(0.1)], [(1, 10), (1000, 12_500), (1, 60), (1, 1)]);
    }

    #[test]
    fn formats_are_known_by_their_codes() {
        assert_eq!([b"MJPG", b"YUYV", b"H264"].map(Format::of_code), [Some(Format::Mjpg), Some(Format::Yuyv), None]);
    }
}
