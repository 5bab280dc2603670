"""Codecs of Pillow, to compare with."""

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from omega_core.errors import ImageError
from omega_core.images import Pixels, psnr, to_pillow

QUALITIES: dict[str, range] = {"jpeg": range(1, 96), "webp": range(101)}
_SETTINGS: dict[str, dict[str, Any]] = {
    "jpeg": {"format": "JPEG", "optimize": True, "progressive": True},
    "webp": {"format": "WEBP", "method": 6},
}


@dataclass
class ClassicalCodec:
    """A picture (1 or 3, H, W) in one of Pillow's codecs, `jpeg` or `webp`, at any of its qualities.

    Each quality is encoded once. JPEG is progressive with optimised Huffman tables, WebP lossy with method 6: each
    as small as it gets.
    """

    name: str
    pixels: Pixels
    files: dict[int, bytes] = field(default_factory=dict)

    def file(self, quality: int) -> bytes:
        """The picture as a file. Raises ImageError for one too large for the format."""
        if quality not in self.files:
            buffer = io.BytesIO()
            try:
                to_pillow(self.pixels).save(buffer, quality=quality, **_SETTINGS[self.name])
            except (OSError, ValueError) as problem:  # of sides that the format does not have
                raise ImageError(f"{self.name} cannot hold it: {problem}.") from problem
            self.files[quality] = buffer.getvalue()
        return self.files[quality]

    def best_within(self, size: int) -> int:
        """The greatest quality found whose file has at most `size` bytes; the least quality if none has.

        Found by bisection: where sizes do not quite rise with quality, a greater one may exist.
        """
        qualities = QUALITIES[self.name]
        low, high = 0, len(qualities)
        while high - low > 1:
            middle = (low + high) // 2
            if len(self.file(qualities[middle])) <= size:
                low = middle
            else:
                high = middle
        return qualities[low]

    def psnr(self, quality: int) -> float:
        """In dB, of the picture decoded from the file."""
        with Image.open(io.BytesIO(self.file(quality))) as image:
            decoded = np.asarray(image.convert("L" if len(self.pixels) == 1 else "RGB"))
        return psnr(self.pixels, decoded.reshape(*decoded.shape[:2], -1).transpose(2, 0, 1))
