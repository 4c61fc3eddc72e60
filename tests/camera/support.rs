//! Pictures that are known again, programs that stand in, and patience.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::program::lacks;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use tempfile::TempDir;
use topgraft::live::camera::{Camera, EventKind, Frame, Next, Settings};

pub const WIDTH: u32 = 640;
pub const HEIGHT: u32 = 480;
pub const DEADLINE: Duration = Duration::from_secs(60);
pub const MOMENT: Duration = Duration::from_millis(20);

/// Six photos side by side, and `number` in black and white squares along the top.
pub fn picture(number: u8) -> RgbImage {
    static PHOTOS: OnceLock<RgbImage> = OnceLock::new();
    let photos = PHOTOS.get_or_init(|| {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/new");
        let names =
            ["fish/butterflyfish", "fruit/lemon", "birds/pigeon", "flowers/rose", "vegetables/carrot", "fish/lionfish"];
        let mut photos = RgbImage::new(WIDTH, HEIGHT);
        for (i, name) in names.iter().enumerate() {
            let photo = image::open(demo.join(name).with_extension("jpg")).unwrap().into_rgb8();
            let photo = imageops::resize(&photo, 208, 200, FilterType::Triangle);
            imageops::replace(&mut photos, &photo, (i % 3 * 216) as i64, (64 + i / 3 * 208) as i64);
        }
        photos
    });
    let mut picture = photos.clone();
    for bit in 0..8 {
        let colour = if number >> bit & 1 == 1 { [255; 3] } else { [0; 3] };
        let square = RgbImage::from_pixel(80, 48, Rgb(colour));
        imageops::replace(&mut picture, &square, i64::from(bit) * 80, 0);
    }
    picture
}

pub fn number(image: &RgbImage) -> u8 {
    (0..8).filter(|bit| image.get_pixel(bit * 80 + 40, 24)[1] > 127).map(|bit| 1 << bit).sum()
}

pub fn jpeg(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 90).encode_image(image).unwrap();
    bytes
}

/// The picture came through, colours and all. What video leaves of fine colours is a few steps off, on average.
pub fn check(frame: &Frame, route: &str) {
    let expected = picture(number(&frame.image));
    assert_eq!(frame.image.dimensions(), expected.dimensions(), "{route}");
    let mut off = [0.0; 3];
    for (seen, expected) in frame.image.pixels().zip(expected.pixels()) {
        (0..3).for_each(|i| off[i] += f64::from(seen[i]) - f64::from(expected[i]));
    }
    let off = off.map(|sum| sum / f64::from(WIDTH * HEIGHT));
    let apart = frame.image.iter().zip(expected.iter()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>();
    let apart = apart / f64::from(3 * WIDTH * HEIGHT);
    // To be looked at.
    if let Some(folder) = std::env::var_os("CAMERA_TEST_PICTURES") {
        println!("{route}: {apart:.2} apart, {off:.2?} off");
        frame.image.save(Path::new(&folder).join(route).with_extension("png")).unwrap();
    }
    assert!(off.iter().all(|off| off.abs() < 1.5) && apart < 6.0, "{route}: {apart:.2} apart, {off:.2?} off");
}

/// Whether there is an `ffmpeg` to test with.
pub fn has_ffmpeg(test: &str) -> bool {
    let found = Command::new("ffmpeg").arg("-version").output().is_ok();
    if !found {
        lacks(&format!("{test}: ffmpeg is not installed"));
    }
    found
}

pub fn ffmpeg(args: &[&str], output: &Path) {
    let run = Command::new("ffmpeg").args(["-nostdin", "-y", "-loglevel", "error"]).args(args).arg(output).output();
    let run = run.unwrap();
    assert!(run.status.success(), "ffmpeg {args:?}: {}", String::from_utf8_lossy(&run.stderr));
}

pub fn quick() -> Settings {
    let (least_backoff, most_backoff) = (Duration::from_millis(50), Duration::from_millis(200));
    Settings { least_backoff, most_backoff, ..Settings::default() }
}

/// A camera, and what it has said.
pub struct Watched {
    pub camera: Camera,
    pub events: Vec<EventKind>,
}

impl Watched {
    pub fn start(source: &str, settings: Settings) -> Self {
        Self { camera: Camera::start(&source.parse().unwrap(), settings).unwrap(), events: Vec::new() }
    }

    pub fn wait<T>(&mut self, what: &str, mut seen: impl FnMut(&mut Self) -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            let seen = seen(self);
            self.events.extend(self.camera.events().into_iter().map(|event| event.kind));
            if let Some(seen) = seen {
                return seen;
            }
            assert!(begin.elapsed() < DEADLINE, "{what} did not come; {:?} {:?}", self.events, self.camera.counts());
        }
    }

    pub fn frame(&mut self) -> Frame {
        self.wait("a frame", |watched| match watched.camera.next(MOMENT) {
            Next::Frame(frame) => Some(frame),
            Next::Nothing => None,
            Next::Over => panic!("it is over: {:?}", watched.events),
        })
    }

    pub fn event(&mut self, what: &str, is_it: impl Fn(&EventKind) -> bool) -> EventKind {
        self.wait(what, |watched| {
            thread::sleep(MOMENT);
            watched.events.iter().find(|event| is_it(event)).cloned()
        })
    }

    /// All frames to the end.
    pub fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        self.wait("the end", |watched| match watched.camera.next(MOMENT) {
            Next::Frame(frame) => {
                frames.push(frame);
                None
            }
            Next::Nothing => None,
            Next::Over => Some(()),
        });
        frames
    }
}

