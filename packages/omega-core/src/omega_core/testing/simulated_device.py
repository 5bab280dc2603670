"""A simulated device: tensors that the CPU computes, but that cannot be mixed with CPU tensors.

Modules run on it as on a GPU, with real values, and operations that mix devices raise errors as they would there.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

DEVICE = torch.device("lazy", 0)
"""A device that torch supports, with gradients, but that no machine has and no module treats specially."""

_torch_autocast, _torch_tensor = torch.autocast, torch.tensor
_aten = torch.ops.aten
_BETWEEN_DEVICES = {_aten._to_copy.default, _aten.copy_.default}
_WITH_INDICES = {_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default, _aten._index_put_impl_.default}


class _Away(Tensor):
    """A tensor on DEVICE; here: the CPU tensor with its values."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> "_Away":
        return Tensor._make_wrapper_subclass(
            cls,
            here.shape,
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=DEVICE,
        )

    def __init__(self, here: Tensor) -> None:
        self.here = here.detach()

    def tolist(self) -> Any:
        """Return the values as for other tensors: torch does not implement it for subclasses."""
        return self.here.tolist()

    def __repr__(self) -> str:  # type: ignore[override]
        return f"_Away({self.here!r})"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _called(function, args, dict(kwargs or {}))


class _MadeThere(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A context in which tensors can be created on DEVICE by name."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _called(function, args, dict(kwargs or {}))


def _called(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the result of an operation on the device where it belongs. Raises RuntimeError if devices are mixed."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    away = any(isinstance(tensor, _Away) for tensor in tensors)
    strict = function not in _BETWEEN_DEVICES and function not in _WITH_INDICES
    if away and strict and any(not isinstance(tensor, _Away) and tensor.ndim for tensor in tensors):
        raise RuntimeError(f"{function} mixes tensors on {DEVICE} and on the cpu")
    asked = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.device)]
    if asked:
        away = asked[0].type == DEVICE.type
    elif function is _aten.copy_.default:
        away = isinstance(args[0], _Away)
    wrappers = {id(tensor.here): tensor for tensor in tensors if isinstance(tensor, _Away)}
    args, kwargs = tree_map_only(_Away, lambda tensor: tensor.here, (args, kwargs))
    args, kwargs = tree_map_only(torch.device, lambda _: torch.device("cpu"), (args, kwargs))
    made = function(*args, **kwargs)
    if not away:
        return made
    return tree_map_only(Tensor, lambda tensor: wrappers[id(tensor)] if id(tensor) in wrappers else _Away(tensor), made)


@contextmanager
def elsewhere() -> Iterator[torch.device]:
    """A context in which tensors can be created on DEVICE, and tensors and modules can be moved to it and back."""
    future = torch.__future__
    before = future.get_overwrite_module_params_on_conversion()
    future.set_overwrite_module_params_on_conversion(True)  # assigning `.data` of a parameter loses parts of an _Away
    try:
        with (
            cast(Any, _MadeThere)(),
            patch.object(torch, "autocast", _autocast),
            patch.object(torch, "tensor", _tensor),
        ):
            yield DEVICE
    finally:
        future.set_overwrite_module_params_on_conversion(before)


def _autocast(device_type: str, *args: Any, **kwargs: Any) -> Any:
    """torch.autocast; for DEVICE, which has none in torch, that of the CPU."""
    return _torch_autocast("cpu" if device_type == DEVICE.type else device_type, *args, **kwargs)


def _tensor(data: Any, *, device: Any = None, **kwargs: Any) -> Tensor:
    """torch.tensor, then moved to the device: a dispatch mode does not see torch.tensor itself."""
    made = _torch_tensor(data, **kwargs)
    return made if device is None else made.to(device)
