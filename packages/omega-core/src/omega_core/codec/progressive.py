"""`ProgressiveDecoder`: decodes a file while its bytes arrive."""

from PIL import Image

from omega_core.codec.decoding import GrowingPicture
from omega_core.codec.loading import AnyModel, model_for
from omega_core.codec.model import GROWTH
from omega_core.errors import CutOffError
from omega_core.format.binary import CHECKSUM, Reader
from omega_core.format.file import check
from omega_core.format.header import MAGIC, Header


class ProgressiveDecoder:
    """Decodes an `.omega` file while its bytes arrive, in pieces of any length, decoding each symbol only once.

        decoder = ProgressiveDecoder()
        for data in pieces:
            better = decoder.feed(data)
            if better is not None:
                show(better)

    model: the model that the file was made with: loaded, or its name, path or URL. Default: the bundled model with the
        fingerprint in the file.
    growth: the factor by which the stream has to grow before another picture is computed, as this takes longer than
        decoding its symbols; 1 for a picture after each piece. Raises ValueError for less.
    """

    def __init__(self, model: AnyModel = None, *, growth: float = GROWTH) -> None:
        if not growth >= 1:
            raise ValueError(f"growth has to be 1 or more, not {growth}")
        self._model, self._growth = model, growth
        self._data = bytearray()  # the file, so far
        self._start = self._end = 0  # offsets of the stream in the file
        self._wanted = len(MAGIC)  # bytes that are needed to read more of the header
        self._picture: GrowingPicture | None = None

    @property
    def stream_bytes(self) -> int:
        """The number of bytes of the stream in the last picture; 0 before the first."""
        return 0 if self._picture is None else self._picture.length

    @property
    def complete(self) -> bool:
        """Whether the whole file is decoded and its checksum matches."""
        return self.stream_bytes == self._end - self._start > 0

    def feed(self, data: bytes) -> Image.Image | None:
        """Append bytes of the file and return a better picture, if they are enough for one.

        data: the next bytes, any number of them. Bytes after the end of the file are ignored.

        Returns the picture of all bytes so far, with `info["stream_bytes"]`, or None if the stream has not grown by the
        factor `growth` since the last one. The last picture is that of the whole file.

        Raises FileFormatError for damaged bytes or another format, and OmegaError as `decompress` does.
        """
        self._data += data
        if self._picture is None:
            if len(self._data) < self._wanted and MAGIC.startswith(self._data[: len(MAGIC)]):
                return None
            reader = Reader(bytes(self._data))
            try:
                header = Header.read(reader)
            except CutOffError:  # the header has not arrived yet
                self._wanted = reader.wanted
                return None
            self._picture = model_for(self._model, header.fingerprint).growing_picture(header)
            self._start = len(header.to_bytes())
            self._end = self._start + header.length
        del self._data[self._end + CHECKSUM :]
        return self._better(self._picture)

    def _better(self, growing: GrowingPicture) -> Image.Image | None:
        whole = len(self._data) >= self._end + CHECKSUM
        stop = self._end if whole else min(len(self._data), self._end - 1)
        usable = stop - self._start
        if usable <= growing.length or (not whole and usable < self._growth * growing.length):
            return None
        if whole:
            check(bytes(self._data[:stop]), bytes(self._data[stop : stop + CHECKSUM]))
        picture = growing.decode(bytes(self._data[self._start : stop])).to_pillow()
        picture.info["stream_bytes"] = usable
        return picture
