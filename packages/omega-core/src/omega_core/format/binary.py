"""A reader of bytes, varints and checksums."""

import io
import zlib
from typing import Protocol

from omega_core.errors import CutOffError, DamagedFileError, OmegaError

CHECKSUM = 4
"""The size of a checksum, in bytes."""
_CHUNK = 1 << 16


class Stream(Protocol):
    """A source of bytes: an open file, a pipe, a response. `read` returns b"" at the end."""

    def read(self, count: int, /) -> bytes: ...


class Reader:
    """Reads bytes of a stream on demand. Its methods raise CutOffError at the end of the stream.

    source: the stream, or bytes.

    taken: all bytes read so far.
    wanted: the number of bytes, from the beginning, that the last call needs.

    Raises OmegaError for other sources, such as a path or a file that is open as text.
    """

    def __init__(self, source: Stream | bytes) -> None:
        if isinstance(source, (bytearray, memoryview)):
            source = bytes(source)
        if not isinstance(source, bytes) and not hasattr(source, "read"):
            raise OmegaError(f"bytes or an open file are needed, not {type(source).__name__}.")
        if isinstance(source, io.TextIOBase):
            name = getattr(source, "name", type(source).__name__)
            raise OmegaError(f"the file {name} gives text, not bytes; open it in binary mode, such as 'rb'.")
        self.source = io.BytesIO(source) if isinstance(source, bytes) else source
        self.taken, self.wanted = bytearray(), 0
        self._ahead = b""

    def peek(self, count: int) -> bytes:
        """Return the next `count` bytes, or fewer at the end of the stream, without taking them."""
        while (missing := count - len(self._ahead)) > 0 and (more := self.source.read(missing)):
            self._ahead += more
        return self._ahead[:count]

    def read_up_to(self, count: int) -> bytes:
        """Read `count` bytes, or fewer at the end of the stream; none if `count` is negative."""
        start = len(self.taken)
        self.wanted = start + count
        self.taken += self._ahead[: max(0, count)]
        self._ahead = self._ahead[max(0, count) :]
        while (missing := start + count - len(self.taken)) > 0:
            more = self.source.read(min(missing, _CHUNK))
            if not more:
                break
            self.taken += more
        return bytes(self.taken[start:])

    def bytes(self, count: int) -> bytes:
        """Read exactly `count` bytes."""
        found = self.read_up_to(count)
        if len(found) < count:
            raise CutOffError("the file is incomplete: it ends in its header. Nothing can be decoded.", intact=0)
        return found

    def byte(self) -> int:
        """Read a byte as an integer."""
        return self.bytes(1)[0]

    def varint(self) -> int:
        """Read a varint below 2²⁸. Raises DamagedFileError if it is not canonical."""
        value = 0
        for shift in range(0, 28, 7):
            byte = self.byte()
            value |= (byte & 127) << shift
            if byte < 128:
                if not byte and shift:  # not canonical
                    break
                return value
        raise DamagedFileError("the file is damaged: a number in its header is not a canonical varint. Get it again.")


def varint(value: int) -> bytes:
    """Encode an integer below 2²⁸ as LEB128: 7 bits per byte, lowest first, bit 7 set in all bytes but the last.

    Raises ValueError for other integers.
    """
    if not 0 <= value < 1 << 28:
        raise ValueError(f"{value} is not a number from 0 to {(1 << 28) - 1}")
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])


def checksum(data: bytes) -> bytes:
    """Return the CRC-32 of bytes, little-endian."""
    return zlib.crc32(data).to_bytes(CHECKSUM, "little")
