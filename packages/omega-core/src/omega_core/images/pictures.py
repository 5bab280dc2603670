"""Pictures ↔ arrays of 8-bit values."""

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from omega_core.errors import ImageError, OmegaWarning
from omega_core.format.limits import MAX_PROFILE_BYTES
from omega_core.images.planes import Plane

Pixels = NDArray[np.uint8]
"""(colors, H, W), 1 color for gray or 3 for RGB."""

PictureLike = str | PathLike[str] | Image.Image | NDArray[Any]
"""What a picture may be given as: a path, a Pillow image, or an array of uint8: (H, W), or (H, W, 3) for
RGB; with opacity (H, W, 2) and (H, W, 4)."""

MAX_PIXELS = 89_478_485  # as Pillow warns of
"""Pictures with more pixels than this are refused before anything is allocated, unless more are asked for."""

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "TIFF", "BMP", "DIB", "GIF", "PPM", "JPEG2000", "AVIF")
"""Formats of files that are read, as Pillow names them."""

_limit = threading.Lock()
_FAILURES = (  # by format
    *(SyntaxError, ValueError, EOFError, RuntimeError, TypeError, MemoryError, LookupError, OverflowError),
    *(struct.error, zlib.error),
)
_UPRIGHT = {  # by EXIF orientation, as TIFF 6.0 defines it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PROFILES = {"L": b"GRAY", "LA": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB "}  # what fits a mode, as ICC.1 §7.2.6 says


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture, upright.

    pixels: (1, H, W) for gray or (3, H, W) for RGB.
    alpha: (H, W), its opacity, if it has one.
    profile: its ICC profile; nothing if it has none.
    """

    pixels: Pixels
    alpha: Plane | None = None
    profile: bytes = b""

    @property
    def mode(self) -> str:
        """As Pillow names it: L, LA, RGB or RGBA."""
        return ("L" if len(self.pixels) == 1 else "RGB") + ("" if self.alpha is None else "A")

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.pixels.shape[1], self.pixels.shape[2]

    def to_pillow(self) -> Image.Image:
        """The same as a Pillow image."""
        image = to_pillow(self.pixels)
        if self.alpha is not None:
            image.putalpha(Image.fromarray(self.alpha))
        if self.profile:
            image.info["icc_profile"] = self.profile
        return image


def read_picture(picture: PictureLike, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """A picture as it is meant to be seen: turned upright, in 8 bits, gray or RGB, with or without opacity.

    Palettes, CMYK and other colors become RGB. Warns (OmegaWarning) where 16 bits become 8, and where only
    the first of several pictures is taken. Raises ImageError if it is no picture, or has too many pixels.
    """
    if isinstance(picture, np.ndarray):
        return _from_array(picture, max_pixels)
    with _naming_errors(max_pixels), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of oddities in metadata, and of sizes, which are checked here
        if isinstance(picture, Image.Image):
            read, remarks = _from_pillow(picture, max_pixels)
        elif isinstance(picture, (str, PathLike)):
            # from an open file: of a path, Pillow maps some TIFF files into memory with their sides exchanged
            with _readable(Path(picture)).open("rb") as file, Image.open(file, formats=_formats()) as image:
                read, remarks = _from_pillow(image, max_pixels)
        else:
            raise ImageError(f"a picture is a path, a Pillow image or an array, not {type(picture).__name__}.")
    for remark in remarks:
        name = f"{picture}: " if isinstance(picture, (str, PathLike)) else ""
        warnings.warn(f"{name}{remark}", OmegaWarning, stacklevel=2)
    return read


@contextmanager
def _naming_errors(max_pixels: int) -> Iterator[None]:
    """Turn the many ways in which Pillow fails into an ImageError, and let its limit follow ours."""
    with _limit:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        try:
            yield
        except Image.DecompressionBombError as problem:
            raise ImageError(f"the picture is too large: it has more than {max_pixels} pixels.") from problem
        except UnidentifiedImageError as problem:
            raise ImageError("this is not a picture that can be read.") from problem
        except OSError as problem:
            raise ImageError(f"the picture cannot be read: {problem.strerror or problem}.") from problem
        except _FAILURES as problem:
            raise ImageError(f"the picture is damaged: {problem}.") from problem
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _readable(path: Path) -> Path:
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ImageError("this is neither a file nor a folder.")  # a named pipe would be waited for
    return path


def _from_pillow(image: Image.Image, max_pixels: int) -> tuple[Picture, list[str]]:
    """The picture, and what its owner should know of it."""
    check_size(image.width, image.height, max_pixels)
    remarks = []
    if _has_several(image):
        remarks.append("only the first of its several pictures is taken.")
    if _is_deep(image):
        remarks.append("its 16 bits are reduced to 8.")
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or image.mode in ("YCbCr", "LAB", "HSV"):
        profile = b""
    if len(profile) > MAX_PROFILE_BYTES:
        remarks.append(f"its ICC profile of {len(profile)} bytes is left out.")
        profile = b""
    image.load()
    turn = _UPRIGHT.get(_orientation(image))
    if turn is not None:
        turned = image.transpose(turn)
        turned.info = image.info
        image = turned
    image = _eight_bits(image)
    if image.mode == "CMYK":
        image, profile = _to_srgb(image, profile), b""
    image = _plain(image)
    read = _from_array(np.asarray(image), max_pixels)
    return Picture(read.pixels, read.alpha, profile if _colors(profile) == _PROFILES[read.mode] else b""), remarks


def _has_several(image: Image.Image) -> bool:
    """Whether there are pictures after the one that is taken, and nobody has chosen among them."""
    try:
        several = bool(getattr(image, "is_animated", False)) and image.format != "MPO"  # whose others are previews
        return several and image.tell() == 0
    except (*_FAILURES, OSError):  # of what comes after the first
        return False


def _is_deep(image: Image.Image) -> bool:
    """Whether Pillow reads more than 8 bits, or has reduced them."""
    if image.mode.startswith("I"):
        return True
    for coder, _, _, arguments in getattr(image, "tile", []):
        kind, *numbers = arguments if isinstance(arguments, tuple) and arguments else (arguments,)
        if ";16" in str(kind) or (coder.startswith("ppm") and max(numbers, default=0) > 255):
            return True
    return False


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (*_FAILURES, OSError):  # metadata that cannot be read says nothing
        return 1


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise ImageError for a picture of more pixels."""
    if width * height > max_pixels:
        raise ImageError(f"{width}×{height} pixels are more than {max_pixels}; allow more to take it.")


def _colors(profile: bytes) -> bytes:
    """Of what an ICC profile is: bytes 16 to 19 of its header (ICC.1, §7.2.6)."""
    return profile[16:20]


def _eight_bits(image: Image.Image) -> Image.Image:
    """16 bits of gray reduced to the upper 8."""
    if image.mode == "F":
        raise ImageError("a picture of floating-point numbers is not taken; convert it to 8 bits first.")
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image)
    if values.size and not (values.min() >= 0 and values.max() < 1 << 16):
        raise ImageError(f"values from {values.min()} to {values.max()} are not taken; convert it to 8 bits first.")
    reduced = Image.fromarray((values >> 8).astype(np.uint8))
    if isinstance(image.info.get("transparency"), int):
        reduced.putalpha(Image.fromarray(np.where(values == image.info["transparency"], 0, 255).astype(np.uint8)))
    return reduced


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """CMYK as its profile means it, where that can be read."""
    if _colors(profile) != b"CMYK":
        return image
    try:
        meant = ImageCms.profileToProfile(image, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB")
    except ImageCms.PyCMSError:
        return image
    return meant or image


def _plain(image: Image.Image) -> Image.Image:
    """An image of mode L, LA, RGB or RGBA."""
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode in ("L", "LA", "RGB", "RGBA") and "transparency" not in image.info:
        return image
    gray = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return image.convert("LA") if gray else image
    return image.convert("L" if gray else "RGB")


def _from_array(array: NDArray[Any], max_pixels: int) -> Picture:
    if array.dtype != np.uint8:
        raise ImageError(f"an array of {array.dtype} is no picture here; give uint8 values from 0 to 255.")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4) or not array.size:
        raise ImageError(f"an array of shape {array.shape} is no picture here; give (H, W) or (H, W, 3).")
    check_size(array.shape[1], array.shape[0], max_pixels)
    colors = 1 if array.shape[2] < 3 else 3
    pixels = np.array(array[:, :, :colors].transpose(2, 0, 1), order="C")
    alpha = np.ascontiguousarray(array[:, :, -1]) if array.shape[2] in (2, 4) else None
    return Picture(pixels, alpha)


