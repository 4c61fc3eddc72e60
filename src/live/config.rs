//! The file that says how a camera is watched.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
#[cfg(not(all(feature = "web", feature = "mqtt", feature = "gpio")))]
use serde::de::IgnoredAny;

use super::camera::{CameraError, RpicamCodec, Settings, Source, SourceError};
use super::display::{Kind, ScreenSettings, SettingsError};
use super::drift::DriftSettings;
#[cfg(feature = "mqtt")]
use super::fleet::FleetSettings;
#[cfg(feature = "gpio")]
use super::gpio::{ButtonSettings, ChipSettings, GpioFault, GpioSettings, LightSettings};
#[cfg(feature = "mqtt")]
use super::mqtt::MqttSettings;
use super::out_of_range::OutOfRange;
use super::session::{KeepSettings, SessionSettings, TeachingSettings};
use super::smoothing::SmoothingSettings;
#[cfg(feature = "web")]
use super::web::{WebFault, WebSettings};
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
/// let error = Config::parse("[camera]\nfsp = 5").expect_err("no such setting").to_string();
/// assert!(error.contains("line 2") && error.contains("fsp"), "{error}");
/// # Ok::<(), topgraft::live::ConfigFault>(())
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
    /// The page of `topgraft serve`.
    #[cfg(feature = "web")]
    pub web: WebSettings,
    /// A broker that is told what is seen.
    #[cfg(feature = "mqtt")]
    pub mqtt: MqttSettings,
    /// Devices that learn together.
    #[cfg(feature = "mqtt")]
    pub fleet: FleetSettings,
    /// What buttons and lights have in common.
    #[cfg(feature = "gpio")]
    pub gpio: ChipSettings,
    /// Buttons on the pins of the board.
    #[cfg(feature = "gpio")]
    pub button: Vec<ButtonSettings>,
    /// Lights there.
    #[cfg(feature = "gpio")]
    pub light: Vec<LightSettings>,
    // A program that was built without one of these reads the same files.
    #[cfg(not(feature = "web"))]
    #[serde(rename = "web")]
    without_web: IgnoredAny,
    #[cfg(not(feature = "mqtt"))]
    #[serde(rename = "mqtt", alias = "fleet")]
    without_mqtt: IgnoredAny,
    #[cfg(not(feature = "gpio"))]
    #[serde(rename = "gpio", alias = "button", alias = "light")]
    without_gpio: IgnoredAny,
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
    /// It is no text.
    #[error("{}: it is not UTF-8 text; save it as such", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// Something in it is wrong.
    #[error("{}: {fault}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What.
        fault: ConfigFault,
    },
}

