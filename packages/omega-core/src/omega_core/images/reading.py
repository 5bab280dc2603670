"""Reading of pictures from files, Pillow images, arrays and tensors."""

import io
import struct
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeGuard, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from omega_core.errors import ImageError, MissingExtraError, NotEnoughMemoryError, OmegaError, OmegaWarning
from omega_core.file_io import Readable, Source, bytes_of
from omega_core.images.arrays import picture_of_array, picture_of_tensor
from omega_core.images.color import (
    check_numbers,
    is_deep,
    is_gray,
    scaled_transparency,
    to_eight_bits,
    with_plain_colors,
)
from omega_core.images.color_signals import is_adobe_rgb, signaled_profile
from omega_core.images.opening import allow_size, open_image
from omega_core.images.pictures import MAX_PIXELS, Picture, check_size
from omega_core.locations import Location, Url, location_of

if TYPE_CHECKING:
    from torch import Tensor

FileOrArray: TypeAlias = "str | PathLike[str] | Url | bytes | Readable | Image.Image | NDArray[Any]"
"""The path, URL or bytes of a picture file, or an open binary file; a Pillow image; or an array of uint8: (H, W), or
(H, W, 3) for RGB; with alpha (H, W, 2) and (H, W, 4)."""

PictureLike: TypeAlias = "FileOrArray | Tensor"
"""A picture in any supported form: the above, or a tensor (colors, H, W) or (1, colors, H, W), floating-point in
[0, 1]."""

Batch: TypeAlias = "list[Any] | tuple[Any, ...] | Tensor"
"""Several pictures: a list or tuple of them, or a tensor (B, colors, H, W)."""

Value = TypeVar("Value")

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "TIFF", "BMP", "DIB", "GIF", "PPM", "JPEG2000", "AVIF", "HEIF")
"""The file formats that are read, by their names in Pillow. HEIF needs pillow-heif."""

