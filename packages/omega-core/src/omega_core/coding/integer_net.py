"""`IntegerNet`: the integers of the net that selects contexts, as FORMAT.md specifies it under "A net".

Weights have 8 bits, activations 7 bits and a sign. Sums of their products are integers below 2²⁴, which float32 holds
exactly, so they are the same in any order, on every machine and with any kernel. Between layers they are multiplied by
powers of two and rounded: ⌊x / 2ˢ + ½⌋.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omega_core.coding.tables import Arrays, Integers

MAX_LEVEL = 31
"""The largest level; larger numbers also have this level."""
KIND_BORDERS = (-3, -1, 0, 1, 2, 4)
"""The kind of a symbol with a parent of level k is the number of these borders that k reaches."""
KINDS = len(KIND_BORDERS) + 2
"""The number of kinds of symbols: seven for the levels of a parent, and the last for symbols without a parent."""
ZERO_KIND, ROOT_KIND = 3, KINDS - 1
LARGEST_MARK = 6
LARGEST = 127
"""The largest weight and activation."""
LOCAL_BITS = 6
"""Fractional bits of the weights of neighbors, in addition to those of a score."""
MAX_SHIFT = 20
"""Sums are divided by at most 2 to the power of twice this."""
_EXACT = 1 << 24  # float32 holds all smaller integers exactly


@dataclass(frozen=True)
class IntegerNet:
    """The integers of the net that selects contexts. C channels in G groups, W features, S symbols.

    bounds: (G + 1,), the first channel of each group, and C.
    parents: (C,), the parent of each channel, in an earlier group, or −1.
    levels: (63, S), from −31 to 31: see `omega_core.contracts.quantizer.Refinement`.
    inputs, own: (W, 2·C), weights of the marks of channels.
    bias: (G, W), added to the sum of inputs.
    spatial: (G, 3, W, 3, 3), spatial_bias: (G, 3, W), depthwise convolutions.
    mixing: (G, 3, W, W), mixing_bias: (G, 3, W), convolutions of one position.
    first, second: (2·C, W), first_bias, second_bias: (2·C,), the scores of the two halves.
    shifts: (G, 8, W), the powers of two by which sums are divided: those of `inputs`, of the three spatial and the
        three mixing convolutions, and of `own`.
    score_shifts: (2, 2·C), the same for the scores of the two halves.
    base: (C, 2), of_kind: (C, 8), in_second: (C,), summands of the scores, in units of 2⁻⁶.
    around, beside: (C, 2), weights of sums of levels and marks, in units of 2⁻¹².

    Raises ValueError for integers of other shapes or ranges, or if a sum may reach 2²⁴.
    """

    bounds: Integers
    parents: Integers
    levels: Integers
    inputs: Integers
    own: Integers
    bias: Integers
    spatial: Integers
    spatial_bias: Integers
    mixing: Integers
    mixing_bias: Integers
    first: Integers
    first_bias: Integers
    second: Integers
    second_bias: Integers
    shifts: Integers
    score_shifts: Integers
    base: Integers
    of_kind: Integers
    in_second: Integers
    around: Integers
    beside: Integers

    def __post_init__(self) -> None:
        _check(self)

    @property
    def channels(self) -> int:
        """C, the number of channels."""
        return len(self.parents)

    @property
    def alphabet(self) -> int:
        """S, the number of different symbols."""
        return int(self.levels.shape[1])

    def arrays(self) -> Arrays:
        """Return the arrays that a model file stores, by name, each with as few bits as it needs."""
        return {entry.name: small(getattr(self, entry.name)) for entry in fields(self)}


def small(array: Integers) -> NDArray[Any]:
    """Return an array in as few bits as hold its numbers. Raises ValueError for more than 32."""
    for dtype in (np.int8, np.int16, np.int32):
        if array.size == 0 or (array.min() >= np.iinfo(dtype).min and array.max() <= np.iinfo(dtype).max):
            return array.astype(dtype)
    raise ValueError("the integers of a net have up to 32 bits")


def marks_of(levels: Integers) -> Integers:
    """Return the marks (S, 2) of symbols that do not refine, from the levels (63, S) after symbols.

    The first mark is twice the level, limited to ±6; the second is its absolute value.
    """
    signed = 2 * np.clip(levels[MAX_LEVEL], -LARGEST_MARK // 2, LARGEST_MARK // 2)
    return np.stack([signed, np.abs(signed)], axis=1)


def _check(net: IntegerNet) -> None:
    """Raise ValueError as `IntegerNet` does."""
    groups, width = net.bias.shape if net.bias.ndim == 2 else (0, 0)
    channels = len(net.parents)
    shapes = {
        "bounds": (groups + 1,),
        "parents": (channels,),
        "levels": (2 * MAX_LEVEL + 1, net.levels.shape[-1]),
        "inputs": (width, 2 * channels),
        "own": (width, 2 * channels),
        "spatial": (groups, 3, width, 3, 3),
        "spatial_bias": (groups, 3, width),
        "mixing": (groups, 3, width, width),
        "mixing_bias": (groups, 3, width),
        "first": (2 * channels, width),
        "first_bias": (2 * channels,),
        "second": (2 * channels, width),
        "second_bias": (2 * channels,),
        "shifts": (groups, 8, width),
        "score_shifts": (2, 2 * channels),
        "base": (channels, 2),
        "of_kind": (channels, KINDS),
        "in_second": (channels,),
        "around": (channels, 2),
        "beside": (channels, 2),
    }
    for name, shape in shapes.items():
        if getattr(net, name).shape != shape:
            raise ValueError(f"{name} of a context net has the shape {getattr(net, name).shape}, not {shape}")
    sizes = np.diff(net.bounds)
    if not groups or (sizes <= 0).any() or net.bounds[0] or net.bounds[-1] != channels:
        raise ValueError(f"the groups of a context net do not divide {channels} channels")
    own_group = np.repeat(np.arange(groups), sizes)
    if (net.parents < -1).any() or (net.parents >= net.bounds[own_group]).any():
        raise ValueError("the parent of a channel is in an earlier group")
    if np.abs(net.levels).max() > MAX_LEVEL:
        raise ValueError(f"levels are up to ±{MAX_LEVEL}")
    for name in ("inputs", "own", "spatial", "mixing", "first", "second"):
        if np.abs(getattr(net, name)).max(initial=0) > LARGEST:
            raise ValueError(f"{name} of a context net are up to ±{LARGEST}")
    if max(np.abs(net.shifts).max(), np.abs(net.score_shifts).max()) > 2 * MAX_SHIFT:
        raise ValueError(f"sums of a context net are divided by up to 2^{2 * MAX_SHIFT}")
    _check_sums(net)


def _check_sums(net: IntegerNet) -> None:
    """Raise ValueError if a sum may reach 2²⁴, before or after it is multiplied by a power of two."""

    def total(weights: Integers, largest: int, bias: Integers | int, axes: tuple[int, ...]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.abs(weights).sum(axis=axes).astype(np.float64) * largest + np.abs(bias)
        return found

    groups = len(net.bias)
    in_groups = net.own.reshape(len(net.own), -1, 2)
    own = np.stack([total(in_groups[:, a:b], LARGEST_MARK, 0, (1, 2)) for a, b in pairwise(net.bounds.tolist())])
    sums = {
        "inputs": (np.broadcast_to(total(net.inputs, LARGEST_MARK, 0, (1,)), net.bias.shape) + np.abs(net.bias), [0]),
        "spatial": (total(net.spatial, LARGEST, net.spatial_bias, (3, 4)), [1, 2, 3]),
        "mixing": (total(net.mixing, LARGEST, net.mixing_bias, (3,)), [4, 5, 6]),
        "own": (own, [7]),
    }
    for name, (bound, indices) in sums.items():
        by = net.shifts[:, indices].astype(np.float64)
        if _reached(bound.reshape(groups, len(indices), -1), by) >= _EXACT:
            raise ValueError(f"the sums of {name} of a context net may reach 2^24")
    for name, index in (("first", 0), ("second", 1)):
        bound = total(getattr(net, name), LARGEST, getattr(net, f"{name}_bias"), (1,))
        if _reached(bound, net.score_shifts[index].astype(np.float64)) >= _EXACT / 4:
            raise ValueError(f"the scores of {name} of a context net may reach 2^22")
    local = 12 * LARGEST_MARK * np.abs(net.around).max() + np.abs(net.base).max() + np.abs(net.of_kind).max()
    if local + np.abs(net.in_second).max() + 4 * LARGEST_MARK * np.abs(net.beside).max() >= _EXACT / 2:
        raise ValueError("the local terms of the scores of a context net may reach 2^23")


def _reached(bound: NDArray[np.float64], shifts: NDArray[np.float64]) -> float:
    """The largest value of sums up to a bound, in units of their last bit, after division by 2^shifts and adding ½."""
    return float(np.maximum(bound + 2.0 ** (shifts - 1), bound * 2.0**-shifts + 1).max())
