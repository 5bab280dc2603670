"""`OmegaFile`: header, stream and checksum."""

from collections.abc import Mapping
from dataclasses import dataclass

from omega_core.errors import CutOffError, DamagedFileError
from omega_core.format.binary import CHECKSUM, Reader, checksum
from omega_core.format.header import Header


@dataclass(frozen=True)
class OmegaFile:
    """An `.omega` file.

    header: describes the pictures and channels.
    stream: the coded symbols, `header.groups.length` bytes.

    Raises ValueError if the stream has another length.
    """

    header: Header
    stream: bytes

    def __post_init__(self) -> None:
        if len(self.stream) != self.header.groups.length:
            raise ValueError(f"the stream has {len(self.stream)} bytes, not {self.header.groups.length}")

    @classmethod
    def parse(cls, data: bytes, *, partial: bool = False) -> "OmegaFile":
        """Parse the bytes of a file.

        data: all bytes of the file.
        partial: accept a truncated file, as if it ended at its last intact cut.

        Raises CutOffError for a truncated file (with `partial`, only if no channel is intact), DamagedFileError for a
        damaged one, FileFormatError for another format.
        """
        reader = Reader(data)
        header = Header.read(reader)
        start, length = len(reader.taken), header.groups.length
        missing = start + length + CHECKSUM - len(data)
        if missing < 0:
            raise DamagedFileError(f"the file is damaged: {-missing} bytes more than it says. Get it again.")
        if missing == 0:
            check(data[:-CHECKSUM], data[-CHECKSUM:])
            return cls(header, data[start:-CHECKSUM])
        intact = header.groups.intact(len(data) - start)
        if not (partial and intact):
            raise cut_off(header, missing, intact)
        return cls(header.truncated(intact), data[start : start + header.cuts[intact]])

    @property
    def channels(self) -> int:
        """The number of channels in the file."""
        return self.header.channels

    @property
    def pixels(self) -> int:
        """The number of pixels of all pictures."""
        return self.header.pixels

    @property
    def file_sizes(self) -> Mapping[int, int]:
        """The size of the file at each of its cuts, in bytes, by the number of channels."""
        return self.header.file_sizes

    def truncated(self, channels: int) -> "OmegaFile":
        """Return the file truncated to `channels`. Raises ValueError if there is no cut there."""
        header = self.header.truncated(channels)
        return OmegaFile(header, self.stream[: header.groups.length])

    def to_bytes(self) -> bytes:
        """Return the bytes of the file. Raises ValueError for numbers of 2²⁸ and more in its header."""
        body = self.header.to_bytes() + self.stream
        return body + checksum(body)


def check(body: bytes, found: bytes) -> None:
    """Raise DamagedFileError unless `found` is the checksum of all bytes before it."""
    if checksum(body) != found:
        raise DamagedFileError("the file is damaged: its checksum does not match. Get it again.")


def cut_off(header: Header, missing: int, intact: int) -> CutOffError:
    """Return the error for a truncated file.

    header: of the file.
    missing: the number of missing bytes.
    intact: the number of intact channels.
    """
    hope = f"Its first {intact} of {header.channels} channels are intact" if intact else "No channel is intact"
    return CutOffError(f"the file breaks off: {missing} bytes are missing. {hope}.", intact=intact)
