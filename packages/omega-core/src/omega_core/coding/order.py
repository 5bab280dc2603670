"""The order in which symbols are coded: in steps, whose tables may depend on the symbols of all earlier steps.

A step has symbols of all pictures of a stream. They are coded in the order of their rows in the tables of the prior;
those with one row picture after picture, and in each picture as `FrozenPrior.steps` lists them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from omega_core.coding.tables import MISSING, FrozenPrior, Symbols, Tables, index_type

MAX_COUNTS = 32
_GEOMETRIC, _LEAST_SHARE = 24, 1 / 40
_AT_ONCE = 1 << 20  # symbols


class SymbolArrays:
    """The symbols of the pictures of one stream, in one array.

    flat: (N,): those of each picture (C, h, w), row after row, one picture after the other.
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
        """Take symbols, or make such as are all MISSING.

        channels: C. sizes: (h, w) of each picture. dtype: of the symbols that are made. flat: those that are taken.
        """
        self.starts = np.cumsum([0, *(channels * h * w for h, w in sizes)]).tolist()
        self.flat: Symbols = np.full(self.starts[-1], MISSING, dtype) if flat is None else flat
        self.pictures = [
            self.flat[start : start + channels * h * w].reshape(channels, h, w)
            for start, (h, w) in zip(self.starts, sizes, strict=False)
        ]

    @classmethod
    def of(cls, pictures: Sequence[Symbols]) -> "SymbolArrays":
        """Return the symbols (C, h, w) of each picture, in their type: a copy, but of a single one where it can be."""
        each = [picture.reshape(-1) for picture in pictures]  # of a contiguous picture, a view
        flat = each[0] if len(each) == 1 else np.concatenate(each)
        return cls(len(pictures[0]), [picture.shape[1:] for picture in pictures], flat=flat)


@dataclass(frozen=True)
class CodingStep:
    """The symbols that are coded at once.

    places: (N,), their places in `SymbolArrays.flat`, in the order of coding.
    tables: for the symbols, in that order.
    """

    places: Symbols
    tables: Tables


def coding_steps(prior: FrozenPrior, arrays: SymbolArrays) -> Iterator[CodingStep]:
    """Yield the steps in which pictures are coded. The symbols of a step are needed when the next one is taken.

    prior: gives the tables.
    arrays: the symbols of the pictures; those of steps to come are not used.

    Raises ValueError if the prior does not fit.
    """
    for parts in zip(*(prior.steps(picture) for picture in arrays.pictures), strict=True):
        if len(parts) == 1:
            places, rows = parts[0].places, parts[0].rows
        else:
            # in 64 bits, as a sum may not fit the type that holds the places of one picture
            pairs = zip(arrays.starts, parts, strict=False)
            places = np.concatenate([start + part.places.astype(np.int64) for start, part in pairs])
            rows = np.concatenate([part.rows for part in parts])
        if len(rows) and (rows[1:] < rows[:-1]).any():
            order = np.argsort(_narrow(rows), kind="stable")
            places, rows = places[order], rows[order]
        yield CodingStep(places, Tables(prior.cumulative, rows, prior.alphabet, prior.cache))


def _narrow(rows: Symbols) -> Symbols:
    """Rows in the shortest type: NumPy sorts 16-bit integers ten times as fast."""
    return rows.astype(index_type(int(rows.max()) + 1), copy=False)


@dataclass(frozen=True)
class Enough:
    """How much of a stream is wanted: at least so many symbols and bits, from its beginning on."""

    symbols: int = 0
    bits: float = 0.0


def in_order(prior: FrozenPrior, arrays: SymbolArrays, enough: Enough | None = None) -> tuple[Symbols, Tables]:
    """Return the places in `SymbolArrays.flat` of symbols in the order of coding, (N,), and their tables.

    prior: gives the tables.
    arrays: the symbols of the pictures, all of them known.
    enough: of the symbols, those of the first steps that have as much; all if None, or if all have less.

    Raises ValueError if the prior does not fit.
    """
    size = arrays.flat.size
    places: Symbols = np.empty(size, index_type(size))
    rows: Symbols = np.empty(size, index_type(0 if prior.cumulative is None else len(prior.cumulative)))
    done, bits = 0, 0.0
    for step in coding_steps(prior, arrays):
        some = slice(done, done := done + len(step.places))
        places[some], rows[some] = step.places, step.tables.rows
        if enough is not None:
            if enough.bits:
                bits += step.tables.bits(taken(arrays.flat, step.places))
            if done >= enough.symbols and bits >= enough.bits:
                break
    return places[:done], Tables(prior.cumulative, rows[:done], prior.alphabet, prior.cache)


def taken(flat: Symbols, places: Symbols) -> Symbols:
    """Return `flat[places]`; of many places piece by piece, as NumPy makes 64-bit integers of them."""
    found = np.empty(len(places), flat.dtype)
    for first in range(0, len(places), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        found[some] = flat[places[some]]
    return found


def even_counts(channels: int, most: int = MAX_COUNTS) -> list[int]:
    """Return up to `most` rising numbers of channels, evenly spaced, of which the last is `channels`."""
    step = -(-channels // most)
    return [*range(step, channels, step), channels]


def geometric_counts(channels: int) -> list[int]:
    """Return rising numbers of channels, of which the last is `channels`: up to 32 all of them, or else about 24 in a
    constant ratio, from a 40th of all on.

    PSNR rises about evenly with the logarithm of the rate: so spaced, few numbers are enough for its curve.
    """
    if channels <= MAX_COUNTS:
        return list(range(1, channels + 1))
    shares = np.geomspace(_LEAST_SHARE, 1, _GEOMETRIC)
    counts: list[int] = np.unique(np.maximum(1, np.round(channels * shares)).astype(int)).tolist()
    return counts
