"""ICC profiles for colors given by primaries and a transfer function (ICC.1:2010, three-component matrix)."""

import struct
from typing import NamedTuple

import numpy as np

Point = tuple[float, float]
"""CIE x and y."""

D65: Point = (0.3127, 0.3290)
_D50 = np.array([0.9642, 1.0, 0.8249])  # XYZ of the white point of profiles (ICC.1, 7.2.16)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


class Primaries(NamedTuple):
    """The chromaticities of white, red, green and blue."""

    white: Point
    red: Point
    green: Point
    blue: Point


SRGB = Primaries(D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE_RGB = Primaries(D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
DISPLAY_P3 = Primaries(D65, (0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
BT2020 = Primaries(D65, (0.708, 0.292), (0.17, 0.797), (0.131, 0.046))


def matrix_profile(primaries: Primaries, gamma: float | None, *, gray: bool = False) -> bytes:
    """Return an ICC profile, version 4.

    primaries: the primaries of the colors; only the white point is used for gray.
    gamma: the exponent of the transfer function from values to light, both from 0 to 1; None for that of sRGB.
    gray: whether the profile is for gray pictures.

    Raises ValueError for primaries that do not form a triangle, or numbers that a profile cannot represent.
    """
    if gamma is None:
        curve = struct.pack(">4s4xHxx5i", b"para", 3, *map(_fixed, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)))
    else:
        curve = struct.pack(">4s4xHxxi", b"para", 0, _fixed(gamma))
    white = _xyz(primaries.white)
    adaptation = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white)) @ _BRADFORD
    tags = {
        b"desc": _text("gamma" if gray else "primaries and gamma"),
        b"cprt": _text("no copyright"),
        b"wtpt": _number(b"XYZ ", _D50),
        b"chad": _number(b"sf32", adaptation.reshape(-1)),
    }
    if gray:
        tags[b"kTRC"] = curve
    else:
        columns = np.stack([_xyz(point) for point in primaries[1:]], axis=1)
        try:
            colorants = adaptation @ (columns * np.linalg.solve(columns, white))
        except np.linalg.LinAlgError as problem:
            raise ValueError("the primaries do not form a triangle") from problem
        for name, colorant in zip(b"rgb", colorants.T, strict=True):
            tags[bytes([name]) + b"XYZ"] = _number(b"XYZ ", colorant)
            tags[bytes([name]) + b"TRC"] = curve
    return _assembled(b"GRAY" if gray else b"RGB ", tags)


def _assembled(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    start = 128 + 4 + 12 * len(tags)
    offsets = dict[bytes, int]()  # offsets by content, as equal tags share their bytes
    body = b""
    for payload in tags.values():
        if payload not in offsets:
            offsets[payload] = start + len(body)
            body += payload + bytes(-len(payload) % 4)
    table = struct.pack(">I", len(tags)) + b"".join(
        struct.pack(">4sII", name, offsets[payload], len(payload)) for name, payload in tags.items()
    )
    white = struct.pack(">3i", *map(_fixed, _D50))
    head = struct.pack(">I4xI4s4s4s12x4s28x", start + len(body), 0x04200000, b"mntr", space, b"XYZ ", b"acsp") + white
    return head.ljust(128, b"\0") + table + body


def _xyz(point: Point) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    x, y = point
    if not y > 0:
        raise ValueError("a chromaticity has y above 0")
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _fixed(number: float) -> int:
    if not abs(number) < 1 << 15:
        raise ValueError(f"{number} is too large for a profile")
    return round(number * 65536)


def _number(kind: bytes, numbers: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bytes:
    return kind + bytes(4) + b"".join(struct.pack(">i", _fixed(number)) for number in numbers.tolist())


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return struct.pack(">4s4xII2s2sII", b"mluc", 1, 12, b"en", b"US", len(encoded), 28) + encoded
