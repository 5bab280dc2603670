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
"""What the counts of every row sum to."""

MAX_ALPHABET = 1 << 12

Integers = NDArray[np.int64]
Symbols = NDArray[np.signedinteger[Any] | np.unsignedinteger[Any]]
"""Of any integer type that holds them."""


@dataclass(frozen=True)
class Tables:
    """A cumulative table for every symbol of some channels.

    Symbols lie flat, channel after channel and in each position after position. Symbol s at place i has the probability
    (cumulative[r, s + 1] − cumulative[r, s]) / 2¹⁶, with r = flat_rows[i].

    cumulative: (T, S+1), each row from 0 to 2¹⁶ with every step at least 1; None where symbols have no
        probabilities (`identity`).
    rows: (channels, positions) or, where all positions of a channel share one, (channels, 1): the row of
        `cumulative` for each symbol.
    positions: symbols per channel, h·w.
    alphabet: S, the number of different symbols.
    cache: what a coder has worked out from `cumulative`; it lives as long as the table does.
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
        """How many symbols these tables are for."""
        return self.channels * self.positions

    @property
    def flat_rows(self) -> Integers:
        """(size,), the row of `cumulative` for every symbol, in coding order."""
        return np.broadcast_to(self.rows, (self.channels, self.positions)).reshape(-1)

    def runs(self) -> Iterator[tuple[int, int]]:
        """(row, how many symbols in a row use it), in coding order: channel after channel."""
        if self.rows.shape[1] == 1:
            yield from ((row, self.positions) for row in self.rows[:, 0].tolist())
        else:
            for row, same in groupby(self.rows.reshape(-1).tolist()):
                yield row, sum(1 for _ in same)

    def least_bits(self, ends: Sequence[int]) -> list[float]:
        """−Σ log2 of the greatest probabilities of the first `ends[i]` symbols: what no symbols cost less than."""
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
        """−Σ log2 p of `symbols` (channels, h, w) or flat, in coding order."""
        if self.cumulative is None:
            return 32.0 * self.size
        rows = self.flat_rows
        flat = symbols.reshape(-1)
        counts = self.cumulative[rows, flat + 1] - self.cumulative[rows, flat]
        return float(np.sum(PRECISION - np.log2(counts)))


def concatenate(parts: list[Tables]) -> Tables:
    """The tables of several groups of channels, one after the other."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    if all(part.cumulative is first.cumulative and part.rows.shape[1] == first.rows.shape[1] for part in parts):
        rows = np.concatenate([part.rows for part in parts])
        return Tables(first.cumulative, rows, first.positions, first.alphabet, first.cache)
    return _joined(parts, [part.channels for part in parts], 0, first.positions)


def interleave(parts: Sequence[Tables]) -> Tables:
    """The tables of several pictures: for each channel those of one picture after the other."""
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
    """Tables with the rows of all parts, of so many channels each, one after the other along an axis."""
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
    """Probabilities (T, S), not necessarily normalized, as cumulative integer counts (T, S+1).

    Every count is at least 1, so that every symbol can be coded, and every row sums to 2¹⁶. Counts are
    rounded, and what is then missing or too much is given, or taken back, where −p·log2(count) changes
    most, or least.
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
    """A prior after training: integer tables, and nothing that could differ between machines. To be derived from."""

    def stages(self, size: tuple[int, int]) -> Sequence[Integers]:
        """The positions of a channel, counted row after row, in groups that are coded one after the other.

        One group of all of them, unless the tables of some positions depend on others of the same channel; as many
        groups for every size, of which some may be empty.
        """
        return (np.arange(size[0] * size[1]),)

    def tables(self, channels: range, size: tuple[int, int], decoded: Integers, stage: int = 0) -> Tables:
        """Tables for as many of `channels`, from the first on, as can be given now; at least one.

        size: (h, w) of the latent.
        decoded: (channels.start, h, w), the symbols of all earlier channels.
        stage: where there are several, tables are for this one of the first of `channels` alone; from the second stage
            on `decoded` has that channel too, with zeros where nothing was decoded yet.
        """

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a model file keeps of it."""


@dataclass(frozen=True)
class FrozenTables(FrozenPrior):
    """A prior whose tables depend on nothing but the channel and, for a fixed latent size, the position.

    cumulative: (T, S+1), as in `Tables`.
    rows: (C, 1), or (C, h·w) for a fixed latent size.

    Raises ValueError if the integers are not such tables.
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
        """The tables of all of `channels`: what is decoded already does not matter here."""
        positions = size[0] * size[1]
        rows = self.rows[channels.start : channels.stop]
        if rows.shape[1] not in (1, positions):
            raise ValueError(f"the tables are for {rows.shape[1]} positions a channel, the latent has {positions}")
        return Tables(self.cumulative, rows, positions, self.cumulative.shape[1] - 1, self.cache)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a model file keeps of it."""
        return {"cumulative": self.cumulative.astype(np.int32), "rows": self.rows.astype(np.int32)}

    @classmethod
    def from_probabilities(cls, probabilities: NDArray[np.float64]) -> FrozenTables:
        """From probabilities (C, 1 or h·w, S)."""
        channels, positions, alphabet = probabilities.shape
        rows = np.arange(channels * positions, dtype=np.int64).reshape(channels, positions)
        return cls(cumulative_counts(probabilities.reshape(-1, alphabet)), rows)

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> FrozenTables:
        """The inverse of `arrays`. Raises ValueError or KeyError if they are no tables."""
        if any(arrays[name].dtype.kind not in "iu" for name in ("cumulative", "rows")):
            raise ValueError("the tables of a frozen prior are integers")
        return cls(arrays["cumulative"].astype(np.int64), arrays["rows"].astype(np.int64))


class NoPrior(FrozenPrior):
    """Stands in where symbols have no probabilities: they are coded as they are, 32 bits each."""

    def tables(self, channels: range, size: tuple[int, int], decoded: Integers, stage: int = 0) -> Tables:
        """Tables without probabilities for all of `channels`."""
        return Tables(None, np.zeros((len(channels), 1), np.int64), size[0] * size[1], 1 << 32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Nothing."""
        return {}