/// A folder with a shell script as `rpicam-vid`, and settings that find it there. It knows its folder as `$here`.
pub fn stand_in(script: &str) -> (TempDir, Settings) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("rpicam-vid");
    fs::write(&program, format!("#!/bin/sh\nhere={}\n{script}", folder.path().display())).unwrap();
    fs::set_permissions(program, Permissions::from_mode(0o755)).unwrap();
    let mut path = OsString::from(folder.path());
    path.push(":/usr/bin:/bin");
    let settings = Settings { path: Some(path), ..quick() };
    (folder, settings)
}

/// Takes its options as `rpicam-vid` does, which refuses those that it does not know.
pub const OPTIONS: &str = r#"
while [ $# -gt 0 ]; do
    case "$1" in
        --camera|--width|--height|--framerate|--timeout|--codec|--quality|--output) eval "${1#--}=$2"; shift 2;;
        --nopreview|--flush|--hflip|--vflip) eval "${1#--}=1"; shift;;
        *) echo "ERROR: *** unrecognised option '$1' ***" >&2; exit 255;;
    esac
done
[ "$timeout,$output,$nopreview,$flush" = 0,-,1,1 ] || { echo "ERROR: *** wrong options ***" >&2; exit 255; }
"#;

/// Pictures `0..n` in `frame_N.yuv` as `rpicam-vid` writes them: YUV 4:2:0 of full range.
pub fn raw_pictures(folder: &Path, n: u8) {
    let png = folder.join("frame_%d.png");
    (0..n).for_each(|i| picture(i).save(folder.join(format!("frame_{i}.png"))).unwrap());
    let all = folder.join("all.yuv");
    let args =
        ["-i", png.to_str().unwrap(), "-vf", "scale=out_range=full:out_color_matrix=bt601", "-pix_fmt", "yuvj420p"];
    ffmpeg(&[&args[..], &["-f", "rawvideo"]].concat(), &all);
    let all = fs::read(all).unwrap();
    let frames = all.chunks((WIDTH * HEIGHT * 3 / 2) as usize);
    assert_eq!(frames.len(), usize::from(n));
    frames.enumerate().for_each(|(i, frame)| fs::write(folder.join(format!("frame_{i}.yuv")), frame).unwrap());
}
