"""Probability tables of integers, which are the same on every machine.

A floating-point probability may differ in its last bit on another device, which would corrupt the rest of a stream.
So probabilities become integers once, when a model is exported, and are part of the model file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

PRECISION = 16
TOTAL = 1 << PRECISION
"""The sum of the counts of every table."""

MAX_ALPHABET = 1 << 12

Integers = NDArray[np.int64]
Symbols = NDArray[np.signedinteger[Any] | np.unsignedinteger[Any]]
"""Symbols, or indices, of any integer type that holds them."""
Arrays = dict[str, NDArray[Any]]
"""The arrays of a model file, or of a part of it, by name."""
MISSING = -1
"""The value of a symbol that a truncated file lacks."""


def symbol_type(alphabet: int) -> type[np.int16 | np.int64]:
    """Return the type in which a codec stores symbols, of which large pictures have many. alphabet: S."""
    return np.int16 if alphabet <= MAX_ALPHABET else np.int64


def index_type(count: int) -> type[np.uint16 | np.int32 | np.int64]:
    """Return the shortest of these types that holds indices below `count`."""
    return np.uint16 if count <= 1 << 16 else np.int32 if count <= 1 << 31 else np.int64


_AT_ONCE = 1 << 18  # symbols that are processed at once


@dataclass(frozen=True)
class Tables:
    """The probability table of every symbol of a sequence.

    Symbol s at index i has the probability (cumulative[r, s + 1] − cumulative[r, s]) / 2¹⁶, with r = rows[i].

    cumulative: (T, S+1), int64, T tables, each rising from 0 to 2¹⁶ in steps of at least 1; None for symbols without
        probabilities (`identity`).
    rows: (N,), integers: the row of `cumulative` for each symbol.
    alphabet: S, the number of different symbols.
    cache: values that coders compute from `cumulative`, by the name of the coder, and "bits"; shared by all `Tables` of
        a prior.
    """

    cumulative: Integers | None
    rows: Symbols
    alphabet: int
    cache: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def size(self) -> int:
        """N, the number of symbols."""
        return len(self.rows)

    def part(self, start: int, stop: int | None = None) -> Tables:
        """Return the tables of the symbols from index `start` to `stop`."""
        return replace(self, rows=self.rows[start:stop])

    @property
    def runs(self) -> tuple[Integers, Integers]:
        """The starts of runs of symbols with one table, and the end of the last run, (R + 1,); their rows (R,)."""
        changes = np.flatnonzero(self.rows[1:] != self.rows[:-1]) + 1
        starts = np.concatenate([np.zeros(min(1, self.size), np.int64), changes])
        return np.append(starts, self.size), self.rows[starts].astype(np.int64)

    def bits_of_each(self, symbols: Symbols) -> NDArray[np.float64]:
        """Return −log2 p of each of N symbols, flat in coding order, in bits: (N,)."""
        if self.cumulative is None:
            return np.full(self.size, 32.0)
        of_tables = self.cache.get("bits")
        if of_tables is None:
            of_tables = self.cache["bits"] = PRECISION - np.log2(np.diff(self.cumulative))
        bits = np.empty(self.size)
        for first in range(0, self.size, _AT_ONCE):  # indices of 64 bits would take much memory at once
            part = slice(first, first + _AT_ONCE)
            bits[part] = of_tables[self.rows[part], symbols[part]]
        return bits

    def bits(self, symbols: Symbols) -> float:
        """Return −Σ log2 p of N symbols, flat in coding order, in bits."""
        starts = range(0, self.size, _AT_ONCE)
        parts = ((self.part(first, first + _AT_ONCE), symbols[first : first + _AT_ONCE]) for first in starts)
        return sum(float(np.sum(tables.bits_of_each(own))) for tables, own in parts)


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


@dataclass(frozen=True)
class Step:
    """Symbols of one picture whose tables are known at once.

    indices: (N,), their indices among the symbols (C, h, w) of the picture, flattened.
    rows: (N,), the row of `FrozenPrior.cumulative` for each.
    """

    indices: Symbols
    rows: Symbols


class FrozenPrior(ABC):
    """The base class of priors after training: integers only, which are the same on every machine."""

    cumulative: Integers | None
    """(T, S+1), the tables of all symbols, as in `Tables`; None for symbols without probabilities."""
    coding_memory: int = 4 * 8
    """Maximum number of bytes that decoding takes for each symbol of a picture, besides the symbol itself: the symbol
    as the coder returns it, its index, its row and the start of its run, as one step may have all symbols."""

    @cached_property
    def cache(self) -> dict[str, Any]:
        """As in `Tables`."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the cache: coders keep objects there that cannot be pickled or copied."""
        return {name: value for name, value in vars(self).items() if name != "cache"}

    @property
    def alphabet(self) -> int:
        """S, the number of different symbols."""
        return 1 << 32 if self.cumulative is None else self.cumulative.shape[1] - 1

    @property
    def parameters(self) -> int:
        """The number of probabilities in the tables, and of weights."""
        return 0 if self.cumulative is None else self.cumulative[:, 1:].size

    @property
    def multiplications(self) -> float:
        """The number of multiplications for each position of the latent. Table lookups count as none."""
        return 0.0

    @abstractmethod
    def steps(self, symbols: Symbols) -> Iterator[Step]:
        """Yield the steps in which the symbols of a picture are coded; each symbol is in one of them.

        symbols: (C, h, w), integers of any type that holds −1 and S. The symbols of the steps so far are known when the
            next step is requested; all others are undefined.

        The number of steps is the same for all sizes of latents; steps may be empty. Within a step, symbols are coded
        in the order of their rows, so symbols to code first should have the first rows (`omega_core.coding.order`).

        Raises ValueError for symbols of another shape than the prior is for.
        """

    @abstractmethod
    def arrays(self) -> Arrays:
        """Return the arrays that a model file stores, by name."""


