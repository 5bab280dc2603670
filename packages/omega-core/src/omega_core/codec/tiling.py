"""Division of an area into overlapping tiles."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple


class Span(NamedTuple):
    """A piece of an axis: [first, last) with what it overlaps, of which [start, stop) is its own."""

    first: int
    start: int
    stop: int
    last: int

    @property
    def outer(self) -> slice:
        return slice(self.first, self.last)

    @property
    def inner(self) -> slice:
        return slice(self.start, self.stop)

    @property
    def within(self) -> slice:
        """Its own part, counted from where the outer one begins."""
        return slice(self.start - self.first, self.stop - self.first)


def spans(length: int, size: int, halo: int) -> list[Span]:
    """An axis in pieces of nearly equal length, at most `size`, that overlap by `halo` on each side."""
    pieces = max(1, -(-length // size))
    borders = [length * i // pieces for i in range(pieces + 1)]
    return [Span(max(0, start - halo), start, stop, min(length, stop + halo)) for start, stop in pairwise(borders)]


def tiles(height: int, width: int, size: int, halo: int) -> Iterator[tuple[Span, Span]]:
    """An area in tiles, row by row."""
    for down in spans(height, size, halo):
        for across in spans(width, size, halo):
            yield down, across
