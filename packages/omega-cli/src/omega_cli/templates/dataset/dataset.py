"""A data set to begin with: discs, drawn. What reads files would do so in `load`, and take their folder from `data`."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omega_core.contracts import Dataset
from omega_core.errors import DataError

SIZE = 28


class Discs:
    """Numbered pictures of one disc each, (1, 28, 28).

    first: the number of the first, by which those to train on and to validate with differ.
    """

    def __init__(self, count: int, first: int) -> None:
        self.count, self.first = count, first

    def __len__(self) -> int:
        return self.count

    def load(self, index: int, seed: int) -> NDArray[np.uint8]:
        """Picture `index`, mirrored or not as the seed wants it."""
        random = np.random.default_rng(self.first + index)
        (x, y), radius = random.uniform(8, 20, 2), random.uniform(3, 8)
        down, right = np.mgrid[:SIZE, :SIZE]
        inside = np.clip(radius - np.hypot(down - y, right - x) + 0.5, 0, 1)
        picture: NDArray[np.uint8] = (255 * inside).astype(np.uint8)[None]
        return picture[:, :, :: -1 if seed % 2 else 1]


class __CLASS__(Dataset):
    """White discs on black.

    data: not needed.
    seed: not used: the pictures are always the same.
    training, validation: how many there are of each.
    """

    def __init__(self, *, data: Path | None, seed: int, training: int = 4096, validation: int = 256) -> None:
        if min(training, validation) < 1:
            raise DataError("the dataset __NAME__ needs at least one picture to train and one to validate with.")
        self.train = Discs(training, first=0)
        self.validation = Discs(validation, first=training)
