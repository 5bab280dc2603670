"""`StreamingFile`: an `.omega` file that is read while it arrives."""

from omega_core.format.binary import CHECKSUM, Reader, Stream
from omega_core.format.file import OmegaFile, check, cut_off
from omega_core.format.header import Header


class StreamingFile:
    """An `.omega` file that is read as it arrives, no further than it is asked for.

    source: what it arrives from: an open file, a pipe, the response of a server, or bytes.

    header: read at once, of all channels.
    start: how many bytes come before the stream.

    Raises FileFormatError if it is no `.omega` file or one of a later version, CutOffError if its header breaks
    off, DamagedFileError if that was changed.
    """

    def __init__(self, source: Stream | bytes) -> None:
        self._reader = Reader(source)
        self.header = Header.read(self._reader)
        self.start = len(self._reader.taken)

    def up_to(self, channels: int) -> OmegaFile:
        """The file cut after `channels`, once so much has arrived; after all of them, its checksum is checked.

        Raises ValueError if there is no cut after so many, CutOffError if the file breaks off before it,
        DamagedFileError if the checksum of the whole file does not match.
        """
        header = self.header.truncated(channels)
        end = self.start + header.groups.length
        last = channels == self.header.channels
        self._read_to(end + CHECKSUM if last else end)
        taken = bytes(self._reader.taken)
        if last:
            check(taken[:end], taken[end:])
        return OmegaFile(header, taken[self.start : end])

    def _read_to(self, end: int) -> None:
        """Take the bytes before `end`. Raises CutOffError if there are fewer."""
        self._reader.read_up_to(end - len(self._reader.taken))
        there = len(self._reader.taken) - self.start
        if there < end - self.start:
            missing = self.header.groups.length + CHECKSUM - there
            raise cut_off(self.header, missing, self.header.groups.intact(there))
