"""Color metadata of pictures other than ICC profiles (cICP, gAMA, cHRM, EXIF), converted to ICC profiles."""

from typing import Any

import numpy as np
from PIL import ExifTags, Image

from omega_core.images.matrix_profile import ADOBE_RGB, BT2020, DISPLAY_P3, SRGB, Primaries, matrix_profile

_PRIMARIES = {1: SRGB, 9: BT2020, 12: DISPLAY_P3}  # ITU-T H.273, table 2
_GAMMAS: dict[int, float | None] = {1: None, 4: 2.2, 5: 2.8, 6: None, 8: 1.0, 13: None, 14: None, 15: None}
"""The exponents of transfer functions (ITU-T H.273, table 3); None for those that are treated as sRGB."""
_HDR = {16: "PQ", 18: "HLG"}
_SRGB_GAMMA = 1 / 2.2
_ADOBE_GAMMA = 563 / 256
_TOLERANCE = 0.01
_INTEROPERABILITY = 0xA005
_UNCALIBRATED, _ADOBE = 0xFFFF, 2


def signaled_profile(image: Image.Image, profile: bytes, *, gray: bool, adobe_rgb: bool) -> tuple[bytes, str]:
    """Return the ICC profile that applies to the pixels of an image, and a remark for the user, "" for none.

    The first of these counts: the chunk cICP of a PNG, an ICC profile, the chunks sRGB, gAMA and cHRM of a PNG, EXIF.

    image: with the metadata of its file in `info`; "cicp" are the bytes of the chunk cICP.
    profile: its ICC profile; b"" without one.
    gray: whether it is gray.
    adobe_rgb: whether its EXIF declares Adobe RGB: see `is_adobe_rgb`.

    The profile is b"" for sRGB, which is assumed for pictures without a profile.
    """
    code = image.info.get("cicp", b"")
    if len(code) == 4:
        return _of_code(code[0], code[1], profile, gray=gray)
    if profile or "srgb" in image.info:
        return profile, ""
    if "gamma" in image.info or "chromaticity" in image.info:
        return _of_gamma(image.info, gray=gray)
    if adobe_rgb and not gray:
        return matrix_profile(ADOBE_RGB, _ADOBE_GAMMA), ""
    return b"", ""


def _of_code(primaries: int, transfer: int, profile: bytes, *, gray: bool) -> tuple[bytes, str]:
    """Return profile and remark for code points of the chunk cICP."""
    if transfer in _HDR:
        return profile, f"it has a high dynamic range ({_HDR[transfer]}), which is not kept: its colors will look pale."
    if primaries not in _PRIMARIES or transfer not in _GAMMAS:
        return profile, f"its color code {primaries}-{transfer} (cICP) is not supported and is ignored."
    known, gamma = _PRIMARIES[primaries], _GAMMAS[transfer]
    if gamma is None and (gray or known == SRGB):
        return b"", ""
    return matrix_profile(known, gamma, gray=gray), ""


def _of_gamma(info: dict[str | tuple[int, int], Any], *, gray: bool) -> tuple[bytes, str]:
    """Return profile and remark for the chunks gAMA and cHRM; a missing one has the values of sRGB."""
    encoding = info.get("gamma", _SRGB_GAMMA)
    numbers = info.get("chromaticity")
    own_primaries = SRGB if numbers is None else Primaries(*zip(numbers[::2], numbers[1::2], strict=True))
    alike = bool(np.allclose(own_primaries, SRGB, atol=_TOLERANCE))
    is_srgb_gamma = abs(encoding - _SRGB_GAMMA) <= _TOLERANCE
    if is_srgb_gamma and (alike or gray):
        return b"", ""
    try:
        if not encoding > 0:
            raise ValueError("a gamma is above 0")
        gamma = None if is_srgb_gamma else 1 / encoding
        return matrix_profile(SRGB if gray else own_primaries, gamma, gray=gray), ""
    except ValueError:
        return b"", "its gamma or primaries are invalid: its colors are treated as sRGB."


def is_adobe_rgb(exif: Image.Exif) -> bool:
    """Whether EXIF declares the color space Adobe RGB (1998), in the way of cameras (DCF 2.0)."""
    space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
    if space != _UNCALIBRATED:
        return bool(space == _ADOBE)
    try:
        index = exif.get_ifd(_INTEROPERABILITY).get(1, "")
    except KeyError:  # Pillow before 13, if the directory is missing
        return False
    return str(index).startswith("R03")
