"""Pictures to train on."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Images(Protocol):
    """Numbered pictures."""

    def __len__(self) -> int: ...

    def load(self, index: int, seed: int) -> NDArray[np.uint8]:
        """Picture `index` as (colors, H, W); whatever is random about it follows from `seed`."""


class Dataset(ABC):
    """A data set, split for training. Made as `Class(data=folder or None, seed=…, **options)`.

    Raises DataError if the pictures are not there or damaged.
    """

    train: Images
    validation: Images
    notes: Sequence[str] = ()
    """What its user should know, such as how many files could not be read."""
    several_folders: bool = False
    """Whether `data` may also be several folders: a mapping of each to its share of `train`, relative to the others."""

    @abstractmethod
    def __init__(self, *, data: Path | None, seed: int) -> None: ...
