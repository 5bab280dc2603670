"""The frozen prior `context`: the net of `omega_entropy.priors.context_net` in integers, and its tables.

Weights have 8 bits, activations 7 bits and a sign. Sums of their products are integers below 2²⁴, which float32 holds
exactly: they are the same in any order, on every machine, whichever kernel adds them up. Between layers they are
multiplied by powers of two and rounded: ⌊x / 2ˢ + ½⌋.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import pairwise, product
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from omega_core.coding.tables import TOTAL, FrozenPrior, Integers, Step, Symbols, check_cumulative, index_type
from omega_core.contracts.quantizer import MOST_LEVEL
from omega_entropy.priors.context_net import (
    KINDS,
    LARGEST_MARK,
    OUTPUT_SCALE,
    ROOT_KIND,
    ZERO_KIND,
    ContextNet,
    Group,
    around_sum,
    beside_sum,
    first_half,
    kinds_of,
    marks_of,
)

LARGEST = 127  # of weights and activations
EXACT = 1 << 24  # below which float32 holds all integers
SCORE_BITS = 6  # of a score after its point
FIRST_BITS, FIRST_PARTS, FIRST_BEFORE = 4, 40, 32  # parts of the first score: of 2⁴ units, 32 of them below 0
SECOND_BITS, SECOND_PARTS = 5, 7  # parts of the second score, of 2⁵ units, the middle one around 0
TABLES = KINDS * FIRST_PARTS * SECOND_PARTS
_LOCAL_BITS = 6  # of the weights of neighbors, beyond those of a score
_MOST_SHIFT = 20


@dataclass(frozen=True)
class IntegerNet:
    """The integers that tell contexts. C channels in G groups, W features, S symbols.

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
    base: (C, 2), of_kind: (C, 8), in_second: (C,), what is added to the scores, in 2⁻⁶.
    around, beside: (C, 2), weights of sums of levels and marks, in 2⁻¹².

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

    @classmethod
    @torch.no_grad()
    def of(cls, net: ContextNet) -> IntegerNet:
        """Round a net, by powers of two that follow from its weights and the ranges of activations in training."""
        bounds = net.group_bounds
        count, width = len(bounds) - 1, net.width
        units = _exponents(net.ranges[:count].double().cpu())  # (G, RANGES), the power of two of each activation
        of_group = [cast(Group, net.groups[g]) for g in range(count)]
        largest_bias = torch.stack([_double(group.bias).abs() for group in of_group]).amax(dim=0)
        inputs, _, bits = _rounded(_flat(net.inputs), largest_bias, 0, units[:, 0].max())
        own, _, own_bits = _rounded(_flat(net.own), torch.zeros(width), 0, units[:, 5].max())
        bias = [torch.round(_double(group.bias) * 2.0**bits) for group in of_group]
        layers: dict[str, list[Tensor]] = {"spatial": [], "mixing": []}
        biases: dict[str, list[Tensor]] = {"spatial": [], "mixing": []}
        shifts = torch.zeros(count, 8, width, dtype=torch.int64)
        shifts[:, 0], shifts[:, 7] = bits + units[:, :1], own_bits + units[:, 5:6]
        ranges = {"spatial": ((0, 1), (2, 3), (5, 4)), "mixing": ((1, 2), (3, 4), (4, 6))}  # before and after a layer
        for g, (name, first_shift) in product(range(count), (("spatial", 1), ("mixing", 4))):
            for layer, (given, made) in enumerate(ranges[name]):
                convolution = getattr(of_group[g], name)[layer]
                weight, rounded_bias, layer_bits = _rounded(
                    _flat(convolution), _double(convolution.bias), int(units[g, given]), int(units[g, made])
                )
                layers[name].append(weight)
                biases[name].append(rounded_bias)
                shifts[g, first_shift + layer] = layer_bits - units[g, given] + units[g, made]
        of_channel = torch.repeat_interleave(torch.arange(count), 2 * torch.tensor(bounds).diff())
        scores = []
        for outputs, given in ((net.first, 4), (net.second, 6)):
            unit, made_unit = units[of_channel, given], -SCORE_BITS - int(np.log2(OUTPUT_SCALE))
            weight, rounded_bias, score_bits = _rounded(
                _flat(outputs), _double(cast(Tensor, outputs.bias)), unit, made_unit
            )
            scores.append((weight, rounded_bias, score_bits - unit + made_unit))
        whole, fine = 2.0**SCORE_BITS, 2.0 ** (SCORE_BITS + _LOCAL_BITS)
        arrays = {
            "bounds": torch.tensor(bounds),
            "parents": net.parents.cpu(),
            "levels": net.levels.cpu(),
            "inputs": inputs,
            "own": own,
            "bias": torch.stack(bias),
            "spatial": torch.stack(layers["spatial"]).view(count, 3, width, 3, 3),
            "spatial_bias": torch.stack(biases["spatial"]).view(count, 3, width),
            "mixing": torch.stack(layers["mixing"]).view(count, 3, width, width),
            "mixing_bias": torch.stack(biases["mixing"]).view(count, 3, width),
            "first": scores[0][0],
            "first_bias": scores[0][1],
            "second": scores[1][0],
            "second_bias": scores[1][1],
            "shifts": shifts,
            "score_shifts": torch.stack([scores[0][2], scores[1][2]]),
            "base": torch.round(_double(net.base) * whole),
            "of_kind": torch.round(_double(net.of_kind) * whole),
            "in_second": torch.round(_double(net.in_second) * whole),
            "around": torch.round(_double(net.around) * (fine / 12)),
            "beside": torch.round(_double(net.beside) * (fine / 8)),
        }
        return cls(**{name: tensor.long().numpy() for name, tensor in arrays.items()})

    @property
    def channels(self) -> int:
        """C."""
        return len(self.parents)

    @property
    def alphabet(self) -> int:
        """S."""
        return int(self.levels.shape[1])

    @cached_property
    def _layers(self) -> _Layers:
        return _Layers(self)

    @torch.inference_mode()  # in which it is while it works, and not while it waits
    def tables(self, symbols: Symbols) -> Iterator[tuple[slice, Symbols, Symbols]]:
        """Yield the steps of the symbols (C, h, w) of a picture, two for each group: see `FrozenPrior.steps`.

        Each has the channels of the group, n of them, the places of the symbols in these (n, P), and the numbers of the
        tables that the scores and kinds tell (n, P), from 0 to TABLES − 1.
        """
        layers, (height, width) = self._layers, symbols.shape[1:]
        known = torch.from_numpy(symbols)
        halves = _Half.both(height, width)
        after = torch.zeros((self.channels, height, width), dtype=torch.int16)
        total = torch.zeros((1, layers.width, height, width))
        for number, (start, end) in enumerate(pairwise(self.bounds.tolist())):
            before = layers.levels_before(after, start, end)
            kinds = layers.kinds(start, end, before)
            z = layers.features(number, total)
            scores = layers.scores(0, start, end, z.flatten(2)[0]).add_(layers.local(start, end, before, kinds))
            yield _step(start, halves[0], scores, kinds)
            some, row = known[start:end], before.int().add_(MOST_LEVEL).mul_(self.alphabet)
            marks = row.new_zeros((end - start, 2, height, width), dtype=torch.float32)
            halves[0].put(marks, layers.marks_of(halves[0].of(row), halves[0].of(some)))
            added = layers.second_scores(number, start, end, z, marks, halves[1])
            yield _step(start, halves[1], scores, kinds, added)
            after[start:end] = layers.levels_of(row, some)
            halves[1].put(marks, layers.marks_of(halves[1].of(row), halves[1].of(some)))
            total += layers.sum_of_marks(layers.inputs, start, end, marks)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that a model file stores, by name, each with as few bits as it needs."""
        return {entry.name: _small(getattr(self, entry.name)) for entry in fields(self)}


class _Half:
    """The positions of one half of a checkerboard of h × w, row after row.

    places: (P,), their indices.
    """

    def __init__(self, half: Tensor) -> None:
        """half: (h, w), true in it."""
        self.places = torch.nonzero(half.flatten())[:, 0]
        # of rows of even length, it is every second one: slices are several times as fast as indices
        self._even, self._odd = (slice(int(not half[row, 0]), None, 2) for row in (0, min(1, len(half) - 1)))
        self._sliced = half.shape[1] % 2 == 0

    @classmethod
    def both(cls, height: int, width: int) -> tuple[_Half, _Half]:
        """Return the two halves, the one of the first position first."""
        first = first_half(height, width)
        return cls(first), cls(~first)

    def of(self, x: Tensor) -> Tensor:
        """Return the numbers (…, P) at these positions, of numbers (…, h, w)."""
        if not self._sliced:
            return x.flatten(-2).index_select(-1, self.places)
        found = x.new_empty((*x.shape[:-1], x.shape[-1] // 2))
        found[..., 0::2, :] = x[..., 0::2, self._even]
        found[..., 1::2, :] = x[..., 1::2, self._odd]
        return found.flatten(-2)

    def put(self, x: Tensor, values: Tensor) -> None:
        """Write numbers (…, P) at these positions of numbers (…, h, w)."""
        if not self._sliced:
            x.flatten(-2).index_copy_(-1, self.places, values)
            return
        rows = values.view(*x.shape[:-1], x.shape[-1] // 2)
        x[..., 0::2, self._even] = rows[..., 0::2, :]
        x[..., 1::2, self._odd] = rows[..., 1::2, :]


class _Layers:
    """The arithmetic of an `IntegerNet`, with integers in float32."""

    def __init__(self, net: IntegerNet) -> None:
        def numbers(array: Integers) -> Tensor:
            return torch.from_numpy(array).float()

        self.width = net.bias.shape[1]
        levels = torch.from_numpy(net.levels)
        self.levels = levels.flatten().to(torch.int16)
        self.marks = [each.flatten().float() for each in marks_of(levels).unbind(2)]
        every = torch.arange(-MOST_LEVEL, MOST_LEVEL + 1)
        self.kind_of_level = kinds_of(every, torch.zeros_like(every, dtype=torch.bool)).float()
        self.parents = torch.from_numpy(net.parents)
        self.has_parent = (self.parents >= 0).to(torch.int16)[:, None, None]
        self.inputs, self.own = numbers(net.inputs), numbers(net.own)
        self.bias = numbers(net.bias)[..., None, None]
        self.spatial, self.spatial_bias = numbers(net.spatial)[:, :, :, None], numbers(net.spatial_bias)
        self.mixing, self.mixing_bias = numbers(net.mixing), numbers(net.mixing_bias)
        self.outputs = [(numbers(net.first), numbers(net.first_bias)), (numbers(net.second), numbers(net.second_bias))]
        self.factors = 2.0 ** -numbers(net.shifts)
        self.score_factors = 2.0 ** -numbers(net.score_shifts)
        self.base, self.of_kind, self.in_second = (numbers(x) for x in (net.base, net.of_kind, net.in_second))
        self.around, self.beside = (numbers(x) / 2.0**_LOCAL_BITS for x in (net.around, net.beside))

    def levels_before(self, after: Tensor, start: int, end: int) -> Tensor:
        """The levels (n, h, w), int16, of the parents of some channels."""
        return after[self.parents[start:end].clamp_min(0)].mul_(self.has_parent[start:end])

    def kinds(self, start: int, end: int, before: Tensor) -> Tensor:
        """The kinds (n, h, w), float32, of the symbols of some channels."""
        kinds = _looked_up(self.kind_of_level, before.int().add_(MOST_LEVEL))
        return torch.where(self.has_parent[start:end] > 0, kinds, float(ROOT_KIND))

    def levels_of(self, row: Tensor, symbols: Tensor) -> Tensor:
        """The levels after symbols (n, h, w), of which `row` has where those begin for the level of the parent."""
        return _looked_up(self.levels, row + symbols)

    def marks_of(self, row: Tensor, symbols: Tensor) -> Tensor:
        """The marks (n, 2, P) of symbols (n, P)."""
        index = row + symbols
        return torch.stack([_looked_up(mark, index) for mark in self.marks], dim=1)

    def features(self, group: int, total: Tensor) -> Tensor:
        """The features z (1, W, h, w) of a group, from the sum of marks of earlier groups."""
        z = _rounded_to(total + self.bias[group], self.factors[group, 0], 0)
        for layer in range(2):
            z = _rounded_to(self._spatial(group, layer, z), self.factors[group, 1 + layer], -LARGEST)
            mixed = self.mixing[group, layer] @ z.flatten(2) + self.mixing_bias[group, layer][:, None]
            z = _rounded_to(mixed.view_as(z), self.factors[group, 4 + layer], 0)
        return z

    def _spatial(self, group: int, layer: int, z: Tensor) -> Tensor:
        weight, bias = self.spatial[group, layer], self.spatial_bias[group, layer]
        return functional.conv2d(z, weight, bias, padding=1, groups=self.width)

    def sum_of_marks(self, weights: Tensor, start: int, end: int, marks: Tensor) -> Tensor:
        """Weighted sums (1, W, h, w) of the marks (n, 2, h, w) of some channels."""
        summed = weights[:, 2 * start : 2 * end] @ marks.flatten(0, 1).flatten(1)
        return summed.view(1, -1, *marks.shape[2:])

    def second_scores(self, group: int, start: int, end: int, z: Tensor, marks: Tensor, half: _Half) -> Tensor:
        """What is added to the scores (n, 2, P) at the positions of the second half.

        marks: (n, 2, h, w) of the first half, which tell it, and 0 in the second.
        """
        own = _rounded_to(self.sum_of_marks(self.own, start, end, marks), self.factors[group, 7], -LARGEST)
        added = self._spatial(group, 2, own).mul_(self.factors[group, 3][:, None, None]).add_(0.5).floor_()
        u = half.of(added.add_(z).clamp_(0, LARGEST)[0])
        mixed = torch.addmm(self.mixing_bias[group, 2][:, None], self.mixing[group, 2], u)
        deeper = mixed.mul_(self.factors[group, 6][:, None]).add_(0.5).floor_().clamp_(0, LARGEST)
        beside = half.of(beside_sum(marks)).flip(1)
        beside = beside.mul_(self.beside[start:end, :, None]).add_(0.5).floor_()
        beside[:, 0] += self.in_second[start:end, None]
        return self.scores(1, start, end, deeper).add_(beside)

    def scores(self, which: int, start: int, end: int, z: Tensor) -> Tensor:
        """The scores (n, 2, P) of some channels from features (W, P), without what is local; which: of the layers."""
        some = slice(2 * start, 2 * end)
        weight, bias = (each[some] for each in self.outputs[which])
        summed = torch.addmm(bias[:, None], weight, z)
        return summed.mul_(self.score_factors[which, some, None]).add_(0.5).floor_().view(end - start, 2, -1)

    def local(self, start: int, end: int, before: Tensor, kinds: Tensor) -> Tensor:
        """What is added to the scores (n, 2, h·w) of both halves, from levels (n, h, w) of parents."""
        level = before.clamp(-LARGEST_MARK, LARGEST_MARK)
        around = around_sum(torch.stack([level.abs(), level], dim=1)).float()
        local = around.mul_(self.around[start:end, :, None, None]).add_(0.5).floor_()
        of_kind = self.of_kind[start:end].gather(1, kinds.long().flatten(1)).view_as(kinds)
        local[:, 0] += of_kind
        return local.add_(self.base[start:end, :, None, None]).flatten(2)


def _step(
    start: int, half: _Half, scores: Tensor, kinds: Tensor, added: Tensor | None = None
) -> tuple[slice, Symbols, Symbols]:
    """The channels of a group, and the places and tables of its symbols at the positions of a half.

    start: the first channel of the group.
    scores: (n, 2, h·w). kinds: (n, h, w). added: to the scores at these positions.
    """
    here = half.of(scores.view(len(scores), 2, *kinds.shape[1:]))
    if added is not None:
        here.add_(added)
    kind = half.of(kinds)
    part = here[:, 0].mul(2.0**-FIRST_BITS).floor_().add_(FIRST_BEFORE).clamp_(0, FIRST_PARTS - 1)
    middle = SECOND_PARTS // 2
    lean = here[:, 1].mul(2.0**-SECOND_BITS).add_(0.5).floor_().clamp_(-middle, middle)
    lean.mul_((kind == ZERO_KIND) | (kind == ROOT_KIND)).add_(middle)
    table = kind.mul_(FIRST_PARTS).add_(part).mul_(SECOND_PARTS).add_(lean).to(torch.int16)
    channels, positions = slice(start, start + len(kinds)), kinds[0].numel()
    first = np.arange(channels.start, channels.stop) * positions
    dtype = index_type(channels.stop * positions)
    return channels, first.astype(dtype)[:, None] + half.places.numpy().astype(dtype), table.numpy()


def _looked_up(table: Tensor, index: Tensor) -> Tensor:
    """The entries of a flat table at an index of any shape, several times as fast as `table[index]`."""
    return table.index_select(0, index.flatten()).view(index.shape)


def _rounded_to(summed: Tensor, factors: Tensor, least: int) -> Tensor:
    """Sums (1, W, h, w) times powers of two (W,), rounded and clamped to [least, 127]. Overwrites the sums."""
    return summed.mul_(factors[:, None, None]).add_(0.5).floor_().clamp_(least, LARGEST)


def _double(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().double()


def _flat(layer: nn.Module) -> Tensor:
    """The weight of a convolution with a row for each output."""
    return _double(cast(Tensor, layer.weight)).flatten(1)


def _rounded(weight: Tensor, bias: Tensor, given: Tensor | int, made: Tensor | int) -> tuple[Tensor, Tensor, Tensor]:
    """Weights (R, N) and biases (R,) as integers, and the power of two (R,) that each row was multiplied by.

    given, made: the powers of two of the units of the input and the output, which bound that power: biases have up to
        20 bits, and sums are divided by up to 2^_MOST_SHIFT.
    """
    of_weight = torch.floor(torch.log2(LARGEST / weight.abs().amax(dim=1).clamp_min(1e-9)))
    of_bias = torch.floor(20 - torch.log2(bias.abs().clamp_min(1e-9))) + given
    most = torch.as_tensor(_MOST_SHIFT + given - made)
    bits = torch.minimum(torch.minimum(of_weight, of_bias), most)
    return torch.round(weight * 2.0 ** bits[:, None]), torch.round(bias * 2.0 ** (bits - given)), bits.long()


def _exponents(ranges: Tensor) -> Tensor:
    """Powers of two of which 127 reach the ranges of activations."""
    return torch.ceil(torch.log2(ranges.clamp_min(1e-6) / LARGEST)).clamp(-16, 16).long()


def _small(array: Integers) -> NDArray[Any]:
    """An array in as few bits as hold its numbers."""
    for dtype in (np.int8, np.int16, np.int32):
        if array.size == 0 or (array.min() >= np.iinfo(dtype).min and array.max() <= np.iinfo(dtype).max):
            return array.astype(dtype)
    raise ValueError("the integers of a net have up to 32 bits")


def _check(net: IntegerNet) -> None:
    """Raise ValueError as `IntegerNet` does."""
    groups, width = net.bias.shape if net.bias.ndim == 2 else (0, 0)
    channels = len(net.parents)
    shapes = {
        "bounds": (groups + 1,),
        "parents": (channels,),
        "levels": (2 * MOST_LEVEL + 1, net.levels.shape[-1]),
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
    starts = np.repeat(net.bounds[:-1], np.diff(net.bounds)) if groups and (np.diff(net.bounds) > 0).all() else None
    if starts is None or net.bounds[0] or net.bounds[-1] != channels:
        raise ValueError(f"the groups of a context net do not divide {channels} channels")
    if (net.parents < -1).any() or (net.parents >= starts).any():
        raise ValueError("the parent of a channel is in an earlier group")
    if np.abs(net.levels).max() > MOST_LEVEL:
        raise ValueError(f"levels are up to ±{MOST_LEVEL}")
    for name in ("inputs", "own", "spatial", "mixing", "first", "second"):
        if np.abs(getattr(net, name)).max(initial=0) > LARGEST:
            raise ValueError(f"{name} of a context net are up to ±{LARGEST}")
    if max(np.abs(net.shifts).max(), np.abs(net.score_shifts).max()) > 2 * _MOST_SHIFT:
        raise ValueError(f"sums of a context net are divided by up to 2^{2 * _MOST_SHIFT}")
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
    for name, (bound, places) in sums.items():
        by = net.shifts[:, places].astype(np.float64)
        if _reached(bound.reshape(groups, len(places), -1), by) >= EXACT:
            raise ValueError(f"the sums of {name} of a context net may reach 2^24")
    for name, place in (("first", 0), ("second", 1)):
        bound = total(getattr(net, name), LARGEST, getattr(net, f"{name}_bias"), (1,))
        if _reached(bound, net.score_shifts[place].astype(np.float64)) >= EXACT / 4:
            raise ValueError(f"the scores of {name} of a context net may reach 2^22")
    local = 12 * LARGEST_MARK * np.abs(net.around).max() + np.abs(net.base).max() + np.abs(net.of_kind).max()
    if local + np.abs(net.in_second).max() + 4 * LARGEST_MARK * np.abs(net.beside).max() >= EXACT / 2:
        raise ValueError("what a context net adds to its scores may reach 2^23")


def _reached(bound: NDArray[np.float64], shifts: NDArray[np.float64]) -> float:
    """What sums up to a bound may reach in units of their last bit, in adding a half after the division by 2^shifts."""
    return float(np.maximum(bound + 2.0 ** (shifts - 1), bound * 2.0**-shifts + 1).max())


@dataclass(frozen=True)
class ContextTables(FrozenPrior):
    """A frozen prior whose tables an `IntegerNet` chooses.

    net: tells the number of the table of each symbol, from 0 to TABLES − 1.
    table: (TABLES, S+1), the tables, as `Tables.cumulative`.
    classes: (C,), the class of each channel, from 0 to K − 1.
    order: (K, TABLES), a permutation of 0 to K·TABLES − 1: the rank of each table in a channel of each class. Within a
        step, symbols are coded in the order of their ranks.

    Raises ValueError for arrays that do not fit each other.
    """

    net: IntegerNet
    table: Integers
    classes: Integers
    order: Integers
    cache: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_cumulative(self.table)
        if self.table.shape != (TABLES, self.net.alphabet + 1):
            raise ValueError(f"there are {TABLES} tables of {self.net.alphabet} symbols, not {self.table.shape}")
        if self.order.ndim != 2 or self.order.shape[1] != TABLES or self.classes.shape != (self.net.channels,):
            raise ValueError("the order of tables is (K, TABLES), and every channel has a class")
        if self.classes.min() < 0 or self.classes.max() >= len(self.order):
            raise ValueError(f"the classes of channels are not from 0 to {len(self.order) - 1}")
        if not np.array_equal(np.sort(self.order.reshape(-1)), np.arange(self.order.size)):
            raise ValueError("the order of tables is no permutation")

    @cached_property
    def cumulative(self) -> Integers:  # type: ignore[override]
        """The tables in their order, (K·TABLES, S+1)."""
        ordered = np.empty((self.order.size, self.table.shape[1]), np.int64)
        for ranks in self.order:
            ordered[ranks] = self.table
        return ordered

    def steps(self, symbols: Symbols) -> Iterator[Step]:
        """Yield two steps for each group of channels, one for each half of the positions."""
        if len(symbols) != self.net.channels:
            raise ValueError(f"the tables are for {self.net.channels} channels, not {len(symbols)}")
        for channels, places, tables in self.net.tables(symbols):
            yield Step(places.reshape(-1), self._ranks[self._first[channels, None] + tables].reshape(-1))

    @cached_property
    def _ranks(self) -> Symbols:
        """`order`, flat, in the shortest type: those of a large picture are many."""
        return self.order.reshape(-1).astype(index_type(self.order.size))

    @cached_property
    def _first(self) -> Symbols:
        """Where the ranks of each channel begin in `_ranks`."""
        return (self.classes * TABLES).astype(np.int32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of a model file."""
        net = {f"net.{name}": array for name, array in self.net.arrays().items()}
        tables = {"table": self.table.astype(np.uint16), "classes": _small(self.classes), "order": _small(self.order)}
        return net | tables  # 16 bits, in which 2¹⁶ is 0: there are many tables

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> ContextTables:
        """The inverse of `arrays`. Raises ValueError or KeyError if they are no such tables."""
        if any(array.dtype.kind not in "iu" for array in arrays.values()):
            raise ValueError("the arrays of a context prior are integers")
        numbers = {name: array.astype(np.int64) for name, array in arrays.items()}
        numbers["table"][:, -1:] += TOTAL
        net = IntegerNet(**{entry.name: numbers[f"net.{entry.name}"] for entry in fields(IntegerNet)})
        return cls(net, numbers["table"], numbers["classes"], numbers["order"])
