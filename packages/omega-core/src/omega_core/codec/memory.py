"""The memory that decoding takes, in bytes, computed before any of it is allocated."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from omega_core.codec.pixel_codec import BATCH_PIXELS, PixelCodec
from omega_core.coding.tables import FrozenPrior, symbol_type
from omega_core.errors import NotEnoughMemoryError, OmegaError

MAX_MEMORY = 4 << 30
"""The default limit on the bytes that decoding a file may take; files that may take more are refused."""
VARIABLE = "OMEGA_MAX_MEMORY"
"""The environment variable that sets another default, in MiB."""

_PIXEL = 16
"""Bytes per pixel: colors in the batch, the picture and the Pillow image; alpha inflated, summed and copied."""
_FIXED = 64 << 20
"""Bytes that do not depend on the picture, such as the workspace of convolutions."""


def default_max_memory() -> int:
    """Return the default limit in bytes. Raises OmegaError if the environment variable is not a number above 0."""
    given = os.environ.get(VARIABLE)
    if given is None:
        return MAX_MEMORY
    if not re.fullmatch("0*[1-9][0-9]{,17}", given):  # few enough digits that Python converts them
        raise OmegaError(f"{VARIABLE} has to be a number of MiB, 1 or more, not {given!r}.")
    return int(given) << 20


@dataclass(frozen=True)
class DecodingMemory:
    """The memory that decoding takes, in bytes.

    codec: the codec that decodes.
    transformed: the peak of dequantization and synthesis, per position of the latent that is transformed at once.
    kept: between the parts of the synthesis in tiles, per position of the latent of a picture.
    coding: in entropy decoding, per symbol: see `FrozenPrior.coding_memory`.
    """

    codec: PixelCodec
    transformed: float
    kept: float
    coding: int = FrozenPrior.coding_memory

    def needed(self, sizes: Sequence[tuple[int, int]], tile: int | None, *, growing: bool = False) -> int:
        """Return an upper bound of the bytes that decoding a file takes.

        sizes: (H, W) of its pictures, in pixels.
        tile: the side of its tiles, in pixels; None without tiles.
        growing: whether pictures are made while entropy decoding goes on, which then keeps its memory.

        Raises ImageError for a size that the architecture does not take.
        """
        positions = at_once = 0
        for (height, width), count in Counter(sizes).items():
            h, w = self.codec.latent_size(height, width)
            positions += h * w * count
            at_once = max(at_once, h * w * min(count, max(1, BATCH_PIXELS // (height * width))))
        if tile is not None:
            at_once = min(at_once, self.codec.positions_at_once(tile))
        pixels = sum(height * width for height, width in sizes)
        symbols = positions * self.codec.channels
        held = symbols * 2 * np.dtype(symbol_type(self.codec.alphabet)).itemsize
        coding = symbols * self.coding
        making = pixels * _PIXEL + positions * self.kept + at_once * self.transformed
        return int(_FIXED + held + (coding + making if growing else max(coding, making)))

    def check(self, sizes: Sequence[tuple[int, int]], tile: int | None, allowed: int, *, growing: bool = False) -> None:
        """Raise NotEnoughMemoryError if decoding may take more than `allowed` bytes.

        The other arguments are those of `needed`.
        """
        needed = self.needed(sizes, tile, growing=growing)
        if needed > allowed:
            raise NotEnoughMemoryError(
                f"decoding the file may take {needed >> 20} MiB of memory, more than {allowed >> 20};"
                " allow more with max_memory (--max-memory).",
                needed=needed,
                allowed=allowed,
            )
