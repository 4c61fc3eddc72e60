//! Where pictures come from, as it is written on a command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::settings::is_side;
use super::url::Url;

/// Where pictures come from.
///
/// ```
/// use topgraft::live::camera::Source;
///
/// let source: Source = "rtsp://me:secret@10.0.0.7/stream1".parse()?;
/// assert_eq!(source.to_string(), "rtsp://me:***@10.0.0.7/stream1");
/// assert_eq!("/dev/video2".parse::<Source>()?, Source::V4l2("/dev/video2".into()));
/// # Ok::<(), topgraft::live::camera::SourceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `rpicam`, `rpicam:N`: a camera of the Raspberry Pi, by the program `rpicam-vid`, or `libcamera-vid` as it was called
    /// before.
    Rpicam {
        /// Its number in `rpicam-vid --list-cameras`.
        camera: u32,
    },
    /// `v4l2:/dev/video0`, `/dev/video0`: a USB camera.
    V4l2(PathBuf),
    /// `http://…`, `https://…`, `rtsp://…`, `rtsps://…`: a camera on the network, by the program `ffmpeg`.
    Url(Url),
    /// Any other path: a folder of photos in the order of their names, or a video file, by the program `ffmpeg`.
    Path(PathBuf),
    /// `-`: JPEGs on standard input, one behind the other; what is between them, such as multipart headers, is passed over.
    Jpegs,
    /// `yuv420:WxH:-`: frames on standard input as `rpicam-vid --codec yuv420` writes them, I420 without padding, BT.601 of
    /// full range.
    Yuv420 {
        /// Pixels, even.
        width: u32,
        /// Pixels, even.
        height: u32,
    },
}

/// Why a text is no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// There is no text.
    #[error("the camera has no name; give rpicam, /dev/video0, a URL, a path, or - for standard input")]
    Empty,
    /// What is behind `rpicam:` is no number.
    #[error("the camera number {0:?} is none; give rpicam:0, or rpicam:1 for the second camera")]
    Number(String),
    /// What is behind `yuv420:` is no size.
    #[error("{0:?} is no size of raw frames; give yuv420:WxH:-, W and H even and up to 8192, as yuv420:640x480:-")]
    Yuv420(String),
    /// A URL of another kind.
    #[error("URLs of {0:?} are not read; give one of http, https, rtsp or rtsps")]
    Scheme(String),
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        if text.is_empty() {
            return Err(SourceError::Empty);
        }
        if text == "-" {
            return Ok(Self::Jpegs);
        }
        if text == "rpicam" {
            return Ok(Self::Rpicam { camera: 0 });
        }
        if let Some(number) = text.strip_prefix("rpicam:") {
            let camera = number.parse().map_err(|_| SourceError::Number(number.to_owned()))?;
            return Ok(Self::Rpicam { camera });
        }
        if let Some(size) = text.strip_prefix("yuv420:") {
            let (width, height) = raw_size(size).ok_or_else(|| SourceError::Yuv420(size.to_owned()))?;
            return Ok(Self::Yuv420 { width, height });
        }
        if let Some(device) = text.strip_prefix("v4l2:") {
            return match device {
                "" => Err(SourceError::Empty),
                device => Ok(Self::V4l2(device.into())),
            };
        }
        if text.starts_with("/dev/video") {
            return Ok(Self::V4l2(text.into()));
        }
        match text.split_once("://") {
            None => Ok(Self::Path(text.into())),
            Some((scheme, _)) => {
                let scheme = scheme.to_ascii_lowercase();
                match scheme.as_str() {
                    "http" | "https" | "rtsp" | "rtsps" => Ok(Self::Url(Url::new(text))),
                    _ => Err(SourceError::Scheme(scheme)),
                }
            }
        }
    }
}

/// `WxH:-`.
fn raw_size(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.strip_suffix(":-")?.split_once('x')?;
    let side = |text: &str| text.parse().ok().filter(|side| is_side(*side));
    Some((side(width)?, side(height)?))
}

impl fmt::Display for Source {
    /// As it is parsed, but without passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rpicam { camera: 0 } => write!(f, "rpicam"),
            Self::Rpicam { camera } => write!(f, "rpicam:{camera}"),
            Self::V4l2(device) if device.to_string_lossy().starts_with("/dev/video") => {
                write!(f, "{}", device.display())
            }
            Self::V4l2(device) => write!(f, "v4l2:{}", device.display()),
            Self::Url(url) => write!(f, "{url}"),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Jpegs => write!(f, "-"),
            Self::Yuv420 { width, height } => write!(f, "yuv420:{width}x{height}:-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_parsed_again() {
        let sources = [
            ("rpicam", Source::Rpicam { camera: 0 }),
            ("rpicam:1", Source::Rpicam { camera: 1 }),
            ("/dev/video0", Source::V4l2("/dev/video0".into())),
            ("v4l2:/dev/v4l/by-id/usb-cam", Source::V4l2("/dev/v4l/by-id/usb-cam".into())),
            ("http://10.0.0.7:8080/?action=stream", Source::Url(Url::new("http://10.0.0.7:8080/?action=stream"))),
            ("photos/2026", Source::Path("photos/2026".into())),
            ("-holiday.mp4", Source::Path("-holiday.mp4".into())),
            ("-", Source::Jpegs),
            ("yuv420:640x480:-", Source::Yuv420 { width: 640, height: 480 }),
        ];
        for (text, source) in sources {
            assert_eq!(text.parse(), Ok(source.clone()));
            assert_eq!(source.to_string(), text);
        }
        assert_eq!("v4l2:/dev/video3".parse(), Ok(Source::V4l2("/dev/video3".into())));
        assert!(matches!("RTSP://10.0.0.7/1".parse(), Ok(Source::Url(_))));
    }

    #[test]
    fn what_is_no_source_is_refused_with_what_to_give() {
        let cases = [
            ("", "give rpicam, /dev/video0"),
            ("v4l2:", "give rpicam, /dev/video0"),
            ("rpicam:left", "\"left\""),
            ("rpicam:", "rpicam:1"),
            ("yuv420:640x480", "yuv420:WxH:-"),
            ("yuv420:641x480:-", "even"),
            ("yuv420:0x480:-", "even"),
            ("yuv420:8194x480:-", "8192"),
            ("ftp://host/a.mp4", "URLs of \"ftp\" are not read"),
        ];
        for (text, expected) in cases {
            let message = text.parse::<Source>().unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let source: Source = "https://me:secret@host/cam?pwd=secret".parse().unwrap();
        assert!(!source.to_string().contains("secret") && !format!("{source:?}").contains("secret"));
    }
}
