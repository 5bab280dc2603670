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
_LEAST_SHARE = 1 / 8  # of the stream, in a draft
_LEAST_BYTES = 1000  # of the stream, which take no time to decode


def accept(prefix: bytes) -> bool | str:
    """Whether the first 16 bytes are those of an `.omega` file; a text for one that this version cannot open."""
    if not prefix.startswith((MAGIC, PACK_MAGIC)):
        return False
    try:
        Header.parse(prefix)
    except (CutOffError, DamagedFileError):  # which opening will find
        return True
    except FileFormatError as problem:
        return str(problem)
    return True


class OmegaImageFile(ImageFile.ImageFile):
    """An `.omega` file, whose header is read, and whose pixels are decoded by `load`.

    `info` has what the header says: "model" (the first 8 hexadecimal digits of its fingerprint), "model_name" if it is
    bundled, "coder", "complete" (False if the file was truncated), "stream_bytes" and, if there is one, "icc_profile".

    `load` raises OSError for a damaged file, and for one that breaks off unless `ImageFile.LOAD_TRUNCATED_IMAGES` is
    true: then it decodes what is there.
    """

    format = FORMAT
    format_description = "Omega, a learned image codec"

    _header: Header | None = None  # until the pixels are decoded
    _length = 0  # bytes of the stream to decode

    def _open(self) -> None:
        try:
            header = Header.read(Reader(self._file))
            self.info |= _info(header)
        except FileFormatError as problem:
            raise SyntaxError(str(problem)) from problem  # by which Pillow tries other formats
        if len(header.sizes) > 1:
            raise OSError(f"this file has {len(header.sizes)} pictures, not one: omega_core.Model decodes them.")
        self._header, self._length = header, header.length
        [(height, width)] = header.sizes
        self._size, self._mode = (width, height), header.mode
        self.tile = []  # which Pillow itself would decode; None before Pillow 11

    @property
    def _file(self) -> BinaryIO:
        if self.fp is None:
            raise ValueError("Operation on closed image")  # as Pillow says it
        return cast(BinaryIO, self.fp)

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Decode less of the stream, as a smaller version of the image needs less. `thumbnail` calls this.

        mode: is not changed.
        size: width and height into which the smaller version fits. The image keeps its own size, and is decoded from a
            share of the stream in the ratio of the sides, but at least an eighth.

        Returns the mode and the whole area of the image, or None if all of it will be decoded, or is already.
        """
        if self._header is None or size is None:
            return None
        share = max(_LEAST_SHARE, min(size[0] / self.width, size[1] / self.height))
        self._length = min(self._header.length, max(_LEAST_BYTES, math.ceil(share * self._header.length)))
        return (self.mode, (0, 0, *self.size)) if self._length < self._header.length else None

    def load(self) -> "PixelAccess | None":
        """Decode the pixels, unless they are. Raises OSError for a damaged file, or one of a model that is unknown."""
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
            raise OSError(f"{problem} In Pillow, that is ImageFile.LOAD_TRUNCATED_IMAGES.") from problem
        except OmegaError as problem:
            raise OSError(str(problem)) from problem

    def verify(self) -> None:
        """Check that the file is whole, without its model, and close it. Raises OSError if it is not."""
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
    """What a header says. Raises DamagedFileError if its profile cannot be decompressed."""
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
    """Register the format with Pillow: its name OMEGA, its suffix and its MIME type. Doing it again changes nothing."""
    Image.register_open(FORMAT, OmegaImageFile, accept)
    Image.register_save(FORMAT, save)
    Image.register_extension(FORMAT, ".omega")
    Image.register_mime(FORMAT, "image/x-omega")
