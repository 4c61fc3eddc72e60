//! Settings as they are written.

use super::*;

fn parsed(text: &str) -> Result<ScreenSettings, SettingsError> {
    text.parse()
}

#[test]
fn what_is_left_out_is_as_most_screens_need() {
    let settings = parsed("st7789").unwrap();
    assert_eq!(settings, ScreenSettings::new(Kind::St7789));
    assert_eq!((settings.width, settings.height, settings.dc), (240, 240, 25));
    assert!(settings.invert && !settings.bgr);
    assert!(parsed("ili9341").unwrap().bgr);
    assert_eq!(parsed("framebuffer:").unwrap().device.to_str(), Some("/dev/fb0"));
    assert_eq!(parsed("framebuffer:/dev/fb1").unwrap().device.to_str(), Some("/dev/fb1"));
    assert_eq!(parsed("some: folder/a.PNG").unwrap().device.to_str(), Some("some: folder/a.PNG"));
}

#[test]
fn all_settings() {
    let text = "st7789:device=/dev/spidev1.2, gpio=/dev/gpiochip4,dc=9,reset=27,backlight=13,size=135x240,offset=52x40,\
                rotation=270,mirror=yes,invert=no,bgr=yes,hz=62500000,mode=3";
    let expected = ScreenSettings {
        device: "/dev/spidev1.2".into(),
        gpio: Some("/dev/gpiochip4".into()),
        dc: 9,
        reset: Some(27),
        backlight: Some(13),
        width: 135,
        height: 240,
        offset: [52, 40],
        rotation: Rotation::Deg270,
        mirror: true,
        invert: false,
        bgr: true,
        hz: 62_500_000,
        mode: 3,
        ..ScreenSettings::new(Kind::St7789)
    };
    assert_eq!(parsed(text).unwrap(), expected);
    let oled = parsed("ssd1306:address=0x3d,size=128x32").unwrap();
    assert_eq!((oled.address, oled.height), (0x3d, 32));
}

#[test]
fn what_is_wrong_is_told() {
    for text in ["", "lcd", "lcd:dc=1"] {
        assert!(matches!(parsed(text), Err(SettingsError::Kind { .. })), "{text}");
    }
    for text in ["framebuffer:dc=1", "ssd1306:hz=1", "png:address=3", "st7789:=3", "st7789:width=3"] {
        assert!(matches!(parsed(text), Err(SettingsError::Setting { .. })), "{text}");
    }
    for (setting, value) in [
        ("device", ""),
        ("dc", "x"),
        ("reset", "-1"),
        ("size", "240"),
        ("size", "320x240"),
        ("size", "0x240"),
        ("offset", "80"),
        ("rotation", "45"),
        ("mirror", "perhaps"),
        ("hz", "0"),
        ("mode", "1"),
    ] {
        let error = parsed(&format!("st7789:{setting}={value}")).unwrap_err();
        assert!(error.to_string().starts_with(&format!("{setting}={value}: give ")), "{error}");
    }
    for text in ["ssd1306:address=0x80", "ssd1306:address=twelve", "ssd1306:size=72x40", "png:size=0x10"] {
        assert!(matches!(parsed(text), Err(SettingsError::Value { .. })), "{text}");
    }
}
