"""One picture or several: what `compress` takes and returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict, cast

from omega_core.errors import ImageError
from omega_core.format.file import OmegaFile
from omega_core.images.pictures import Picture
from omega_core.images.reading import Batch, PictureLike, is_batch, pictures_of


class CompressOptions(TypedDict, total=False):
    """The options of `Model.compress`, for type checkers."""

    channels: int | None
    fraction: float | None
    bpp: float | None
    max_bytes: int | None
    psnr: float | None
    coder: str | None
    effort: int


def files_of(picture: PictureLike | Picture | Batch, encode: Callable[..., OmegaFile]) -> bytes | list[bytes]:
    """Return the bytes of the file of a picture, or a list of those of several.

    picture: as `Model.compress` takes it.
    encode: turns one picture, and the keyword `name` for warnings, into a file.

    Raises ImageError for the picture, which says which one of several, and whatever `encode` does.
    """
    if not is_batch(picture):
        return encode(cast(PictureLike, picture), name="the picture").to_bytes()
    files = []
    for number, each in enumerate(pictures_of(picture)):
        name = f"picture {number}"
        try:
            files.append(encode(each, name=name).to_bytes())
        except ImageError as problem:
            raise ImageError(f"{name} of the batch: {problem}") from problem
    return files
