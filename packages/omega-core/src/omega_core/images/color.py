"""Conversion of Pillow images to 8-bit gray or RGB, with or without alpha, and ICC profiles."""

import io

import numpy as np
from PIL import Image, ImageCms

from omega_core.errors import ImageError
from omega_core.format.limits import MAX_KEPT_PROFILE_BYTES

_SPACES = {"L": b"GRAY", "LA": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB ", "CMYK": b"CMYK"}
"""Color spaces in ICC profiles (ICC.1 §7.2.6)."""
_FEWER_BITS = {"L;2": 85, "L;4": 17}
"""The factors by which Pillow multiplies gray pixels of 2 and 4 bits."""
_SCALED = ("PNG", "PPM")  # formats whose integers of mode I have 16 bits
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF files
_WHITE_IS_ZERO, _SIGNED = 0, 2


def is_gray(image: Image.Image) -> bool:
    """Whether an image has gray pixels in any number of bits."""
    return image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I")


def is_deep(image: Image.Image) -> bool:
    """Whether an image, which is not loaded yet, has more than 8 bits per color, in Pillow or in its file."""
    if image.mode.startswith("I"):
        return True
    for coder, _, _, arguments in getattr(image, "tile", []):
        kind, *numbers = arguments if isinstance(arguments, tuple) and arguments else (arguments,)
        if ";16" in str(kind) or (coder.startswith("ppm") and max(numbers, default=0) > 255):
            return True
    return False


def scaled_transparency(image: Image.Image) -> int | tuple[int, ...] | None:
    """The transparent color of a PNG, which is not loaded yet, in 8 bits; None if it has none or needs no scaling.

    Pillow scales pixels of 2 and 4 bits, and takes the upper 8 of 16 bits of colors, but leaves this color as it is in
    the file. Other 16-bit colors with the same upper bits become transparent, too.
    """
    found = image.info.get("transparency")
    for _, _, _, arguments in getattr(image, "tile", []):
        kind = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
        if isinstance(found, int) and kind in _FEWER_BITS:
            return found * _FEWER_BITS[kind]
        if isinstance(found, tuple) and kind == "RGB;16B":
            return tuple(number >> 8 for number in found)
    return None


def check_numbers(image: Image.Image) -> None:
    """Raise ImageError for types of pixels whose value of white is unknown: see `to_eight_bits`."""
    if image.mode == "F":
        raise ImageError(
            "floating-point pictures are not supported: their value of white is unknown."
            " Convert the picture to 8 or 16 bits."
        )
    signed = _tag(image, _SAMPLE_FORMAT, 1) == _SIGNED
    if signed or (image.mode == "I" and image.format not in _SCALED):
        kind = "signed integers" if signed else "integers of 32 bits"
        raise ImageError(
            f"{kind} are not supported: their value of white is unknown. Convert the picture to 8 or 16 bits."
        )


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Reduce 16-bit and 12-bit gray to its upper 8 bits; other images are unchanged.

    image: an image that `check_numbers` accepts.

    Raises ImageError for values that exceed the bit depth in the file.
    """
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image)
    bits = 12 if _tag(image, _BITS, 16) == 12 else 16
    if values.size and not (values.min() >= 0 and values.max() < 1 << bits):
        raise ImageError(f"values from {values.min()} to {values.max()} are not supported; convert them to 8 bits.")
    reduced = (values >> bits - 8).astype(np.uint8)
    if _tag(image, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO:  # Pillow inverts up to 8 bits only
        reduced = 255 - reduced
    gray = Image.fromarray(reduced)
    if isinstance(image.info.get("transparency"), int):
        gray.putalpha(Image.fromarray(np.where(values == image.info["transparency"], 0, 255).astype(np.uint8)))
    return gray


def _tag(image: Image.Image, number: int, default: int) -> int:
    """Return the value of a tag of a TIFF image; the first one if there is one for each color."""
    found = getattr(image, "tag_v2", {}).get(number, default)
    first = found[0] if isinstance(found, tuple) and found else found
    return first if isinstance(first, int) else default


def with_plain_colors(image: Image.Image, profile: bytes) -> tuple[Image.Image, bytes, str]:
    """Convert an image to mode L, LA, RGB or RGBA.

    image: an image of any mode with 8 bits or fewer.
    profile: its ICC profile; b"" without one.

    Returns the image, the ICC profile to keep with it, and a remark for the user, "" for none. Colors are converted to
    sRGB if the image is CMYK or the profile is too large to be kept.
    """
    if image.mode == "CMYK":
        meant = _to_srgb(image, profile)
        if meant is None:
            return _to_plain_mode(image), b"", "its CMYK colors become approximate RGB, as it has no usable profile."
        return meant, b"", ""
    image = _to_plain_mode(image)
    if profile and not _fits(profile, image):
        known = any(name in profile for name in (b"sRGB", "sRGB".encode("utf-16-be")))
        return image, b"", "" if known else "its ICC profile, which does not fit its color mode, is left out."
    if len(profile) <= MAX_KEPT_PROFILE_BYTES:
        return image, profile, ""
    size = f"its ICC profile of {len(profile)} bytes is too large to be kept"
    meant = _to_srgb(image, profile)
    if meant is None:
        return image, b"", f"{size}, and is left out."
    return meant, b"", f"{size}: its colors are converted to sRGB."


def _fits(profile: bytes, image: Image.Image) -> bool:
    """Whether an ICC profile has the color space of an image (bytes 16 to 19 of its header, ICC.1 §7.2.6)."""
    return profile[16:20] == _SPACES.get(image.mode)


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Convert an image to sRGB with its ICC profile; None if the profile cannot be used.

    image: has a mode that `_to_plain_mode` returns, or CMYK. Gray stays gray, and alpha is kept.
    """
    if not _fits(profile, image):
        return None
    plain = image.convert(image.mode[:-1]) if image.mode in ("LA", "RGBA") else image
    try:
        meant = ImageCms.profileToProfile(plain, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB")
    except ImageCms.PyCMSError:
        return None
    if meant is None:
        return None
    if plain.mode == "L":
        meant = meant.getchannel("G")
    if plain is not image:
        meant.putalpha(image.getchannel("A"))
    return meant


def _to_plain_mode(image: Image.Image) -> Image.Image:
    """Convert an image to mode L, LA, RGB or RGBA."""
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode == "1" and image.info.get("transparency") == 1:  # a bit, not a level, in Pillow before 12.1
        image = image.copy()
        image.info["transparency"] = 255
    if image.mode in ("L", "LA", "RGB", "RGBA") and "transparency" not in image.info:
        return image
    gray = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return image.convert("LA") if gray else image
    return image.convert("L" if gray else "RGB")
