"""Removal of metadata from PNG files that Pillow would refuse to read because the metadata exceeds its limits."""

import io
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, BinaryIO, NamedTuple

from omega_core.format.limits import MAX_READ_PROFILE_BYTES

_SIGNATURE = 8  # bytes
_BESIDES = 12  # bytes of a chunk besides its payload: length, kind and checksum
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_WITH_ORIENTATION = (b"Raw profile type exif", b"XML:com.adobe.xmp")
"""The keywords of the texts in which Pillow looks for an orientation."""
_MAX_TEXT = 1 << 20  # bytes, the limit of Pillow
_MAX_NAME = 80  # bytes of the name of a profile or keyword, with the zero byte


class _Chunk(NamedTuple):
    start: int
    kind: bytes
    length: int


def reduced(file: BinaryIO) -> tuple[BinaryIO, dict[str, bytes]]:
    """Return a PNG file without its texts, except for those with an orientation, and without its ICC profile.

    file: open for reading, seekable; it is returned unchanged if it has no such chunks.

    Also returns the metadata about colors that is left out or that Pillow does not keep, if there is any: the ICC
    profile, of up to 64 MiB, as "icc_profile", and the 4 bytes of the chunk cICP as "cicp".
    """
    left_out, oriented, colors, before_pixels = list[_Chunk](), set[bytes](), dict[str, bytes](), True
    for chunk in _chunks(file):
        if chunk.kind in _TEXTS:
            keyword = _payload(file, chunk, _MAX_NAME).split(b"\0")[0]
            if keyword in _WITH_ORIENTATION and keyword not in oriented and _is_small_text(file, chunk):
                oriented.add(keyword)
            else:
                left_out.append(chunk)
        elif chunk.kind == b"iCCP":
            left_out.append(chunk)
            if before_pixels:
                packed = _payload(file, chunk).partition(b"\0")[2][1:]
                colors["icc_profile"] = _inflated(packed, MAX_READ_PROFILE_BYTES) or b""
        elif chunk.kind == b"cICP" and chunk.length == 4 and before_pixels:
            colors["cicp"] = _payload(file, chunk)
        elif chunk.kind == b"IDAT":
            before_pixels = False
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    if not left_out:
        return file, colors
    starts = [0, *(chunk.start + chunk.length + _BESIDES for chunk in left_out)]
    stops = [*(chunk.start for chunk in left_out), end]
    return io.BufferedReader(_Excerpt(file, list(zip(starts, stops, strict=True)))), colors


def _chunks(file: BinaryIO) -> Iterator[_Chunk]:
    """Yield the chunks of a PNG file up to its end or the first invalid one."""
    start = _SIGNATURE
    while True:
        file.seek(start)
        head = file.read(8)
        if len(head) < 8 or not head[4:].isalpha():
            return
        length, kind = struct.unpack(">I4s", head)
        yield _Chunk(start, kind, length)
        start += length + _BESIDES
        if kind == b"IEND":
            return


def _payload(file: BinaryIO, chunk: _Chunk, most: int | None = None) -> bytes:
    file.seek(chunk.start + 8)
    return file.read(chunk.length if most is None else min(most, chunk.length))


def _is_small_text(file: BinaryIO, chunk: _Chunk) -> bool:
    """Whether a text is within the limit of Pillow."""
    if chunk.length > _MAX_TEXT:
        return False
    rest = _payload(file, chunk).partition(b"\0")[2]
    if chunk.kind == b"tEXt":
        return True
    packed = rest[1:]
    if chunk.kind == b"iTXt":
        if rest[:1] != b"\1":
            return True
        packed = rest[2:].split(b"\0", 2)[-1]
    return _inflated(packed, _MAX_TEXT - 1) is not None


def _inflated(packed: bytes, most: int) -> bytes | None:
    """Return the inflated bytes; None if they are more than `most` or damaged."""
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(packed, most + 1)
    except zlib.error:
        return None
    return data if len(data) <= most and inflater.eof else None


class _Excerpt(io.RawIOBase):
    """Parts of a file, joined.

    file: open for reading, seekable.
    parts: (start, stop) of each, in bytes.
    """

    def __init__(self, file: BinaryIO, parts: list[tuple[int, int]]) -> None:
        self._file = file
        self._parts = [(start, max(start, stop)) for start, stop in parts]
        self._offsets = list(accumulate((stop - start for start, stop in self._parts), initial=0))
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._offsets[-1]}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        part = bisect_right(self._offsets, self._position) - 1
        if part == len(self._parts):
            return 0
        self._file.seek(self._parts[part][0] + self._position - self._offsets[part])
        data = self._file.read(min(len(buffer), self._offsets[part + 1] - self._position))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
