"""`PictureEncoder`: the base class of encoders of pictures to files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, cast, overload

from omega_core.errors import ImageError
from omega_core.format.file import OmegaFile
from omega_core.format.rate_control import Rate
from omega_core.images.pictures import Picture
from omega_core.images.reading import Batch, FileOrArray, PictureLike, is_batch, pictures_of

if TYPE_CHECKING:
    from torch import Tensor


class CompressOptions(TypedDict, total=False):
    """The options of `PictureEncoder.compress`, for type checkers."""

    channels: int | None
    fraction: float | None
    bpp: float | None
    max_bytes: int | None
    psnr: float | None
    coder: str | None
    effort: int


class PictureEncoder(ABC):
    """Encodes pictures to files: a model, or a choice between models."""

    @overload
    def compress(self, picture: Tensor, **options: Unpack[CompressOptions]) -> bytes | list[bytes]: ...

    @overload
    def compress(self, picture: list[Any] | tuple[Any, ...], **options: Unpack[CompressOptions]) -> list[bytes]: ...

    @overload
    def compress(self, picture: FileOrArray | Picture, **options: Unpack[CompressOptions]) -> bytes: ...

    def compress(
        self,
        picture: PictureLike | Picture | Batch,
        *,
        channels: int | None = None,
        fraction: float | None = None,
        bpp: float | None = None,
        max_bytes: int | None = None,
        psnr: float | None = None,
        coder: str | None = None,
        effort: int = 0,
    ) -> bytes | list[bytes]:
        """Compress a picture to the bytes of an `.omega` file, or several pictures to a list of files.

        picture: a path or URL, the bytes of a picture file, an open binary file, a Pillow image, an array of uint8
            (H, W) or (H, W, 3) (with alpha (H, W, 2) and (H, W, 4)), or a tensor (colors, H, W) or (1, colors, H, W)
            of floating-point values in [0, 1]. Several pictures are a list or a tuple of these, with all arrays and
            tensors of one shape, or a tensor (B, colors, H, W) with B other than 1.
        channels, fraction, bpp, max_bytes, psnr: at most one of them, see `Rate`. Default: all channels are kept.
        coder: the name of a coder. Default: the coder of the model.
        effort: from 0 to 3: how long to search for better symbols for this rate; see `encode_at_rate`.

        Raises ImageError for an unusable picture, ComponentError or CoderError for an unusable coder; RateError for
        several limits, an invalid number of channels or effort, or fewer bytes than the smallest file takes;
        ComponentError for an effort above 0 if the model has no search. Warns (OmegaWarning) if a PSNR is not reached;
        the file is then whole.
        """
        rate = Rate(channels=channels, fraction=fraction, bpp=bpp, max_bytes=max_bytes, psnr=psnr)
        encode = partial(self.encode_at_rate, rate=rate, coder=coder, effort=effort)
        if not is_batch(picture):
            return encode(cast(PictureLike, picture)).to_bytes()
        files = []
        for number, each in enumerate(pictures_of(picture)):
            name = f"picture {number}"
            try:
                files.append(encode(each, name=name).to_bytes())
            except ImageError as problem:
                raise ImageError(f"{name} of the batch: {problem}") from problem
        return files

    @abstractmethod
    def encode_at_rate(
        self,
        picture: PictureLike | Picture,
        rate: Rate,
        *,
        coder: str | None = None,
        effort: int = 0,
        name: str = "the picture",
    ) -> OmegaFile:
        """Encode a picture to a file of a rate: see `Model.encode_at_rate`."""
