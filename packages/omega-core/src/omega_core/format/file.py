"""`OmegaFile`: header, stream and checksum."""

from dataclasses import dataclass

from omega_core.errors import CutOffError, DamagedFileError
from omega_core.format.binary import CHECKSUM, Reader, checksum
from omega_core.format.header import Header


@dataclass(frozen=True)
class OmegaFile:
    """An `.omega` file.

    header: describes the pictures.
    stream: the coded symbols, `header.length` bytes.

    Raises ValueError if the stream has another length.
    """

    header: Header
    stream: bytes

    def __post_init__(self) -> None:
        if len(self.stream) != self.header.length:
            raise ValueError(f"the stream has {len(self.stream)} bytes, not {self.header.length}")

    @classmethod
    def parse(cls, data: bytes, *, partial: bool = False) -> "OmegaFile":
        """Parse the bytes of a file.

        data: all bytes of the file.
        partial: accept an incomplete file, as if it had been truncated there.

        Raises CutOffError for an incomplete file (with `partial`, only if no byte of its stream has arrived),
        DamagedFileError for a damaged one, FileFormatError for another format.
        """
        reader = Reader(data)
        header = Header.read(reader)
        start = len(reader.taken)
        missing = start + header.length + CHECKSUM - len(data)
        if missing < 0:
            raise DamagedFileError(f"the file is damaged: {-missing} bytes more than its header states. Get it again.")
        if missing == 0:
            check(data[:-CHECKSUM], data[-CHECKSUM:])
            return cls(header, data[start:-CHECKSUM])
        intact = min(header.length, len(data) - start)
        if not (partial and intact):
            raise cut_off(header, missing, intact)
        return cls(header.truncated(intact), data[start : start + intact])

    @property
    def pixels(self) -> int:
        """The number of pixels of all pictures."""
        return self.header.pixels

    @property
    def stream_bytes(self) -> int:
        """The bytes of the stream."""
        return self.header.length

    def truncated_size(self, length: int) -> int:
        """Return the size of the file with up to `length` bytes of the stream."""
        header = self.header.truncated(min(length, self.header.length))
        return len(header.to_bytes()) + header.length + CHECKSUM

    def truncated(self, length: int) -> "OmegaFile":
        """Return the file with up to `length` bytes of the stream."""
        header = self.header.truncated(min(length, self.header.length))
        return OmegaFile(header, self.stream[: header.length])

    def to_bytes(self) -> bytes:
        """Return the bytes of the file. Raises ValueError for numbers of 2²⁸ and more in its header."""
        body = self.header.to_bytes() + self.stream
        return body + checksum(body)


def check(body: bytes, found: bytes) -> None:
    """Raise DamagedFileError unless `found` is the checksum of `body`."""
    if checksum(body) != found:
        raise DamagedFileError("the file is damaged: its checksum does not match. Get it again.")


def cut_off(header: Header, missing: int, intact: int) -> CutOffError:
    """Return the error for an incomplete file.

    header: the header of the file.
    missing: the number of missing bytes.
    intact: the number of bytes of the stream that have arrived.
    """
    message = f"the file is incomplete: {missing} bytes are missing. Nothing can be decoded."
    if intact:
        arrived = f"{intact} of {header.length} bytes of its stream" if intact < header.length else "without checksum"
        message = f"the file is incomplete ({arrived}). To decode what has arrived, use partial=True (--partial)."
    return CutOffError(message, intact=intact)
