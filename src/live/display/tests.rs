//! Whole frames, on screens that check what is drawn on them, and against those that were looked at.

use std::convert::Infallible;
use std::path::Path;

use embedded_graphics::Pixel;
use embedded_graphics::geometry::{Dimensions, OriginDimensions};
use embedded_graphics::mock_display::MockDisplay;
use embedded_graphics::pixelcolor::{BinaryColor, Rgb565, Rgb666};
use image::Rgb;

use super::*;

/// A screen that is written once, each pixel within it.
struct Strict<C> {
    size: Size,
    pixels: Vec<Option<C>>,
}

impl<C: Copy> Strict<C> {
    fn new(width: u32, height: u32) -> Self {
        Self { size: Size::new(width, height), pixels: vec![None; (width * height) as usize] }
    }

    /// All of its pixels, each of which must have been written.
    fn shown(&self) -> Vec<C> {
        self.pixels.iter().map(|pixel| pixel.expect("every pixel is written")).collect()
    }
}

impl<C> OriginDimensions for Strict<C> {
    fn size(&self) -> Size {
        self.size
    }
}

impl<C: Paint> DrawTarget for Strict<C> {
    type Color = C;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<C>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(Point { x, y }, colour) in pixels {
            let is_inside = (0..self.size.width as i32).contains(&x) && (0..self.size.height as i32).contains(&y);
            assert!(is_inside, "{x},{y} is outside of {}", self.size);
            let pixel = &mut self.pixels[(x + y * self.size.width as i32) as usize];
            assert!(pixel.is_none(), "{x},{y} is written twice");
            *pixel = Some(colour);
        }
        Ok(())
    }
}

/// A photo of nothing: a disc before stripes and shades.
fn photo(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (across, down) = (x as f32 / width as f32, y as f32 / height as f32);
        let far = ((x as f32 - width as f32 / 2.0).powi(2) + (y as f32 - height as f32 / 2.0).powi(2)).sqrt();
        if far < height as f32 * 0.35 {
            return Rgb([230 - (90.0 * down) as u8, (200.0 * across) as u8, 60]);
        }
        let stripe = if (x + y) / 40 % 2 == 0 { 30 } else { 0 };
        Rgb([(60.0 * down) as u8 + stripe, 60 + (110.0 * across) as u8, 90 + (130.0 * down) as u8])
    })
}

const LONG: &str = "Donaudampfschifffahrtsgesellschaftskapitän mit Mütze und sehr langem Namen \u{1f426}";
const STATES: [State<'_>; 6] = [
    State::Watching,
    State::Teaching { class: LONG, count: 123_456 },
    State::Unknown,
    State::Drift,
    State::NoCamera,
    State::NoHead,
];

#[test]
fn any_view_fills_any_screen_once() {
    let frames = [photo(64, 48), photo(3, 200), photo(320, 1), photo(1, 1), RgbImage::new(0, 0)];
    let odd = [f32::NAN, -1.0, 1e9, f32::INFINITY, f32::NEG_INFINITY, 0.004, 0.5];
    let mut turn = 0;
    for width in (72..=320).step_by(13) {
        for height in (40..=240).step_by(11) {
            for _ in 0..3 {
                turn += 1;
                let bars: Vec<(&str, f32)> = (0..turn % 13)
                    .map(|index| {
                        (["", "owl", LONG, " \n", "漢字"][(index + turn) % 5], odd[(index * 3 + turn) % odd.len()])
                    })
                    .collect();
                let view = View {
                    frame: frames.get(turn % 6),
                    label: ["", LONG, "owl", "m", "two words", " "][turn % 6],
                    bars: &bars,
                    state: STATES[turn / 3 % 6],
                    footer: ["", "12.5 fps  34 ms", LONG, "  "][turn % 4],
                };
                let mut screen = Strict::<Rgb565>::new(width, height);
                draw(&mut screen, &view, &Theme::DARK).unwrap();
                screen.shown();
                let mut screen = Strict::<BinaryColor>::new(width, height);
                draw(&mut screen, &view, &Theme::MONO).unwrap();
                screen.shown();
            }
        }
    }
}

#[test]
fn screens_of_odd_sizes_do_not_panic() {
    let (frame, bars) = (photo(64, 48), [("owl", 0.9); 12]);
    let view = View { frame: Some(&frame), label: LONG, bars: &bars, state: STATES[1], footer: LONG };
    for (width, height) in [(1, 1), (1, 300), (300, 1), (8, 8), (31, 17), (64, 48), (1280, 720), (33, 480), (480, 33)] {
        let mut screen = Strict::<Rgb666>::new(width, height);
        draw(&mut screen, &view, &Theme::DARK).unwrap();
        screen.shown();
    }
}