_FAILURES = (  # raised for damaged files, depending on the format
    *(SyntaxError, ValueError, EOFError, RuntimeError, TypeError, LookupError, OverflowError, AssertionError),
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


def read_picture(picture: PictureLike, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a picture: upright by its EXIF orientation, in 8 bits, gray or RGB, with or without alpha.

    Palettes, CMYK and other color spaces become RGB.

    picture: a path or URL, the bytes of a picture file, an open binary file, a Pillow image, an array or a tensor.
    max_pixels: the maximum number of pixels.

    Warns (OmegaWarning) about information that is lost: bits beyond 8, pictures after the first, unsupported colors.
    Warnings of Pillow about metadata reach the caller. Raises ImageError if it is not a picture, cannot be read, or has
    more pixels, and NotEnoughMemoryError if there is not enough memory.
    """
    if isinstance(picture, np.ndarray):
        return picture_of_array(picture, max_pixels)
    if _is_tensor(picture):
        return picture_of_tensor(picture, max_pixels)
    if not isinstance(picture, (Image.Image, str, PathLike, Url)):
        picture = io.BytesIO(_bytes_of_picture(cast(Source, picture)))
    with _naming_errors():
        if isinstance(picture, Image.Image):
            read, remarks = _from_pillow(picture, max_pixels)
        else:
            # an open file: given a path, Pillow maps some TIFF files into memory with height and width exchanged
            with (
                picture if isinstance(picture, io.BytesIO) else _opened(picture) as file,
                open_image(file, _formats(), max_pixels) as image,
            ):
                read, remarks = _from_pillow(image, max_pixels)
    for remark in remarks:
        name = f"{location_of(picture)}: " if isinstance(picture, (str, PathLike, Url)) else ""
        warnings.warn(f"{name}{remark}", OmegaWarning, stacklevel=2)
    return read


def pictures_of(batch: Batch) -> "list[PictureLike | Picture]":
    """Return the pictures of a batch. Raises ImageError if its arrays or tensors have different shapes."""
    pictures = list(batch)
    shapes = {tuple(each.shape) for each in pictures if isinstance(each, np.ndarray) or _is_tensor(each)}
    if len(shapes) > 1:
        raise ImageError(f"a batch of arrays or tensors has pictures of one shape, not {sorted(shapes)}.")
    return pictures


def is_batch(pictures: object) -> "TypeGuard[Batch]":
    """Whether the argument is a batch of pictures. A tensor (1, colors, H, W) is one picture."""
    if _is_tensor(pictures):
        return pictures.ndim == 4 and len(pictures) != 1
    return isinstance(pictures, (list, tuple))


def _is_tensor(picture: object) -> "TypeGuard[Tensor]":
    torch = sys.modules.get("torch")  # a tensor cannot exist before torch is imported
    return torch is not None and isinstance(picture, torch.Tensor)


def _bytes_of_picture(picture: Source) -> bytes:
    if not isinstance(picture, (bytes, bytearray, memoryview)) and not hasattr(picture, "read"):
        raise ImageError(
            "a picture is a path, bytes, an open file, a Pillow image, an array or a tensor,"
            f" not {type(picture).__name__}."
        )
    try:
        return bytes_of(picture)
    except OmegaError as problem:
        raise ImageError(str(problem)) from problem


@contextmanager
def _naming_errors() -> Iterator[None]:
    """Turn the exceptions of Pillow into ImageError and NotEnoughMemoryError."""
    try:
        yield
    except MemoryError as problem:
        raise NotEnoughMemoryError("there is not enough memory to read the picture.") from problem
    except Image.DecompressionBombError as problem:
        raise ImageError("the picture has more pixels than PIL.Image.MAX_IMAGE_PIXELS lets Pillow read.") from problem
    except OSError as problem:
        if problem.errno is not None:
            raise ImageError(f"the picture cannot be read: {problem.strerror or problem}.") from problem
        raise _damage(problem) from problem
    except _FAILURES as problem:
        raise _damage(problem) from problem


def _damage(problem: Exception) -> ImageError:
    words = " ".join(str(problem).split()).rstrip(".")
    if isinstance(problem, (EOFError, struct.error)) or "truncated" in words.lower():
        return ImageError(f"the picture is incomplete: {words}.")
    return ImageError(f"the picture is damaged: {words}.")


def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _opened(text: str | PathLike[str] | Url) -> BinaryIO:
    """Open a file for reading. Raises OSError, ImageError, and MissingExtraError without the library of its store."""
    try:
        location = location_of(text)
        if isinstance(location, Url):
            return io.BytesIO(location.read_bytes())
        if location.exists() and not location.is_file() and not location.is_dir():
            raise ImageError("this is neither a file nor a folder.")  # reading a named pipe could block forever
        return location.open("rb")
    except (ImageError, MissingExtraError):
        raise
    except OmegaError as problem:
        raise ImageError(str(problem)) from problem
    except ValueError as problem:
        raise ImageError(f"the picture cannot be read: its name is not valid ({problem}).") from problem


def _from_pillow(image: Image.Image, max_pixels: int) -> tuple[Picture, list[str]]:
    """Return the picture, and remarks for the user."""
    check_size(image.width, image.height, max_pixels)
    check_numbers(image)
    remarks = []
    if _told(lambda: _has_several(image), False):
        remarks.append("only the first of its pictures is used.")
    if is_deep(image):
        remarks.append("its 16 bits are reduced to 8.")
    transparency = scaled_transparency(image)
    allow_size(image)
    image.load()
    if transparency is not None:
        image = image.copy()
        image.info["transparency"] = transparency
    found = image.info.get("icc_profile")
    profile, remark = signaled_profile(
        image,
        found if isinstance(found, bytes) and image.mode not in ("LAB", "HSV") else b"",
        gray=is_gray(image),
        adobe_rgb=_told(lambda: is_adobe_rgb(image.getexif()), False),
    )
    remarks.append(remark)
    turn = _UPRIGHT.get(_told(lambda: int(image.getexif().get(ExifTags.Base.Orientation, 1)), 1))
    image = to_eight_bits(image)
    if turn is not None:
        turned = image.transpose(turn)
        turned.info = image.info
        image = turned
    image, profile, remark = with_plain_colors(image, profile)
    remarks.append(remark)
    read = picture_of_array(np.asarray(image), max_pixels)
    return Picture(read.pixels, read.alpha, profile), [remark for remark in remarks if remark]


def _has_several(image: Image.Image) -> bool:
    """Whether an image is the first of several and the caller has not selected another one."""
    several = bool(getattr(image, "is_animated", False)) and image.format != "MPO"  # the others are previews
    return several and image.tell() == 0


def _told(ask: Callable[[], Value], otherwise: Value) -> Value:
    """Return the result of `ask`, which reads metadata or later pictures; `otherwise` if they cannot be read."""
    try:
        return ask()
    except (*_FAILURES, OSError):
        return otherwise


def is_picture_name(path: Location) -> bool:
    """Whether the suffix of a path is that of a supported picture format."""
    return Image.registered_extensions().get(path.suffix.lower()) in _formats()


def check_header(data: bytes) -> None:
    """Raise ImageError unless the bytes begin like a picture file that `read_picture` accepts."""
    with _naming_errors():
        is_gray_file(io.BytesIO(data))


def is_gray_file(file: BinaryIO) -> bool:
    """Whether a picture file is gray, according to its header; its pixels are not decoded.

    file: open for reading, seekable, at its beginning.

    Raises ImageError if `read_picture` refuses such a header, and the exceptions of Pillow for a damaged one.
    """
    with open_image(file, _formats(), MAX_PIXELS) as image:
        check_size(image.width, image.height, MAX_PIXELS)
        check_numbers(image)
        return is_gray(image)


def is_picture_file(path: Location) -> bool:
    """Whether a file in a folder counts as a picture: by its suffix, or by its first bytes.

    The first bytes decide for unknown suffixes and for hidden files, which are often not pictures despite their suffix.
    Raises OSError if they cannot be read.
    """
    if is_picture_name(path) and not path.name.startswith("."):
        return True
    with path.open("rb") as file, suppress(Exception):  # Pillow may raise anything for other files
        open_image(file, _formats(), MAX_PIXELS)
        return True
    return False
