"""`ModelChoice`: encodes each picture with the model that shows it best, where nobody named one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, Unpack

from omega_core.codec.batches import CompressOptions, files_of
from omega_core.codec.encoding import Cut
from omega_core.codec.model import Model
from omega_core.errors import ImageError, NotEnoughMemoryError, RateError
from omega_core.format.file import OmegaFile
from omega_core.format.rate_control import Rate
from omega_core.images.pictures import Picture, Pixels
from omega_core.images.reading import Batch, PictureLike

_SIDE = 8  # pixels, of the blocks that are looked at
_SAMPLED = 4  # one row of blocks of so many
_FLAT = 0.15  # share of blocks of one color, which 2 % of photographs have, and nearly all screenshots and drawings

_log = logging.getLogger(__name__)


class ModelChoice:
    """Encodes pictures with a model for photographs or, where that is better, with one for screens.

    A picture is encoded with both if much of it has a single color, as screenshots and drawings do, or if the file of
    the first model is whole and still smaller than wanted. Of both files, the one of the wanted size with the higher
    PSNR is taken, or that of the wanted PSNR with fewer bytes. Without a limit, the wanted size is that of all channels
    of the first model. The first model is taken where the other refuses: a picture for the memory that decoding may
    take, or a size for its smallest file.

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

    def compress(
        self, picture: PictureLike | Picture | Batch, **options: Unpack[CompressOptions]
    ) -> bytes | list[bytes]:
        """Compress a picture to the bytes of an `.omega` file, or several to a list: see `Model.compress`."""
        limits: dict[str, Any] = {**options}
        others = {name: limits.pop(name) for name in ("coder", "effort") if name in limits}
        return files_of(picture, partial(self.encode_at_rate, rate=Rate(**limits), **others))

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
        cut = self.photos.cut(read, rate, coder=coder, effort=effort)
        of_any_model = rate.channels is None and rate.fraction is None
        if of_any_model and (looks_drawn(read.pixels) or _ends_below(rate, cut)):
            limit = Rate(max_bytes=len(cut.file.to_bytes())) if rate == Rate() else rate
            cut = self._better_for_screens(read, limit, cut, coder, name) or cut
        cut.warn_if_missed(rate, name)
        return cut.file

    def _better_for_screens(
        self, picture: Picture, limit: Rate, first: Cut, coder: str | None, name: str
    ) -> Cut | None:
        """The file of the model for screens; None if that of the first one is better, or the other refuses."""
        try:
            found = self.screens.cut(picture, limit, coder=coder)
        except (RateError, ImageError, NotEnoughMemoryError) as problem:
            _log.info("%s: not encoded with the model for screens: %s", name, problem)
            return None
        if limit.psnr is None:
            before = first.quality(self.photos.files, picture)
            better = found.quality(self.screens.files, picture) > before
        elif min(first.psnr, found.psnr) < limit.psnr:
            better = found.psnr > first.psnr
        else:
            better = found.length < first.length
        if better:
            _log.info("%s: encoded with the model for screens", name)
        return found if better else None


def looks_drawn(pixels: Pixels) -> bool:
    """Whether much of a picture (colors, H, W) consists of blocks of a single color, as in screenshots and drawings."""
    colors, height, width = pixels.shape
    rows, across = height // _SIDE, width // _SIDE
    if not rows or not across:
        return False
    blocks = pixels[:, : rows * _SIDE, : across * _SIDE].reshape(colors, rows, _SIDE, across, _SIDE)[:, ::_SAMPLED]
    flat = (blocks.max(axis=(2, 4)) == blocks.min(axis=(2, 4))).all(axis=0)
    return float(flat.mean()) >= _FLAT


def _ends_below(rate: Rate, cut: Cut) -> bool:
    """Whether a file has all symbols of its model, but less than a rate asks for."""
    if rate.psnr is not None:
        return cut.psnr < rate.psnr
    return cut.file.header.complete and rate.budget(cut.file.pixels) is not None
