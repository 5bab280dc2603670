"""The order in which symbols are coded: in steps, whose tables may depend on the symbols of all earlier steps.

A step has symbols of all pictures of a stream. They are coded in the order of their rows in the tables of the prior.
Symbols with one row are coded picture after picture, and in each picture as `FrozenPrior.steps` lists them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from omega_core.coding.tables import MISSING, FrozenPrior, Symbols, Tables, index_type

MAX_COUNTS = 32
_GEOMETRIC, _MIN_SHARE = 24, 1 / 40
_AT_ONCE = 1 << 20  # symbols that are processed at once


class SymbolArrays:
    """The symbols of the pictures of one stream, in one array.

    flat: (N,), the symbols of each picture (C, h, w), row after row, one picture after the other.
    pictures: views (C, h, w) into it.
    """

    def __init__(
        self,
        channels: int,
        sizes: Sequence[tuple[int, ...]],
        dtype: "np.dtype[Any] | type[np.signedinteger[Any]]" = np.int64,
        *,
        flat: Symbols | None = None,
    ) -> None:
        """Wrap existing symbols (`flat`), or allocate new ones filled with MISSING.

        channels: C. sizes: (h, w) of each picture. dtype: of new symbols. flat: existing symbols.
        """
        self.starts = np.cumsum([0, *(channels * h * w for h, w in sizes)]).tolist()
        self.flat: Symbols = np.full(self.starts[-1], MISSING, dtype) if flat is None else flat
        self.pictures = [
            self.flat[start : start + channels * h * w].reshape(channels, h, w)
            for start, (h, w) in zip(self.starts, sizes, strict=False)
        ]

    @classmethod
    def of(cls, pictures: Sequence[Symbols]) -> "SymbolArrays":
        """Return the symbols (C, h, w) of each picture, in their type: a copy, or a view of one picture."""
        each = [picture.reshape(-1) for picture in pictures]  # a view if the picture is contiguous
        flat = each[0] if len(each) == 1 else np.concatenate(each)
        return cls(len(pictures[0]), [picture.shape[1:] for picture in pictures], flat=flat)


@dataclass(frozen=True)
class CodingStep:
    """The symbols that are coded at once.

    indices: (N,), their indices in `SymbolArrays.flat`, in the order of coding.
    tables: for the symbols, in that order.
    """

    indices: Symbols
    tables: Tables


def coding_steps(prior: FrozenPrior, arrays: SymbolArrays) -> Iterator[CodingStep]:
    """Yield the steps in which pictures are coded. The symbols of a step have to be known before the next is requested.

    prior: gives the tables.
    arrays: the symbols of the pictures; those of steps to come are not used.

    Raises ValueError if the prior does not fit.
    """
    for parts in zip(*(prior.steps(picture) for picture in arrays.pictures), strict=True):
        if len(parts) == 1:
            indices, rows = parts[0].indices, parts[0].rows
        else:
            # in 64 bits, as a sum may not fit the type that holds the indices of one picture
            pairs = zip(arrays.starts, parts, strict=False)
            indices = np.concatenate([start + part.indices.astype(np.int64) for start, part in pairs])
            rows = np.concatenate([part.rows for part in parts])
        if (rows[1:] < rows[:-1]).any():
            shortest = index_type(int(rows.max()) + 1)  # NumPy sorts 16-bit integers ten times as fast
            order = np.argsort(rows.astype(shortest, copy=False), kind="stable")
            indices, rows = indices[order], rows[order]
        yield CodingStep(indices, Tables(prior.cumulative, rows, prior.alphabet, prior.cache))


@dataclass(frozen=True)
class Enough:
    """How much of the beginning of a stream is needed: at least this many symbols and bits."""

    symbols: int = 0
    bits: float = 0.0


def in_order(prior: FrozenPrior, arrays: SymbolArrays, enough: Enough | None = None) -> tuple[Symbols, Tables]:
    """Return the indices in `SymbolArrays.flat` of symbols in the order of coding, (N,), and their tables.

    prior: gives the tables.
    arrays: the symbols of the pictures, all of them known.
    enough: selects the symbols of the first steps that together have as much. Default, and if all have less: all.

    Raises ValueError if the prior does not fit.
    """
    size = arrays.flat.size
    indices: Symbols = np.empty(size, index_type(size))
    rows: Symbols = np.empty(size, index_type(0 if prior.cumulative is None else len(prior.cumulative)))
    done, bits = 0, 0.0
    for step in coding_steps(prior, arrays):
        some = slice(done, done := done + len(step.indices))
        indices[some], rows[some] = step.indices, step.tables.rows
        if enough is not None:
            if enough.bits:
                bits += step.tables.bits(taken(arrays.flat, step.indices))
            if done >= enough.symbols and bits >= enough.bits:
                break
    return indices[:done], Tables(prior.cumulative, rows[:done], prior.alphabet, prior.cache)


def taken(flat: Symbols, indices: Symbols) -> Symbols:
    """Return `flat[indices]`, piece by piece, as NumPy converts the indices to 64 bits."""
    found = np.empty(len(indices), flat.dtype)
    for first in range(0, len(indices), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        found[some] = flat[indices[some]]
    return found


def even_counts(channels: int, most: int = MAX_COUNTS) -> list[int]:
    """Return up to `most` rising numbers of channels, evenly spaced; the last is `channels`."""
    step = -(-channels // most)
    return [*range(step, channels, step), channels]


def geometric_counts(channels: int) -> list[int]:
    """Return rising numbers of channels up to `channels`: all if there are up to 32, otherwise about 24.

    The 24 are geometrically spaced, from 1/40 of all. PSNR rises about linearly with the logarithm of the rate, so few
    numbers with this spacing are enough to draw the curve.
    """
    if channels <= MAX_COUNTS:
        return list(range(1, channels + 1))
    shares = np.geomspace(_MIN_SHARE, 1, _GEOMETRIC)
    counts: list[int] = np.unique(np.maximum(1, np.round(channels * shares)).astype(int)).tolist()
    return counts
