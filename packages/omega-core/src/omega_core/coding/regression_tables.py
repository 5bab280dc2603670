"""The frozen prior `regression`: tables that scores select, as FORMAT.md specifies them under "Contexts"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omega_core.coding.neighbors import around_sum_with_edge, beside_sum
from omega_core.coding.tables import Arrays, FrozenPrior, FrozenTables, Integers, Step, Symbols, stored_integers

_SIZES = 4  # maximum number of latent sizes whose arrays are cached: files may have any sizes


@dataclass(frozen=True)
class Scores:
    """The scores that determine contexts: M scores for the positions of C channels in two stages, and their thresholds.

    The stages are the halves of a checkerboard; the half of the first position comes first.

    marks: (M, C, S), a number for each symbol of a channel.
    parents: (C, 2, N), the earlier channels whose marks are used in a stage; −1 for none.
    weights: (M, C, 2, N, 2), the weights of a parent's mark at the position, and of its marks around it: twice the four
        direct neighbors plus once the diagonal ones, with the marks at the edge repeated beyond it.
    own: (M, C), in the second stage, the weight of 12 times the mean of the channel's own marks at the direct
        neighbors.
    thresholds: M times (C, 2, K − 1), rising. A score's part of the context is the number of those that it reaches.

    Raises ValueError if the integers are not such scores, or scores need more than 32 bits.
    """

    marks: Integers
    parents: Integers
    weights: Integers
    own: Integers
    thresholds: tuple[Integers, ...]

    def __post_init__(self) -> None:
        shapes = [each.shape for each in (self.marks, self.parents, self.weights, self.own)]
        scores, channels, alphabet = (*self.marks.shape, 0, 0, 0)[:3]
        most = (*self.parents.shape, 0, 0, 0)[2]
        wanted = [(scores, channels, alphabet), (channels, 2, most), (scores, channels, 2, most, 2), (scores, channels)]
        ends = [(each.ndim, *each.shape[:2]) for each in self.thresholds]
        if shapes != wanted or ends != [(3, channels, 2)] * scores:
            raise ValueError("the shapes of the arrays of scores do not fit each other")
        if (self.parents < -1).any() or (self.parents >= np.arange(channels)[:, None, None]).any():
            raise ValueError("the context of a channel can depend only on earlier channels")
        if any((np.diff(each) < 0).any() for each in self.thresholds):
            raise ValueError("thresholds have to rise")
        numbers = (self.marks, self.weights, self.own, *self.thresholds)
        if any(each.size and np.abs(each).max() >= 1 << 31 for each in numbers):
            raise ValueError("marks, weights and thresholds have 32 bits")
        largest = np.abs(self.marks).max(initial=0) * 12.0
        if scores and largest * (np.abs(self.weights).sum((3, 4)) + np.abs(self.own)[:, :, None]).max() >= 1 << 31:
            raise ValueError("scores need more than 32 bits")

    @property
    def contexts(self) -> int:
        """The number of contexts of a position."""
        return int(np.prod([each.shape[2] + 1 for each in self.thresholds]))

    def of(self, channel: int, stage: int, symbols: Symbols) -> NDArray[np.int32]:
        """The scores (M, B, P) of the positions of a stage of a channel.

        symbols: (B, c, h, w), of all earlier channels and, in the second stage, of the first stage of this channel.
        """
        parents, numbers, firsts = self._numbers(channel, stage)
        batch, _, height, width = symbols.shape
        there = (symbols[:, parents] + firsts).reshape(batch, len(parents), height * width)
        # (B, h·w, 2·M), the sums over parents for the position, and for the positions around it
        summed = numbers.take(there, axis=0, mode="clip").sum(axis=1, dtype=np.int32)  # clips nothing, but is fast
        each = summed.reshape(batch, height, width, 2, -1).transpose(3, 4, 0, 1, 2)
        here, around = np.ascontiguousarray(each)
        scores = here + around_sum_with_edge(around)
        if stage:
            own = (self.own[:, channel, None] * self.marks[:, channel]).astype(np.int32)
            scores += beside_shares(own.take(symbols[:, channel], axis=1, mode="clip"))
        found: NDArray[np.int32] = scores.reshape(len(scores), batch, -1)[:, :, halves((height, width))[stage]]
        return found

    def _numbers(self, channel: int, stage: int) -> tuple[Integers, NDArray[np.int32], Integers]:
        """The parents (N,); marks times weights for all their symbols (N·S, 2·M); the first row of each parent."""
        if (channel, stage) not in self._known_numbers:
            parents = self.parents[channel, stage]
            there = parents >= 0
            products = self.weights[:, channel, stage, there, :, None] * self.marks[:, parents[there], None]
            numbers = products.transpose(1, 3, 2, 0).reshape(-1, 2 * len(self.marks)).astype(np.int32)
            firsts = np.arange(there.sum())[:, None, None] * self.marks.shape[2]
            self._known_numbers[channel, stage] = parents[there], numbers, firsts
        return self._known_numbers[channel, stage]

    @cached_property
    def _known_numbers(self) -> dict[tuple[int, int], tuple[Integers, NDArray[np.int32], Integers]]:
        return {}

    def context(self, channel: int, stage: int, symbols: Symbols) -> Integers:
        """The contexts (B, P) of the positions of a stage of a channel; symbols: as for `of`."""
        found = np.zeros((len(symbols), len(halves(symbols.shape[2:])[stage])), np.int64)
        for score, thresholds in zip(self.of(channel, stage, symbols), self.thresholds, strict=True):
            found *= thresholds.shape[2] + 1
            found += np.searchsorted(thresholds[channel, stage].astype(np.int32), score, side="right")
        return found


@lru_cache(maxsize=_SIZES)
def halves(size: tuple[int, ...]) -> tuple[Integers, Integers]:
    """Return the positions of the two halves of a checkerboard, counted row after row."""
    half = np.indices(size).sum(0).reshape(-1) % 2
    return np.flatnonzero(half == 0), np.flatnonzero(half)


def beside_shares(numbers: NDArray[Any]) -> NDArray[Any]:
    """Return 12 times the mean of the direct neighbors (…, h, w) that exist."""
    total: NDArray[Any] = beside_sum(numbers) * _shares(numbers.shape[-2:]).astype(numbers.dtype)
    return total


@lru_cache(maxsize=_SIZES)
def _shares(size: tuple[int, ...]) -> Integers:
    shares: Integers = 12 // np.maximum(beside_sum(np.ones(size, np.int64)), 1)
    return shares


@dataclass(frozen=True)
class RegressionTables(FrozenPrior):
    """A frozen prior whose tables depend on channel, stage and context, and for a fixed latent size on the position.

    cumulative: (T, S+1), as in `Tables`.
    rows: (C, 1), (C, 2) or (C, h·w), for each stage or each position: the row for context 0. The rows for the other
        contexts follow it.
    scores: the scores that determine the context.

    Raises ValueError if the integers are not such tables.
    """

    cumulative: Integers
    rows: Integers
    scores: Scores

    def __post_init__(self) -> None:
        FrozenTables(self.cumulative, self.rows)
        if self.rows.max() + self.scores.contexts > len(self.cumulative):
            raise ValueError(f"rows point outside the {len(self.cumulative)} tables")
        if self.scores.marks.shape[1:] != (len(self.rows), self.cumulative.shape[1] - 1):
            raise ValueError("marks are not for these channels and symbols")

    @property
    def parameters(self) -> int:
        """See `FrozenPrior`."""
        return super().parameters + self.scores.weights.size + self.scores.own.size

    def steps(self, symbols: Symbols) -> Iterator[Step]:
        """Yield two steps for each channel, one for each color of a checkerboard."""
        channels, *size = symbols.shape
        positions = symbols[0].size
        if channels != len(self.rows) or self.rows.shape[1] not in (1, 2, positions):
            raise ValueError(
                f"the tables are for {len(self.rows)} channels and {self.rows.shape[1]} positions a channel, the"
                f" symbols have {channels} and {positions}"
            )
        for channel, (stage, indices) in product(range(channels), enumerate(halves(tuple(size)))):
            columns = {1: np.zeros(1, np.int64), 2: np.array([stage])}.get(self.rows.shape[1], indices)
            context = self.scores.context(channel, stage, symbols[None, : channel + stage])[0]
            yield Step(channel * positions + indices, self.rows[channel, columns] + context)

    def arrays(self) -> Arrays:
        """Return the arrays that a model file stores, by name."""
        scores = self.scores
        thresholds = {f"thresholds.{number}": each for number, each in enumerate(scores.thresholds)}
        return {
            "cumulative": self.cumulative.astype(np.uint16),  # with 0 for 2¹⁶, as there are many
            "rows": self.rows.astype(np.int32),
            "marks": scores.marks.astype(np.int32),
            "parents": scores.parents.astype(np.int32),
            "weights": scores.weights.astype(np.int32),
            "own": scores.own.astype(np.int32),
            **{name: array.astype(np.int32) for name, array in thresholds.items()},
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> RegressionTables:
        """The inverse of `arrays`. Raises ValueError or KeyError if they are not such tables."""
        numbers = stored_integers(arrays, "cumulative")
        thresholds = tuple(numbers[f"thresholds.{m}"] for m in range(len(numbers["marks"])))
        scores = Scores(numbers["marks"], numbers["parents"], numbers["weights"], numbers["own"], thresholds)
        return cls(numbers["cumulative"], numbers["rows"], scores)
