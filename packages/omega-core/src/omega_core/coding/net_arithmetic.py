"""The arithmetic of an `IntegerNet`: it selects the table of each symbol from symbols decoded before.

Integers are in float32, which holds all that occur. Weights are multiplied by the powers of two beforehand, and ½ for
rounding is part of the bias. Both are exact, too, so a layer ends with rounding down.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omega_core.coding.exact_products import Floats, convolved, product
from omega_core.coding.integer_net import (
    KIND_BORDERS,
    KINDS,
    LARGEST,
    LARGEST_MARK,
    LOCAL_BITS,
    MAX_LEVEL,
    ROOT_KIND,
    ZERO_KIND,
    IntegerNet,
    marks_of,
)
from omega_core.coding.neighbors import around_sum, beside_sum
from omega_core.coding.symbol_order import SymbolOrder
from omega_core.coding.tables import Integers, Symbols, index_type

FIRST_BITS, FIRST_PARTS, FIRST_BEFORE = 4, 40, 32
"""The first score has 40 parts of 2⁴ units, 32 of them below 0."""
SECOND_BITS, SECOND_PARTS = 5, 25
"""The second score, which only fresh symbols use, has 25 parts of 2⁵ units, the middle one around 0."""
TABLES = FIRST_PARTS * (KINDS - 2 + 2 * SECOND_PARTS)
_BLOCK = 1 << 16
"""Symbols that are computed at once."""

Small = NDArray[np.int8]
Flags = NDArray[np.bool_]


def parts_of_tables() -> tuple[Integers, Integers, Integers]:
    """Return the kind of each table (TABLES,), its part of the first score, and its part of the second score.

    Tables are sorted by kind, then by part of the first score, then by part of the second score. Kinds of symbols that
    refine have one table for each part of the first score, with the middle part of the second score.
    """
    kinds = np.arange(KINDS)
    sides = np.where((kinds == ZERO_KIND) | (kinds == ROOT_KIND), SECOND_PARTS, 1)
    kind = np.repeat(kinds, FIRST_PARTS * sides)
    index = np.arange(TABLES) - (np.cumsum(FIRST_PARTS * sides) - FIRST_PARTS * sides)[kind]
    second = np.where(sides[kind] > 1, index % sides[kind], SECOND_PARTS // 2)
    return kind, index // sides[kind], second


class NetArithmetic:
    """Selects the tables of symbols by a net, and orders symbols by their tables.

    net: the integers of the net.
    order: the order of the symbols, which has to pass `SymbolOrder.check` for this net.

    A symbol refines a number if the level of its parent is not 0; other symbols are fresh. Symbols that refine take
    about a bit each and reduce the error less than most fresh ones of the same step size. So they wait, with the tables
    that the net selected, and are coded before the tables of a child depend on them (as in the passes of JPEG 2000:
    Taubman 2000, "High Performance Scalable Image Compression with EBCOT", IEEE Transactions on Image Processing).
    """

    def __init__(self, net: IntegerNet, order: SymbolOrder) -> None:
        self.net, self.order = net, order
        self._bounds, self._alphabet, self._width = net.bounds.tolist(), net.alphabet, net.bias.shape[1]
        self._parents, self._is_root = np.maximum(net.parents, 0), net.parents < 0
        self._levels = net.levels.astype(np.int8).reshape(-1)
        self._marks = marks_of(net.levels).T.astype(np.int8)
        levels = np.arange(-MAX_LEVEL, MAX_LEVEL + 1)
        self._kinds = np.searchsorted(KIND_BORDERS, levels, side="right").astype(np.int8)
        factors = 2.0**-net.shifts
        gathering, spatial, mixing, own = factors[:, 0], factors[:, 1:4], factors[:, 4:7], factors[:, 7]
        self._inputs, self._gathering = _floats(net.inputs.T), _floats(gathering)
        self._bias = _floats(net.bias * gathering + 0.5)
        self._own, self._own_factors = _floats(net.own.T), _floats(own)
        self._spatial = _floats(net.spatial * spatial[..., None, None])
        self._spatial_bias = _floats(net.spatial_bias * spatial + 0.5)
        self._mixing = _floats((net.mixing * mixing[..., None]).swapaxes(-1, -2))
        self._mixing_bias = _floats(net.mixing_bias * mixing + 0.5)
        outputs = [(net.first, net.first_bias, net.score_shifts[0]), (net.second, net.second_bias, net.score_shifts[1])]
        self._outputs = [
            (_floats(weight * 2.0 ** -shifts[:, None]), _floats(bias * 2.0**-shifts + 0.5)[:, None])
            for weight, bias, shifts in outputs
        ]
        self._base, self._of_kind, self._in_second = (_floats(x) for x in (net.base, net.of_kind, net.in_second))
        self._around, self._beside = (_floats(x / 2**LOCAL_BITS) for x in (net.around, net.beside))

    def steps(self, symbols: Symbols) -> Iterator[tuple[Symbols, Symbols]]:
        """Yield the steps of the symbols (C, h, w) of a picture: see `FrozenPrior.steps`.

        A group has two steps: its own fresh symbols at the positions of the first half; then those of the second half,
        with all symbols that refine and are coded with this group. A step consists of the indices (N,) of the symbols
        and the ranks (N,) of their tables. Symbols of one rank are in the order of groups, halves and indices.
        """
        _, height, width = symbols.shape
        halves = _Half(0, height, width), _Half(1, height, width)
        known = np.zeros(symbols.shape, np.int8)  # the levels of parents
        total = np.zeros((height * width, self._width), np.float32)
        waiting = _Waiting(self.order.latest, len(self._bounds) - 1)
        for group, (start, end) in enumerate(pairwise(self._bounds)):
            self._write_levels(known, symbols, start, end)
            before = known[start:end]
            kinds = self._kinds.take(before + MAX_LEVEL)
            kinds[self._is_root[start:end]] = ROOT_KIND
            z = self._features(group, total, (height, width))
            scores = self._scores(0, start, end, z).reshape(end - start, 2, height, width)
            self._add_local(scores, start, before, kinds)
            marks = np.zeros(scores.shape, np.int8)
            for half in halves:
                fresh = half.of(before) == 0
                added = None if half is halves[0] else self._second_scores(group, start, end, z, marks, halves)
                indices, ranks = self._chosen(start, half, scores, added, kinds)
                waiting.put(slice(start, end), indices, ranks, fresh)
                at = np.flatnonzero(fresh)
                step = indices.take(at), ranks.take(at)
                yield step if half is halves[0] else waiting.take(group, step)
                self._mark(marks, half, half.of(symbols[start:end]), fresh)
            total += self._sum_of_marks(self._inputs, start, end, marks)

    def _chosen(
        self, start: int, half: _Half, scores: Floats, added: Floats | None, kinds: Small
    ) -> tuple[Symbols, Symbols]:
        """The indices of the symbols of a group at the positions of a half, and the ranks of their tables (n, P).

        start: the first channel of the group.
        scores: (n, 2, h, w). added: (n, 2, P), added to the scores at these positions; None for nothing.
        kinds: (n, h, w).
        """
        end, positions = start + len(kinds), kinds[0].size
        dtype = index_type(end * positions)
        indices = (np.arange(start, end) * positions).astype(dtype)[:, None] + half.indices.astype(dtype)
        ranks = np.empty(indices.shape, self.order.rank_type)
        for some, channels in _blocks(start, end, positions):
            own = half.of(scores[some])
            if added is not None:
                own += added[some]
            tables = self._tables(half.of(kinds[some]), own[:, 0], own[:, 1])
            ranks[some] = self.order.ranks_of(tables, channels.start)
        return indices, ranks

    @staticmethod
    def _tables(kind: Small, first: Floats, second: Floats) -> Floats:
        """The tables (n, P), in the order of `parts_of_tables`, of symbols of these kinds with these scores.

        The scores are overwritten.
        """
        first *= 2.0**-FIRST_BITS
        np.floor(first, out=first)
        first += FIRST_BEFORE
        np.clip(first, 0, FIRST_PARTS - 1, out=first)
        second *= 2.0**-SECOND_BITS
        second += SECOND_PARTS // 2 + 0.5
        np.floor(second, out=second)
        np.clip(second, 0, SECOND_PARTS - 1, out=second)
        table = kind.astype(np.float32)
        table *= FIRST_PARTS
        table += first
        # fresh symbols have more tables; products, as selecting takes NumPy three times as long
        first *= SECOND_PARTS - 1
        second += first
        second *= (kind == ZERO_KIND) | (kind == ROOT_KIND)
        table += second
        # the additional tables of ZERO_KIND precede those of later kinds
        np.multiply(kind > ZERO_KIND, np.float32(FIRST_PARTS * (SECOND_PARTS - 1)), out=first)
        table += first
        return table

    def _write_levels(self, known: Small, symbols: Symbols, start: int, end: int) -> None:
        """Write the levels of the parents of some channels, 0 without a parent.

        known: (C, h, w), the levels of the parents of earlier channels.
        symbols: (C, h, w); those of the parents are known.
        """
        for _, channels in _blocks(start, end, known[0].size):
            parents = self._parents[channels]
            # where the entries of each level begin
            index = np.add(known[parents], MAX_LEVEL, dtype=np.int32) * self._alphabet
            index += symbols[parents]
            levels = self._levels.take(index)
            levels[self._is_root[channels]] = 0
            known[channels] = levels

    def _features(self, group: int, total: Floats, size: tuple[int, int]) -> Floats:
        """The features z (h·w, W) of a group, from the sum of marks of earlier groups."""
        z: Floats = total * self._gathering[group]
        z += self._bias[group]
        _round_down(z, 0)
        for layer in range(2):
            z = self._mixed(group, layer, _round_down(self._convolved(group, layer, z, size), -LARGEST))
        return z

    def _mixed(self, group: int, layer: int, features: Floats) -> Floats:
        """Apply a layer to single positions; its features (P, W) are from 0 to 127."""
        return _round_down(product(features, self._mixing[group, layer], self._mixing_bias[group, layer]), 0)

    def _convolved(self, group: int, layer: int, features: Floats, size: tuple[int, int]) -> Floats:
        """A convolution of features (h·w, W)."""
        weights, bias = self._spatial[group, layer], self._spatial_bias[group, layer]
        found = convolved(weights, bias, features.reshape(*size, self._width))
        return found.reshape(features.shape)

    def _mark(self, marks: Small, half: _Half, symbols: Symbols, fresh: Flags) -> None:
        """Write the marks of symbols (n, P) to `marks` (n, 2, h, w) at the positions of a half; 0 if they refine."""
        for number, entries in enumerate(self._marks):
            # symbols that refine may not be decoded yet: any number in their place must be accepted
            half.put(marks[:, number], entries.take(symbols, mode="clip") * fresh)

    def _sum_of_marks(self, weights: Floats, start: int, end: int, marks: Small) -> Floats:
        """Weighted sums (P, W) of the marks (n, 2, …) of some channels at P positions."""
        return product(marks.reshape(2 * (end - start), -1).astype(np.float32).T, weights[2 * start : 2 * end])

    def _second_scores(
        self, group: int, start: int, end: int, z: Floats, marks: Small, halves: tuple[_Half, _Half]
    ) -> Floats:
        """The numbers (n, 2, P) to add to the scores at the positions of the second half.

        marks: (n, 2, h, w), the marks of the first half, on which the numbers depend, and 0 in the second half.
        """
        (first, second), size = halves, marks.shape[2:]
        own = self._sum_of_marks(self._own, start, end, first.of(marks))
        own *= self._own_factors[group]
        own += 0.5
        both_halves = np.zeros_like(z)
        both_halves[first.indices] = _round_down(own, -LARGEST)
        added = second.rows(self._convolved(group, 2, both_halves, size))
        np.floor(added, out=added)
        added += second.rows(z)
        u = self._mixed(group, 2, np.clip(added, 0, LARGEST, out=added))
        scores = self._scores(1, start, end, u)
        for some, channels in _blocks(start, end, marks[0, 0].size):
            beside = second.of(beside_sum(marks[some]))[:, ::-1] * self._beside[channels, :, None]
            beside += 0.5
            np.floor(beside, out=beside)
            beside[:, 0] += self._in_second[channels, None]
            scores[some] += beside
        return scores

    def _scores(self, which: int, start: int, end: int, z: Floats) -> Floats:
        """The scores (n, 2, P) of some channels from features (P, W) alone; which: 0 or 1, the layer."""
        weights, bias = (each[2 * start : 2 * end] for each in self._outputs[which])
        summed = product(weights, z.T, bias)
        np.floor(summed, out=summed)
        return summed.reshape(end - start, 2, -1)

    def _add_local(self, scores: Floats, start: int, before: Small, kinds: Small) -> None:
        """Add the terms that depend on the levels (n, h, w) of parents to the scores (n, 2, h, w) of both halves.

        start: the first of the channels. Sums of levels, up to ±6, over neighbors are below 2⁷.
        """
        for some, channels in _blocks(start, start + len(before), before[0].size):
            level = np.empty((some.stop - some.start, 2, *before.shape[1:]), np.int8)
            np.clip(before[some], -LARGEST_MARK, LARGEST_MARK, out=level[:, 1])
            np.abs(level[:, 1], out=level[:, 0])
            local: Floats = around_sum(level) * self._around[channels, :, None, None]
            local += 0.5
            np.floor(local, out=local)
            of_channel = KINDS * np.arange(len(level))[:, None, None]
            local[:, 0] += self._of_kind[channels].take(of_channel + kinds[some])
            local += self._base[channels, :, None, None]
            scores[some] += local


class _Half:
    """The positions of one half of a checkerboard of h × w, row after row.

    number: 0 for the half of the first position, 1 for the other.
    indices: (P,), their indices.
    """

    def __init__(self, number: int, height: int, width: int) -> None:
        self.indices = np.flatnonzero(np.indices((height, width)).sum(0) % 2 == number)
        # in rows of even length, it is every second position: slices are several times as fast as indices
        self._even, self._odd = slice(number, None, 2), slice(1 - number, None, 2)
        self._sliced = width % 2 == 0

    def of(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return the numbers (…, P) at these positions, of numbers (…, h, w)."""
        if not self._sliced:
            return x.reshape(*x.shape[:-2], -1).take(self.indices, axis=-1)
        found = np.empty((*x.shape[:-1], x.shape[-1] // 2), x.dtype)
        found[..., 0::2, :] = x[..., 0::2, self._even]
        found[..., 1::2, :] = x[..., 1::2, self._odd]
        return found.reshape(*x.shape[:-2], -1)

    def rows(self, x: Floats) -> Floats:
        """Return the rows (P, W) at these positions, of features (h·w, W)."""
        found: Floats = x.take(self.indices, axis=0)
        return found

    def put(self, x: NDArray[Any], values: NDArray[Any]) -> None:
        """Write numbers (n, P) at these positions of numbers (n, h, w)."""
        _, height, width = x.shape
        if not self._sliced:
            x[:, self.indices // width, self.indices % width] = values
            return
        rows = values.reshape(len(x), height, width // 2)
        x[:, 0::2, self._even] = rows[:, 0::2]
        x[:, 1::2, self._odd] = rows[:, 1::2]


class _Waiting:
    """Symbols that refine, with their ranks, until they are coded.

    latest: (C,), the group with which the symbols of each channel are coded.
    groups: G, the number of groups.
    """

    def __init__(self, latest: Integers, groups: int) -> None:
        self._latest = latest.astype(index_type(groups))
        self._parts: list[list[tuple[Symbols, Symbols]]] = [[] for _ in range(groups)]

    def put(self, channels: slice, indices: Symbols, ranks: Symbols, fresh: Flags) -> None:
        """Store those symbols of some channels that are not fresh. indices, ranks, fresh: (n, P)."""
        others = np.flatnonzero(~fresh)  # indices, as flags take NumPy twice as long
        latest = self._latest[channels]
        moments = latest[others // fresh.shape[1]]
        for moment in np.unique(latest):
            some = others[moments == moment]
            self._parts[moment].append((indices.take(some), ranks.take(some)))

    def take(self, group: int, step: tuple[Symbols, Symbols]) -> tuple[Symbols, Symbols]:
        """Return the indices and ranks of the symbols that wait for a group, followed by `step`, and forget them."""
        parts, self._parts[group] = self._parts[group], []
        indices, ranks = (np.concatenate(each) for each in zip(*parts, step, strict=True))
        return indices, ranks


def _blocks(start: int, end: int, positions: int) -> Iterator[tuple[slice, slice]]:
    """Divide the channels from `start` to `end` into ranges whose numbers fit the cache of the CPU.

    Yields each range twice: relative to `start`, and among all channels.
    """
    at_once = max(1, _BLOCK // max(1, positions))
    for first in range(start, end, at_once):
        last = min(first + at_once, end)
        yield slice(first - start, last - start), slice(first, last)


def _floats(array: NDArray[Any]) -> Floats:
    return np.ascontiguousarray(array, np.float32)  # contiguous, for BLAS


def _round_down(summed: Floats, least: int) -> Floats:
    """Round sums down and clip them to [least, 127], in place."""
    np.floor(summed, out=summed)
    return np.clip(summed, least, LARGEST, out=summed)
