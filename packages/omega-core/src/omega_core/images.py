"""Pictures ↔ arrays of 8-bit values."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from omega_core.errors import ImageError

Pixels = NDArray[np.uint8]
"""(colours, H, W), 1 colour for grey or 3 for RGB."""

Picture = str | PathLike[str] | Image.Image | NDArray[Any]
"""What a picture may be given as: a path, a Pillow image, or an array (H, W) or (H, W, 3) of uint8."""

MAX_PIXELS = 89_478_485  # as Pillow warns of
"""Pictures with more pixels than this are refused before anything is allocated."""


def read_picture(picture: Picture) -> Pixels:
    """A picture as pixels. Raises ImageError if it is none, or not grey or RGB with 8 bits."""
    if isinstance(picture, np.ndarray):
        return _from_array(picture)
    with _naming_errors():
        if isinstance(picture, Image.Image):
            return _from_pillow(picture)
        if not isinstance(picture, (str, PathLike)):
            raise ImageError(f"a picture is a path, a Pillow image or an array, not {type(picture).__name__}.")
        with Image.open(picture) as opened:
            return _from_pillow(opened)


@contextmanager
def _naming_errors() -> Iterator[None]:
    """Turn the many ways in which Pillow fails into an ImageError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    except Image.DecompressionBombError as problem:
        raise ImageError(f"the picture is too large: {problem}") from problem
    except UnidentifiedImageError as problem:
        raise ImageError("this is not a picture that can be read.") from problem
    except OSError as problem:
        raise ImageError(f"the picture cannot be read: {problem.strerror or problem}.") from problem
    except (SyntaxError, ValueError, EOFError, RuntimeError, TypeError, MemoryError) as problem:  # by format
        raise ImageError(f"the picture is damaged: {problem}.") from problem


def _from_pillow(image: Image.Image) -> Pixels:
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(f"{image.width}×{image.height} pixels are more than {MAX_PIXELS}.")
    if image.mode == "1":
        image = image.convert("L")
    if image.mode not in ("L", "RGB"):
        raise ImageError(f"a picture of mode {image.mode} is not taken yet; convert it to L (grey) or RGB first.")
    return _from_array(np.asarray(image))


def _from_array(array: NDArray[Any]) -> Pixels:
    if array.dtype != np.uint8:
        raise ImageError(f"an array of {array.dtype} is no picture here; give uint8 values from 0 to 255.")
    if array.ndim == 2 and array.size:
        return array[None]
    if array.ndim == 3 and array.shape[2] == 3 and array.size:
        return np.ascontiguousarray(array.transpose(2, 0, 1))
    raise ImageError(f"an array of shape {array.shape} is no picture here; give (H, W) or (H, W, 3).")


def is_picture_name(path: Path) -> bool:
    """Whether a file's name is that of a picture that Pillow reads."""
    return Image.registered_extensions().get(path.suffix.lower()) in Image.OPEN


def to_pillow(pixels: Pixels) -> Image.Image:
    """Pixels (1 or 3, H, W) as a Pillow image of mode L or RGB."""
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def png(image: Image.Image) -> bytes:
    """The bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def psnr(original: Pixels, decoded: Pixels) -> float:
    """Peak signal-to-noise ratio in dB over all colours of two pictures; infinite where they are equal."""
    error = float(np.mean((original.astype(np.float64) - decoded) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def side_by_side(rows: Sequence[Sequence[Pixels]], *, gap: int = 2, scale: int = 1) -> Image.Image:
    """A contact sheet: rows of pictures of one size, enlarged `scale` times without smoothing."""
    colours, height, width = rows[0][0].shape
    down, across = height * scale + gap, width * scale + gap
    sheet = np.full((colours, len(rows) * down + gap, len(rows[0]) * across + gap), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, pixels in enumerate(row):
            large = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
            top, left = gap + i * down, gap + j * across
            sheet[:, top : top + height * scale, left : left + width * scale] = large
    return to_pillow(sheet)
