"""`ModelChoice`: encodes each picture with the model that shows it best, where nobody named one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property

import numpy as np

from omega_core.codec.model import Model, warn_if_missed
from omega_core.codec.picture_encoder import PictureEncoder
from omega_core.errors import ImageError, NotEnoughMemoryError, RateError
from omega_core.format.file import OmegaFile
from omega_core.format.rate_control import Rate
from omega_core.images.metrics import psnr
from omega_core.images.pictures import Picture, Pixels
from omega_core.images.reading import PictureLike

_SIDE = 8  # pixels, of the blocks that are looked at
_SAMPLED = 4  # one row of blocks of so many
_FEW = 16  # different values of pixels, fewer than any photograph has
_FLAT = 0.15  # share of blocks of one color, which 2 % of photographs have, and nearly all screenshots and drawings

_log = logging.getLogger(__name__)


class ModelChoice(PictureEncoder):
    """Encodes pictures with a model for photographs or, where that is better, with one for screens.

    A picture is encoded with both if much of it has a single color, as screenshots and drawings do, if it has few
    different values, as dithered pictures do, or if the file of the first model is whole and still smaller than wanted.
    Of both files, the one of the wanted size with the higher PSNR is taken, or that of the wanted PSNR with fewer
    bytes. Without a limit, the wanted size is that of all channels of the first model. The first model is taken where
    the other refuses: a picture for the memory that decoding may take, or a size for its smallest file.

    photos: the first model.
    screens: the other one, or what returns it when it is needed first.
    """

    def __init__(self, photos: Model, screens: Model | Callable[[], Model]) -> None:
        self.photos = photos
        self._given = screens

    @cached_property
    def screens(self) -> Model:
        """The other model."""
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

        The file is that of one of the models. Without a limit, that of the second one is truncated.

        Numbers and fractions of channels are of one model: with them, the first one is taken. An effort is for the
        first one, too: files of the other have the nearest symbols.
        """
        self.photos.check_rate(rate)
        self.photos.check_effort(effort)
        read = self.photos.read(picture)
        file, reached = self.photos.encode_towards(read, rate, coder=coder, effort=effort)
        of_any_model = rate.channels is None and rate.fraction is None
        if of_any_model and (looks_drawn(read.pixels) or _ends_below(rate, file, reached)):
            limit = Rate(max_bytes=len(file.to_bytes())) if rate == Rate() else rate
            better = self._better_for_screens(read, limit, file, reached, coder, name)
            file, reached = better or (file, reached)
        warn_if_missed(rate, reached, name)
        return file

    def _better_for_screens(
        self, picture: Picture, limit: Rate, first: OmegaFile, reached: float, coder: str | None, name: str
    ) -> tuple[OmegaFile, float] | None:
        """The file of the model for screens, and what it reaches; None if the first one is better, or it refuses."""
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
    return psnr(picture.pixels, model.decompress_picture(file.to_bytes()).pixels)


def looks_drawn(pixels: Pixels) -> bool:
    """Whether much of a picture (colors, H, W) consists of blocks of a single color, or it has few different values.

    Screenshots and drawings have such blocks, dithered pictures few values.
    """
    colors, height, width = pixels.shape
    rows, across = height // _SIDE, width // _SIDE
    if not rows or not across:
        return False
    if _has_few_values(pixels):
        return True
    blocks = pixels[:, : rows * _SIDE, : across * _SIDE].reshape(colors, rows, _SIDE, across, _SIDE)[:, ::_SAMPLED]
    flat = (blocks.max(axis=(2, 4)) == blocks.min(axis=(2, 4))).all(axis=0)
    return float(flat.mean()) >= _FLAT


def _has_few_values(pixels: Pixels) -> bool:
    """Whether the numbers of a picture (colors, H, W) are few different ones."""
    seen = np.zeros(256, bool)
    for row in range(0, pixels.shape[1], _SAMPLED):  # one by one: a photograph is told by the first, in no memory
        seen[pixels[:, row]] = True
        if np.count_nonzero(seen) > _FEW:
            return False
    return True


def _ends_below(rate: Rate, file: OmegaFile, reached: float) -> bool:
    """Whether a file has all symbols of its model, but less than a rate asks for."""
    if rate.psnr is not None:
        return reached < rate.psnr
    return file.header.complete and rate.budget(file.pixels) is not None
