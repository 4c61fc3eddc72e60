//! Which screen, and how it is wired.

use std::path::PathBuf;
use std::str::FromStr;

use super::Rotation;

/// Why settings of a screen were not understood.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// There is no such kind of screen.
    #[error("{kind}: no kind of screen; give st7789, ili9341, ssd1306, framebuffer, or a file whose name ends in .png")]
    Kind {
        /// What was given.
        kind: String,
    },
    /// The kind of screen has no such setting.
    #[error("{setting}: no setting of a {kind} screen; it has {has}")]
    Setting {
        /// What was given.
        setting: String,
        /// The kind.
        kind: &'static str,
        /// Its settings.
        has: String,
    },
    /// A setting cannot have the value.
    #[error("{setting}={value}: {wanted}")]
    Value {
        /// The setting.
        setting: String,
        /// What was given.
        value: String,
        /// What may be given.
        wanted: &'static str,
    },
}

/// Kinds of screens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Colours, over SPI, up to 240 x 320.
    St7789,
    /// Colours, over SPI, 240 x 320.
    Ili9341,
    /// One bit, over I2C, 128 x 64 or 128 x 32.
    Ssd1306,
    /// What the system drives itself: HDMI, the ribbon, or an SPI screen with a driver of the kernel.
    Framebuffer,
    /// A file that is written anew for each frame.
    Png,
}

impl Kind {
    /// As in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::St7789 => "st7789",
            Self::Ili9341 => "ili9341",
            Self::Ssd1306 => "ssd1306",
            Self::Framebuffer => "framebuffer",
            Self::Png => "png",
        }
    }

    fn settings(self) -> &'static [&'static str] {
        match self {
            Self::St7789 | Self::Ili9341 => &[
                "device",
                "gpio",
                "dc",
                "reset",
                "backlight",
                "size",
                "offset",
                "rotation",
                "mirror",
                "invert",
                "bgr",
                "hz",
                "mode",
            ],
            Self::Ssd1306 => &["device", "address", "size", "rotation"],
            Self::Framebuffer => &["device", "rotation"],
            Self::Png => &["device", "size", "rotation"],
        }
    }
}

/// Which screen, and how it is wired. As text: the kind, and behind a colon its settings, all of which may be left out:
///
/// | setting | what | if left out |
/// |---|---|---|
/// | `device` (or no name) | device or file | `/dev/spidev0.0`, `/dev/i2c-1`, `/dev/fb0` |
/// | `gpio` | the chip of the pins | the one that is the Pi's header |
/// | `dc`, `reset`, `backlight` | pins, by their GPIO numbers | 25, none, none |
/// | `size` | width x height, before it is turned | 240x240, 240x320, 128x64, 320x240 (`png`) |
/// | `offset` | of a panel smaller than its controller's memory | 0x0 |
/// | `rotation` | degrees, clockwise | 0 |
/// | `mirror`, `invert`, `bgr` | `yes` or `no`: if it is mirrored, a negative, red is blue | as most panels need |
/// | `hz`, `mode` | of SPI: speed; 3 for panels without a chip select | 32000000, 0 |
/// | `address` | on I2C | 0x3c |
///
/// ```
/// use topgraft::live::display::{Kind, Rotation, ScreenSettings};
///
/// let settings: ScreenSettings = "st7789:/dev/spidev0.1,dc=9,backlight=13,rotation=90".parse()?;
/// assert_eq!(settings.kind, Kind::St7789);
/// assert_eq!((settings.dc, settings.backlight, settings.rotation), (9, Some(13), Rotation::Deg90));
/// assert_eq!("shown.png".parse::<ScreenSettings>()?.kind, Kind::Png);
/// # Ok::<(), topgraft::live::display::SettingsError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScreenSettings {
    /// The kind of screen.
    pub kind: Kind,
    /// The device of the bus, the framebuffer, or the file.
    pub device: PathBuf,
    /// The chip of the pins; without it, that of the Pi's header.
    pub gpio: Option<PathBuf>,
    /// The pin that tells commands from data, by its GPIO number.
    pub dc: u32,
    /// The pin that resets the screen.
    pub reset: Option<u32>,
    /// The pin that lights the screen.
    pub backlight: Option<u32>,
    /// Of the panel, before it is turned, pixels. A framebuffer tells its own.
    pub width: u16,
    /// As the width.
    pub height: u16,
    /// Of the panel in its controller's memory: columns and rows.
    pub offset: [u16; 2],
    /// How far the screen is turned.
    pub rotation: Rotation,
    /// Left and right are swapped.
    pub mirror: bool,
    /// The panel shows a negative unless told otherwise.
    pub invert: bool,
    /// The panel has blue for red.
    pub bgr: bool,
    /// Of SPI.
    pub hz: u32,
    /// Of SPI, 0 or 3.
    pub mode: u8,
    /// Of I2C.
    pub address: u8,
}

