"""Baseline codecs: they turn pixels into files and back, at several settings of their own."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class BaselineCodec(ABC):
    """A codec, such as JPEG, that `omega evaluate --against` compares with models.

    Made as `Class(**options)`. The constructor raises an error if the codec cannot work on this machine, for example
    because a library is missing.
    """

    settings: Sequence[int]
    """The settings at which it is measured, such as qualities."""

    cacheable: bool = False
    """Whether files and decoded pixels depend only on the pixels, the setting and the result of `describe`, such as the
    version of a library. Then `omega evaluate` encodes a picture once, and later takes measurements from its cache."""

    @abstractmethod
    def encode(self, pixels: NDArray[np.uint8], setting: int) -> bytes:
        """Encode a picture to a file with all that a decoder needs, as large as it would be on a disk.

        pixels: (1 or 3, H, W), uint8.
        setting: one of `settings`.

        Raises ImageError for a picture that the format cannot hold.
        """

    @abstractmethod
    def decode(self, data: bytes, colors: int) -> NDArray[np.uint8]:
        """Decode a file to pixels (colors, H, W), uint8.

        data: a file from `encode` of this instance or another one with the same options.
        colors: 1 or 3, as in the picture that was encoded.
        """

    @abstractmethod
    def describe(self) -> str:
        """Return one line with the library that encodes, its version and its options.

        Reports contain it, and the cache of measurements distinguishes codecs by it.
        """
