"""Conversion of Pillow images to 8-bit gray or RGB, with or without alpha, and ICC profiles."""

import io

import numpy as np
from PIL import Image, ImageCms

from omega_core.errors import ImageError

_SPACES = {"L": b"GRAY", "LA": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB "}  # color spaces in ICC profiles (ICC.1 §7.2.6)


def fits_mode(profile: bytes, mode: str) -> bool:
    """Whether an ICC profile has the color space of a mode: L, LA, RGB or RGBA."""
    return _color_space(profile) == _SPACES[mode]


def _color_space(profile: bytes) -> bytes:
    """The color space of an ICC profile: bytes 16 to 19 of its header (ICC.1, §7.2.6)."""
    return profile[16:20]


def is_deep(image: Image.Image) -> bool:
    """Whether an image has more than 8 bits per color, in Pillow or in its file."""
    if image.mode.startswith("I"):
        return True
    for coder, _, _, arguments in getattr(image, "tile", []):
        kind, *numbers = arguments if isinstance(arguments, tuple) and arguments else (arguments,)
        if ";16" in str(kind) or (coder.startswith("ppm") and max(numbers, default=0) > 255):
            return True
    return False


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Reduce 16-bit gray to its upper 8 bits; other images are unchanged. Raises ImageError for other depths."""
    if image.mode == "F":
        raise ImageError("floating-point pictures are not supported; convert it to 8 bits first.")
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image)
    if values.size and not (values.min() >= 0 and values.max() < 1 << 16):
        raise ImageError(f"values from {values.min()} to {values.max()} are not supported; convert it to 8 bits first.")
    reduced = Image.fromarray((values >> 8).astype(np.uint8))
    if isinstance(image.info.get("transparency"), int):
        reduced.putalpha(Image.fromarray(np.where(values == image.info["transparency"], 0, 255).astype(np.uint8)))
    return reduced


def ink_to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert CMYK to sRGB with its ICC profile; unchanged if the profile cannot be used."""
    if _color_space(profile) != b"CMYK":
        return image
    try:
        meant = ImageCms.profileToProfile(image, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB")
    except ImageCms.PyCMSError:
        return image
    return meant or image


def to_plain_mode(image: Image.Image) -> Image.Image:
    """Convert an image to mode L, LA, RGB or RGBA."""
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode in ("L", "LA", "RGB", "RGBA") and "transparency" not in image.info:
        return image
    gray = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return image.convert("LA") if gray else image
    return image.convert("L" if gray else "RGB")
