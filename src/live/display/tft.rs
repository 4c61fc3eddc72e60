//! ST7789 and ILI9341 over SPI. Compiled and tried on a recorded bus, not on hardware.

use std::error::Error;
use std::path::{Path, PathBuf};

use embedded_graphics::geometry::{OriginDimensions, Size};
use embedded_graphics::pixelcolor::Rgb565;
use embedded_hal::delay::DelayNs;
use embedded_hal::digital::OutputPin;
use embedded_hal::spi::SpiDevice;
use linux_embedded_hal::gpio_cdev::{self, Chip, LineRequestFlags};
use linux_embedded_hal::spidev::{SpiModeFlags, SpidevOptions};
use linux_embedded_hal::{CdevPin, Delay, SpidevDevice};
use mipidsi::interface::{Interface, InterfaceKind};
use mipidsi::models::{ILI9341Rgb565, Model, ST7789};
use mipidsi::options::{ColorInversion, ColorOrder, Orientation, Rotation as Turn};
use mipidsi::{Builder, Display, InitError};

use super::screen::{Panel, ScreenError, check_device};
use super::settings::{Kind, ScreenSettings};
use super::{Paint, Rotation, View, draw};

/// What spidev takes at once unless the kernel is told otherwise, bytes.
const MOST_AT_ONCE: usize = 4096;

/// Opens the bus and the pins, and starts the screen.
pub(super) fn open(settings: &ScreenSettings) -> Result<Box<dyn Panel>, ScreenError> {
    let path = &settings.device;
    check_device(path, "spi", "enable SPI: sudo raspi-config, Interface Options, SPI")?;
    let io = |source| ScreenError::Io { path: path.clone(), source };
    let mut spi =
        SpidevDevice::open(path).map_err(|error| ScreenError::Bus { path: path.clone(), what: error.to_string() })?;
    let mode = if settings.mode == 3 { SpiModeFlags::SPI_MODE_3 } else { SpiModeFlags::SPI_MODE_0 };
    spi.configure(&SpidevOptions::new().bits_per_word(8).max_speed_hz(settings.hz).mode(mode).build()).map_err(io)?;

    let mut header = Header::open(settings.gpio.as_deref())?;
    let dc = header.output(settings.dc)?;
    let reset = settings.reset.map(|number| header.output(number)).transpose()?;
    let backlight = settings.backlight.map(|number| header.output(number)).transpose()?;
    match settings.kind {
        Kind::Ili9341 => start(ILI9341Rgb565, spi, dc, reset, backlight, settings, &mut Delay),
        _ => start(ST7789, spi, dc, reset, backlight, settings, &mut Delay),
    }
}

/// The pins of the Pi's header.
struct Header {
    path: PathBuf,
    chip: Chip,
}

impl Header {
    /// The chip that is given, or the one whose driver is that of the pins: on some kernels of the Pi 5 it is not the first.
    fn open(given: Option<&Path>) -> Result<Self, ScreenError> {
        let is_of_pins = |chip: &Chip| chip.label().starts_with("pinctrl-");
        let found = || gpio_cdev::chips().ok()?.flatten().find(is_of_pins).map(|chip| chip.path().to_path_buf());
        let path = given.map(Path::to_path_buf).or_else(found).unwrap_or_else(|| "/dev/gpiochip0".into());
        check_device(&path, "gpio", "`ls /dev/gpiochip*` lists the chips there are; give one by gpio=")?;
        let chip =
            Chip::new(&path).map_err(|error| ScreenError::Bus { path: path.clone(), what: error.to_string() })?;
        Ok(Self { path, chip })
    }

    /// A pin to be driven, low at first.
    fn output(&mut self, number: u32) -> Result<CdevPin, ScreenError> {
        let line = self.chip.get_line(number);
        let handle = line.and_then(|line| line.request(LineRequestFlags::OUTPUT, 0, "topgraft"));
        handle.and_then(CdevPin::new).map_err(|error| ScreenError::Bus {
            path: self.path.clone(),
            what: format!("GPIO {number}: {error}; is it in use by another program or overlay?"),
        })
    }
}

