"""Opening of picture files with Pillow, independent of Pillow's process-wide settings."""

import struct
from collections.abc import Sequence
from typing import BinaryIO

from PIL import Image, ImageFile

from omega_core.errors import ImageError
from omega_core.format.header import MAGIC as FILE
from omega_core.format.header import PACK_MAGIC as PACK
from omega_core.images.pictures import check_size
from omega_core.images.png_metadata import reduced

_FIRST = 16  # bytes that Pillow's plugins expect
_UNREADABLE = (SyntaxError, IndexError, TypeError, struct.error)  # raised by a plugin that rejects a file
_BRANDS = {  # brands of ISO base media files, by format
    "HEIC": (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"),
    "AVIF": (b"avif", b"avis"),
    "Canon CR3": (b"crx ",),
}
_STARTS = {
    "JPEG XL": (b"\xff\x0a", b"\0\0\0\x0cJXL "),
    "PDF": (b"%PDF",),
    "SVG or XML": (b"<svg", b"<?xml"),
    ".omega": (FILE, PACK),
}
_ADVICE = {
    "HEIC": "It needs the package pillow-heif, and pillow_heif.register_heif_opener(); or convert it to PNG.",
    ".omega": "Decompress it first.",
}


def open_image(file: BinaryIO, formats: Sequence[str], max_pixels: int) -> ImageFile.ImageFile:
    """Read the header of a picture file. Pixels are decoded when the image is loaded, while the file is open.

    `Image.open` does the same, but compares the size with `Image.MAX_IMAGE_PIXELS`, which is process-wide. Here the
    caller compares it with its own limit.

    file: a file that is open for reading, seekable, and at its beginning.
    formats: the formats to try, by their names in Pillow.
    max_pixels: the maximum number of pixels of a WebP picture, for which Pillow allocates memory already here.

    Raises ImageError for a file of another format, and the exceptions of Pillow for a damaged one.
    """
    first = file.read(_FIRST)
    if not first:
        raise ImageError("the file is empty.")
    refused: tuple[str, Exception] | None = None
    for name in formats:
        factory, accept = Image.OPEN[name]
        if accept is not None and accept(first.ljust(_FIRST, b"\0")) is not True:  # some plugins read all of them
            continue
        plain, colors = reduced(file) if name == "PNG" else (file, {})
        if name == "WEBP":
            _check_canvas(file, max_pixels)
        plain.seek(0)
        try:
            image = factory(plain, "")
        except _UNREADABLE as problem:
            refused = refused or (name, problem)
            continue
        image.info.update(colors)
        return image
    if refused is not None:
        name, why = refused
        raise ImageError(f"the {name} file is damaged, or of a kind that cannot be read: {why}.") from why
    found = _format_of(first, formats)
    if found is None:
        raise ImageError(f"this is not a picture that can be read: its first bytes are {first[:8]!r}.")
    advice = _ADVICE.get(found, "Convert it to PNG.")
    raise ImageError(f"this is not a picture that can be read: {found} is not among the formats. {advice}")


def _check_canvas(file: BinaryIO, max_pixels: int) -> None:
    """Raise ImageError for a WebP file in the extended format with more pixels (WebP specification, "Extended")."""
    file.seek(12)
    chunk = file.read(18)
    if chunk.startswith(b"VP8X") and len(chunk) == 18:
        width, height = (int.from_bytes(chunk[at : at + 3], "little") + 1 for at in (12, 15))
        check_size(width, height, max_pixels)


def _format_of(first: bytes, formats: Sequence[str]) -> str | None:
    """Return the format of a file that is not among the formats to try, by its first bytes; None if it is unknown."""
    if first[4:8] == b"ftyp":
        return next((name for name, brands in _BRANDS.items() if first[8:12] in brands), None)
    for name, starts in _STARTS.items():
        if first.startswith(starts):
            return name
    for name, (_, accept) in Image.OPEN.items():
        if name not in formats and accept is not None and accept(first) is True:
            return name
    return None


def allow_size(image: Image.Image) -> None:
    """Let Pillow load a TIFF image whose size the caller has checked, whatever `Image.MAX_IMAGE_PIXELS` is.

    Pillow checks the size again when it allocates the pixels of a TIFF image, so they are allocated here.
    """
    limit = Image.MAX_IMAGE_PIXELS
    if image.format == "TIFF" and limit is not None and image.width * image.height > limit and image.tile:  # type: ignore[attr-defined]
        stored = getattr(image, "_tile_size", image.size)  # the size before it is turned upright
        image.im = Image.new(image.mode, stored).im
