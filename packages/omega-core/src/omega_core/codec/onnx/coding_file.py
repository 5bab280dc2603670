"""The file `coding.bin` of an exported model: all that coding needs besides the transforms, as ONNX.md specifies it."""

import json
import math
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omega_core.codec.description import Description
from omega_core.coding.tables import Arrays
from omega_core.errors import ModelFileError

MAGIC = "Ωcoding".encode()
VERSION = 1
TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "float32")
"""The dtypes of arrays, which typed arrays in JavaScript also have."""
_ALIGNMENT = 8
_START = struct.Struct("<8sII")
_CHECKSUM = struct.Struct("<I")
_SIZES = ("latent_channels", "channels", "alphabet", "channels_min")
_PARTS = ("architecture", "quantizer", "prior")


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """How an architecture for pictures of any size divides them.

    stride: the side, in pixels, of the block of one position.
    smallest: the least height and width of a latent, in positions.
    analysis_halo: how many positions around it a symbol depends on.
    synthesis_halo: how many positions around it a block of pixels depends on.
    padding: the color, from 0 to 255, of the pixels around a picture that fill its blocks; None for repeated edges.

    Raises ValueError for invalid numbers.
    """

    stride: int
    smallest: int
    analysis_halo: int
    synthesis_halo: int
    padding: tuple[float, ...] | None

    def __post_init__(self) -> None:
        numbers = (self.stride, self.smallest, self.analysis_halo + 1, self.synthesis_halo + 1)
        if not all(type(number) is int and number > 0 for number in numbers):
            raise ValueError("stride, smallest and halos of blocks have to be whole numbers")
        if not all(type(level) in (int, float) and math.isfinite(level) for level in self.padding or ()):
            raise ValueError("the color of the padding has to consist of finite numbers")


@dataclass(frozen=True, kw_only=True)
class OneSize:
    """The sizes of pictures, (H, W), and of latents, (h, w), of an architecture for one size only."""

    image: tuple[int, int]
    latent: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Graph:
    """An ONNX file in the folder of `coding.bin`.

    name: the name of the file.
    length, crc32: the length in bytes and the checksum of its content.

    Raises ValueError for a name that leads to another folder.
    """

    name: str
    length: int
    crc32: int

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.-]*", self.name):
            raise ValueError(f"{self.name!r} is not the name of a file beside it")

    @classmethod
    def of(cls, name: str, content: bytes) -> "Graph":
        """Return the entry of a file with this content."""
        return cls(name=name, length=len(content), crc32=zlib.crc32(content))

    def check(self, content: bytes) -> None:
        """Raise ModelFileError unless this is the content of the file."""
        if self != Graph.of(self.name, content):
            raise ModelFileError(f"{self.name} is damaged or of another model than coding.bin: export both again.")


