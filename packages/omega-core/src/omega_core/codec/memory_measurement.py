"""The memory that decoding with an `ImageCodec` takes, measured on a small picture."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, UntypedStorage
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from omega_core.codec.memory import DecodingMemory
from omega_core.contracts.architecture import LocalArchitecture
from omega_core.errors import ImageError

if TYPE_CHECKING:
    from omega_core.codec.image_codec import ImageCodec

_POSITIONS = 8  # positions along a side of the picture that is measured
_PIXELS = 128  # pixels along its side, for an architecture whose stride is not known


@torch.inference_mode()
def measured(codec: "ImageCodec") -> DecodingMemory:
    """Measure a codec in evaluation mode on a small picture. A larger one takes as much per position, or less.

    For an architecture that takes neither its `image_size` nor 128×128 pixels, the memory of the transforms is 0.
    """
    architecture = codec.architecture
    local = architecture if isinstance(architecture, LocalArchitecture) else None
    side = _PIXELS if local is None else local.stride * max(local.smallest, _POSITIONS)
    height, width = architecture.image_size or (side, side)
    try:
        h, w = architecture.latent_size(height, width)
    except ImageError:
        return DecodingMemory(codec, 0.0, 0.0)
    with _LiveBytes() as live:
        codec.decode_symbols(torch.zeros((1, codec.quantizer.channels, h, w), dtype=torch.int64), height, width)
    kept = 0
    if local is not None:
        like = next(local.parameters(), torch.empty(0))
        latent = torch.zeros((1, local.latent_channels, h, w), dtype=like.dtype, device=like.device)
        kept = local.refine_with_fineness(latent, latent.new_ones(1)).nbytes
    return DecodingMemory(codec, live.peak / (h * w), kept / (h * w))


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that are made in its context, in this thread.

    peak: the maximum number of bytes that were alive at once.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: otherwise, torch imports its compiler to exclude this mode from it."""
        return False

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
