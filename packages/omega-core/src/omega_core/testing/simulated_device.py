"""A simulated device: tensors that the CPU computes, but that cannot be mixed with CPU tensors.

With them modules are run as on a GPU, with real numbers, and what mixes devices raises as it would there.
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
"""A device that torch knows, and makes gradients for, but that no machine has and no module treats in its own way."""

_torch_autocast, _torch_tensor = torch.autocast, torch.tensor
_aten = torch.ops.aten
_BETWEEN_DEVICES = {_aten._to_copy.default, _aten.copy_.default}
_WITH_INDICES = {_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default, _aten._index_put_impl_.default}


class _Away(Tensor):
    """A tensor on DEVICE; here: where its numbers are."""

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
        """As of other tensors: torch has none of subclasses."""
        return self.here.tolist()

    def __repr__(self) -> str:  # type: ignore[override]
        return f"_Away({self.here!r})"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _called(function, args, dict(kwargs or {}))


class _MadeThere(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within it, tensors can be made on DEVICE by name."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _called(function, args, dict(kwargs or {}))


def _called(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What an operation makes, where it would make it. Raises RuntimeError where devices mix."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    away = any(isinstance(tensor, _Away) for tensor in tensors)
    strict = function not in _BETWEEN_DEVICES and function not in _WITH_INDICES
    if away and strict and any(not isinstance(tensor, _Away) and tensor.ndim for tensor in tensors):
        raise RuntimeError(f"{function} met tensors of {DEVICE} and of the cpu")
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
    """Within it, tensors can be made on DEVICE and moved to it and back, and so can modules by `.to`."""
    future = torch.__future__
    before = future.get_overwrite_module_params_on_conversion()
    future.set_overwrite_module_params_on_conversion(True)  # what `.data =` gives to a parameter is not all of an _Away
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
    """torch.autocast, that of the CPU for DEVICE, for which torch has none."""
    return _torch_autocast("cpu" if device_type == DEVICE.type else device_type, *args, **kwargs)


def _tensor(data: Any, *, device: Any = None, **kwargs: Any) -> Tensor:
    """torch.tensor, which on DEVICE would not be an operation that a dispatch mode sees."""
    made = _torch_tensor(data, **kwargs)
    return made if device is None else made.to(device)
