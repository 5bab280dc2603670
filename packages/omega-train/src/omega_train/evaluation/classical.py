"""Codecs of Pillow, to compare with."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, features

from omega_core.errors import ImageError, OmegaError
from omega_core.images.pictures import Pixels
from omega_core.images.writing import to_pillow

SETTINGS: Mapping[str, tuple[int, ...]] = {
    "jpeg": (5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 95),
    "webp": (0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95),
    "avif": (5, 10, 20, 30, 40, 50, 60, 70, 80, 90),
    "jpeg2000": (400, 200, 150, 100, 75, 50, 35, 25, 18, 12, 8),
}
"""Over which qualities each codec is measured; of JPEG 2000 over which ratios of compression."""
_FEATURES = {"jpeg": "jpg", "webp": "webp", "avif": "avif", "jpeg2000": "jpg_2000"}
_OPTIONS: Mapping[str, dict[str, Any]] = {
    "jpeg": {"format": "JPEG", "optimize": True, "progressive": True},
    "webp": {"format": "WEBP", "method": 6},
    "avif": {"format": "AVIF"},
    "jpeg2000": {"format": "JPEG2000", "no_jp2": True, "irreversible": True, "quality_mode": "rates"},
}


def check(names: list[str]) -> None:
    """Raise OmegaError unless these are codecs, and this Pillow has them."""
    if unknown := sorted(set(names) - set(SETTINGS)):
        raise OmegaError(f"there is no classical codec {', '.join(unknown)}, only {', '.join(SETTINGS)}.")
    if missing := [name for name in names if not features.check(_FEATURES[name])]:
        raise OmegaError(f"the Pillow installed here has no {', '.join(missing)}: take other codecs.")


def encode(name: str, pixels: Pixels, setting: int) -> bytes:
    """Pixels (1 or 3, H, W) as a file: quality, or for `jpeg2000` the ratio of compression, as asked.

    JPEG is progressive with optimized Huffman tables, WebP lossy with method 6, JPEG 2000 the bare codestream with
    the irreversible wavelet: each as small as it gets. AVIF as Pillow does it.

    Raises ImageError for a picture that the format cannot hold.
    """
    buffer = io.BytesIO()
    asked = {"quality_layers": [setting]} if name == "jpeg2000" else {"quality": setting}
    try:
        to_pillow(pixels).save(buffer, **_OPTIONS[name], **asked)
    except (OSError, ValueError) as problem:  # of sides that the format does not have
        raise ImageError(f"{name} cannot hold it: {problem}.") from problem
    return buffer.getvalue()


def decode(data: bytes, colors: int) -> Pixels:
    """The pixels (colors, H, W) in a file of one of these codecs."""
    with Image.open(io.BytesIO(data)) as image:
        decoded = np.asarray(image.convert("L" if colors == 1 else "RGB"))
    return decoded.reshape(*decoded.shape[:2], colors).transpose(2, 0, 1)
