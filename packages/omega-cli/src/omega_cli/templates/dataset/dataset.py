"""A dataset to start from: drawn discs. A dataset of files would read them in `load`, from the folder `data`."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omega_core.contracts import Dataset
from omega_core.errors import DataError

SIZE = 28


class Discs:
    """Pictures (1, 28, 28) of one disc each.

    count: the number of pictures.
    first: the seed of the first picture, which makes training and validation pictures differ.
    """

    def __init__(self, count: int, first: int) -> None:
        self.count, self.first = count, first

    def __len__(self) -> int:
        return self.count

    def load(self, index: int, seed: int) -> NDArray[np.uint8]:
        """Draw the picture `index`. The seed decides whether it is mirrored."""
        random = np.random.default_rng(self.first + index)
        (x, y), radius = random.uniform(8, 20, 2), random.uniform(3, 8)
        down, right = np.mgrid[:SIZE, :SIZE]
        inside = np.clip(radius - np.hypot(down - y, right - x) + 0.5, 0, 1)
        picture: NDArray[np.uint8] = (255 * inside).astype(np.uint8)[None]
        return picture[:, :, :: -1 if seed % 2 else 1]


class __CLASS__(Dataset):
    """White discs on black.

    data: unused: pictures are drawn.
    seed: unused: the pictures are always the same.
    training, validation: the number of pictures for each.
    """

    def __init__(self, *, data: Path | None, seed: int, training: int = 4096, validation: int = 256) -> None:
        if min(training, validation) < 1:
            raise DataError("the dataset __NAME__ needs at least one picture for training and one for validation.")
        self.train = Discs(training, first=0)
        self.validation = Discs(validation, first=training)
