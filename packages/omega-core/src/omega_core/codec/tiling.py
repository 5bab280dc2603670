"""Division of an area into overlapping tiles."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple


class Span(NamedTuple):
    """A piece of an axis: [start, stop), and [first, last) with the halo on both sides."""

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
        """The piece without its halo, as a slice of the piece with its halo."""
        return slice(self.start - self.first, self.stop - self.first)


def spans(length: int, size: int, halo: int) -> list[Span]:
    """Divide an axis into pieces of nearly equal length, with halos that overlap the neighbors.

    length, size, halo: of the axis, of the longest piece, and on each side of a piece, in positions.
    """
    pieces = max(1, -(-length // size))
    borders = [length * i // pieces for i in range(pieces + 1)]
    return [Span(max(0, start - halo), start, stop, min(length, stop + halo)) for start, stop in pairwise(borders)]


def tiles(height: int, width: int, size: int, halo: int) -> Iterator[tuple[Span, Span]]:
    """Yield the tiles of height × width positions, row by row, as their spans down and across: see `spans`."""
    for down in spans(height, size, halo):
        for across in spans(width, size, halo):
            yield down, across


def inside(first: int, last: int, stride: int, margin: int, length: int) -> tuple[slice, int, int]:
    """Return the pixels of positions [first, last) of a padded axis, without its padding, and the padding at both ends.

    stride: the pixels of a position.
    margin: the pixels of padding before the axis.
    length: of the axis without its padding, in pixels.
    """
    start, stop = first * stride - margin, last * stride - margin
    there = slice(max(0, start), min(length, stop))
    return there, there.start - start, stop - there.stop
