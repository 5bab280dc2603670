"""Probability tables of integers, which are the same on every machine.

A floating-point probability may differ in its last bit on another device, which would corrupt the rest of a stream.
So probabilities become integers once, when a model is exported, and are part of the model file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

PRECISION = 16
TOTAL = 1 << PRECISION
"""The sum of the counts of every table."""

MAX_ALPHABET = 1 << 12

Integers = NDArray[np.int64]
Symbols = NDArray[np.signedinteger[Any] | np.unsignedinteger[Any]]
"""Symbols of any integer type that holds them."""


@dataclass(frozen=True)
class Tables:
    """The probability table of every symbol of some channels.

    Symbols are flat, channel after channel, and position after position in each channel. Symbol s at index i has the
    probability (cumulative[r, s + 1] − cumulative[r, s]) / 2¹⁶, with r = flat_rows[i].

    cumulative: (T, S+1), int64, T tables, each rising from 0 to 2¹⁶ in steps of at least 1; None for symbols without
        probabilities (`identity`).
    rows: (channels, positions), int64: the row of `cumulative` for each symbol; (channels, 1) if all positions of a
        channel share a table.
    positions: symbols per channel, such as h·w.
    alphabet: S, the number of different symbols.
    cache: results that coders compute from `cumulative` and keep; shared by all `Tables` of a prior.
    """

    cumulative: Integers | None
    rows: Integers
    positions: int
    alphabet: int
    cache: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def channels(self) -> int:
        return len(self.rows)

    @property
    def size(self) -> int:
        """The number of symbols."""
        return self.channels * self.positions

    @property
    def flat_rows(self) -> Integers:
        """(size,), the row of `cumulative` for every symbol, in coding order."""
        return np.broadcast_to(self.rows, (self.channels, self.positions)).reshape(-1)

    def runs(self) -> Iterator[tuple[int, int]]:
        """Yield (row, number of successive symbols with it), in coding order."""
        if self.rows.shape[1] == 1:
            yield from ((row, self.positions) for row in self.rows[:, 0].tolist())
        else:
            for row, same in groupby(self.rows.reshape(-1).tolist()):
                yield row, sum(1 for _ in same)

    def least_bits(self, ends: Sequence[int]) -> list[float]:
        """Return the least bits that any first `ends[i]` symbols take: −Σ log2 of the greatest probability of each.

        ends: numbers of symbols, from 0 to `size`.
        """
        if self.cumulative is None:
            return [32.0 * end for end in ends]
        greatest: NDArray[np.float64] | None = self.cache.get("greatest")
        if greatest is None:
            greatest = self.cache["greatest"] = np.log2(np.diff(self.cumulative).max(axis=1))
        run = self.positions // self.rows.shape[1]
        bits = np.zeros(self.rows.size + 1)
        np.cumsum((PRECISION - greatest[self.rows]).reshape(-1) * run, out=bits[1:])
        return [float(number) for number in np.interp(ends, np.arange(len(bits)) * run, bits)]

    def bits(self, symbols: Integers) -> float:
        """Return −Σ log2 p of symbols, (channels, h, w) or flat in coding order, in bits."""
        if self.cumulative is None:
            return 32.0 * self.size
        rows = self.flat_rows
        flat = symbols.reshape(-1)
        counts = self.cumulative[rows, flat + 1] - self.cumulative[rows, flat]
        return float(np.sum(PRECISION - np.log2(counts)))


def concatenate(parts: list[Tables]) -> Tables:
    """Join the tables of successive groups of channels."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    if all(part.cumulative is first.cumulative and part.rows.shape[1] == first.rows.shape[1] for part in parts):
        rows = np.concatenate([part.rows for part in parts])
        return Tables(first.cumulative, rows, first.positions, first.alphabet, first.cache)
    return _joined(parts, [part.channels for part in parts], 0, first.positions)


