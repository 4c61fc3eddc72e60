//! The file that says how a camera is watched.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::camera::{RpicamCodec, Settings, Source, SourceError};
use super::display::{Kind, ScreenSettings, SettingsError};
use super::drift::DriftSettings;
use super::session::{KeepSettings, SessionSettings, TeachingSettings};
use super::smoothing::SmoothingSettings;
use crate::store::Limits;

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// All settings, each with a default. `deploy/topgraft.toml` describes them.
///
/// ```
/// use topgraft::live::Config;
///
/// let config = Config::parse("store = 'pets.store'\n[camera]\nsource = '/dev/video0'\nfps = 5")?;
/// assert_eq!((config.camera.fps, config.camera.width), (5.0, 640));
/// let error = Config::parse("[camera]\nfsp = 5").expect_err("no such setting");
/// assert!(error.contains("line 2") && error.contains("fsp"), "{error}");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// File that holds the samples.
    pub store: Option<PathBuf>,
    /// Head file: written whenever the head is measured; without a store it is the head.
    pub head: Option<PathBuf>,
    /// Pretrained network, a file or a name; without one the built-in one.
    pub backbone: Option<PathBuf>,
    /// Layer whose output are the features; without one the last before the network's own classifier.
    pub cut: Option<String>,
    /// Where frames come from.
    pub camera: CameraConfig,
    /// How labels are smoothed.
    pub smoothing: SmoothingSettings,
    /// When to say that the camera sees something else than was taught.
    pub drift: DriftSettings,
    /// Which frames are kept to be labelled.
    pub keep: KeepSettings,
    /// How teaching goes.
    pub teaching: TeachingSettings,
    /// How much the store may hold.
    pub limits: LimitsConfig,
    /// A small screen beside the camera, as [`ScreenSettings`] are written.
    pub screen: Option<String>,
    /// Folder that a picture in `screen` is relative to.
    #[serde(skip)]
    folder: PathBuf,
}

/// Where frames come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CameraConfig {
    /// As [`Source`] is written.
    pub source: String,
    /// Pixels, even.
    pub width: u32,
    /// Pixels, even.
    pub height: u32,
    /// Frames a second.
    pub fps: f64,
    /// What `rpicam-vid` sends: `yuv420` or `mjpeg`.
    pub codec: String,
    /// Whether a Raspberry Pi's camera mirrors left and right,
    pub hflip: bool,
    /// and top and bottom.
    pub vflip: bool,
    /// Whether a folder or a video begins again at its end.
    pub repeat: bool,
    /// Seconds without a frame after which the source is restarted.
    pub stall: f64,
}

impl Default for CameraConfig {
    fn default() -> Self {
        let Settings { width, height, fps, hflip, vflip, repeat, stall, .. } = Settings::default();
        let (source, codec) = ("rpicam".to_owned(), "yuv420".to_owned());
        Self { source, width, height, fps, codec, hflip, vflip, repeat, stall: stall.as_secs_f64() }
    }
}

/// How much the store may hold.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Samples.
    pub samples: usize,
    /// Megabytes of photos and features.
    pub megabytes: u64,
    /// Versions of the head.
    pub heads: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let Limits { samples, bytes, heads, .. } = Limits::default();
        Self { samples, megabytes: bytes / 1_000_000, heads }
    }
}

/// Why a file of settings is not used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{}: {source}; give the name of a file of settings", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is too large to be one.
    #[error("{}: larger than 1 MiB, so it is no file of settings", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Something in it is wrong.
    #[error("{}: {what}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What, and in which line.
        what: String,
    },
}