@dataclass(frozen=True)
class FrozenTables(FrozenPrior):
    """A prior whose tables depend on the channel only or, for a fixed latent size, on channel and position.

    cumulative: (T, S+1), as in `Tables`.
    rows: (C, 1), or (C, h·w) for a fixed latent size.

    Channels are coded one after the other. Raises ValueError if these are not valid tables.
    """

    cumulative: Integers
    rows: Integers

    def __post_init__(self) -> None:
        rows = self.rows
        check_cumulative(self.cumulative)
        if rows.ndim != 2 or rows.dtype != np.int64:
            raise ValueError("a frozen prior needs rows (C, positions), as 64-bit integers")
        if rows.size == 0 or rows.min() < 0 or rows.max() >= len(self.cumulative):
            raise ValueError(f"rows point outside the {len(self.cumulative)} tables")

    def steps(self, symbols: Symbols) -> Iterator[Step]:
        """Yield one step if the rows of every channel come after those of the channel before, else one per channel."""
        channels, positions = len(symbols), symbols[0].size
        if channels != len(self.rows) or self.rows.shape[1] not in (1, positions):
            raise ValueError(
                f"the tables are for {len(self.rows)} channels and {self.rows.shape[1]} positions a channel, the"
                f" symbols have {channels} and {positions}"
            )
        rows = np.broadcast_to(self.rows, (channels, positions)).reshape(-1)
        at_once = channels if self._rising else 1
        for first in range(0, channels, at_once):
            some = slice(first * positions, (first + at_once) * positions)
            yield Step(np.arange(some.start, some.stop), rows[some])

    @cached_property
    def _rising(self) -> bool:
        return bool((self.rows[1:].min(axis=1) > self.rows[:-1].max(axis=1)).all())

    def arrays(self) -> Arrays:
        """Return `cumulative` and `rows` as int32."""
        return {"cumulative": self.cumulative.astype(np.int32), "rows": self.rows.astype(np.int32)}

    @classmethod
    def from_probabilities(cls, probabilities: NDArray[np.float64]) -> FrozenTables:
        """Make tables from probabilities (C, 1 or h·w, S). Raises ValueError as `cumulative_counts` does."""
        channels, positions, alphabet = probabilities.shape
        rows = np.arange(channels * positions, dtype=np.int64).reshape(channels, positions)
        return cls(cumulative_counts(probabilities.reshape(-1, alphabet)), rows)

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> FrozenTables:
        """Make tables from the arrays of a model file. Raises ValueError or KeyError if they are not tables."""
        numbers = stored_integers(arrays, "cumulative")
        return cls(numbers["cumulative"], numbers["rows"])


def stored_integers(arrays: Arrays, tables: str) -> dict[str, Integers]:
    """Return the arrays of a frozen prior in a model file, converted to 64 bits.

    tables: the name of the array that is as `Tables.cumulative`; in 16 bits, it has 0 for 2¹⁶.

    Raises ValueError for arrays that are not integers or have no axis, KeyError without tables.
    """
    for name, array in arrays.items():
        if array.dtype.kind not in "iu" or array.ndim < (2 if name == tables else 1):
            found = f"{name} is {array.dtype} of the shape {array.shape}"
            raise ValueError(f"the tables of a frozen prior are integers, {tables} (T, S+1); {found}")
    numbers = {name: array.astype(np.int64) for name, array in arrays.items()}
    if arrays[tables].dtype == np.uint16:
        numbers[tables][:, -1:] += TOTAL
    return numbers


def check_cumulative(cumulative: Integers) -> None:
    """Raise ValueError unless these are tables as in `Tables`."""
    if cumulative.ndim != 2 or cumulative.shape[1] < 3 or cumulative.dtype != np.int64:
        raise ValueError("a frozen prior needs cumulative (T, S+1), as 64-bit integers")
    if (cumulative[:, 0] != 0).any() or (cumulative[:, -1] != TOTAL).any() or (np.diff(cumulative) < 1).any():
        raise ValueError(f"every row of cumulative has to rise from 0 to {TOTAL} by at least 1 a symbol")


class NoPrior(FrozenPrior):
    """The prior of symbols without probabilities, which are coded as 32 bits each, channel after channel."""

    cumulative = None

    def steps(self, symbols: Symbols) -> Iterator[Step]:
        """Yield one step with all symbols."""
        yield Step(np.arange(symbols.size), np.zeros(symbols.size, np.int64))

    def arrays(self) -> Arrays:
        """Return no arrays."""
        return {}