def interleave(parts: Sequence[Tables]) -> Tables:
    """Join the tables of several pictures: in each channel, one picture after the other.

    parts: one per picture; only as many channels are kept as all parts have.

    Raises ValueError for tables with and without probabilities.
    """
    first, positions = parts[0], sum(part.positions for part in parts)
    channels = min(part.channels for part in parts)
    if len(parts) == 1 or first.cumulative is None:
        return Tables(first.cumulative, first.rows[:channels], positions, first.alphabet, first.cache)
    if all(part.cumulative is first.cumulative for part in parts):
        rows = [part.rows[:channels] for part in parts]
        if all(part.rows.shape[1] == 1 and np.array_equal(part.rows, first.rows) for part in parts):
            return Tables(first.cumulative, rows[0], positions, first.alphabet, first.cache)
        whole = [np.broadcast_to(row, (channels, part.positions)) for row, part in zip(rows, parts, strict=True)]
        return Tables(first.cumulative, np.concatenate(whole, axis=1), positions, first.alphabet, first.cache)
    return _joined(parts, [channels] * len(parts), 1, positions)


def _joined(parts: Sequence[Tables], channels: Sequence[int], axis: int, positions: int) -> Tables:
    """Join the rows of the first channels of each part along an axis, with all their tables in one array."""
    offsets = np.cumsum([0, *(len(_table(part)) for part in parts)])
    rows = [
        np.broadcast_to(part.rows[:count], (count, part.positions)) + offset
        for part, count, offset in zip(parts, channels, offsets, strict=False)
    ]
    cumulative = np.concatenate([_table(part) for part in parts])
    return Tables(cumulative, np.concatenate(rows, axis=axis), positions, parts[0].alphabet)


def _table(part: Tables) -> Integers:
    if part.cumulative is None:
        raise ValueError("tables without probabilities cannot be joined to tables with them")
    return part.cumulative


