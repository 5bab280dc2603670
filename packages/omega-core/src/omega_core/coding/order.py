"""The order in which symbols are coded: in steps, whose tables may depend on the symbols of all earlier steps.

A step has symbols of all pictures of a stream. They are coded in the order of their rows in the tables of the prior;
those with one row picture after picture, and in each picture as `FrozenPrior.steps` lists them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from omega_core.coding.tables import MISSING, FrozenPrior, Integers, Symbols, Tables

MAX_COUNTS = 32


class Latents:
    """The symbols of the pictures of one stream, in one array.

    flat: (N,), int64: those of each picture (C, h, w), row after row, one picture after the other.
    pictures: views (C, h, w) into it.
    """

    def __init__(self, channels: int, sizes: Sequence[tuple[int, int]]) -> None:
        """Make symbols that are all MISSING. channels: C. sizes: (h, w) of each picture."""
        self.starts = np.cumsum([0, *(channels * h * w for h, w in sizes)]).tolist()
        self.flat = np.full(self.starts[-1], MISSING, np.int64)
        self.pictures = [
            self.flat[start : start + channels * h * w].reshape(channels, h, w)
            for start, (h, w) in zip(self.starts, sizes, strict=False)
        ]

    @classmethod
    def of(cls, pictures: Sequence[Integers]) -> "Latents":
        """Return a copy of the symbols (C, h, w) of each picture."""
        latents = cls(len(pictures[0]), [(each.shape[1], each.shape[2]) for each in pictures])
        for own, given in zip(latents.pictures, pictures, strict=True):
            own[:] = given
        return latents

    def channels(self, places: Integers) -> Integers:
        """Return the channel of each place in `flat`."""
        if len(self.pictures) == 1:
            positions: int = self.pictures[0][0].size
            return places // positions
        of = np.searchsorted(self.starts, places, side="right") - 1
        sizes = np.array([each[0].size for each in self.pictures])
        found: Integers = (places - np.array(self.starts)[of]) // sizes[of]
        return found


@dataclass(frozen=True)
class CodingStep:
    """The symbols that are coded at once.

    places: (N,), their places in `Latents.flat`, in the order of coding.
    tables: for the symbols, in that order.
    """

    places: Integers
    tables: Tables


def coding_steps(prior: FrozenPrior, latents: Latents) -> Iterator[CodingStep]:
    """Yield the steps in which pictures are coded. The symbols of a step are needed when the next one is taken.

    prior: gives the tables.
    latents: the symbols of the pictures; those of steps to come are not used.

    Raises ValueError if the prior does not fit.
    """
    for parts in zip(*(prior.steps(picture) for picture in latents.pictures), strict=True):
        if len(parts) == 1:
            places, rows = parts[0].places, parts[0].rows
        else:
            places = np.concatenate([start + part.places for start, part in zip(latents.starts, parts, strict=False)])
            rows = np.concatenate([part.rows for part in parts])
        if len(rows) and (rows[1:] < rows[:-1]).any():
            order = np.argsort(_narrow(rows), kind="stable")
            places, rows = places[order], rows[order]
        yield CodingStep(places, Tables(prior.cumulative, rows, prior.alphabet, prior.cache))


def _narrow(rows: Symbols) -> Symbols:
    """Rows as 16-bit integers, if these hold them: NumPy sorts them ten times as fast."""
    return rows.astype(np.uint16) if int(rows.max()) < 1 << 16 else rows


def in_order(prior: FrozenPrior, latents: Latents) -> tuple[Integers, Tables]:
    """Return the places in `Latents.flat` of all symbols in the order of coding, and their tables.

    prior: gives the tables.
    latents: the symbols of the pictures, all of them known.

    Raises ValueError if the prior does not fit.
    """
    steps = list(coding_steps(prior, latents))
    places = np.concatenate([step.places for step in steps])
    rows = np.concatenate([step.tables.rows for step in steps])
    return places, Tables(prior.cumulative, rows, prior.alphabet, prior.cache)


def complete_at(latents: Latents, places: Integers, channels: int) -> Integers:
    """Return how many symbols have to be coded for the first 0 to `channels` channels of all pictures: (channels + 1,).

    places: of all symbols in the order of coding.
    channels: C.
    """
    last = np.zeros(channels + 1, np.int64)
    last[1:][latents.channels(places)] = np.arange(1, len(places) + 1)  # the last assignment to an index counts
    found: Integers = np.maximum.accumulate(last)
    return found


def even_counts(channels: int, most: int = MAX_COUNTS) -> list[int]:
    """Return up to `most` rising numbers of channels, evenly spaced, of which the last is `channels`."""
    step = -(-channels // most)
    return [*range(step, channels, step), channels]
