"""A reader of bytes, varints and checksums."""

import zlib
from io import BytesIO
from typing import Protocol

from omega_core.errors import CutOffError, DamagedFileError

CHECKSUM = 4
"""Bytes of a checksum."""
_CHUNK = 1 << 16


class Stream(Protocol):
    """What bytes arrive from: an open file, a pipe, a response. `read` returns b"" at the end."""

    def read(self, count: int, /) -> bytes: ...


class Reader:
    """Takes bytes of a stream as they are needed. Raises CutOffError where there are no more.

    taken: all bytes so far.
    """

    def __init__(self, source: Stream | bytes) -> None:
        self.source = BytesIO(source) if isinstance(source, bytes) else source
        self.taken = bytearray()

    def read_up_to(self, count: int) -> bytes:
        """The next `count` bytes, or as many as there are; none for a negative number."""
        start = len(self.taken)
        while (missing := start + count - len(self.taken)) > 0:
            more = self.source.read(min(missing, _CHUNK))
            if not more:
                break
            self.taken += more
        return bytes(self.taken[start:])

    def bytes(self, count: int) -> bytes:
        """The next `count` bytes."""
        found = self.read_up_to(count)
        if len(found) < count:
            raise CutOffError("the file breaks off in its header. No channel is intact.", intact=0)
        return found

    def byte(self) -> int:
        """The next byte, as a number."""
        return self.bytes(1)[0]

    def varint(self) -> int:
        """The next number below 2²⁸."""
        value = 0
        for shift in range(0, 28, 7):
            byte = self.byte()
            value |= (byte & 127) << shift
            if byte < 128:
                if not byte and shift:  # one way only to write a number
                    break
                return value
        raise DamagedFileError("the file is damaged: a number in its header is not a canonical varint. Get it again.")


def varint(value: int) -> bytes:
    """A number below 2²⁸ as LEB128: 7 bits a byte, the lowest first, bit 7 set in all but the last."""
    if not 0 <= value < 1 << 28:
        raise ValueError(f"{value} is not a number from 0 to {(1 << 28) - 1}")
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])


def checksum(data: bytes) -> bytes:
    """CRC-32 of bytes, little-endian."""
    return zlib.crc32(data).to_bytes(CHECKSUM, "little")
