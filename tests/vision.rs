//! Photos in every format that is read, against what Pillow makes of them (`make.py` beside the files says how).

use std::path::{Path, PathBuf};

use image::RgbImage;
use topgraft::vision::{self, DecodeError, OpenError, Preprocessor};
use topgraft_core::preprocess::{Filter, Layout, Preprocess, Resize};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn open(name: &str) -> RgbImage {
    vision::open(&data(name)).unwrap_or_else(|error| panic!("{error}"))
}

/// Mean and largest absolute difference of two photos of the same size, in levels.
fn difference(a: &RgbImage, b: &RgbImage) -> (f64, u8) {
    assert_eq!(a.dimensions(), b.dimensions());
    let levels = || a.iter().zip(b.iter()).map(|(a, b)| a.abs_diff(*b));
    let sum: f64 = levels().map(f64::from).sum();
    (sum / a.len() as f64, levels().max().unwrap_or(0))
}

#[test]
fn every_format_decodes_as_pillow_decodes_it() {
    let exact = [
        "alpha.png",
        "animated.gif",
        "bitmap.bmp",
        "grey16.png",
        "lossless.webp",
        "lossy.webp",
        "palette.png",
        "rgb16.png",
        "rgb8.png",
    ];
    for name in exact {
        let stem = Path::new(name).file_stem().unwrap().to_str().unwrap();
        let expected = open(&format!("formats/expected/{stem}.png"));
        assert_eq!(difference(&open(&format!("formats/{name}")), &expected), (0.0, 0), "{name}");
    }
    // JPEG leaves the rounding of the inverse transform and of the chroma's upsampling to the decoder.
    for (name, mean, most) in [("cmyk", 0.1, 2), ("grey", 0.1, 1), ("progressive", 0.1, 2), ("rgb", 0.5, 6)] {
        let photo = open(&format!("formats/{name}.jpg"));
        let seen = difference(&photo, &open(&format!("formats/expected/{name}.png")));
        assert!(seen.0 <= mean && seen.1 <= most, "{name}.jpg: {seen:?}");
    }
}

#[test]
fn every_orientation_comes_out_upright() {
    let upright = open("formats/upright.png");
    for orientation in 1..=8 {
        let seen = difference(&open(&format!("formats/orientation_{orientation}.jpg")), &upright);
        assert!(seen.0 < 3.0, "orientation {orientation}: {seen:?}");
    }
}

#[test]
fn what_is_no_photo_is_refused_with_the_reason() {
    let refused = |name: &str| match vision::open(&data(&format!("formats/{name}"))) {
        Err(OpenError::Decode { error, .. }) => error,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(refused("empty.jpg"), DecodeError::Empty);
    assert_eq!(refused("text.jpg"), DecodeError::UnknownFormat);
    assert_eq!(refused("truncated.jpg"), DecodeError::Truncated);
    assert_eq!(refused("huge_header.png"), DecodeError::TooLarge { width: 60_000, height: 60_000 });
}

#[test]
fn a_jpeg_is_refused_wherever_it_is_cut() {
    for name in ["rgb", "progressive", "grey", "cmyk", "orientation_6"] {
        let whole = std::fs::read(data(&format!("formats/{name}.jpg"))).unwrap();
        assert!(vision::decode(&whole).is_ok());
        for len in 1..whole.len() {
            assert!(vision::decode(&whole[..len]).is_err(), "{name}.jpg cut to {len} bytes");
        }
    }
}

#[test]
fn dimensions_agree_with_the_decoded_photo() {
    for name in ["alpha.png", "animated.gif", "bitmap.bmp", "lossless.webp", "lossy.webp", "progressive.jpg", "rgb.jpg"]
    {
        let path = data(&format!("formats/{name}"));
        assert_eq!(vision::dimensions(&path).unwrap(), vision::open(&path).unwrap().dimensions(), "{name}");
    }
    // As stored, lying on its side.
    let (width, height) = open("formats/orientation_6.jpg").dimensions();
    assert_eq!(vision::dimensions(&data("formats/orientation_6.jpg")).unwrap(), (height, width));
    assert_eq!(vision::dimensions(&data("formats/huge_header.png")).unwrap(), (60_000, 60_000));
}

#[test]
fn photos_are_resized_as_by_pillow() {
    let crop = Resize::CenterCrop { fraction: 0.875 };
    for name in ["rocket", "chelsea", "small"] {
        let photo = open(&format!("pillow/{name}.png"));
        for (how, resize, filter) in [
            ("squeeze_bilinear", Resize::Squeeze, Filter::Bilinear),
            ("squeeze_bicubic", Resize::Squeeze, Filter::Bicubic),
            ("crop_bicubic", crop, Filter::Bicubic),
        ] {
            if (name, how) == ("small", "crop_bicubic") {
                continue; // There is none.
            }
            // Mean 0 and scale 1 leave the pixels as they are.
            let plain = Preprocess {
                resize,
                filter,
                layout: Layout::Nhwc,
                mean: [0.0; 3],
                scale: [1.0; 3],
                ..Preprocess::IMAGENET
            };
            let input = Preprocessor::new(&plain).unwrap().apply(&photo);
            let resized = RgbImage::from_vec(224, 224, input.iter().map(|&value| value as u8).collect()).unwrap();
            let seen = difference(&resized, &open(&format!("pillow/{name}.{how}.png")));
            assert!(seen.0 < 0.1 && seen.1 <= 1, "{name} {how}: {seen:?}");
        }
    }
}
