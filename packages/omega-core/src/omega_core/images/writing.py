"""Conversion of pixels to Pillow images and PNG files."""

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from omega_core.images.pictures import Pixels


def to_pillow(pixels: "Pixels") -> Image.Image:
    """Return pixels (1 or 3, H, W) as a Pillow image of mode L or RGB."""
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def png(image: Image.Image) -> bytes:
    """Encode a Pillow image as PNG, and return the bytes of the file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
