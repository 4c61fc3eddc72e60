#!/usr/bin/env python3
"""Reference resizes by Pillow, for the tests of our own resampling.

    python3 make.py                       # from the PNG photos beside this script
    python3 make.py --photos FOLDER       # remake those first; FOLDER: skimage/data of scikit-image

For a photo NAME.png it writes
    NAME.squeeze_bilinear.png   the whole photo to 224x224, bilinear
    NAME.squeeze_bicubic.png    the same, bicubic
    NAME.crop_bicubic.png       the centre square of side floor(0.875 * min(w, h)), its left edge at
                                (w - side) // 2 and its top at (h - side) // 2, cut out, then bicubic
Pillow's filters are antialiased (the support grows with the reduction), bicubic has a = -0.5, and
8-bit images go through fixed-point coefficients with rounding after each of the two passes,
horizontal first.
"""
import argparse
import math
import pathlib

from PIL import Image

HERE = pathlib.Path(__file__).parent
SIDE = 224


def save(image, name):
    image.save(HERE / name, optimize=True)


def sources(folder):
    rocket = Image.open(folder / "rocket.jpg").convert("RGB").resize((301, 201), Image.LANCZOS)
    save(rocket.crop((0, 14, 301, 187)), "rocket.png")  # 301x173
    chelsea = Image.open(folder / "chelsea.png").convert("RGB")
    save(chelsea.convert("L").resize((300, 200), Image.LANCZOS), "chelsea.png")
    save(chelsea.convert("L").resize((64, 48), Image.LANCZOS), "small.png")


def crop(image, fraction):
    side = math.floor(fraction * min(image.size))
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=pathlib.Path, help="folder with rocket.jpg and chelsea.png")
    args = parser.parse_args()
    if args.photos:
        sources(args.photos)

    for name in ("rocket", "chelsea", "small"):
        photo = Image.open(HERE / f"{name}.png")
        size = (SIDE, SIDE)
        save(photo.resize(size, Image.BILINEAR), f"{name}.squeeze_bilinear.png")
        save(photo.resize(size, Image.BICUBIC), f"{name}.squeeze_bicubic.png")
        if name != "small":
            save(crop(photo, 0.875).resize(size, Image.BICUBIC), f"{name}.crop_bicubic.png")


if __name__ == "__main__":
    main()
