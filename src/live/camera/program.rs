//! The programs that read cameras, and what they are told.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::CameraError;
use super::settings::{RpicamCodec, Settings};
use super::url::Url;

/// How a stream of bytes is divided into pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// JPEGs, with whatever between them.
    Jpegs,
    /// RGB, 8 bits.
    Rgb { width: u32, height: u32 },
    /// Planes Y, U, V, the latter of half the size, BT.601 of full range.
    I420 { width: u32, height: u32 },
}

/// A program, what it is told, and what it sends.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub framing: Framing,
}

/// What the width of raw frames has to be a multiple of.
///
/// `rpicam-vid` writes its buffers as they are, and the rows in them are padded: to 64 bytes by the camera system of the
/// Raspberry Pi 4 and before (driver bcm2835-isp), to 64 bytes of the half as wide rows of U and V, thus 128 of Y, by that of
/// the Raspberry Pi 5 (libcamera's `computeOptimalStride`). It does not say so in the stream; with such a width there is no
/// padding on either.
const STRIDE: u32 = 128;

/// `rpicam-vid`, which writes frames to its standard output without an end.
pub(super) fn rpicam(camera: u32, settings: &Settings) -> Result<Command, CameraError> {
    let Settings { width, height, .. } = *settings;
    let (codec, framing) = match settings.rpicam_codec {
        RpicamCodec::Mjpeg => ("mjpeg", Framing::Jpegs),
        RpicamCodec::Yuv420 if !width.is_multiple_of(STRIDE) => {
            return Err(CameraError::Setting {
                name: "width",
                value: format!("{width} for raw frames of rpicam-vid"),
                allowed: "a multiple of 128, such as 640, or choose mjpeg",
            });
        }
        // Its colour space is sYCC for both codecs: BT.601 of full range, whatever the size.
        RpicamCodec::Yuv420 => ("yuv420", Framing::I420 { width, height }),
    };
    let names = ["rpicam-vid", "libcamera-vid"];
    let program = names.iter().find_map(|name| find(name, settings.path.as_deref()));
    let program = program.ok_or(CameraError::Missing { program: names[0], package: "rpicam-apps" })?;
    let (camera, width, height) = (camera.to_string(), width.to_string(), height.to_string());
    let fps = settings.fps.to_string();
    let mut args = vec!["--camera", &camera, "--codec", codec, "--width", &width, "--height", &height];
    args.extend(["--framerate", &fps, "--timeout", "0", "--nopreview"]);
    if settings.rpicam_codec == RpicamCodec::Mjpeg {
        // The default is 50, which is visible.
        args.extend(["--quality", "90"]);
    }
    args.extend(settings.hflip.then_some("--hflip"));
    args.extend(settings.vflip.then_some("--vflip"));
    args.extend(["--flush", "--output", "-"]);
    Ok(Command { program, args: args.into_iter().map(OsString::from).collect(), framing })
}

/// `ffmpeg`, which writes the frames of a camera on the network as they come.
pub(super) fn network(url: &Url, settings: &Settings) -> Result<Command, CameraError> {
    // The times of frames are of no use, thus looking at twenty of them for the rate would only delay the first.
    let mut args = vec!["-flags", "low_delay", "-fpsprobesize", "0"];
    if url.as_str().to_ascii_lowercase().starts_with("rtsp") {
        // Packets lost by UDP are grey blocks in the picture.
        args.extend(["-rtsp_transport", "tcp"]);
    }
    ffmpeg(&args, url.as_str().into(), "", settings)
}

/// `ffmpeg`, which writes the frames of a file at the speed at which it was filmed.
pub(super) fn video(path: &Path, settings: &Settings) -> Result<Command, CameraError> {
    let repeat: &[&str] = if settings.repeat { &["-stream_loop", "-1"] } else { &[] };
    // So that no name is taken for a protocol or an option.
    let mut input = OsString::from("file:");
    input.push(path);
    ffmpeg(&[&["-re"], repeat].concat(), input, &format!("fps={},", settings.fps), settings)
}

