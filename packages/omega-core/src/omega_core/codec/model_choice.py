"""`ModelChoice`: chooses a model for each picture if none was named."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from omega_core.codec.model import Model, warn_if_missed
from omega_core.codec.picture_encoder import PictureEncoder
from omega_core.errors import ImageError, NotEnoughMemoryError, RateError
from omega_core.format.file import OmegaFile
from omega_core.format.rate_control import Rate
from omega_core.images.metrics import psnr
from omega_core.images.pictures import Picture, Pixels
from omega_core.images.reading import PictureLike

_BLOCK_SIDE = 8  # side of the blocks that are examined, in pixels
_ROW_STEP = 4  # every fourth row of blocks, or of pixels, is examined
_MAX_FEW_VALUES = 16  # maximum number of different values that counts as few; every photo has more
_FLAT_BLOCK_SHARE = 0.15  # share of one-color blocks in 2 % of photos and nearly all screenshots and drawings

_log = logging.getLogger(__name__)


class ModelChoice(PictureEncoder):
    """Encodes pictures with a model for photos or, if it is better, with a model for screens.

    A picture is encoded with both models if many of its blocks have a single color, as in screenshots and drawings, if
    it has few different values, as dithered pictures do, or if the first model's whole file is below the wanted rate.
    For a wanted size, the file with the higher PSNR is taken; for a wanted PSNR, the file with fewer bytes. Without a
    limit, the wanted size is that of all channels of the first model. If the second model refuses, as decoding may take
    too much memory or its smallest file is too large, the file of the first model is taken.

    photos: the first model.
    screens: the second model, or a function that loads it when it is first needed.
    """

    def __init__(self, photos: Model, screens: Model | Callable[[], Model]) -> None:
        self.photos = photos
        self._given = screens

    def __repr__(self) -> str:
        return f"ModelChoice({self.photos!r}, {self._given!r})"

    @cached_property
    def screens(self) -> Model:
        """The second model."""
        return self._given if isinstance(self._given, Model) else self._given()

    def encode_at_rate(
        self,
        picture: PictureLike | Picture,
        rate: Rate,
        *,
        coder: str | None = None,
        effort: int = 0,
        name: str = "the picture",
    ) -> OmegaFile:
        """Encode a picture to a file of a rate. Arguments, errors and warnings are those of `Model.encode_at_rate`.

        Without a limit, a file of the second model is truncated to the size of the first model's file.

        Numbers and fractions of channels are specific to a model: they always select the first model. An effort also
        applies only to the first model: files of the second model have the nearest symbols.
        """
        self.photos.check_rate(rate)
        self.photos.check_effort(effort)
        read = self.photos.read(picture)
        file, reached = self.photos.encode_towards(read, rate, coder=coder, effort=effort)
        of_any_model = rate.channels is None and rate.fraction is None
        if of_any_model and (looks_drawn(read.pixels, read.visible) or _ends_below(rate, file, reached)):
            limit = Rate(max_bytes=len(file.to_bytes())) if rate == Rate() else rate
            better = self._better_for_screens(read, limit, file, reached, coder, name)
            file, reached = better or (file, reached)
        warn_if_missed(rate, reached, name)
        return file

    def _better_for_screens(
        self, picture: Picture, limit: Rate, first: OmegaFile, reached: float, coder: str | None, name: str
    ) -> tuple[OmegaFile, float] | None:
        """The file of the model for screens, and its PSNR; None if the first file is better, or the model refuses."""
        try:
            self.screens.check_rate(limit)
            found, of_found = self.screens.encode_towards(picture, limit, coder=coder)
        except (RateError, ImageError, NotEnoughMemoryError) as problem:
            _log.info("%s: not encoded with the model for screens: %s", name, problem)
            return None
        if limit.psnr is None:
            before, after = (_quality(*each, picture) for each in ((self.photos, first), (self.screens, found)))
            better = after > before
        elif min(reached, of_found) < limit.psnr:
            better = of_found > reached
        else:
            better = len(found.to_bytes()) < len(first.to_bytes())
        if better:
            _log.info("%s: encoded with the model for screens", name)
        return (found, of_found) if better else None


def _quality(model: Model, file: OmegaFile, picture: Picture) -> float:
    """The PSNR of a file of a picture, in dB."""
    return psnr(picture.pixels, model.decompress_picture(file.to_bytes()).pixels, picture.visible)


def looks_drawn(pixels: Pixels, visible: NDArray[np.bool_] | None = None) -> bool:
    """Whether much of a picture (colors, H, W) consists of blocks of a single color, or it has few different values.

    Screenshots and drawings have such blocks, dithered pictures few values.

    visible: (H, W): whether a pixel counts; None if all do.
    """
    colors, height, width = pixels.shape
    rows, across = height // _BLOCK_SIDE, width // _BLOCK_SIDE
    if not rows or not across:
        return False
    if _has_few_values(pixels, visible):
        return True
    whole = pixels[:, : rows * _BLOCK_SIDE, : across * _BLOCK_SIDE]
    blocks = whole.reshape(colors, rows, _BLOCK_SIDE, across, _BLOCK_SIDE)[:, ::_ROW_STEP]
    flat = (blocks.max(axis=(2, 4)) == blocks.min(axis=(2, 4))).all(axis=0)
    if visible is not None:
        seen = visible[: rows * _BLOCK_SIDE, : across * _BLOCK_SIDE]
        flat = flat[seen.reshape(rows, _BLOCK_SIDE, across, _BLOCK_SIDE)[::_ROW_STEP].any(axis=(1, 3))]
    return flat.size > 0 and float(flat.mean()) >= _FLAT_BLOCK_SHARE


def _has_few_values(pixels: Pixels, visible: NDArray[np.bool_] | None) -> bool:
    """Whether the visible pixels of a picture (colors, H, W) have few different values."""
    seen = np.zeros(256, bool)
    for row in range(0, pixels.shape[1], _ROW_STEP):  # the first row suffices for most photos
        seen[pixels[:, row] if visible is None else pixels[:, row, visible[row]]] = True
        if np.count_nonzero(seen) > _MAX_FEW_VALUES:
            return False
    return True


def _ends_below(rate: Rate, file: OmegaFile, reached: float) -> bool:
    """Whether a file has all symbols of its model, but is below the wanted rate."""
    if rate.psnr is not None:
        return reached < rate.psnr
    return file.header.complete and rate.budget(file.pixels) is not None
