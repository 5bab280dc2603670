"""`StreamingFile`: an `.omega` file that is read while it arrives."""

from omega_core.format.binary import CHECKSUM, Reader, Stream
from omega_core.format.file import check, cut_off
from omega_core.format.header import Header


class StreamingFile:
    """An `.omega` file that is parsed while it arrives, and read no further than needed.

    source: an open file, a pipe, a response of a server, or bytes.

    header: the header of the file, which the constructor reads.
    start: the offset of the stream in the file, in bytes.

    Raises FileFormatError for another format or a later version, CutOffError for a file that ends in its header,
    DamagedFileError for a damaged one.
    """

    def __init__(self, source: Stream | bytes) -> None:
        self._reader = Reader(source)
        self.header = Header.read(self._reader)
        self.start = len(self._reader.taken)

    def up_to(self, length: int) -> bytes:
        """Return the first `length` bytes of the stream, or all if it is shorter, and read them if necessary.

        The checksum is verified with the last byte. Raises CutOffError if the file ends before, DamagedFileError if the
        checksum does not match.
        """
        end = self.start + self.header.length
        wanted = min(self.start + length, end)
        needed = wanted + CHECKSUM if wanted == end else wanted
        self._reader.read_up_to(needed - len(self._reader.taken))
        taken = bytes(self._reader.taken)
        if len(taken) < needed:
            raise cut_off(self.header, end + CHECKSUM - len(taken), min(self.header.length, len(taken) - self.start))
        if wanted == end:
            check(taken[:end], taken[end:])
        return taken[self.start : wanted]