def cumulative_counts(probabilities: NDArray[np.float64]) -> Integers:
    """Convert probabilities to cumulative integer counts (T, S+1), int64.

    Every count is at least 1, so that every symbol can be coded, and every row sums to 2¹⁶. Counts are rounded; then
    the counts whose change decreases −p·log2(count) most, or increases it least, are adjusted until the sum is right.

    probabilities: (T, S), not negative; rows need not be normalized.

    Raises ValueError for an alphabet above MAX_ALPHABET, and for values that are negative or not finite.
    """
    size = probabilities.shape[1]
    if not 2 <= size <= MAX_ALPHABET:
        raise ValueError(f"an alphabet has 2 to {MAX_ALPHABET} symbols, not {size}")
    if not np.isfinite(probabilities).all() or (probabilities < 0).any():
        raise ValueError("probabilities have to be finite and not negative")
    share = probabilities + 1e-12
    share = share / share.sum(axis=1, keepdims=True)
    counts = np.maximum(1, np.rint(share * TOTAL).astype(np.int64))
    for row, p in zip(counts, share, strict=True):
        missing = TOTAL - int(row.sum())
        while missing:
            step = min(abs(missing), size)
            if missing > 0:
                best = np.argsort(-p * np.log2((row + 1) / row), kind="stable")[: max(1, step // 2)]
                row[best] += 1
                missing -= len(best)
            else:
                loss = np.where(row > 1, p * np.log2(row / np.maximum(row - 1, 1)), np.inf)
                best = np.argsort(loss, kind="stable")[: max(1, min(step, int((row > 1).sum())) // 2)]
                row[best] -= 1
                missing += len(best)
    return np.concatenate([np.zeros((len(counts), 1), np.int64), np.cumsum(counts, axis=1)], axis=1)


class FrozenPrior(Protocol):
    """A prior after training: integer tables only, which are the same on every machine. A base class."""

    def stages(self, size: tuple[int, int]) -> Sequence[Integers]:
        """Return the positions of a channel in the stages in which they are coded, numbered row after row.

        All positions are one stage, unless tables depend on other positions of the same channel. The number of stages
        is the same for all sizes; some may be empty.

        size: (h, w) of the latent.
        """
        return (np.arange(size[0] * size[1]),)

    def tables(self, channels: range, size: tuple[int, int], decoded: Integers, stage: int = 0) -> Tables:
        """Return the tables of the first of `channels`: of as many as follow from `decoded`, at least one.

        channels: that are not decoded yet.
        size: (h, w) of the latent.
        decoded: (channels.start, h, w), int64, the symbols of all earlier channels.
        stage: of a prior with several; the tables are then for this stage of the first channel only. From the second
            stage on, `decoded` includes that channel, with zeros at positions that are not decoded yet.
        """

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that a model file stores, by name."""


@dataclass(frozen=True)
class FrozenTables(FrozenPrior):
    """A prior whose tables depend on the channel only or, for a fixed latent size, on channel and position.

    cumulative: (T, S+1), as in `Tables`.
    rows: (C, 1), or (C, h·w) for a fixed latent size.
    cache: as in `Tables`.

    Raises ValueError if these are not valid tables.
    """

    cumulative: Integers
    rows: Integers
    cache: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        cumulative, rows = self.cumulative, self.rows
        integers = cumulative.dtype == rows.dtype == np.int64
        if cumulative.ndim != 2 or cumulative.shape[1] < 3 or rows.ndim != 2 or not integers:
            raise ValueError("a frozen prior needs cumulative (T, S+1) and rows (C, positions), as 64-bit integers")
        if (cumulative[:, 0] != 0).any() or (cumulative[:, -1] != TOTAL).any() or (np.diff(cumulative) < 1).any():
            raise ValueError(f"every row of cumulative has to rise from 0 to {TOTAL} by at least 1 a symbol")
        if rows.size == 0 or rows.min() < 0 or rows.max() >= len(cumulative):
            raise ValueError(f"rows point outside the {len(cumulative)} tables")

    def tables(self, channels: range, size: tuple[int, int], decoded: Integers, stage: int = 0) -> Tables:
        """Return the tables of all of `channels`; `decoded` is not used."""
        positions = size[0] * size[1]
        rows = self.rows[channels.start : channels.stop]
        if rows.shape[1] not in (1, positions):
            raise ValueError(f"the tables are for {rows.shape[1]} positions a channel, the latent has {positions}")
        return Tables(self.cumulative, rows, positions, self.cumulative.shape[1] - 1, self.cache)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return `cumulative` and `rows` as int32."""
        return {"cumulative": self.cumulative.astype(np.int32), "rows": self.rows.astype(np.int32)}

    @classmethod
    def from_probabilities(cls, probabilities: NDArray[np.float64]) -> FrozenTables:
        """Make tables from probabilities (C, 1 or h·w, S). Raises ValueError as `cumulative_counts` does."""
        channels, positions, alphabet = probabilities.shape
        rows = np.arange(channels * positions, dtype=np.int64).reshape(channels, positions)
        return cls(cumulative_counts(probabilities.reshape(-1, alphabet)), rows)

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> FrozenTables:
        """Make tables from the arrays of a model file. Raises ValueError or KeyError if they are not tables."""
        if any(arrays[name].dtype.kind not in "iu" for name in ("cumulative", "rows")):
            raise ValueError("the tables of a frozen prior are integers")
        return cls(arrays["cumulative"].astype(np.int64), arrays["rows"].astype(np.int64))


class NoPrior(FrozenPrior):
    """The prior of symbols without probabilities, which are coded as 32 bits each."""

    def tables(self, channels: range, size: tuple[int, int], decoded: Integers, stage: int = 0) -> Tables:
        """Return tables without probabilities for all of `channels`."""
        return Tables(None, np.zeros((len(channels), 1), np.int64), size[0] * size[1], 1 << 32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return no arrays."""
        return {}
