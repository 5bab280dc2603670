"""The order in which symbols are coded: in steps, whose tables may depend on the symbols of all earlier steps.

Channels are coded one after the other; within a channel its stages, if the prior has several; within a stage the
pictures; within a picture its positions, row after row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

from omega_core.coding.tables import FrozenPrior, Integers, Tables, concatenate, interleave


@dataclass(frozen=True)
class Step:
    """The symbols that are coded at once.

    channels: of the symbols.
    places: the positions of each picture, numbered row after row; a slice for all of them.
    tables: for the symbols, in the order of coding.
    """

    channels: range
    places: Sequence[Integers | slice]
    tables: Tables

    def taken_from(self, pictures: Sequence[Integers]) -> Integers:
        """Return the symbols of this step, (channels, places), from the symbols (C, h, w) of each picture."""
        parts = [
            _flat(symbols, self.channels)[:, places] for symbols, places in zip(pictures, self.places, strict=True)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def put_into(self, pictures: Sequence[Integers], taken: Integers) -> None:
        """Write symbols of this step, flat or (channels, places), into the symbols (C, h, w) of each picture."""
        group = taken.reshape(len(self.channels), -1)
        flat = [_flat(symbols, self.channels) for symbols in pictures]
        sizes = [each[0, places].size for each, places in zip(flat, self.places, strict=True)]
        borders = pairwise(np.cumsum([0, *sizes]).tolist())
        for symbols, places, (start, stop) in zip(flat, self.places, borders, strict=True):
            symbols[:, places] = group[:, start:stop]


def _flat(symbols: Integers, channels: range) -> Integers:
    """A view (channels, h·w) of some channels of symbols (C, h, w)."""
    return symbols[channels.start : channels.stop].reshape(len(channels), -1)


def steps(prior: FrozenPrior, pictures: Sequence[Integers], which: range | None = None) -> Iterator[Step]:
    """Yield the steps in which pictures are coded. The symbols of a step are needed when the next one is taken.

    prior: gives the tables.
    pictures: symbols (C, h, w) of each.
    which: the channels to code, after all earlier ones are filled in; all if None.

    Raises ValueError if the prior does not fit.
    """
    done, channels = (0, len(pictures[0])) if which is None else (which.start, which.stop)
    sizes = [(symbols.shape[1], symbols.shape[2]) for symbols in pictures]
    stages = [prior.stages(size) for size in sizes]
    whole = len(stages[0]) == 1
    while done < channels:
        ahead, last = range(done, channels), done
        for stage in range(len(stages[0])):
            known = done if stage == 0 else done + 1
            parts = [
                prior.tables(ahead, size, symbols[:known], stage) for size, symbols in zip(sizes, pictures, strict=True)
            ]
            tables = interleave(parts)
            if not 1 <= tables.channels <= (channels - done if whole else 1):
                raise ValueError(f"it gives tables for {tables.channels} channels where {channels - done} are left")
            last = done + tables.channels
            places = [slice(None) if whole else each[stage] for each in stages]
            if tables.positions:
                yield Step(range(done, last), places, tables)
        done = last


def in_order(prior: FrozenPrior, pictures: Sequence[Integers]) -> tuple[Integers, Tables]:
    """Return the symbols of pictures, flat and in the order of coding, and their tables.

    prior: gives the tables.
    pictures: symbols (C, h, w) of each.

    Raises ValueError if the prior does not fit.
    """
    symbols: list[Integers] = []
    tables: list[Tables] = []
    decoded = [np.zeros_like(each) for each in pictures]  # step by step, as a decoder knows them
    for _, group in groupby(steps(prior, decoded), key=lambda step: step.channels.start):
        taken, parts = list[Integers](), list[Tables]()
        for step in group:
            taken.append(step.taken_from(pictures))
            parts.append(step.tables)
            step.put_into(decoded, taken[-1])
        symbols.append(np.concatenate(taken, axis=1).reshape(-1))
        tables.append(interleave(parts))
    return np.concatenate(symbols), concatenate(tables)