def is_picture_name(path: Path) -> bool:
    """Whether a file's name is that of a picture that is read."""
    return Image.registered_extensions().get(path.suffix.lower()) in _formats()


def to_pillow(pixels: Pixels) -> Image.Image:
    """Pixels (1 or 3, H, W) as a Pillow image of mode L or RGB."""
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def png(image: Image.Image) -> bytes:
    """The bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def psnr(original: Pixels, decoded: Pixels) -> float:
    """Peak signal-to-noise ratio in dB over all colors of two pictures; infinite where they are equal."""
    difference = original.astype(np.int16) - decoded
    error = float(np.mean(np.square(difference, dtype=np.float32), dtype=np.float64))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def side_by_side(rows: Sequence[Sequence[Pixels]], *, gap: int = 2, scale: int = 1) -> Image.Image:
    """A contact sheet: rows of pictures of one size, enlarged `scale` times without smoothing."""
    colors, height, width = rows[0][0].shape
    down, across = height * scale + gap, width * scale + gap
    sheet = np.full((colors, len(rows) * down + gap, len(rows[0]) * across + gap), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, pixels in enumerate(row):
            large = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
            top, left = gap + i * down, gap + j * across
            sheet[:, top : top + height * scale, left : left + width * scale] = large
    return to_pillow(sheet)
