"""`StreamingFile`: an `.omega` file that is read while it arrives."""

from omega_core.format.binary import CHECKSUM, Reader, Stream
from omega_core.format.file import OmegaFile, check, cut_off
from omega_core.format.header import Header


class StreamingFile:
    """An `.omega` file that is parsed while it arrives, and read no further than needed.

    source: an open file, a pipe, a response of a server, or bytes.

    header: of the file with all its channels; the constructor reads it.
    start: the offset of the stream in the file, in bytes.

    Raises FileFormatError for another format or a later version, CutOffError for a truncated header, DamagedFileError
    for a damaged one.
    """

    def __init__(self, source: Stream | bytes) -> None:
        self._reader = Reader(source)
        self.header = Header.read(self._reader)
        self.start = len(self._reader.taken)

    def up_to(self, channels: int) -> OmegaFile:
        """Read up to the cut at `channels`, and return the file truncated there.

        With all channels, the checksum is verified. Raises ValueError if there is no cut there, CutOffError if the file
        ends before it, DamagedFileError if the checksum does not match.
        """
        if channels not in self.header.cuts:
            raise ValueError(f"there is no cut after {channels} channels, only after {list(self.header.cuts)}")
        end = self.start + self.header.cuts[channels]
        last = channels == self.header.channels
        self._read_to(end + CHECKSUM if last else end)  # first, as a claim of gigabytes has no header of its own
        header = self.header.truncated(channels)
        taken = bytes(self._reader.taken)
        if last:
            check(taken[:end], taken[end:])
        return OmegaFile(header, taken[self.start : end])

    def _read_to(self, end: int) -> None:
        """Read the bytes before offset `end`. Raises CutOffError if there are fewer."""
        self._reader.read_up_to(end - len(self._reader.taken))
        there = len(self._reader.taken) - self.start
        if there < end - self.start:
            missing = self.header.groups.length + CHECKSUM - there
            raise cut_off(self.header, missing, self.header.groups.intact(there))
