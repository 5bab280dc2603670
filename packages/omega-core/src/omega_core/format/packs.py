"""Packs: many small pictures in one file, in blocks that can be read without the others.

    magic      2   CF 89, the letter ω in UTF-8
    version    1   1
    length         varint: bytes of the index
    index          varint: blocks; for each: pictures, less one (1 byte), and bytes (varint); then all names
    checksum   4   CRC-32 of all bytes before it, little-endian
    blocks         whole `.omega` files

The names of the pictures follow each other block by block, in UTF-8 with `/` between folders. A zero byte ends each of
them. They are compressed together with zlib.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from itertools import accumulate
from typing import BinaryIO

from omega_core.errors import CutOffError, DamagedFileError, FileFormatError
from omega_core.format.binary import CHECKSUM, Reader, Stream, checksum, varint
from omega_core.format.file import OmegaFile
from omega_core.format.header import PACK_MAGIC, Header
from omega_core.format.limits import MAX_NAME_BYTES, MAX_NAME_PARTS, MAX_NAMES_BYTES, MAX_PACKED, MAX_PICTURES

VERSION = 1


@dataclass(frozen=True)
class Block:
    """A part of a pack: an `.omega` file of up to 64 pictures.

    names: the names of its pictures.
    start, size: its offset in the pack and its length, in bytes.
    """

    names: tuple[str, ...]
    start: int
    size: int

    def read(self, file: BinaryIO, *, partial: bool = False) -> bytes:
        """Read the bytes of the block.

        file: the pack, open for reading.
        partial: return fewer bytes if the pack is incomplete, instead of raising CutOffError.
        """
        file.seek(self.start)
        data = file.read(self.size)
        if len(data) < self.size and not partial:
            missing = self.size - len(data)
            message = f"the pack is incomplete: {missing} bytes of the block of {self.names[0]} are missing."
            raise CutOffError(message, intact=0)
        return data


def read_index(file: BinaryIO) -> list[Block]:
    """Read the index of a pack, and return its blocks.

    file: the pack, open for reading, at its beginning.

    Raises FileFormatError if the file is not a pack, or its index is damaged or incomplete.
    """
    return _index(Reader(file))


def read_coded(source: Stream) -> bytes:
    """Read a file or a pack from a stream, and at most one byte more, which shows that bytes follow.

    Raises FileFormatError if it is neither, or if its header or index is incomplete or damaged.
    """
    reader = Reader(source)
    if is_pack(reader.peek(len(PACK_MAGIC))):
        last = _index(reader)[-1]
        size = last.start + last.size
    else:
        length = Header.read(reader).length
        size = len(reader.taken) + length + CHECKSUM
    reader.read_up_to(size + 1 - len(reader.taken))
    return bytes(reader.taken)


def _index(reader: Reader) -> list[Block]:
    """The blocks of a pack, from its index. Raises FileFormatError."""
    if reader.read_up_to(len(PACK_MAGIC)) != PACK_MAGIC:
        raise FileFormatError("this is not a pack of .omega files.")
    version = reader.byte()
    if version != VERSION:
        raise FileFormatError(f"this pack has version {version}; this Omega reads version {VERSION}. Update Omega.")
    index = reader.bytes(reader.varint())
    head = bytes(reader.taken)
    if checksum(head) != reader.bytes(CHECKSUM):
        raise DamagedFileError("the pack is damaged: the checksum of its index does not match. Get it again.")
    entries, names = _entries(index)
    starts = accumulate((size for _, size in entries), initial=len(reader.taken))
    first = accumulate((pictures for pictures, _ in entries), initial=0)
    return [
        Block(tuple(names[at : at + pictures]), start, size)
        for (pictures, size), start, at in zip(entries, starts, first, strict=False)
    ]


def _entries(index: bytes) -> tuple[list[tuple[int, int]], list[str]]:
    """(number of pictures, size in bytes) of each block, and the names of all pictures."""
    reader = Reader(index)
    try:
        blocks = reader.varint()
        entries = [(reader.byte() + 1, reader.varint()) for _ in range(blocks if blocks <= MAX_PACKED else 0)]
    except CutOffError as problem:
        raise DamagedFileError("the pack is damaged: its index is too short. Get it again.") from problem
    total = sum(pictures for pictures, _ in entries)
    if not entries or total > MAX_PACKED or max(pictures for pictures, _ in entries) > MAX_PICTURES:
        raise DamagedFileError("the pack is damaged: its index has invalid blocks. Get it again.")
    inflater = zlib.decompressobj()
    try:
        packed = inflater.decompress(index[len(reader.taken) :], min(total * MAX_NAME_BYTES, MAX_NAMES_BYTES) + 1)
        names = packed.decode().split("\0") if packed.count(0) == total else []
    except (zlib.error, UnicodeDecodeError) as problem:
        raise DamagedFileError("the pack is damaged: its names cannot be read. Get it again.") from problem
    whole = inflater.eof and not inflater.unused_data and names and names.pop() == ""
    if not whole or len(names) != total or len(set(names)) != total or not all(map(is_name, names)):
        raise DamagedFileError("the pack is damaged: its names are invalid. Get it again.")
    return entries, names


def is_name(name: str) -> bool:
    """Whether a name is valid for a picture in a pack: a relative path that stays within its folder."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return False
    parts = [] if length >= MAX_NAME_BYTES else name.split("/")
    valid = (part not in ("", ".", "..") and not set(part) & set("\\:\0") for part in parts)
    return 1 <= len(parts) <= MAX_NAME_PARTS and all(valid)


