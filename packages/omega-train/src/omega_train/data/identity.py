"""Identification of pictures by their order and content, not by their paths and times."""

import hashlib
import os
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from omega_core.contracts.dataset import Images
from omega_core.locations import Location

SAMPLED = 32  # maximum number of pictures that are read if images have no method `identity`
_PART = 4096  # number of bytes that are read at the beginning, in the middle and at the end of a file


@runtime_checkable
class Identified(Protocol):
    """Images that identify their pictures without decoding them."""

    def identity(self) -> tuple[list[bytes], list[str]]:
        """A digest of 8 bytes for each picture, in order, and names of the pictures for messages."""


def identity(images: Images) -> tuple[Tensor, list[str]]:
    """Identify the pictures of a dataset, in the order of its samples.

    If `images` have no method `identity`, at most 32 evenly spaced ones are read.

    Returns digests (N,), int64, and N names of pictures for messages. If images are read, the first digest is that of
    the number of images.
    """
    if isinstance(images, Identified):
        digests, names = images.identity()
    else:
        indices = range(0, len(images), -(-len(images) // SAMPLED) or 1)
        digests = [digest(str(len(images)).encode()), *(digest(images.load(index, 0).tobytes()) for index in indices)]
        names = [f"the number of pictures, now {len(images)}", *(f"picture {index}" for index in indices)]
    return torch.tensor([int.from_bytes(each, "little", signed=True) for each in digests], dtype=torch.int64), names


def digest(data: bytes) -> bytes:
    """A digest of 8 bytes."""
    return hashlib.blake2b(data, digest_size=8).digest()


def digest_of_file(path: Location) -> bytes:
    """A digest of 8 bytes of the size of a file and of its first, middle and last 4 KiB; zeros if it cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            parts = [size.to_bytes(8, "little")]
            for start in sorted({0, max(0, (size - _PART) // 2), max(0, size - _PART)}):
                file.seek(start)
                parts.append(file.read(_PART))
    except OSError:
        return bytes(8)
    return digest(b"".join(parts))