#[test]
fn states_differ_without_colour() {
    let shown = STATES.map(|state| {
        let mut screen = Strict::<BinaryColor>::new(128, 64);
        draw(&mut screen, &View { frame: None, label: "", bars: &[], state, footer: "" }, &Theme::MONO).unwrap();
        screen.shown()
    });
    for (index, frame) in shown.iter().enumerate() {
        assert!(!shown[..index].contains(frame), "{:?}", STATES[index]);
    }
}

/// The bar of a class, on one bit, beside each other.
fn drawn(class: &str, probability: f32) -> MockDisplay<BinaryColor> {
    let mut canvas = Canvas::new(44, 40);
    let view = View { frame: None, label: "", bars: &[(class, probability)], state: State::Watching, footer: "" };
    let layout = Layout::new(canvas.size(), [4, 3], 1);
    parts::bars(&mut canvas, &view, &layout, &Theme::MONO);
    let mut display = MockDisplay::new();
    for (x, y, pixel) in canvas.picture().enumerate_pixels().filter(|(_, y, _)| *y >= 20) {
        let place = Point::new(x as i32, y as i32 - 20);
        display.set_pixel(place, (pixel.0 != [0; 3]).then_some(BinaryColor::On));
    }
    display
}

#[test]
fn a_bar_is_as_long_as_it_is_probable() {
    drawn("ab", 0.5).assert_pattern(&[
        "                                            ",
        "      #                     ####   #  #     ",
        "      #                     #     # # #  #  ",
        "  ### ###                   ###   # #   #   ",
        " #  # #  #                     #  # #  #    ",
        " # ## #  #                  #  #  # # #  #  ",
        "  # # ###                    ##    #     #  ",
        "                                            ",
        "                                            ",
        " #####################                      ",
        " #####################   #  #  #  #  #  #   ",
    ]);
    // Cut, and no number.
    drawn("abababa", f32::NAN).assert_pattern(&[
        "                                            ",
        "      #                                     ",
        "      #                                     ",
        "  ### ###   ###                             ",
        " #  # #  # #  #                  #### ####  ",
        " # ## #  # # ##  ##   ##                    ",
        "  # # ###   # #  ##   ##                    ",
        "                                            ",
        "                                            ",
        "                                            ",
        "    #  #  #  #  #  #  #  #  #  #  #  #  #   ",
    ]);
}

/// The frames that were looked at: `TOPGRAFT_BLESS=1 cargo test` writes them anew.
#[test]
fn frames_are_as_they_were() {
    let frame = photo(640, 480);
    let classes = [("Äpfel", 0.934), ("Birnen", 0.041), ("Möhren", 0.018), ("Kürbis", 0.007)];
    let watching =
        View {
            frame: Some(&frame), label: "Äpfel", bars: &classes, state: State::Watching, footer: "12.5 fps  34 ms"
        };
    let teaching = View { state: State::Teaching { class: "Äpfel", count: 7 }, ..watching };
    let drift = View { label: "Magnificent frigatebird", state: State::Drift, ..watching };
    for (name, width, height, view) in [
        ("watching_240x240", 240, 240, watching),
        ("teaching_320x240", 320, 240, teaching),
        ("drift_240x320", 240, 320, drift),
    ] {
        let mut canvas = Canvas::new(width, height);
        draw(&mut canvas, &view, &Theme::DARK).unwrap();
        compare(name, &canvas);
    }
    let mut screen = Strict::<BinaryColor>::new(128, 64);
    draw(&mut screen, &watching, &Theme::MONO).unwrap();
    let mut canvas = Canvas::new(128, 64);
    let pixels = screen.shown().into_iter().map(|pixel| if pixel.is_on() { Rgb888::WHITE } else { Rgb888::BLACK });
    canvas.fill_contiguous(&screen.bounding_box(), pixels).unwrap();
    compare("watching_128x64", &canvas);
}

fn compare(name: &str, canvas: &Canvas) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/display/{name}.png"));
    if std::env::var_os("TOPGRAFT_BLESS").is_some() {
        std::fs::write(&path, canvas.png()).unwrap();
    }
    let kept = image::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).to_rgb8();
    assert_eq!(kept.dimensions(), canvas.picture().dimensions(), "{name}");
    let differing = kept.pixels().zip(canvas.picture().pixels()).filter(|(kept, new)| kept != new).count();
    assert_eq!(differing, 0, "{name}: pixels that differ; if they should, look at them: TOPGRAFT_BLESS=1");
}
