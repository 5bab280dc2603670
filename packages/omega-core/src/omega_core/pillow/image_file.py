"""`OmegaImageFile`: an `.omega` file that is open in Pillow."""

import math
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from PIL import Image, ImageFile

from omega_core.errors import CutOffError, DamagedFileError, FileFormatError, OmegaError
from omega_core.format.binary import Reader
from omega_core.format.file import OmegaFile
from omega_core.format.header import MAGIC, PACK_MAGIC, Header
from omega_core.format.limits import MAX_KEPT_PROFILE_BYTES
from omega_core.pillow.models import decoding_model
from omega_core.pillow.saving import save

if TYPE_CHECKING:
    from PIL._imaging import PixelAccess

FORMAT = "OMEGA"
_MIN_SHARE = 1 / 8  # minimum share of the stream that a draft decodes
_MIN_BYTES = 1000  # minimum number of bytes of the stream, which take no time to decode


def accept(prefix: bytes) -> bool | str:
    """Whether the first 16 bytes are those of an `.omega` file; a message if this version cannot open it."""
    if not prefix.startswith((MAGIC, PACK_MAGIC)):
        return False
    try:
        Header.parse(prefix)
    except (CutOffError, DamagedFileError):  # reported when the file is opened
        return True
    except FileFormatError as problem:
        return str(problem)
    return True


class OmegaImageFile(ImageFile.ImageFile):
    """An `.omega` file. Opening it reads the header, and `load` decodes the pixels.

    `info` has the header's content: "model" (the first 8 hexadecimal digits of its fingerprint), "model_name" if it is
    bundled, "coder", "complete" (False if the file was truncated), "stream_bytes" and, if there is one, "icc_profile".

    `load` raises OSError for a damaged file. For an incomplete one, it decodes what has arrived if
    `ImageFile.LOAD_TRUNCATED_IMAGES` is true, and raises OSError otherwise.
    """

    format = FORMAT
    format_description = "Omega, a learned image codec"

    _header: Header | None = None  # None after the pixels are decoded
    _length = 0  # bytes of the stream to decode

    def _open(self) -> None:
        try:
            header = Header.read(Reader(self._file))
            self.info |= _info(header)
        except FileFormatError as problem:
            raise SyntaxError(str(problem)) from problem  # makes Pillow try other formats
        if len(header.sizes) > 1:
            raise OSError(f"this file has {len(header.sizes)} pictures, not one: omega_core.Model decodes them.")
        self._header, self._length = header, header.length
        [(height, width)] = header.sizes
        self._size, self._mode = (width, height), header.mode
        self.tile = []  # nothing for Pillow to decode; None before Pillow 11

    @property
    def _file(self) -> BinaryIO:
        if self.fp is None:
            raise ValueError("Operation on closed image")  # the message of Pillow
        return cast(BinaryIO, self.fp)

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Make `load` decode less of the stream, for a smaller version of the image. `thumbnail` calls this.

        mode: ignored.
        size: width and height of the smaller version. The image keeps its size. The share of the stream that is decoded
            is the ratio of the sides, but at least an eighth and at least 1000 bytes.

        Returns the mode and the whole area of the image, or None if the whole stream is decoded, or was already.
        """
        if self._header is None or size is None:
            return None
        share = max(_MIN_SHARE, min(size[0] / self.width, size[1] / self.height))
        self._length = min(self._header.length, max(_MIN_BYTES, math.ceil(share * self._header.length)))
        return (self.mode, (0, 0, *self.size)) if self._length < self._header.length else None

    def load(self) -> "PixelAccess | None":
        """Decode the pixels, unless this is done already. Raises OSError for a damaged file or an unknown model."""
        if self._header is not None:
            image = self._decoded(self._header)
            self.im, self._mode, self._size, self.readonly = image.im, image.mode, image.size, image.readonly
            self._header = None
            if self._exclusive_fp:
                self._file.close()
            self.fp = None
        return Image.Image.load(self)

    def _decoded(self, header: Header) -> Image.Image:
        data = self._whole()
        try:
            file = OmegaFile.parse(data, partial=ImageFile.LOAD_TRUNCATED_IMAGES)
            return decoding_model(header.fingerprint).decompress(file.truncated(self._length).to_bytes())
        except CutOffError as problem:
            raise OSError(f"{problem} In Pillow, partial=True is ImageFile.LOAD_TRUNCATED_IMAGES.") from problem
        except OmegaError as problem:
            raise OSError(str(problem)) from problem

    def verify(self) -> None:
        """Check, without the model, that the file is complete and undamaged, and close it. Raises OSError otherwise."""
        try:
            OmegaFile.parse(self._whole())
        except FileFormatError as problem:
            raise OSError(str(problem)) from problem
        finally:
            super().verify()

    def _whole(self) -> bytes:
        self._file.seek(0)
        return self._file.read()


def _info(header: Header) -> dict[str | tuple[int, int], Any]:
    """Return the content of `info` for a header. Raises DamagedFileError if its profile cannot be decompressed."""
    from omega_core.plugins.registry import registry

    info: dict[str | tuple[int, int], Any] = {
        "model": header.fingerprint.hex(),
        "coder": header.coder,
        "complete": header.complete,
        "stream_bytes": header.length,
    }
    bundled = registry().find_model_by_fingerprint(header.fingerprint)
    if bundled is not None:
        info["model_name"] = bundled.name
    if header.profile:
        from omega_core.images.alpha_and_profile import decompress_profile

        profile = decompress_profile(header.profile)
        if len(profile) <= MAX_KEPT_PROFILE_BYTES:  # as `Picture.to_pillow` does
            info["icc_profile"] = profile
    return info


def register() -> None:
    """Register the format with Pillow: its name OMEGA, its suffix and its MIME type. Further calls have no effect."""
    Image.register_open(FORMAT, OmegaImageFile, accept)
    Image.register_save(FORMAT, save)
    Image.register_extension(FORMAT, ".omega")
    Image.register_mime(FORMAT, "image/x-omega")
