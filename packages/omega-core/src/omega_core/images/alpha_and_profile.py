"""Lossless compression of alpha planes and ICC profiles."""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from omega_core.errors import DamagedFileError
from omega_core.format.limits import MAX_PROFILE_BYTES

Plane = NDArray[np.uint8]
"""(H, W), from 0 for transparent to 255 for opaque."""


def compress_planes(planes: Sequence[Plane]) -> bytes:
    """Compress alpha planes: to b"" if all are opaque, otherwise the differences of successive rows, with zlib."""
    if all((plane == 255).all() for plane in planes):
        return b""
    rows = (np.diff(plane, axis=0, prepend=np.zeros_like(plane[:1])) for plane in planes)  # modulo 256
    return zlib.compress(b"".join(row.tobytes() for row in rows), 9)


def decompress_planes(data: bytes, shapes: Sequence[tuple[int, int]]) -> list[Plane]:
    """Decompress alpha planes of shapes (H, W). Raises DamagedFileError."""
    if not data:
        return [np.full(shape, 255, np.uint8) for shape in shapes]
    sizes = [height * width for height, width in shapes]
    flat = np.frombuffer(_inflate(data, sum(sizes), "alpha"), np.uint8)
    if len(flat) != sum(sizes):
        raise DamagedFileError("the file is damaged: its alpha is too short. Get it again.")
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    return [np.cumsum(part.reshape(shape), axis=0, dtype=np.uint8) for part, shape in zip(parts, shapes, strict=True)]


def compress_profile(profile: bytes) -> bytes:
    """Compress an ICC profile with zlib."""
    return zlib.compress(profile, 9)


def decompress_profile(data: bytes) -> bytes:
    """Decompress an ICC profile. Raises DamagedFileError, also for a profile of more than 4 MiB."""
    return _inflate(data, MAX_PROFILE_BYTES, "ICC profile")


def _inflate(data: bytes, most: int, what: str) -> bytes:
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(data, most + 1)
    except zlib.error as problem:
        raise DamagedFileError(f"the file is damaged: its {what} cannot be read. Get it again.") from problem
    if len(inflated) > most or not inflater.eof or inflater.unused_data:
        raise DamagedFileError(f"the file is damaged: its {what} is not as long as stated. Get it again.")
    return inflated