impl ScreenSettings {
    /// Those that most screens of a kind need.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        let (device, [width, height]) = match kind {
            Kind::St7789 => ("/dev/spidev0.0", [240, 240]),
            Kind::Ili9341 => ("/dev/spidev0.0", [240, 320]),
            Kind::Ssd1306 => ("/dev/i2c-1", [128, 64]),
            Kind::Framebuffer => ("/dev/fb0", [0, 0]),
            Kind::Png => ("screen.png", [320, 240]),
        };
        Self {
            kind,
            device: device.into(),
            gpio: None,
            dc: 25,
            reset: None,
            backlight: None,
            width,
            height,
            offset: [0, 0],
            rotation: Rotation::Deg0,
            mirror: false,
            invert: kind == Kind::St7789,
            bgr: kind == Kind::Ili9341,
            hz: 32_000_000,
            mode: 0,
            address: 0x3c,
        }
    }

    /// Changes one setting.
    ///
    /// # Errors
    /// [`SettingsError::Setting`] if the kind does not have it, [`SettingsError::Value`].
    pub fn set(&mut self, setting: &str, value: &str) -> Result<(), SettingsError> {
        let kind = self.kind;
        if !kind.settings().contains(&setting) {
            let has = kind.settings().join(", ");
            return Err(SettingsError::Setting { setting: setting.to_owned(), kind: kind.name(), has });
        }
        let wrong = |wanted| SettingsError::Value { setting: setting.to_owned(), value: value.to_owned(), wanted };
        let pin = || value.parse().map_err(|_| wrong("give the number of a GPIO, such as 25"));
        let yes = || match value {
            "yes" | "true" => Ok(true),
            "no" | "false" => Ok(false),
            _ => Err(wrong("give yes or no")),
        };
        let pair = || -> Option<[u16; 2]> {
            let (left, right) = value.split_once('x')?;
            Some([left.parse().ok()?, right.parse().ok()?])
        };
        match setting {
            "device" if value.is_empty() => return Err(wrong("give a path")),
            "device" => self.device = value.into(),
            "gpio" => self.gpio = Some(value.into()),
            "dc" => self.dc = pin()?,
            "reset" => self.reset = Some(pin()?),
            "backlight" => self.backlight = Some(pin()?),
            "size" => {
                let (is_one_of, wanted): (fn([u16; 2]) -> bool, _) = match kind {
                    Kind::Ssd1306 => (|size| matches!(size, [128, 64 | 32]), "give 128x64 or 128x32"),
                    Kind::Png => (
                        |size| size.iter().all(|side| (1..=4096).contains(side)),
                        "give width x height, at most 4096x4096",
                    ),
                    _ => (
                        |[width, height]| (1..=240).contains(&width) && (1..=320).contains(&height),
                        "give width x height before it is turned, at most 240x320",
                    ),
                };
                [self.width, self.height] = pair().filter(|size| is_one_of(*size)).ok_or_else(|| wrong(wanted))?;
            }
            "offset" => self.offset = pair().ok_or_else(|| wrong("give columns x rows, such as 0x80"))?,
            "rotation" => {
                self.rotation = match value {
                    "0" => Rotation::Deg0,
                    "90" => Rotation::Deg90,
                    "180" => Rotation::Deg180,
                    "270" => Rotation::Deg270,
                    _ => return Err(wrong("give 0, 90, 180 or 270")),
                }
            }
            "mirror" => self.mirror = yes()?,
            "invert" => self.invert = yes()?,
            "bgr" => self.bgr = yes()?,
            "hz" => {
                self.hz =
                    value.parse().ok().filter(|hz| *hz > 0).ok_or_else(|| wrong("give a speed, such as 32000000"))?
            }
            "mode" => match value {
                "0" => self.mode = 0,
                "3" => self.mode = 3,
                _ => return Err(wrong("give 0 or 3")),
            },
            _ => {
                let hexadecimal = u8::from_str_radix(value.trim_start_matches("0x"), 16);
                self.address =
                    hexadecimal.ok().filter(|it| *it < 0x80).ok_or_else(|| wrong("give an address such as 0x3c"))?;
            }
        }
        Ok(())
    }
}

impl FromStr for ScreenSettings {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Self, SettingsError> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let kinds = [Kind::St7789, Kind::Ili9341, Kind::Ssd1306, Kind::Framebuffer, Kind::Png];
        let Some(kind) = kinds.into_iter().find(|kind| kind.name() == name) else {
            if text.to_ascii_lowercase().ends_with(".png") {
                return Ok(Self { device: text.into(), ..Self::new(Kind::Png) });
            }
            return Err(SettingsError::Kind { kind: name.to_owned() });
        };
        let mut settings = Self::new(kind);
        for setting in rest.split(',').filter(|setting| !setting.is_empty()) {
            let (setting, value) = setting.split_once('=').unwrap_or(("device", setting));
            settings.set(setting.trim(), value.trim())?;
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests;