/// `filter` is what is done before the size is changed.
fn ffmpeg(input_args: &[&str], input: OsString, filter: &str, settings: &Settings) -> Result<Command, CameraError> {
    let program = find("ffmpeg", settings.path.as_deref())
        .ok_or(CameraError::Missing { program: "ffmpeg", package: "ffmpeg" })?;
    let Settings { width, height, .. } = *settings;
    let scale = "force_original_aspect_ratio=increase:flags=bilinear";
    let filter = format!("{filter}scale={width}:{height}:{scale},crop={width}:{height}");
    let mut args: Vec<OsString> = ["-nostdin", "-hide_banner", "-loglevel", "error"].map(OsString::from).into();
    args.extend(input_args.iter().map(OsString::from));
    args.extend(["-i".into(), input]);
    // Else it would drop and repeat frames by times that cameras over HTTP do not even send. (Since ffmpeg 5.1; the older
    // `-vsync` is gone in ffmpeg 9.)
    args.extend(["-map", "0:v:0", "-vf", &filter, "-fps_mode", "passthrough"].map(OsString::from));
    args.extend(["-pix_fmt", "rgb24", "-f", "rawvideo", "pipe:1"].map(OsString::from));
    Ok(Command { program, args, framing: Framing::Rgb { width, height } })
}

/// The program's file in the folders of `path`, or of the environment's `PATH`.
fn find(name: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    let path = path.map(OsStr::to_owned).or_else(|| env::var_os("PATH"))?;
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&path).map(|folder| folder.join(&file)).find(|file| is_executable(file))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder with such programs, as a `PATH`.
    fn programs(names: &[&str]) -> (tempfile::TempDir, Settings) {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let file = folder.path().join(name);
            fs::write(&file, "").unwrap();
            fs::set_permissions(file, Permissions::from_mode(0o755)).unwrap();
        }
        let settings = Settings { path: Some(folder.path().into()), ..Settings::default() };
        (folder, settings)
    }

    fn line(command: &Command) -> String {
        command.args.join(OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn rpicam_vid_is_told_what_is_wanted() {
        let (_folder, mut settings) = programs(&["rpicam-vid", "libcamera-vid"]);
        let command = rpicam(1, &settings).unwrap();
        assert!(command.program.ends_with("rpicam-vid"));
        assert_eq!(command.framing, Framing::I420 { width: 640, height: 480 });
        assert_eq!(
            line(&command),
            "--camera 1 --codec yuv420 --width 640 --height 480 --framerate 10 --timeout 0 --nopreview --flush --output -"
        );
        (settings.width, settings.fps, settings.rpicam_codec) = (320, 2.5, RpicamCodec::Mjpeg);
        (settings.hflip, settings.vflip) = (true, true);
        let command = rpicam(0, &settings).unwrap();
        assert_eq!(command.framing, Framing::Jpegs);
        assert!(line(&command).contains("--codec mjpeg --width 320 --height 480 --framerate 2.5 --timeout 0"));
        assert!(line(&command).ends_with("--quality 90 --hflip --vflip --flush --output -"));
    }

    #[test]
    fn the_older_name_does_and_a_missing_program_is_named() {
        let (_folder, settings) = programs(&["libcamera-vid"]);
        assert!(rpicam(0, &settings).unwrap().program.ends_with("libcamera-vid"));
        let error = video(Path::new("a.mp4"), &settings).unwrap_err().to_string();
        assert_eq!(error, "cannot find the program ffmpeg; install it (on Debian: sudo apt install ffmpeg)");
        let (folder, settings) = programs(&[]);
        fs::write(folder.path().join("rpicam-vid"), "not executable").unwrap();
        assert!(rpicam(0, &settings).unwrap_err().to_string().contains("sudo apt install rpicam-apps"));
    }

    #[test]
    fn widths_with_padding_are_refused_for_raw_frames() {
        let (_folder, settings) = programs(&["rpicam-vid"]);
        let error = rpicam(0, &Settings { width: 320, ..settings }).unwrap_err().to_string();
        assert!(error.contains("320 for raw frames") && error.contains("multiple of 128"), "{error}");
    }

    #[test]
    fn names_are_never_options() {
        let (_folder, settings) = programs(&["ffmpeg"]);
        let settings = Settings { repeat: true, ..settings };
        let command = line(&video(Path::new("-y"), &settings).unwrap());
        assert!(command.contains("-re -stream_loop -1 -i file:-y -map 0:v:0 -vf fps=10,scale=640:480:"), "{command}");
        let command = line(&network(&Url::new("rtsp://a:b@host/c d"), &settings).unwrap());
        assert!(command.contains("-rtsp_transport tcp -i rtsp://a:b@host/c d -map 0:v:0"), "{command}");
        assert!(command.ends_with("-fps_mode passthrough -pix_fmt rgb24 -f rawvideo pipe:1"), "{command}");
        let command = line(&network(&Url::new("http://host/"), &settings).unwrap());
        assert!(command.contains("-fpsprobesize 0 -i http://host/ -map 0:v:0 -vf scale=640:480:"), "{command}");
    }
}