/// What is wrong with settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFault {
    /// The text is no TOML, or has a setting that there is not, or one of another type.
    #[error("line {line}: {what}")]
    Text {
        /// The line, 1 for the first.
        line: usize,
        /// What the parser says.
        what: String,
    },
    /// A value that means nothing.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// The source of frames.
    #[error("[camera] {0}")]
    Source(#[from] SourceError),
    /// How they are captured.
    #[error("[camera] {0}")]
    Camera(#[from] CameraError),
    /// The screen.
    #[error("screen: {0}")]
    Screen(#[from] SettingsError),
    /// The page.
    #[cfg(feature = "web")]
    #[error("[web] {0}")]
    Web(#[from] WebFault),
    /// The broker.
    #[cfg(feature = "mqtt")]
    #[error("{0}")]
    Mqtt(String),
    /// Buttons and lights.
    #[cfg(feature = "gpio")]
    #[error(transparent)]
    Gpio(#[from] GpioFault),
    /// A path without a name.
    #[error("{name} is an empty name; leave it out, or give one")]
    Empty {
        /// Which.
        name: &'static str,
    },
    /// Two that would write over each other.
    #[error("store, head and head of [fleet] are not three files; give them different names")]
    SameFile,
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
        let text = String::from_utf8(bytes).map_err(|_| ConfigError::NotText { path: path.to_path_buf() })?;
        let wrong = |fault| ConfigError::Wrong { path: path.to_path_buf(), fault };
        let mut config = Self::parse(&text).map_err(wrong)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for path in [&mut config.store, &mut config.head].into_iter().flatten() {
            *path = folder.join(&*path);
        }
        #[cfg(feature = "mqtt")]
        for path in [&mut config.mqtt.password_file, &mut config.mqtt.ca, &mut config.fleet.head].into_iter().flatten()
        {
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
    /// [`ConfigFault`], the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, ConfigFault> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let what = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
            ConfigFault::Text { line: 1 + text[..start].matches('\n').count(), what }
        })?;
        config.check()?;
        Ok(config)
    }

    /// Whether all settings are in range.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), ConfigFault> {
        self.source()?;
        self.camera_settings()?;
        self.smoothing.check()?;
        self.drift.check()?;
        self.keep.check()?;
        self.teaching.check()?;
        self.screen()?;
        #[cfg(feature = "web")]
        self.web.check()?;
        #[cfg(feature = "mqtt")]
        if self.mqtt.is_on() {
            self.mqtt.check().map_err(|fault| ConfigFault::Mqtt(fault.to_string()))?;
        } else if self.fleet.is_on() {
            return Err(ConfigFault::Mqtt(
                "[mqtt] broker is empty, and [fleet] needs one; name it, or leave group out".to_owned(),
            ));
        }
        #[cfg(feature = "mqtt")]
        self.fleet.check()?;
        #[cfg(feature = "gpio")]
        self.panel().check()?;
        let LimitsConfig { samples, megabytes, heads } = self.limits;
        OutOfRange::check(
            "limits",
            [
                (samples >= 2, "samples", samples.to_string(), "2 or more"),
                (megabytes >= 1, "megabytes", megabytes.to_string(), "1 or more"),
                (heads >= 1, "heads", heads.to_string(), "1 or more"),
            ],
        )?;
        for (name, path) in [("store", &self.store), ("head", &self.head)] {
            if path.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
                return Err(ConfigFault::Empty { name });
            }
        }
        let files = [&self.store, &self.head].into_iter().flatten();
        #[cfg(feature = "mqtt")]
        let files = files.chain(&self.fleet.head);
        let files: Vec<&PathBuf> = files.collect();
        match files.iter().enumerate().any(|(at, file)| files[..at].contains(file)) {
            true => Err(ConfigFault::SameFile),
            false => Ok(()),
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
    /// [`ConfigFault::OutOfRange`], [`ConfigFault::Camera`].
    pub fn camera_settings(&self) -> Result<Settings, ConfigFault> {
        let CameraConfig { width, height, fps, ref codec, hflip, vflip, repeat, stall, .. } = self.camera;
        let stall_time = Duration::try_from_secs_f64(stall);
        OutOfRange::check(
            "camera",
            [
                (["yuv420", "mjpeg"].contains(&&codec[..]), "codec", format!("{codec:?}"), "\"yuv420\" or \"mjpeg\""),
                (stall_time.is_ok(), "stall", stall.to_string(), "a number of seconds"),
            ],
        )?;
        let rpicam_codec = if codec == "mjpeg" { RpicamCodec::Mjpeg } else { RpicamCodec::Yuv420 };
        let stall = stall_time.unwrap_or_default();
        let settings =
            Settings { width, height, fps, rpicam_codec, hflip, vflip, repeat, stall, ..Settings::default() };
        settings.check()?;
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

    /// Buttons and lights.
    #[cfg(feature = "gpio")]
    pub fn panel(&self) -> GpioSettings {
        GpioSettings { gpio: self.gpio.clone(), button: self.button.clone(), light: self.light.clone() }
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
            let plain = |mut config: Config| {
                for path in [&mut config.store, &mut config.head, &mut config.backbone] {
                    *path = None;
                }
                (config.screen, config.cut) = (None, None);
                #[cfg(feature = "web")]
                (config.web.token = None);
                #[cfg(feature = "mqtt")]
                {
                    let MqttSettings { broker, topic, discovery, commands, .. } = config.mqtt;
                    config.fleet.head = None;
                    config.mqtt = MqttSettings { broker, topic, discovery, commands, ..MqttSettings::default() };
                }
                #[cfg(feature = "gpio")]
                {
                    config.button.clear();
                    config.light.clear();
                }
                format!("{config:?}")
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
            ("[camera]\ncodec = 'h264'", "[camera] codec = \"h264\" is not \"yuv420\""),
            ("[camera]\nstall = -1.0", "[camera] stall = -1 is not a number of seconds"),
            ("[smoothing]\nenter = 0.2", "[smoothing] enter = 0.2 is not above 0.5"),
            ("[drift]\nevery = -1.0", "[drift] every = -1 is not within"),
            ("[keep]\nbelow = 2.0", "[keep] below = 2 is not within"),
            ("[teaching]\nevery = nan", "[teaching] every = NaN is not within"),
            ("[limits]\nheads = 0", "[limits] heads = 0 is not 1 or more"),
            ("screen = 'lcd'", "screen: lcd: no kind of screen"),
            ("store = ''", "store is an empty name"),
            ("store = 'x'\nhead = 'x'", "store, head and head of [fleet] are not three files"),
        ] {
            let error = Config::parse(text).map(drop).expect_err(text).to_string();
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
        assert!(matches!(Config::open(&path), Err(ConfigError::NotText { .. })));
    }
}
