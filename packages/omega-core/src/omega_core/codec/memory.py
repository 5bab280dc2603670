"""The memory that decoding takes, in bytes, which is known before any of it is allocated."""

import os
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, UntypedStorage
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from omega_core.codec.file_codec import BATCH_PIXELS
from omega_core.codec.image_codec import ImageCodec
from omega_core.contracts.architecture import LocalArchitecture
from omega_core.errors import ImageError, NotEnoughMemoryError, OmegaError

MAX_MEMORY = 4 << 30
"""The default limit on the bytes that decoding a file may take; larger ones are refused before memory is allocated."""
VARIABLE = "OMEGA_MAX_MEMORY"
"""The environment variable of another default, in MiB."""

_INDICES = 4 * 8
"""Bytes of a symbol beside those in the picture and in its batch: as the coder returns it, its place and row, and where
runs begin. Priors with few steps have them for many symbols at once."""
_PIXEL = 16
"""Bytes of a pixel: colors in the batch, the picture and the Pillow image; alpha inflated, summed and copied."""
_FIXED = 64 << 20
"""Bytes that do not depend on the picture, such as those that convolutions take for themselves."""
_POSITIONS = 8  # a side, of the picture that is measured
_PIXELS = 128  # a side, for an architecture whose stride is not known


def default_max_memory() -> int:
    """Return the default limit in bytes. Raises OmegaError if the environment variable is no number above 0."""
    told = os.environ.get(VARIABLE)
    if told is None:
        return MAX_MEMORY
    if not (told.isascii() and told.isdecimal() and int(told)):
        raise OmegaError(f"{VARIABLE} is a number of MiB, 1 or more, not {told!r}.")
    return int(told) << 20


@dataclass(frozen=True)
class DecodingMemory:
    """What a codec takes in decoding, in bytes for each position of a latent.

    codec: in evaluation mode.
    transformed: at the peak of dequantization and synthesis, for each position that is transformed at once.
    kept: between the parts of the synthesis in tiles, for each position of a picture.
    """

    codec: ImageCodec
    transformed: float
    kept: float

    @classmethod
    @torch.inference_mode()
    def of(cls, codec: ImageCodec) -> "DecodingMemory":
        """Measure a codec on a small picture. A larger one takes as much for each position, or less.

        Nothing is known of the transforms of an architecture that takes neither its `image_size` nor 128×128 pixels.
        """
        architecture = codec.architecture
        local = architecture if isinstance(architecture, LocalArchitecture) else None
        side = _PIXELS if local is None else local.stride * max(local.smallest, _POSITIONS)
        height, width = architecture.image_size or (side, side)
        try:
            h, w = architecture.latent_size(height, width)
        except ImageError:
            return cls(codec, 0.0, 0.0)
        with _LiveBytes() as live:
            codec.decode_symbols(torch.zeros((1, codec.quantizer.channels, h, w), dtype=torch.int64), height, width)
        kept = 0
        if local is not None:
            like = next(local.parameters(), torch.empty(0))
            latent = torch.zeros((1, local.latent_channels, h, w), dtype=like.dtype, device=like.device)
            kept = local.refine_with_fineness(latent, latent.new_ones(1)).nbytes
        return cls(codec, live.peak / (h * w), kept / (h * w))

    def needed(self, sizes: Sequence[tuple[int, int]], tile: int | None) -> int:
        """Return an upper bound of the bytes that decoding a file takes.

        sizes: (H, W) of its pictures, in pixels.
        tile: the side of its tiles, in pixels; None without tiles.

        Raises ImageError for a size that the architecture does not take.
        """
        positions = at_once = 0
        for (height, width), count in Counter(sizes).items():
            h, w = self.codec.architecture.latent_size(height, width)
            positions += h * w * count
            at_once = max(at_once, h * w * min(count, max(1, BATCH_PIXELS // (height * width))))
        architecture = self.codec.architecture
        if tile is not None and isinstance(architecture, LocalArchitecture):
            halo = max(architecture.refine_halo, architecture.render_halo)
            at_once = min(at_once, (max(1, tile // architecture.stride) + 2 * halo) ** 2)
        pixels = sum(height * width for height, width in sizes)
        symbols = positions * self.codec.quantizer.channels
        symbol = 2 * self.codec.symbol_type.itemsize + _INDICES
        return int(_FIXED + symbols * symbol + pixels * _PIXEL + positions * self.kept + at_once * self.transformed)

    def check(self, sizes: Sequence[tuple[int, int]], tile: int | None, allowed: int) -> None:
        """Raise NotEnoughMemoryError if decoding may take more than `allowed` bytes. Other arguments as of `needed`."""
        needed = self.needed(sizes, tile)
        if needed > allowed:
            raise NotEnoughMemoryError(
                f"decoding it may take {needed >> 20} MiB of memory, more than {allowed >> 20}; allow more to do it.",
                needed=needed,
                allowed=allowed,
            )


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that are made within it, in this thread.

    peak: the most bytes that were alive at once.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._live = 0
        self._known = set[int]()

    def __torch_dispatch__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: UntypedStorage) -> None:
        key, size = storage.data_ptr(), storage.nbytes()
        if size and key not in self._known:
            self._known.add(key)
            self._live += size
            self.peak = max(self.peak, self._live)
            weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._live -= size
