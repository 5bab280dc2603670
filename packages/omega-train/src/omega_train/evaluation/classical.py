"""The codecs of Pillow, for comparison."""

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
"""The qualities at which each codec is measured; for JPEG 2000 the compression ratios."""
_FEATURES = {"jpeg": "jpg", "webp": "webp", "avif": "avif", "jpeg2000": "jpg_2000"}
_OPTIONS: Mapping[str, dict[str, Any]] = {
    "jpeg": {"format": "JPEG", "optimize": True, "progressive": True},
    "webp": {"format": "WEBP", "method": 6},
    "avif": {"format": "AVIF"},
    "jpeg2000": {"format": "JPEG2000", "no_jp2": True, "irreversible": True, "quality_mode": "rates"},
}


def check(names: list[str]) -> None:
    """Raise OmegaError if a name is not a codec, or the installed Pillow lacks it."""
    if unknown := sorted(set(names) - set(SETTINGS)):
        raise OmegaError(f"there is no classical codec {', '.join(unknown)}, only {', '.join(SETTINGS)}.")
    if missing := [name for name in names if not features.check(_FEATURES[name])]:
        raise OmegaError(f"the Pillow installed here has no {', '.join(missing)}: take other codecs.")


def encode(name: str, pixels: Pixels, setting: int) -> bytes:
    """Encode a picture with a classical codec.

    name: a key of SETTINGS. pixels: (1 or 3, H, W), uint8. setting: the quality, or the compression ratio of jpeg2000.

    JPEG is progressive with optimized Huffman tables, WebP lossy with method 6, JPEG 2000 the bare codestream with
    the irreversible wavelet: each the smallest that Pillow makes. AVIF has Pillow's defaults.

    Returns the bytes of the file. Raises ImageError for a picture that the format cannot hold.
    """
    buffer = io.BytesIO()
    asked = {"quality_layers": [setting]} if name == "jpeg2000" else {"quality": setting}
    try:
        to_pillow(pixels).save(buffer, **_OPTIONS[name], **asked)
    except (OSError, ValueError) as problem:  # such as sides that are too long for the format
        raise ImageError(f"{name} cannot hold it: {problem}.") from problem
    return buffer.getvalue()


def decode(data: bytes, colors: int) -> Pixels:
    """Decode a file of one of these codecs to pixels (colors, H, W), uint8; colors: 1 or 3."""
    with Image.open(io.BytesIO(data)) as image:
        decoded = np.asarray(image.convert("L" if colors == 1 else "RGB"))
    return decoded.reshape(*decoded.shape[:2], colors).transpose(2, 0, 1)