@dataclass(frozen=True)
class Pack:
    """A complete pack in memory.

    blocks: `.omega` files of one model, each with the names of its pictures.

    Raises ValueError for invalid or duplicate names (see `is_name`), names of more than 16 MiB together, none or more
    than 2¹⁸ pictures, and blocks with more than 64 pictures or with another number of names than pictures.
    """

    blocks: tuple[tuple[OmegaFile, tuple[str, ...]], ...]

    def __post_init__(self) -> None:
        names = [name for _, inside in self.blocks for name in inside]
        if not names or len(set(names)) != len(names) or not all(map(is_name, names)):
            raise ValueError("a pack has at least one picture, and names are different relative paths")
        if any(not 1 <= len(inside) == len(block.header.sizes) <= MAX_PICTURES for block, inside in self.blocks):
            raise ValueError(f"a block of a pack has 1 to {MAX_PICTURES} pictures, and a name for each")
        if len(names) > MAX_PACKED:
            raise ValueError(f"a pack has at most {MAX_PACKED} pictures, not {len(names)}")
        if sum(len(name.encode()) + 1 for name in names) > MAX_NAMES_BYTES:
            raise ValueError(f"the names of all pictures in a pack have at most {MAX_NAMES_BYTES} bytes")

    @classmethod
    def parse(cls, data: bytes) -> "Pack":
        """Parse the bytes of a pack. Raises FileFormatError if they are damaged or incomplete."""
        file = BytesIO(data)
        blocks = read_index(file)
        if blocks[-1].start + blocks[-1].size < len(data):
            raise DamagedFileError("the pack is damaged: bytes follow its last block. Get it again.")
        parts = tuple((OmegaFile.parse(block.read(file)), block.names) for block in blocks)
        if any(len(block.header.sizes) != len(names) for block, names in parts):
            raise DamagedFileError("the pack is damaged: a block has more or fewer pictures than names. Get it again.")
        return cls(parts)

    @property
    def pixels(self) -> int:
        """The number of pixels of all pictures."""
        return sum(block.pixels for block, _ in self.blocks)

    def truncated_size(self, length: int) -> int:
        """Return the size of the pack truncated to up to `length` bytes of all streams together, at least 1 of each."""
        lengths = self._lengths(length)
        sizes = [block.truncated_size(own) for own, (block, _) in zip(lengths, self.blocks, strict=True)]
        return len(self._before_blocks(sizes)) + sum(sizes)

    def truncated(self, length: int) -> "Pack":
        """Return the pack with up to `length` bytes of all streams together, the same share of each and at least 1."""
        lengths = self._lengths(length)
        blocks = [(block.truncated(own), names) for own, (block, names) in zip(lengths, self.blocks, strict=True)]
        return Pack(tuple(blocks))

    def _lengths(self, length: int) -> list[int]:
        """The bytes of the stream of each block, at least 1, if the pack is truncated."""
        whole = [block.header.length for block, _ in self.blocks]
        return [max(1, own * min(length, sum(whole)) // max(1, sum(whole))) for own in whole]

    @property
    def stream_bytes(self) -> int:
        """The bytes of all streams together."""
        return sum(block.header.length for block, _ in self.blocks)

    def to_bytes(self) -> bytes:
        """Return the bytes of the pack."""
        files = [block.to_bytes() for block, _ in self.blocks]
        return self._before_blocks([len(file) for file in files]) + b"".join(files)

    def _before_blocks(self, sizes: Sequence[int]) -> bytes:
        """The bytes of the pack before its blocks; sizes: the sizes of the blocks, in bytes."""
        entries = [bytes([len(names) - 1]) + varint(size) for size, (_, names) in zip(sizes, self.blocks, strict=True)]
        index = varint(len(entries)) + b"".join(entries) + self._packed_names
        head = PACK_MAGIC + bytes([VERSION]) + varint(len(index)) + index
        return head + checksum(head)

    @cached_property
    def _packed_names(self) -> bytes:
        return zlib.compress("".join(f"{name}\0" for _, inside in self.blocks for name in inside).encode(), 9)


def parse(data: bytes) -> OmegaFile | Pack:
    """Parse the bytes of a file or a pack. Raises FileFormatError if they are neither, or damaged or incomplete."""
    return Pack.parse(data) if is_pack(data) else OmegaFile.parse(data)


def is_pack(first: bytes) -> bool:
    """Whether the first bytes of a file are those of a pack."""
    return first.startswith(PACK_MAGIC)