/// Starts a screen, whatever its bus and pins are.
fn start<M, SPI, PIN>(
    model: M,
    spi: SPI,
    dc: PIN,
    reset: Option<PIN>,
    backlight: Option<PIN>,
    settings: &ScreenSettings,
    delay: &mut impl DelayNs,
) -> Result<Box<dyn Panel>, ScreenError>
where
    M: Model<ColorFormat = Rgb565> + Send + 'static,
    SPI: SpiDevice<Error: Error> + Send + 'static,
    PIN: OutputPin<Error: Error> + Send + 'static,
{
    let turn = match settings.rotation {
        Rotation::Deg0 => Turn::Deg0,
        Rotation::Deg90 => Turn::Deg90,
        Rotation::Deg180 => Turn::Deg180,
        Rotation::Deg270 => Turn::Deg270,
    };
    let orientation = Orientation::new().rotate(turn);
    let orientation = if settings.mirror { orientation.flip_horizontal() } else { orientation };
    let wires = Wires { spi, dc, buffer: Vec::with_capacity(MOST_AT_ONCE) };
    let builder = Builder::new(model, wires)
        .display_size(settings.width, settings.height)
        .display_offset(settings.offset[0], settings.offset[1])
        .orientation(orientation)
        .invert_colors(if settings.invert { ColorInversion::Inverted } else { ColorInversion::Normal })
        .color_order(if settings.bgr { ColorOrder::Bgr } else { ColorOrder::Rgb });
    let path = settings.device.clone();
    Ok(match reset {
        Some(pin) => {
            let display = builder.reset_pin(pin).init(delay).map_err(|error| failed(&path, &error))?;
            Box::new(Tft { display, backlight, path })
        }
        None => {
            let display = builder.init(delay).map_err(|error| failed(&path, &error))?;
            Box::new(Tft { display, backlight, path })
        }
    })
}

fn failed<P: Error>(path: &Path, error: &InitError<WireError, P>) -> ScreenError {
    let what = match error {
        InitError::Interface(error) => error.to_string(),
        InitError::ResetPin(error) => format!("the reset pin: {error}"),
        InitError::InvalidConfiguration(_) => "the panel with its offset is larger than its memory, 240x320".to_owned(),
    };
    ScreenError::Bus { path: path.to_path_buf(), what }
}

/// A screen that was started.
struct Tft<M: Model<ColorFormat = Rgb565>, SPI: SpiDevice<Error: Error>, PIN: OutputPin<Error: Error>, RST: OutputPin> {
    display: Display<Wires<SPI, PIN>, M, RST>,
    /// Until it is lit.
    backlight: Option<PIN>,
    path: PathBuf,
}

impl<M, SPI, PIN, RST> Panel for Tft<M, SPI, PIN, RST>
where
    M: Model<ColorFormat = Rgb565> + Send,
    SPI: SpiDevice<Error: Error> + Send,
    PIN: OutputPin<Error: Error> + Send,
    RST: OutputPin + Send,
{
    fn size(&self) -> Size {
        self.display.size()
    }

    fn show(&mut self, view: &View<'_>) -> Result<(), ScreenError> {
        let bus = |what| ScreenError::Bus { path: self.path.clone(), what };
        draw(&mut self.display, view, &Rgb565::THEME).map_err(|error| bus(error.to_string()))?;
        // Only now: before the first frame the screen's memory holds noise.
        if let Some(backlight) = &mut self.backlight {
            backlight.set_high().map_err(|error| bus(format!("the backlight pin: {error}")))?;
        }
        Ok(())
    }
}

/// A bus or pin failed.
#[derive(Debug, thiserror::Error)]
enum WireError {
    #[error("SPI: {0}")]
    Spi(String),
    #[error("the pin dc: {0}")]
    Dc(String),
}

/// SPI with a pin that tells commands from data. That of mipidsi borrows its buffer, which a screen would have to outlive.
struct Wires<SPI, PIN> {
    spi: SPI,
    dc: PIN,
    buffer: Vec<u8>,
}

impl<SPI: SpiDevice<Error: Error>, PIN: OutputPin<Error: Error>> Wires<SPI, PIN> {
    fn send(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.spi.write(bytes).map_err(|error| WireError::Spi(error.to_string()))
    }

    fn flush(&mut self) -> Result<(), WireError> {
        let sent = self.spi.write(&self.buffer).map_err(|error| WireError::Spi(error.to_string()));
        self.buffer.clear();
        sent
    }
}

impl<SPI: SpiDevice<Error: Error>, PIN: OutputPin<Error: Error>> Interface for Wires<SPI, PIN> {
    type Word = u8;
    type Error = WireError;

    const KIND: InterfaceKind = InterfaceKind::Serial4Line;

    fn send_command(&mut self, command: u8, arguments: &[u8]) -> Result<(), WireError> {
        self.dc.set_low().map_err(|error| WireError::Dc(error.to_string()))?;
        self.send(&[command])?;
        // Pixels, which are data too, follow a command without arguments.
        self.dc.set_high().map_err(|error| WireError::Dc(error.to_string()))?;
        if arguments.is_empty() { Ok(()) } else { self.send(arguments) }
    }

    fn send_pixels<const N: usize>(&mut self, pixels: impl IntoIterator<Item = [u8; N]>) -> Result<(), WireError> {
        for pixel in pixels {
            if self.buffer.len() + N > MOST_AT_ONCE {
                self.flush()?;
            }
            self.buffer.extend(pixel);
        }
        if self.buffer.is_empty() { Ok(()) } else { self.flush() }
    }

    fn send_repeated_pixel<const N: usize>(&mut self, pixel: [u8; N], count: u32) -> Result<(), WireError> {
        self.send_pixels(std::iter::repeat_n(pixel, count as usize))
    }
}

#[cfg(test)]
mod tests;
