"""Datasets: pictures to train on."""

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
        """Return picture `index` as (colors, H, W), uint8. Random crops and other changes depend only on `seed`."""


class Dataset(ABC):
    """A dataset, split for training. Made as `Class(data=folder or None, seed=…, **options)`.

    Raises DataError if pictures are missing or damaged.
    """

    train: Images
    validation: Images
    notes: Sequence[str] = ()
    """Remarks for the user, such as the number of unreadable files."""
    several_folders: bool = False
    """Whether `data` may also be a mapping of several folders to their relative shares of `train`."""
    takes_urls: bool = False
    """Whether `data` may also be a URL (a string with `://`), and the folders of a mapping URLs."""

    @abstractmethod
    def __init__(self, *, data: Path | None, seed: int) -> None: ...
