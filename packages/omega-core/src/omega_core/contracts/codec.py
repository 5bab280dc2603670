"""Codecs to compare with: pixels to files and back, at several settings of their own."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Codec(ABC):
    """A codec that `omega evaluate --against` measures beside models, such as JPEG.

    Made as `Class(**options)`. What it cannot do on this machine, such as without a library, it says when it is made.
    """

    settings: Sequence[int]
    """The settings at which it is measured, such as qualities."""

    cacheable: bool = False
    """Whether files, and what is decoded from them, depend only on the pixels, the setting, and what `describe` tells,
    such as the version of a library. Then `omega evaluate` encodes a picture once, and finds the measurements in its
    cache the next time."""

    @abstractmethod
    def encode(self, pixels: NDArray[np.uint8], setting: int) -> bytes:
        """Encode a picture to a file: all that a decoder needs, and what it would weigh on a disk.

        pixels: (1 or 3, H, W), uint8.
        setting: one of `settings`.

        Raises ImageError for a picture that the format cannot hold.
        """

    @abstractmethod
    def decode(self, data: bytes, colors: int) -> NDArray[np.uint8]:
        """Decode a file to pixels (colors, H, W), uint8.

        data: made by `encode`, of this instance or another with the same options.
        colors: 1 or 3, those of the picture that was encoded.
        """

    @abstractmethod
    def describe(self) -> str:
        """Return in one line which library, of which version, encodes with which options.

        Reports show it, and the cache of measurements tells codecs apart by it.
        """
