//! The screens that can be shown on.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read};
use std::path::{Path, PathBuf};

use embedded_graphics::geometry::Size;

use super::framebuffer::Framebuffer;
use super::settings::{Kind, ScreenSettings};
use super::{Theme, View, compose};

/// Why nothing is on the screen.
#[derive(Debug, thiserror::Error)]
pub enum ScreenError {
    /// There is no such device.
    #[error("{}: no such device; {advice}", path.display())]
    Missing {
        /// The device.
        path: PathBuf,
        /// How it comes to be.
        advice: &'static str,
    },
    /// The device is there, but not for this user.
    #[error("{}: no permission; add the user to the group {group} (sudo usermod -aG {group} $USER), then log in again", path.display())]
    Permission {
        /// The device.
        path: PathBuf,
        /// The group that may use it.
        group: &'static str,
    },
    /// The system refused to read or write.
    #[error("{}: {source}; is it there still, and is there room?", path.display())]
    Io {
        /// The device or file.
        path: PathBuf,
        /// What the system said.
        source: Error,
    },
    /// The file for pictures is there, and is something else.
    #[error("{}: is there, and is no PNG picture; give another name for the screen's", path.display())]
    NotAPng {
        /// The file.
        path: PathBuf,
    },
    /// The framebuffer tells something about itself that cannot be drawn on.
    #[error("{}: {value:?} is not understood; {wanted}", path.display())]
    Geometry {
        /// The file that tells it.
        path: PathBuf,
        /// What it says.
        value: String,
        /// What can be drawn on.
        wanted: &'static str,
    },
    /// A bus or pin failed.
    #[error("{}: {what}; check the wiring of the screen", path.display())]
    Bus {
        /// The device of the bus.
        path: PathBuf,
        /// What failed.
        what: String,
    },
    /// The program was built without drivers for the kind of screen.
    #[error("{kind}: this program has no driver for it; use one built for Linux with --features screen")]
    NoDriver {
        /// The kind.
        kind: &'static str,
    },
}

impl ScreenError {
    /// What the system said when a device was opened.
    pub(super) fn opening(path: &Path, source: Error, group: &'static str, advice: &'static str) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            ErrorKind::NotFound => Self::Missing { path, advice },
            ErrorKind::PermissionDenied => Self::Permission { path, group },
            _ => Self::Io { path, source },
        }
    }
}

/// Something that shows frames.
pub(super) trait Panel: Send {
    /// As it is looked at, pixels.
    fn size(&self) -> Size;

    fn show(&mut self, view: &View<'_>) -> Result<(), ScreenError>;
}

/// A screen that was opened.
///
/// The drivers of ST7789, ILI9341 and SSD1306 were tried on recorded buses, not on hardware.
///
/// ```
/// use topgraft::live::display::{Screen, State, View};
///
/// let path = std::env::temp_dir().join("topgraft_screen.png");
/// let mut screen = Screen::open(&format!("png:{},size=240x240", path.display()).parse()?)?;
/// let view = View { frame: None, label: "no camera", bars: &[], state: State::NoCamera, footer: "" };
/// screen.show(&view)?;
/// assert!(path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Screen {
    panel: Box<dyn Panel>,
}

impl Screen {
    /// Opens a screen and starts it.
    ///
    /// # Errors
    /// [`ScreenError`]: no such device, no permission, no driver, or the bus failed.
    pub fn open(settings: &ScreenSettings) -> Result<Self, ScreenError> {
        let panel: Box<dyn Panel> = match settings.kind {
            #[cfg(all(target_os = "linux", feature = "screen"))]
            Kind::St7789 | Kind::Ili9341 => super::tft::open(settings)?,
            #[cfg(all(target_os = "linux", feature = "screen"))]
            Kind::Ssd1306 => super::oled::open(settings)?,
            #[cfg(not(all(target_os = "linux", feature = "screen")))]
            Kind::St7789 | Kind::Ili9341 | Kind::Ssd1306 => {
                return Err(ScreenError::NoDriver { kind: settings.kind.name() });
            }
            Kind::Framebuffer => {
                Box::new(Framebuffer::open(&settings.device, Path::new("/sys/class/graphics"), settings.rotation)?)
            }
            Kind::Png => Box::new(PngFile::new(settings)?),
        };
        Ok(Self { panel })
    }

