#!/usr/bin/env python3
"""One small picture in many file formats, with what a decoder must make of each.

    python3 make.py                   # from upright.png beside this script
    python3 make.py --photo FILE      # remake that first; FILE: coffee.png of scikit-image's data

NAME.EXT has its expected upright 8-bit RGB picture in expected/NAME.png, as Pillow decodes it
(alpha composed on white). The eight orientation_N.jpg share upright.png. The script checks what it
wrote against the picture it started from and prints the largest differences.
"""
import argparse
import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

HERE = pathlib.Path(__file__).parent
EXPECTED = HERE / "expected"
ORIENTATION = 0x0112
# What turns the upright picture into the stored one of each EXIF orientation.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def png(width, height, depth, color, rows):
    """A PNG from raw big-endian scanlines; color 0 grey, 2 RGB."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    raw = b"".join(b"\0" + row for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


def sixteen_bit(pixels):
    """16-bit samples that become `pixels` by rounding v / 257 as well as by v >> 8."""
    pixels = pixels.astype(np.uint32)
    low = np.arange(pixels.size, dtype=np.uint32).reshape(pixels.shape) * 37 % 100
    return (pixels * 257 + np.minimum(low, 255 - pixels)).astype(">u2")


def on_white(image):
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def decoded(path):
    return on_white(ImageOps.exif_transpose(Image.open(path)))


def difference(a, b):
    return np.abs(np.asarray(a, int) - np.asarray(b, int)).max()


def expect(name, image=None):
    """Write expected/NAME.png; Pillow's own decoding unless `image` is given."""
    path = next(p for p in HERE.glob(f"{name}.*"))
    image = image or decoded(path)
    image.save(EXPECTED / f"{name}.png", optimize=True)
    print(f"{path.name}: {path.stat().st_size} bytes, {image.width}x{image.height}, "
          f"largest difference from upright.png {difference(image, Image.open(HERE / 'upright.png'))}")


def good(rgb):
    grey = rgb.convert("L")

    rgb.save(HERE / "rgb.jpg", quality=90, subsampling=2)
    expect("rgb")
    grey.save(HERE / "grey.jpg", quality=90)
    expect("grey")
    rgb.save(HERE / "progressive.jpg", quality=90, subsampling=0, progressive=True)
    expect("progressive")
    # Pillow's RGB -> CMYK leaves K at 0; move the common part into it, so that K matters.
    cmy = 255 - np.asarray(rgb, int)
    k = cmy.min(axis=2, keepdims=True)
    cmy = (cmy - k) * 255 // np.maximum(255 - k, 1)
    cmyk = Image.fromarray(np.concatenate([cmy, k], axis=2).astype(np.uint8), "CMYK")
    cmyk.save(HERE / "cmyk.jpg", quality=95, subsampling=0)
    expect("cmyk", Image.open(HERE / "cmyk.jpg").convert("RGB"))

    rgb.save(HERE / "rgb8.png", optimize=True)
    expect("rgb8")
    alpha = np.tile(np.linspace(0, 255, rgb.width).astype(np.uint8), (rgb.height, 1))
    alpha[: rgb.height // 4] = 0
    alpha[-rgb.height // 4:] = 255
    rgba = rgb.copy()
    rgba.putalpha(Image.fromarray(alpha))
    rgba.save(HERE / "alpha.png", optimize=True)
    expect("alpha")
    rgb.quantize(64, dither=Image.Dither.NONE).save(HERE / "palette.png", optimize=True)
    expect("palette")
    size = rgb.size
    deep = sixteen_bit(np.asarray(grey))
    (HERE / "grey16.png").write_bytes(png(*size, 16, 0, [row.tobytes() for row in deep]))
    expect("grey16", grey.convert("RGB"))
    deep = sixteen_bit(np.asarray(rgb))
    (HERE / "rgb16.png").write_bytes(png(*size, 16, 2, [row.tobytes() for row in deep]))
    expect("rgb16", rgb)

    rgb.save(HERE / "lossy.webp", quality=90)
    expect("lossy")
    rgb.save(HERE / "lossless.webp", lossless=True)
    expect("lossless")
    rgb.save(HERE / "bitmap.bmp")
    expect("bitmap")

    frames = [f.quantize(64, dither=Image.Dither.NONE) for f in (rgb, ImageOps.invert(rgb))]
    frames[0].save(HERE / "animated.gif", save_all=True, append_images=frames[1:], duration=200, loop=0)
    gif = Image.open(HERE / "animated.gif")
    assert gif.n_frames == 2
    expect("animated")  # the first frame
    gif.seek(1)
    gif.convert("RGB").save(EXPECTED / "animated_frame2.png", optimize=True)

    for orientation, how in STORED.items():
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        stored = rgb.transpose(how) if how is not None else rgb
        path = HERE / f"orientation_{orientation}.jpg"
        stored.save(path, quality=95, subsampling=0, exif=exif)
        print(f"{path.name}: stored {stored.width}x{stored.height}, "
              f"largest difference from upright.png {difference(decoded(path), rgb)}")


def bad(rgb):
    buffer = io.BytesIO()
    rgb.save(buffer, "JPEG", quality=90)
    whole = buffer.getvalue()
    (HERE / "truncated.jpg").write_bytes(whole[: len(whole) * 6 // 10])
    (HERE / "text.jpg").write_text("This is a text file with the name of a photo.\n")
    (HERE / "empty.jpg").write_bytes(b"")
    (HERE / "huge_header.png").write_bytes(png(60000, 60000, 8, 2, [bytes(300)]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photo", help="coffee.png")
    args = parser.parse_args()
    if args.photo:
        photo = Image.open(args.photo).convert("RGB").resize((48, 32), Image.LANCZOS)
        photo.save(HERE / "upright.png", optimize=True)
    EXPECTED.mkdir(exist_ok=True)
    rgb = Image.open(HERE / "upright.png").convert("RGB")
    good(rgb)
    bad(rgb)


if __name__ == "__main__":
    main()
