"""Compress a photo to one file, and decode it at five rates, next to other codecs with the same number of bytes.

usage: python examples/photo.py FOLDER [PHOTO] [--bpp 0.1,0.2,inf] [--against jpeg,webp,avif,jxl] [--model compact]

Without PHOTO, it is a photo of a cat in scikit-image (by Stéfan van der Walt, CC0), which then has to be installed.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import omega_core
from omega_core.contracts.codec import BaselineCodec
from omega_core.errors import OmegaError
from omega_core.images.metrics import psnr
from omega_core.images.pictures import Pixels
from omega_core.images.reading import read_picture
from omega_core.images.writing import to_pillow
from omega_core.plugins.registry import build

BPP = (0.05, 0.1, 0.2, 0.3, math.inf)
CAPTION, GAP, COLUMNS = 22, 4, 3

Panel = tuple[str, Image.Image]
"""The text below a picture, and the picture."""


def main(folder: Path, photo: Pixels, model_name: str, rates: Sequence[float], against: Sequence[str]) -> None:
    """Print bytes, bpp and PSNR at each rate, and draw the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    model = omega_core.load_model(model_name)
    whole = model.compress(to_pillow(photo))
    file = folder / "photo.omega"
    file.write_bytes(whole)
    height, width = photo.shape[1:]
    print(f"\nA photo of {width}×{height} pixels in one file, {file}, decoded from its first bytes:\n")
    print("  bytes    bpp      PSNR")
    others = [build("codec", name, {}) for name in against]
    original = ("the original", to_pillow(photo))
    rows: list[list[Panel]] = []
    for bpp in rates:
        data = omega_core.truncate(whole, max_bytes=int(min(len(whole), bpp * height * width / 8)))
        decoded = omega_core.decompress_picture(data, model).pixels
        print(f"{len(data):7} {8 * len(data) / height / width:6.3f} {psnr(photo, decoded):6.2f} dB")
        panels = [panel(model_name if others else "", photo, decoded, len(data))]
        panels += [panel(codec.name, photo, *closest(codec, photo, len(data))) for codec in others]
        rows.append([original, *panels])
    if not others or len(rows) == 1:
        panels = [original, *(each for row in rows for each in row[1:])]
        rows = [panels[first : first + COLUMNS] for first in range(0, len(panels), COLUMNS)]
    picture = folder / "photo.png"
    sheet(rows).save(picture)
    print(f"\n{picture} shows these pictures.")


def panel(name: str, photo: Pixels, decoded: Pixels, size: int) -> Panel:
    """A decoded picture, with its bytes, rate and PSNR."""
    said = f"{size:,} bytes, {8 * size / photo[0].size:.2f} bpp, {psnr(photo, decoded):.1f} dB"
    return f"{name}: {said}" if name else said, to_pillow(decoded)


def closest(codec: BaselineCodec, photo: Pixels, most: int) -> tuple[Pixels, int]:
    """A decoded photo and its bytes, at the best quality of a codec within `most` bytes, or at its worst if none is."""
    low, high = 0, 100
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(codec.encode(photo, middle)) <= most else (low, middle - 1)
    data = codec.encode(photo, low)
    return codec.decode(data, len(photo)), len(data)


def sheet(rows: Sequence[Sequence[Panel]]) -> Image.Image:
    """Rows of pictures of one size, with a caption below each."""
    width, height = rows[0][0][1].size
    across, down = width + GAP, height + CAPTION + GAP
    made = Image.new("RGB", (max(map(len, rows)) * across - GAP, len(rows) * down - GAP), "white")
    draw, font = ImageDraw.Draw(made), ImageFont.load_default(13)
    for i, row in enumerate(rows):
        for j, (caption, picture) in enumerate(row):
            made.paste(picture, (j * across, i * down))
            draw.text((j * across + 2, i * down + height + 3), caption, fill="black", font=font)
    return made


def cat() -> Pixels:
    """The photo in scikit-image."""
    from skimage.data import chelsea

    pixels: Pixels = chelsea()  # type: ignore[no-untyped-call]  # scikit-image has no types
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("photo", nargs="?", help="a picture. Default: a cat")
    parser.add_argument("--against", default="", help="codecs with qualities from 0 to 100, such as jpeg,webp,avif")
    parser.add_argument("--bpp", default=",".join(map(str, BPP)), help="bits per pixel; inf is the whole file")
    parser.add_argument("--model", default="compact")
    given = parser.parse_args()
    try:
        main(
            given.folder,
            read_picture(given.photo).pixels if given.photo else cat(),
            given.model,
            [float(rate) for rate in given.bpp.split(",")],
            [name for name in given.against.split(",") if name],
        )
    except (OmegaError, ImportError, ValueError) as problem:
        sys.exit(f"error: {problem}")
