"""`OmegaFile`: header, stream and checksum."""

from collections.abc import Mapping
from dataclasses import dataclass

from omega_core.errors import CutOffError, DamagedFileError
from omega_core.format.binary import CHECKSUM, Reader, checksum
from omega_core.format.header import Header


@dataclass(frozen=True)
class OmegaFile:
    """An `.omega` file.

    header: what it says about its pictures and channels.
    stream: the coded symbols, `header.groups.length` bytes. Raises ValueError if it has another length.
    """

    header: Header
    stream: bytes

    def __post_init__(self) -> None:
        if len(self.stream) != self.header.groups.length:
            raise ValueError(f"the stream has {len(self.stream)} bytes, not {self.header.groups.length}")

    @classmethod
    def parse(cls, data: bytes, *, partial: bool = False) -> "OmegaFile":
        """The file that bytes are.

        partial: take what is intact of a file that breaks off, which is then as if it had been cut there.

        Raises CutOffError if the file breaks off (with `partial`, if no channel is intact), DamagedFileError if it
        was changed, FileFormatError if it is something else.
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
        """How many channels are in it."""
        return self.header.channels

    @property
    def pixels(self) -> int:
        """Pixels of all pictures."""
        return self.header.pixels

    @property
    def file_sizes(self) -> Mapping[int, int]:
        """The bytes of the whole file at each of its cuts, by the number of its channels."""
        return self.header.file_sizes

    def truncated(self, channels: int) -> "OmegaFile":
        """The file cut after `channels`. Raises ValueError if there is no cut after so many."""
        header = self.header.truncated(channels)
        return OmegaFile(header, self.stream[: header.groups.length])

    def to_bytes(self) -> bytes:
        """The bytes of the file. Raises ValueError for numbers of 2²⁸ and more in its header."""
        body = self.header.to_bytes() + self.stream
        return body + checksum(body)


def check(body: bytes, found: bytes) -> None:
    """Raise DamagedFileError unless `found` is the checksum of all bytes before it."""
    if checksum(body) != found:
        raise DamagedFileError("the file is damaged: its checksum does not match. Get it again.")


def cut_off(header: Header, missing: int, intact: int) -> CutOffError:
    """The error of a file that breaks off.

    missing: how many bytes are not there.
    intact: how many channels are.
    """
    hope = f"Its first {intact} of {header.channels} channels are intact" if intact else "No channel is intact"
    return CutOffError(f"the file breaks off: {missing} bytes are missing. {hope}.", intact=intact)
