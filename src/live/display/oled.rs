//! SSD1306 over I2C. Compiled and tried on a recorded bus, not on hardware.

use std::path::PathBuf;

use embedded_graphics::geometry::{OriginDimensions, Size};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_hal::i2c::I2c;
use linux_embedded_hal::I2cdev;
use ssd1306::mode::{BufferedGraphicsMode, DisplayConfig};
use ssd1306::prelude::{DisplayRotation, I2CInterface};
use ssd1306::size::{DisplaySize, DisplaySize128x32, DisplaySize128x64};
use ssd1306::{I2CDisplayInterface, Ssd1306};

use super::screen::{Panel, ScreenError, check_device};
use super::settings::ScreenSettings;
use super::{Paint, Rotation, View, draw};

/// Opens the bus and starts the screen.
pub(super) fn open(settings: &ScreenSettings) -> Result<Box<dyn Panel>, ScreenError> {
    let path = &settings.device;
    check_device(path, "i2c", "enable I2C: sudo raspi-config, Interface Options, I2C")?;
    let i2c = I2cdev::new(path).map_err(|error| ScreenError::Bus { path: path.clone(), what: error.to_string() })?;
    match settings.height {
        32 => start(DisplaySize128x32, i2c, settings),
        _ => start(DisplaySize128x64, i2c, settings),
    }
}

/// Starts a screen, whatever its bus is.
fn start<S: DisplaySize<Buffer: Send> + Send + 'static, I2C: I2c + Send + 'static>(
    size: S,
    i2c: I2C,
    settings: &ScreenSettings,
) -> Result<Box<dyn Panel>, ScreenError> {
    let rotation = match settings.rotation {
        Rotation::Deg0 => DisplayRotation::Rotate0,
        Rotation::Deg90 => DisplayRotation::Rotate90,
        Rotation::Deg180 => DisplayRotation::Rotate180,
        Rotation::Deg270 => DisplayRotation::Rotate270,
    };
    let bus = I2CDisplayInterface::new_custom_address(i2c, settings.address);
    let display = Ssd1306::new(bus, size, rotation).into_buffered_graphics_mode();
    let mut oled = Oled { display, path: settings.device.clone(), address: settings.address };
    oled.display.init().map_err(|_| oled.silent())?;
    Ok(Box::new(oled))
}

/// A screen that was started.
struct Oled<I2C, S: DisplaySize> {
    display: Ssd1306<I2CInterface<I2C>, S, BufferedGraphicsMode<S>>,
    path: PathBuf,
    address: u8,
}

impl<I2C, S: DisplaySize> Oled<I2C, S> {
    /// The driver tells no more than that it failed.
    fn silent(&self) -> ScreenError {
        let what = format!("no answer from 0x{:02x}, `i2cdetect -y 1` lists the addresses that answer", self.address);
        ScreenError::Bus { path: self.path.clone(), what }
    }
}

impl<I2C: I2c + Send, S: DisplaySize<Buffer: Send> + Send> Panel for Oled<I2C, S> {
    fn size(&self) -> Size {
        self.display.size()
    }

    fn show(&mut self, view: &View<'_>) -> Result<(), ScreenError> {
        draw(&mut self.display, view, &BinaryColor::THEME).map_err(|_| self.silent())?;
        self.display.flush().map_err(|_| self.silent())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use embedded_hal::i2c::{ErrorKind, ErrorType, Operation};

    use super::*;
    use crate::live::display::{Kind, State};

    const VIEW: View<'_> =
        View { frame: None, label: "owl", bars: &[("owl", 0.9)], state: State::Watching, footer: "" };

    type Message = (u8, Vec<u8>);

    /// A bus that keeps what is written, with the address.
    #[derive(Clone, Default)]
    struct Bus(Arc<Mutex<Vec<Message>>>);

    impl ErrorType for Bus {
        type Error = ErrorKind;
    }

    impl I2c for Bus {
        fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
            for operation in operations {
                let Operation::Write(bytes) = operation else { return Err(ErrorKind::Other) };
                self.0.lock().unwrap().push((address, bytes.to_vec()));
            }
            // No screen answers there.
            if address == 0x42 { Err(ErrorKind::Other) } else { Ok(()) }
        }
    }

    #[test]
    fn a_frame_is_a_bit_for_each_pixel() {
        for (rotation, size) in [("0", Size::new(128, 64)), ("90", Size::new(64, 128)), ("180", Size::new(128, 64))] {
            let (bus, mut settings) = (Bus::default(), ScreenSettings::new(Kind::Ssd1306));
            settings.set("rotation", rotation).unwrap();
            let mut oled = start(DisplaySize128x64, bus.clone(), &settings).unwrap();
            assert_eq!(oled.size(), size);
            let started = std::mem::take(&mut *bus.0.lock().unwrap());
            assert!(started.iter().all(|(address, bytes)| *address == 0x3c && bytes[0] == 0x00), "only commands");
            assert!(started.iter().any(|(_, bytes)| bytes.contains(&0xaf)), "it is switched on");
            for _ in 0..2 {
                oled.show(&VIEW).unwrap();
                let shown = std::mem::take(&mut *bus.0.lock().unwrap());
                let data: Vec<u8> = shown
                    .iter()
                    .filter(|(_, bytes)| bytes[0] == 0x40)
                    .flat_map(|(_, bytes)| &bytes[1..])
                    .copied()
                    .collect();
                assert_eq!(data.len(), 128 * 64 / 8);
                assert!(data.iter().any(|byte| *byte != 0));
            }
        }
    }

    #[test]
    fn no_answer_is_told() {
        let settings = ScreenSettings { address: 0x42, ..ScreenSettings::new(Kind::Ssd1306) };
        let error = start(DisplaySize128x32, Bus::default(), &settings).err().unwrap();
        assert!(error.to_string().contains("0x42"), "{error}");
    }
}