impl Config {
    /// Reads and checks a file. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// [`ConfigError`], the first thing that is wrong.
    pub fn open(path: &Path) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_path_buf(), source };
        let mut bytes = Vec::new();
        File::open(path).map_err(read)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(read)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(ConfigError::TooLarge { path: path.to_path_buf() });
        }
        let wrong = |what| ConfigError::Wrong { path: path.to_path_buf(), what };
        let text = String::from_utf8(bytes);
        let text = text.map_err(|_| wrong("it is not UTF-8 text".to_owned()))?;
        let mut config = Self::parse(&text).map_err(wrong)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for path in [&mut config.store, &mut config.head].into_iter().flatten() {
            *path = folder.join(&*path);
        }
        // It may be the name of a model.
        if let Some(backbone) = config.backbone.as_mut().filter(|backbone| folder.join(backbone).exists()) {
            *backbone = folder.join(&*backbone);
        }
        if let Ok(Source::Path(source)) = config.source() {
            config.camera.source = folder.join(source).to_string_lossy().into_owned();
        }
        folder.clone_into(&mut config.folder);
        Ok(config)
    }

    /// Reads and checks a text.
    ///
    /// # Errors
    /// What is wrong, and in which line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            let what = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
            line.map_or(what.clone(), |line| format!("line {line}: {what}"))
        })?;
        config.check()?;
        Ok(config)
    }

    /// Whether all settings are in range.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), String> {
        let in_table = |table: &str, error: String| format!("[{table}] {error}");
        self.source().map_err(|error| in_table("camera", error.to_string()))?;
        self.camera_settings().map_err(|error| in_table("camera", error))?;
        self.smoothing.check().map_err(|error| in_table("smoothing", error))?;
        self.drift.check().map_err(|error| in_table("drift", error))?;
        self.keep.check().map_err(|error| in_table("keep", error))?;
        self.teaching.check().map_err(|error| in_table("teaching", error))?;
        self.screen().map_err(|error| format!("screen: {error}"))?;
        let is_empty = |path: &Option<PathBuf>| path.as_ref().is_some_and(|path| path.as_os_str().is_empty());
        match () {
            () if is_empty(&self.store) => Err("store is an empty name".to_owned()),
            () if is_empty(&self.head) => Err("head is an empty name".to_owned()),
            () if self.store.is_some() && self.store == self.head => Err("store and head are the same file".to_owned()),
            () if self.limits.samples < 2 => Err(in_table("limits", "samples is less than 2".to_owned())),
            () if self.limits.megabytes == 0 => Err(in_table("limits", "megabytes is 0".to_owned())),
            () if self.limits.heads == 0 => Err(in_table("limits", "heads is 0".to_owned())),
            () => Ok(()),
        }
    }

    /// Where frames come from.
    ///
    /// # Errors
    /// [`SourceError`].
    pub fn source(&self) -> Result<Source, SourceError> {
        self.camera.source.parse()
    }

    /// How they are captured.
    ///
    /// # Errors
    /// What is wrong with which setting.
    pub fn camera_settings(&self) -> Result<Settings, String> {
        let CameraConfig { width, height, fps, hflip, vflip, repeat, stall, .. } = self.camera;
        let rpicam_codec = match self.camera.codec.as_str() {
            "yuv420" => RpicamCodec::Yuv420,
            "mjpeg" => RpicamCodec::Mjpeg,
            other => return Err(format!("codec = {other:?} is neither \"yuv420\" nor \"mjpeg\"")),
        };
        let stall = std::time::Duration::try_from_secs_f64(stall)
            .map_err(|_| format!("stall = {stall} is no number of seconds"))?;
        let settings =
            Settings { width, height, fps, rpicam_codec, hflip, vflip, repeat, stall, ..Settings::default() };
        settings.check().map_err(|error| error.to_string())?;
        Ok(settings)
    }

    /// The screen, if there is one.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn screen(&self) -> Result<Option<ScreenSettings>, SettingsError> {
        let mut screen: Option<ScreenSettings> = self.screen.as_deref().map(str::parse).transpose()?;
        if let Some(screen) = screen.as_mut().filter(|screen| screen.kind == Kind::Png) {
            screen.device = self.folder.join(&screen.device);
        }
        Ok(screen)
    }

    /// Another screen; a picture is relative to the current folder then.
    pub fn set_screen(&mut self, screen: &str) {
        (self.screen, self.folder) = (Some(screen.to_owned()), PathBuf::new());
    }

    /// How much the store may hold.
    pub fn limits(&self) -> Limits {
        let LimitsConfig { samples, megabytes, heads } = self.limits;
        Limits { samples, bytes: megabytes.saturating_mul(1_000_000), heads }
    }

    /// How the loop behaves.
    pub fn session(&self) -> SessionSettings {
        SessionSettings {
            smoothing: self.smoothing,
            drift: self.drift,
            keep: self.keep,
            teaching: self.teaching,
            head: self.head.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_says_the_defaults() {
        let text = include_str!("../../deploy/topgraft.toml");
        // What is commented out there is said, too.
        let all: String = text.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n").collect();
        for text in [text, &all] {
            let config = Config::parse(text).expect("is sound");
            let plain = |config: Config| {
                format!("{:?}", Config { store: None, head: None, screen: None, backbone: None, cut: None, ..config })
            };
            assert_eq!(plain(config), plain(Config::default()));
        }
        assert!(Config::parse(&all).expect("is sound").screen().expect("is one").is_some());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, expected) in [
            ("store = 3", "line 1: invalid type: integer `3`, expected path string"),
            ("[camera]\n\nfps = 'many'", "line 3: invalid type: string \"many\", expected f64"),
            ("[smoothing]\nenter = 0.6\nlaeve = 0.4", "line 3: unknown field `laeve`"),
            ("a = [", "line 1: "),
            ("[camera]\nwidth = 3", "[camera] "),
            ("[camera]\nsource = 'ftp://x'", "[camera] URLs of \"ftp\""),
            ("[camera]\ncodec = 'h264'", "[camera] codec = \"h264\" is neither"),
            ("[camera]\nstall = -1.0", "[camera] stall = -1 is no number of seconds"),
            ("[smoothing]\nenter = 0.2", "[smoothing] enter = 0.2 is not above 0.5"),
            ("[drift]\nevery = -1.0", "[drift] every = -1 is not within"),
            ("[keep]\nbelow = 2.0", "[keep] below = 2 is not within"),
            ("[teaching]\nevery = nan", "[teaching] every = NaN is not within"),
            ("[limits]\nheads = 0", "[limits] heads is 0"),
            ("screen = 'lcd'", "screen: lcd: no kind of screen"),
            ("store = ''", "store is an empty name"),
            ("store = 'x'\nhead = 'x'", "store and head are the same file"),
        ] {
            let error = Config::parse(text).map(drop).expect_err(text);
            assert!(error.starts_with(expected), "{text:?}: {error}");
            assert!(!error.contains('\n'), "{error:?}");
        }
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.toml");
        let text = "store = 'a.store'\nhead = '/b.graft'\nbackbone = 'mobilenet_v2'\nscreen = 'x.png'\n[camera]\nsource = 'photos'";
        std::fs::write(&path, text).expect("writes");
        let config = Config::open(&path).expect("is sound");
        assert_eq!(config.store, Some(folder.path().join("a.store")));
        assert_eq!(config.head, Some(PathBuf::from("/b.graft")));
        assert_eq!(config.source().expect("is one"), Source::Path(folder.path().join("photos")));
        assert_eq!(config.screen().expect("is one").expect("is said").device, folder.path().join("x.png"));
        assert_eq!(config.backbone, Some(PathBuf::from("mobilenet_v2")));
        assert!(matches!(Config::open(&folder.path().join("no")), Err(ConfigError::Read { .. })));
        std::fs::write(&path, [0xff, 0xfe]).expect("writes");
        assert!(matches!(Config::open(&path), Err(ConfigError::Wrong { .. })));
    }
}
