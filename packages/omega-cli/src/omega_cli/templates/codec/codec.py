"""A codec to start from: it drops the lowest bits of each byte and compresses the rest with zlib.

Codecs that need other libraries should import them in `__init__`.
"""

import zlib

import numpy as np
from numpy.typing import NDArray
from omega_core.contracts import BaselineCodec
from omega_core.errors import ComponentError, ImageError


class __CLASS__(BaselineCodec):
    """The highest bits of each byte, compressed with zlib. The setting is the number of bits.

    level: zlib's level, from 1 (fast) to 9 (small).
    """

    settings = (1, 2, 3, 4, 5, 6, 7)

    def __init__(self, *, level: int = 9) -> None:
        if not 1 <= level <= 9:
            raise ComponentError(f"the option level of the codec __NAME__ must be from 1 to 9, not {level}.")
        self.level = level

    def encode(self, pixels: NDArray[np.uint8], setting: int) -> bytes:
        """See `BaselineCodec.encode`. The file starts with the number of bits, the height and the width."""
        if max(pixels.shape) > 65535:
            raise ImageError("the codec __NAME__ supports pictures of at most 65535 pixels on each side.")
        header = np.array([setting, *pixels.shape[1:]], "<u2").tobytes()
        return header + zlib.compress((pixels >> (8 - setting)).tobytes(), self.level)

    def decode(self, data: bytes, colors: int) -> NDArray[np.uint8]:
        """See `BaselineCodec.decode`. The dropped bits are replaced by the middle of their range."""
        setting, height, width = np.frombuffer(data[:6], "<u2").tolist()
        levels = np.frombuffer(zlib.decompress(data[6:]), np.uint8).reshape(colors, height, width)
        decoded: NDArray[np.uint8] = (levels << (8 - setting)) + np.uint8(1 << (7 - setting))
        return decoded

    def describe(self) -> str:
        """See `BaselineCodec.describe`."""
        return f"zlib {zlib.ZLIB_RUNTIME_VERSION}, level={self.level}"
