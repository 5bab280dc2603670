"""`ProgressiveDecoder`: decodes a file while its bytes arrive."""

from PIL import Image

from omega_core.codec.decoding import CutDecoder
from omega_core.codec.loading import AnyModel, model_for
from omega_core.errors import CutOffError
from omega_core.format.binary import CHECKSUM
from omega_core.format.header import MAGIC
from omega_core.format.streaming import StreamingFile


class ProgressiveDecoder:
    """Decodes an `.omega` file while its bytes arrive, in pieces of any length, and the symbols of each channel once.

        decoder = ProgressiveDecoder()
        for data in pieces:
            better = decoder.feed(data)
            if better is not None:
                show(better)

    model: that the file was made with, loaded, by name or by path; if None, the bundled model with the fingerprint in
        the file.
    """

    def __init__(self, model: AnyModel = None) -> None:
        self._model = model
        self._source = _Fed()
        self._arriving: StreamingFile | None = None
        self._decoder: CutDecoder | None = None

    @property
    def channels(self) -> int:
        """The number of channels in the last picture; 0 before the first."""
        return 0 if self._decoder is None else self._decoder.channels

    @property
    def complete(self) -> bool:
        """Whether the whole file is decoded and its checksum matches."""
        return self._arriving is not None and self.channels == self._arriving.header.channels

    def feed(self, data: bytes) -> Image.Image | None:
        """Append bytes of the file and return a better picture, if they reach another cut.

        data: the next bytes, any number of them. Bytes after the end of the file are ignored.

        Returns the picture at the last cut that has arrived, with `info["channels"]`, or None if the last picture was
        at that cut already.

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
            self._decoder = model_for(self._model, header.fingerprint).cut_decoder(header)
        return self._better(self._arriving)

    def _better(self, arriving: StreamingFile) -> Image.Image | None:
        there = len(self._source.data) - arriving.start
        whole = there >= arriving.header.groups.length + CHECKSUM
        cuts = arriving.header.cuts
        reached = [n for n, size in cuts.items() if size <= there and (whole or n < arriving.header.channels)]
        if self._decoder is None or max(reached, default=0) <= self.channels:
            return None
        picture = self._decoder.decode(arriving.up_to(reached[-1])).to_pillow()
        picture.info["channels"] = self.channels
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
