"""Compress and decode drawn digits with a model, at four channel counts.

usage: python examples/demo.py MODEL FOLDER
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import omega_core
from omega_core.errors import OmegaError
from omega_core.format.file import OmegaFile
from omega_core.images.metrics import psnr
from omega_core.images.pictures import Pixels
from omega_core.images.writing import to_pillow
from omega_train.data.glyphs import glyphs

COUNT = 64


def main(model_path: str, folder: Path) -> None:
    """Print channels, bytes, bpp and PSNR, and draw originals above the decoded pictures."""
    model = omega_core.load_model(model_path)
    originals = glyphs(COUNT, seed=3)  # not the training pictures
    shown = [list(originals[:12])]
    print(f"\n{COUNT} drawn digits of 28×28 pixels, compressed to files and decoded from them:\n")
    print("channels  bytes  stream    bpp   PSNR")
    for channels in (1, 2, 4, model.channels):
        sizes, streams, decoded = [], [], []
        for number, original in enumerate(originals):
            path = folder / f"{channels}-channels" / f"{number:02}.omega"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(model.compress(original[0], channels=channels))
            data = path.read_bytes()
            sizes.append(len(data))
            streams.append(len(OmegaFile.parse(data).stream))
            decoded.append(omega_core.decompress_picture(data, model).pixels)
        quality = np.mean([psnr(*pair) for pair in zip(originals, decoded, strict=True)])
        bpp = 8 * np.mean(sizes) / originals[0].size
        print(f"{channels:8} {np.mean(sizes):6.1f} {np.mean(streams):7.1f} {bpp:6.3f} {quality:6.2f} dB")
        shown.append(decoded[:12])
    picture = folder / "digits.png"
    contact_sheet(shown, scale=4).save(picture)
    print(f"\n{picture}: originals in the first row, below them 1, 2, 4 and {model.channels} channels.")


def contact_sheet(rows: Sequence[Sequence[Pixels]], *, gap: int = 2, scale: int = 1) -> Image.Image:
    """A contact sheet: rows of pictures of one size, enlarged `scale` times without smoothing."""
    colors, height, width = rows[0][0].shape
    down, across = height * scale + gap, width * scale + gap
    sheet = np.full((colors, len(rows) * down + gap, len(rows[0]) * across + gap), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, pixels in enumerate(row):
            large = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
            top, left = gap + i * down, gap + j * across
            sheet[:, top : top + height * scale, left : left + width * scale] = large
    return to_pillow(sheet)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a model, by its name or path")
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    try:
        main(given.model, given.folder)
    except OmegaError as problem:
        sys.exit(f"error: {problem}")
