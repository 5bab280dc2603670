"""Digits drawn under random affine maps: data for a demonstration and for tests, without a download."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from omega_core.contracts.dataset import Dataset
from omega_core.errors import ComponentError, DataError
from omega_train.data.arrays import ArrayImages

SIZE = 28
_LARGE = 128


class GlyphsDataset(Dataset):
    """Digits 0–9, white on black, 28×28, rotated, sheared, scaled and moved at random.

    data: not used; it has to be None. seed: not used; the pictures are always the same.
    training, validation: the number of pictures of each part.
    """

    def __init__(self, *, data: Path | None = None, seed: int = 0, training: int = 8192, validation: int = 512) -> None:
        if data is not None:
            raise DataError("the dataset glyphs draws its own pictures: leave out --data, or choose another --dataset.")
        if min(training, validation) < 1:
            raise ComponentError("the dataset glyphs needs at least 1 picture for training and 1 for validation.")
        self.train = ArrayImages(glyphs(training, seed=1))
        self.validation = ArrayImages(glyphs(validation, seed=2))


def glyphs(count: int, *, seed: int) -> NDArray[np.uint8]:
    """Random digits, (count, 1, 28, 28), uint8, the same for the same seed."""
    random = np.random.default_rng(seed)
    digits = [_digit(number) for number in range(10)]
    pictures = np.empty((count, 1, SIZE, SIZE), np.uint8)
    for picture in pictures:
        picture[0] = np.asarray(_warped(digits[random.integers(10)], random))
    return pictures


def _digit(number: int) -> Image.Image:
    canvas = Image.new("L", (_LARGE, _LARGE))
    font = ImageFont.load_default(size=0.9 * _LARGE)
    ImageDraw.Draw(canvas).text((_LARGE / 2, _LARGE / 2), str(number), fill=255, font=font, anchor="mm")
    return canvas


def _warped(digit: Image.Image, random: np.random.Generator) -> Image.Image:
    """The digit at 28×28; Pillow requires the inverse map, from the result to the large picture."""
    angle, shear = random.uniform(-0.3, 0.3), random.uniform(-0.3, 0.3)
    zoom = _LARGE / SIZE / random.uniform(0.75, 1.1)
    right, down = random.uniform(-2.5, 2.5, 2)
    cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
    a, b, d, e = cos, -sin + shear * cos, sin, cos + shear * sin
    x, y = SIZE / 2 + right, SIZE / 2 + down
    c, f = _LARGE / 2 - a * x - b * y, _LARGE / 2 - d * x - e * y
    # bilinear interpolation between means of 4×4 pixels makes smooth edges, as in a scan
    fine = digit.reduce(4)
    return fine.transform(
        (SIZE, SIZE), Image.Transform.AFFINE, (a / 4, b / 4, c / 4, d / 4, e / 4, f / 4), Image.Resampling.BILINEAR
    )