    /// As it is looked at, pixels.
    #[must_use]
    pub fn size(&self) -> Size {
        self.panel.size()
    }

    /// Shows a frame.
    ///
    /// # Errors
    /// [`ScreenError::Bus`], [`ScreenError::Io`]: the next frame may be shown all the same.
    pub fn show(&mut self, view: &View<'_>) -> Result<(), ScreenError> {
        self.panel.show(view)
    }
}

/// What a PNG begins with.
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A file that is replaced by each frame, whole or not at all; not synced, as the next one is not long in coming, and a card wears
/// out.
struct PngFile {
    path: PathBuf,
    size: Size,
}

impl PngFile {
    fn new(settings: &ScreenSettings) -> Result<Self, ScreenError> {
        let path = settings.device.clone();
        // It is replaced with each frame; so it must be a picture that is.
        let mut start = Vec::new();
        if let Ok(file) = File::open(&path) {
            let read = file.take(SIGNATURE.len() as u64).read_to_end(&mut start);
            read.map_err(|source| ScreenError::Io { path: path.clone(), source })?;
        }
        if !start.is_empty() && start != SIGNATURE {
            return Err(ScreenError::NotAPng { path });
        }
        let size = settings.rotation.turned(Size::new(settings.width.into(), settings.height.into()));
        Ok(Self { path, size })
    }
}

impl Panel for PngFile {
    fn size(&self) -> Size {
        self.size
    }

    fn show(&mut self, view: &View<'_>) -> Result<(), ScreenError> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".part");
        let png = compose(self.size, view, &Theme::DARK).png();
        let written = std::fs::write(&beside, png).and_then(|()| std::fs::rename(&beside, &self.path));
        written.map_err(|source| {
            // Whatever is left of it is of no use.
            let _ = std::fs::remove_file(&beside);
            ScreenError::Io { path: self.path.clone(), source }
        })
    }
}

/// Whether a device can be read and written: the errors of the drivers' own opening do not tell why not.
#[cfg_attr(not(all(target_os = "linux", feature = "screen")), expect(dead_code, reason = "only for drivers"))]
pub(super) fn check_device(path: &Path, group: &'static str, advice: &'static str) -> Result<(), ScreenError> {
    let opened = OpenOptions::new().read(true).write(true).open(path);
    opened.map(drop).map_err(|source| ScreenError::opening(path, source, group, advice))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::display::State;

    const VIEW: View<'_> =
        View { frame: None, label: "owl", bars: &[("owl", 0.9)], state: State::Watching, footer: "" };

    #[test]
    fn a_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let settings: ScreenSettings = format!("png:{},size=64x128,rotation=90", path.display()).parse().unwrap();
        let mut screen = Screen::open(&settings).unwrap();
        for _ in 0..2 {
            screen.show(&VIEW).unwrap();
            assert_eq!(image::image_dimensions(&path).unwrap(), (128, 64));
        }
        assert_eq!(folder.path().read_dir().unwrap().count(), 1, "nothing is left beside it");

        let settings = ScreenSettings { device: folder.path().join("none/a.png"), ..settings };
        let error = Screen::open(&settings).unwrap().show(&VIEW).unwrap_err();
        assert!(matches!(error, ScreenError::Io { .. }), "{error}");
    }

    #[test]
    fn tells_what_is_missing() {
        let has_drivers = cfg!(all(target_os = "linux", feature = "screen"));
        let told = if has_drivers { "raspi-config" } else { "no driver" };
        for (text, told) in [
            ("framebuffer:/dev/fb99", "no such device"),
            ("st7789:/dev/spidev9.9", told),
            ("ssd1306:/dev/i2c-99", told),
        ] {
            let error = Screen::open(&text.parse().unwrap()).err().unwrap();
            assert!(error.to_string().contains(told), "{error}");
        }
        let denied = ScreenError::opening(Path::new("/dev/fb0"), ErrorKind::PermissionDenied.into(), "video", "");
        assert!(denied.to_string().contains("group video"), "{denied}");
    }
}
