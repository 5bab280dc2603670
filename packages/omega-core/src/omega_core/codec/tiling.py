"""Division of an area into overlapping tiles, and of a picture into the tiles of its latent."""

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

    length: of the axis. size: of the longest piece. halo: on each side of a piece. All are in positions.
    """
    pieces = max(1, -(-length // size))
    borders = [length * i // pieces for i in range(pieces + 1)]
    return [Span(max(0, start - halo), start, stop, min(length, stop + halo)) for start, stop in pairwise(borders)]


def tiles(height: int, width: int, size: int, halo: int) -> Iterator[tuple[Span, Span]]:
    """Yield the tiles of height × width positions, row by row, as their spans down and across: see `spans`."""
    for down in spans(height, size, halo):
        for across in spans(width, size, halo):
            yield down, across


def positions(side: int, stride: int) -> int:
    """Return the positions along a side of a tile, at least one.

    side: in pixels. stride: the side of a position, in pixels.

    Raises ValueError for a side that is not a whole number above 0.
    """
    if isinstance(side, bool) or not isinstance(side, int) or side < 1:
        raise ValueError(f"the side of a tile has to be a number of pixels, not {side!r}")
    return max(1, side // stride)


class Tile(NamedTuple):
    """A tile of a picture.

    down, across: its positions in the latent, with a halo.
    rows, columns: its pixels in the picture.
    around: the numbers of further pixels that its positions with their halo cover: above, below, left and right.
    """

    down: Span
    across: Span
    rows: slice
    columns: slice
    around: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def within(self) -> tuple[slice, slice]:
        """The rows and columns of its pixels within the pixels that its positions with their halo cover."""
        above, _, left, _ = self.around
        height, width = self.rows.stop - self.rows.start, self.columns.stop - self.columns.start
        return slice(above, above + height), slice(left, left + width)


class Grid(NamedTuple):
    """The blocks of a picture, one for each position of its latent.

    stride: the side of a block, in pixels.
    size: (H, W) of the picture, in pixels.
    latent: (h, w), in positions.
    start: the pixels that are added above and to the left of the picture, to fill its blocks.
    """

    stride: int
    size: tuple[int, int]
    latent: tuple[int, int]
    start: tuple[int, int]

    def to_analyze(self, side: int | None, halo: int) -> Iterator[Tile]:
        """Yield tiles for the analysis, with the pixels of their halos; `around` is the padding to add.

        side: of the tiles, in pixels; None for the whole picture as one tile.
        halo: in positions.
        """
        for down, across in self._tiles(side, halo):
            yield self._tile(down, across, down.outer, across.outer)

    def to_render(self, side: int | None, halo: int) -> Iterator[Tile]:
        """Yield tiles for the synthesis, without the pixels of their halos: `around` is the margin to cut off.

        side, halo: as for `to_analyze`.
        """
        for down, across in self._tiles(side, halo):
            yield self._tile(down, across, down.inner, across.inner)

    def _tiles(self, side: int | None, halo: int) -> Iterator[tuple[Span, Span]]:
        return tiles(*self.latent, max(self.latent) if side is None else positions(side, self.stride), halo)

    def _tile(self, down: Span, across: Span, rows: slice, columns: slice) -> Tile:
        """A tile with the pixels of some rows and columns of positions."""
        vertical, above, below = self._pixels(0, down, rows)
        horizontal, left, right = self._pixels(1, across, columns)
        return Tile(down, across, vertical, horizontal, (above, below, left, right))

    def _pixels(self, axis: int, span: Span, own: slice) -> tuple[slice, int, int]:
        """The pixels of some positions of an axis, and how many more a span with its halo has before and after them."""
        stride, start = self.stride, self.start[axis]
        pixels = slice(max(0, own.start * stride - start), min(self.size[axis], own.stop * stride - start))
        return pixels, pixels.start - (span.first * stride - start), span.last * stride - start - pixels.stop