@dataclass(frozen=True, kw_only=True)
class CodingFile:
    """The contents of `coding.bin`.

    fingerprint: the fingerprint of the model, 64 hexadecimal digits.
    description: the description of the model, without its card, recipe and versions.
    colors: 1 for gray, 3 for RGB.
    sizes: the sizes of pictures that the model takes.
    transformed: the bytes that decoding takes for each position that is transformed at once.
    analysis, synthesis: the ONNX files.
    prior: the arrays of the frozen prior, as a model file has them.

    Raises ValueError for values that are invalid or do not fit together.
    """

    fingerprint: str
    description: Description
    colors: int
    sizes: Blocks | OneSize
    transformed: float
    analysis: Graph
    synthesis: Graph
    prior: Arrays

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.fingerprint):
            raise ValueError("a fingerprint has 64 hexadecimal digits")
        if not 0 <= self.transformed < math.inf:
            raise ValueError(f"a position takes {self.transformed} bytes")
        if type(self.colors) is not int or self.colors not in (1, 3):
            raise ValueError(f"pictures have 1 or 3 colors, not {self.colors}")
        if isinstance(self.sizes, Blocks) and len(self.sizes.padding or range(self.colors)) != self.colors:
            raise ValueError(f"the color of the padding has to have {self.colors} numbers")

    def to_bytes(self) -> bytes:
        """Return the bytes of the file."""
        entries, content = {}, bytearray()
        for name, array in self.prior.items():
            if array.dtype.name not in TYPES:
                raise ValueError(f"an array of {array.dtype} cannot be stored")
            entries[name] = {"type": array.dtype.name, "shape": list(array.shape), "offset": len(content)}
            content += array.astype(array.dtype.newbyteorder("<")).tobytes()
            content += bytes(-len(content) % _ALIGNMENT)
        about = {name: value for name, value in asdict(self.description).items() if name in (*_PARTS, *_SIZES)}
        header = {
            "fingerprint": self.fingerprint,
            "model": about | {"coder": self.description.coder, "text": self.description.text},
            "colors": self.colors,
            "blocks": asdict(self.sizes) if isinstance(self.sizes, Blocks) else None,
            "one_size": asdict(self.sizes) if isinstance(self.sizes, OneSize) else None,
            "transformed": self.transformed,
            "analysis": asdict(self.analysis),
            "synthesis": asdict(self.synthesis),
            "prior": entries,
        }
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % _ALIGNMENT)
        data = _START.pack(MAGIC, VERSION, len(text)) + text + content
        return data + _CHECKSUM.pack(zlib.crc32(data))

    @classmethod
    def parse(cls, data: bytes) -> "CodingFile":
        """Read the bytes of the file. Raises ModelFileError for damaged bytes, or another format or version."""
        if len(data) < _START.size + _CHECKSUM.size or not data.startswith(MAGIC):
            raise ModelFileError("coding.bin is not what `omega export-onnx` writes: export the model again.")
        _, version, length = _START.unpack_from(data)
        if version != VERSION:
            raise ModelFileError(
                f"coding.bin has version {version}; this Omega reads {VERSION}: export the model again."
            )
        body, (checksum,) = data[: -_CHECKSUM.size], _CHECKSUM.unpack(data[-_CHECKSUM.size :])
        if zlib.crc32(body) != checksum:
            raise ModelFileError("coding.bin is damaged: its checksum does not match. Get it or export it again.")
        start = _START.size + length
        try:
            header = json.loads(body[_START.size : start])
            content = memoryview(body)[start:]
            return cls(
                fingerprint=header["fingerprint"],
                description=Description.from_json(json.dumps(header["model"])),
                colors=header["colors"],
                sizes=_sizes(header["blocks"], header["one_size"]),
                transformed=float(header["transformed"]),
                analysis=Graph(**header["analysis"]),
                synthesis=Graph(**header["synthesis"]),
                prior={name: _array(content, **entry) for name, entry in header["prior"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as problem:
            raise ModelFileError(f"coding.bin cannot be read ({problem}): export the model again.") from problem


def _array(content: memoryview, *, type: str, shape: list[int], offset: int) -> NDArray[Any]:  # noqa: A002 (as stored)
    """An array of the file; content: the bytes from the first array on."""
    if type not in TYPES:
        raise ValueError(f"arrays of {type!r}")
    if min(shape, default=0) < 0:
        raise ValueError(f"arrays of the shape {shape}")
    count = math.prod(shape)
    return np.frombuffer(content, np.dtype(type).newbyteorder("<"), count, offset).reshape(shape)


def _sizes(blocks: Mapping[str, Any] | None, one_size: Mapping[str, Any] | None) -> Blocks | OneSize:
    """The sizes that the header has. Raises ValueError or TypeError unless it has one of the two."""
    if (blocks is None) == (one_size is None):
        raise ValueError("a model has either blocks or one size of pictures")
    if blocks is not None:
        padding = blocks["padding"]
        return Blocks(**{**blocks, "padding": None if padding is None else tuple(padding)})
    found = {name: tuple(map(int, size)) for name, size in (one_size or {}).items()}
    if any(len(size) != 2 or min(size) < 1 for size in found.values()):
        raise ValueError("one_size needs the size of a picture and the size of its latent")
    return OneSize(**found)  # type: ignore[arg-type]
