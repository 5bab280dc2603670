"""`ProgressiveDecoder`: decodes a file while its bytes arrive."""

from PIL import Image

from omega_core.codec.decoding import GrowingPicture
from omega_core.codec.loading import AnyModel, model_for
from omega_core.codec.model import GROWTH
from omega_core.errors import CutOffError
from omega_core.format.binary import CHECKSUM
from omega_core.format.header import MAGIC
from omega_core.format.streaming import StreamingFile


class ProgressiveDecoder:
    """Decodes an `.omega` file while its bytes arrive, in pieces of any length, and each symbol once.

        decoder = ProgressiveDecoder()
        for data in pieces:
            better = decoder.feed(data)
            if better is not None:
                show(better)

    model: that the file was made with, loaded, by name or by path; if None, the bundled model with the fingerprint in
        the file.
    growth: the factor by which the stream has to grow before another picture is decoded, which takes longer than its
        symbols do; 1 for a picture after each piece.
    """

    def __init__(self, model: AnyModel = None, *, growth: float = GROWTH) -> None:
        self._model, self._growth = model, growth
        self._source = _Fed()
        self._arriving: StreamingFile | None = None
        self._picture: GrowingPicture | None = None

    @property
    def stream_bytes(self) -> int:
        """The number of bytes of the stream in the last picture; 0 before the first."""
        return 0 if self._picture is None else self._picture.length

    @property
    def complete(self) -> bool:
        """Whether the whole file is decoded and its checksum matches."""
        return self._arriving is not None and self.stream_bytes == self._arriving.header.length > 0

    def feed(self, data: bytes) -> Image.Image | None:
        """Append bytes of the file and return a better picture, if they are enough for one.

        data: the next bytes, any number of them. Bytes after the end of the file are ignored.

        Returns the picture of all bytes so far, with `info["stream_bytes"]`, or None if the stream has not grown by the
        factor `growth` since the last one. The last picture is that of the whole file.

        Raises FileFormatError for damaged bytes or another format, and OmegaError as `decompress` does.
        """
        self._source.data += data
        if self._arriving is None:
            if MAGIC.startswith(self._source.data):
                return None
            self._source.place = 0
            try:
                self._arriving = StreamingFile(self._source)
            except CutOffError:  # the header has not arrived yet
                return None
            header = self._arriving.header
            self._picture = model_for(self._model, header.fingerprint).growing_picture(header)
        return self._better(self._arriving)

    def _better(self, arriving: StreamingFile) -> Image.Image | None:
        length = arriving.header.length
        there = len(self._source.data) - arriving.start
        whole = there >= length + CHECKSUM
        usable = length if whole else min(there, length - 1)
        if self._picture is None or usable <= self.stream_bytes:
            return None
        if not whole and usable < self._growth * self.stream_bytes:
            return None
        picture = self._picture.decode(arriving.up_to(usable)).to_pillow()
        picture.info["stream_bytes"] = usable
        return picture


class _Fed:
    """A stream of the bytes so far."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.place = 0

    def read(self, count: int, /) -> bytes:
        taken = bytes(self.data[self.place : self.place + count])
        self.place += len(taken)
        return taken
