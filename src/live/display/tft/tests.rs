//! The wiring, on a recorded bus.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use embedded_hal::digital;
use embedded_hal::spi::{self, Operation};

use super::*;
use crate::live::display::State;

const VIEW: View<'_> = View { frame: None, label: "owl", bars: &[("owl", 0.9)], state: State::Watching, footer: "" };

/// What went over the wires.
#[derive(Clone, Default)]
struct Record {
    is_data: bool,
    commands: Vec<u8>,
    data: usize,
    most_at_once: usize,
    lit: usize,
    resets: usize,
    is_broken: bool,
}

#[derive(Clone, Default)]
struct Bus(Arc<Mutex<Record>>);

impl Bus {
    fn take(&self) -> Record {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the wire is cut")]
struct Cut;

impl spi::Error for Cut {
    fn kind(&self) -> spi::ErrorKind {
        spi::ErrorKind::Other
    }
}

impl spi::ErrorType for Bus {
    type Error = Cut;
}

impl SpiDevice for Bus {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Cut> {
        let mut record = self.0.lock().unwrap();
        for operation in operations {
            let Operation::Write(bytes) = operation else { return Err(Cut) };
            record.most_at_once = record.most_at_once.max(bytes.len());
            if record.is_data {
                record.data += bytes.len();
            } else {
                record.commands.extend(&**bytes);
            }
        }
        if record.is_broken { Err(Cut) } else { Ok(()) }
    }
}

#[derive(Clone, Copy)]
enum Role {
    Dc,
    Reset,
    Backlight,
}

struct Pin(Bus, Role);

impl digital::ErrorType for Pin {
    type Error = Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        let mut record = self.0.0.lock().unwrap();
        match self.1 {
            Role::Dc => record.is_data = false,
            Role::Reset => record.resets += 1,
            Role::Backlight => record.lit = 0,
        }
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        let mut record = self.0.0.lock().unwrap();
        match self.1 {
            Role::Dc => record.is_data = true,
            Role::Reset => {}
            Role::Backlight => record.lit += 1,
        }
        Ok(())
    }
}

struct NoDelay;

impl DelayNs for NoDelay {
    fn delay_ns(&mut self, _: u32) {}
}

fn started(settings: &str, has_reset: bool) -> (Bus, Box<dyn Panel>) {
    let (bus, settings): (_, ScreenSettings) = (Bus::default(), settings.parse().unwrap());
    let pin = |role| Pin(bus.clone(), role);
    let reset = has_reset.then(|| pin(Role::Reset));
    let (dc, light) = (pin(Role::Dc), Some(pin(Role::Backlight)));
    let panel = match settings.kind {
        Kind::Ili9341 => start(ILI9341Rgb565, bus.clone(), dc, reset, light, &settings, &mut NoDelay),
        _ => start(ST7789, bus.clone(), dc, reset, light, &settings, &mut NoDelay),
    };
    (bus, panel.unwrap())
}

/// Columns, rows, pixels.
const FRAME: [u8; 3] = [0x2a, 0x2b, 0x2c];

#[test]
fn a_frame_is_two_bytes_for_each_pixel() {
    let cases = [
        ("st7789", Size::new(240, 240)),
        ("st7789:size=135x240,offset=52x40,rotation=90", Size::new(240, 135)),
        ("ili9341", Size::new(240, 320)),
        ("ili9341:rotation=270,mirror=yes", Size::new(320, 240)),
    ];
    for (settings, size) in cases {
        let (bus, mut panel) = started(settings, true);
        assert_eq!(panel.size(), size);
        let record = bus.take();
        assert_eq!((record.resets, record.lit), (1, 0), "{settings}");
        // Out of sleep, 16 bits, on.
        assert!([0x11, 0x3a, 0x29].iter().all(|command| record.commands.contains(command)), "{settings}");
        assert!(!record.commands.contains(&0x2c), "{settings}: nothing is shown yet");
        panel.show(&VIEW).unwrap();
        let record = bus.take();
        assert_eq!((record.commands.as_slice(), record.lit), (FRAME.as_slice(), 1), "{settings}: in one go, then lit");
        assert_eq!(record.data as u32, 4 + 4 + 2 * size.width * size.height, "{settings}");
        assert!(record.most_at_once <= MOST_AT_ONCE, "{settings}");
    }
}

#[test]
fn without_a_pin_it_is_reset_by_command() {
    let (bus, _) = started("st7789", false);
    let record = bus.take();
    assert_eq!((record.resets, record.commands[0]), (0, 0x01));
}

#[test]
fn inverted_unless_told_otherwise() {
    assert!(started("st7789", true).0.take().commands.contains(&0x21));
    assert!(started("st7789:invert=no", true).0.take().commands.contains(&0x20));
}

#[test]
fn a_cut_wire_is_told_and_the_next_frame_shown() {
    let (bus, mut panel) = started("st7789", true);
    bus.0.lock().unwrap().is_broken = true;
    let error = panel.show(&VIEW).unwrap_err();
    assert_eq!(error.to_string(), "/dev/spidev0.0: SPI: the wire is cut; check the wiring of the screen");
    bus.take();
    panel.show(&VIEW).unwrap();
    assert_eq!(bus.take().data, 4 + 4 + 2 * 240 * 240);
}

#[test]
fn a_panel_beyond_its_memory_is_told() {
    let settings: ScreenSettings = "st7789:offset=1x0".parse().unwrap();
    let pin = || Pin(Bus::default(), Role::Dc);
    let error = start(ST7789, Bus::default(), pin(), None, None, &settings, &mut NoDelay).err().unwrap();
    assert!(error.to_string().contains("240x320"), "{error}");
}
