"""Compress and decode drawn digits with a model, at four channel counts.

usage: python examples/demo.py MODEL FOLDER
"""

import sys
from pathlib import Path

import numpy as np

import omega_core
from omega_core.format.file import OmegaFile
from omega_core.images.pictures import psnr, read_picture, side_by_side
from omega_train.data.glyphs import glyphs

COUNT = 64


def main(model_path: str, folder: Path) -> None:
    """Print channels, bytes, bpp and PSNR, and draw originals beside what came out of the files."""
    model = omega_core.load_model(model_path)
    originals = glyphs(COUNT, seed=3)  # other pictures than those of training
    shown = [list(originals[:12])]
    print(f"\n{COUNT} drawn digits of 28×28 pixels, compressed to files and decoded from them:\n")
    print("channels  bytes  stream    bpp   PSNR")
    for channels in (1, 2, 4, model.channels):
        sizes, streams, decoded = [], [], []
        for number, original in enumerate(originals):
            path = folder / f"{channels}-channels" / f"{number:02}.omega"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(model.compress(original[0], channels=channels))
            data = path.read_bytes()
            sizes.append(len(data))
            streams.append(len(OmegaFile.parse(data).stream))
            decoded.append(read_picture(omega_core.decompress(data, model)).pixels)
        quality = np.mean([psnr(*pair) for pair in zip(originals, decoded, strict=True)])
        bpp = 8 * np.mean(sizes) / originals[0].size
        print(f"{channels:8} {np.mean(sizes):6.1f} {np.mean(streams):7.1f} {bpp:6.3f} {quality:6.2f} dB")
        shown.append(decoded[:12])
    picture = folder / "digits.png"
    side_by_side(shown, scale=4).save(picture)
    print(f"\n{picture}: originals in the first row, below them 1, 2, 4 and {model.channels} channels.")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
