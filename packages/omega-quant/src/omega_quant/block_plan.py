"""The division of rows and symbols into blocks that fit the cache.

Shapes are as in `straight_through`: R rows, of which the first ones keep most channels; C channels of S symbols.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

BLOCK = {"cpu": 1 << 19}
"""The number of activations in a block, by type of device: on a CPU a few blocks fit the cache that cores share."""
LARGE_BLOCK = 1 << 24
"""The number of activations in a block on other devices: enough to keep a GPU busy."""
WIDTH = 1024
"""The number of symbols in a block, over all of its channels: enough for an efficient matrix product."""


@dataclass
class ChannelBlock:
    """A range of channels that are computed together.

    channels: the range.
    symbols: S.
    row_counts: the number of rows, the first ones, that keep each of these channels.
    blocks: the ranges of rows that are computed at once.
    """

    channels: slice
    symbols: int
    row_counts: list[int]
    blocks: list[slice]

    def views(self, buffers: Tensor, rows: slice) -> tuple[Tensor, ...]:
        """A view (rows, channels·S) of each buffer, for the rows of a block."""
        height, width = rows.stop - rows.start, len(self.row_counts) * self.symbols
        return buffers[:, : height * width].view(-1, height, width).unbind()

    def split(self, block: Tensor) -> Tensor:
        """A view (rows, channels, S) of a block (rows, channels·S)."""
        return block.view(len(block), -1, self.symbols)


@dataclass
class BlockPlan:
    """The blocks of R rows and C·S symbols; a block has only rows that keep at least one of its channels.

    row_counts: the number of rows, the first ones, that keep each channel, in falling order.
    symbols: S.
    rows, channels: the largest size of a block.
    """

    row_counts: list[int]
    symbols: int
    rows: int
    channels: int

    @classmethod
    def of(cls, z_RD: Tensor, symbols: int, row_counts: list[int], multiple: int = 1) -> "BlockPlan":
        """A plan for the device of `z_RD`.

        z_RD: the rows.
        symbols: S.
        row_counts: as in the class.
        multiple: the number of rows of a block is a multiple of this, such as the number of positions of a sample.
        """
        at_once = min(len(row_counts), max(1, WIDTH // symbols))
        size = BLOCK.get(z_RD.device.type, LARGE_BLOCK)
        rows = max(1, size // (at_once * symbols) // multiple) * multiple
        return cls(row_counts, symbols, max(1, min(rows, len(z_RD))), at_once)

    @property
    def used(self) -> int:
        """The number of channels that at least one row keeps."""
        return sum(rows > 0 for rows in self.row_counts)

    def buffers(self, like: Tensor, count: int) -> Tensor:
        """Memory (count, size of the largest block) that all blocks share, with the type and device of `like`."""
        return like.new_empty(count, self.rows * self.channels * self.symbols)

    def affine_buffer(self, weight_CSD: Tensor) -> Tensor:
        """Memory (channels·S, D + 1) for the weights and biases of the symbols of a block."""
        return weight_CSD.new_empty(self.channels * self.symbols, weight_CSD.shape[2] + 1)

    def __iter__(self) -> Iterator[ChannelBlock]:
        for first in range(0, len(self.row_counts), self.channels):
            some = slice(first, min(first + self.channels, len(self.row_counts)))
            most = self.row_counts[first]
            blocks = [slice(row, min(row + self.rows, most)) for row in range(0, most, self.rows)]
            if blocks:
                yield ChannelBlock(some, self.symbols, self.row_counts[some], blocks)


def order_by_kept(kept_N: Tensor, channels: int, positions: int) -> tuple[Tensor, Tensor, list[int]]:
    """Sort samples by their number of kept channels, most first.

    kept_N: the number of channels that each sample keeps.
    channels: C.
    positions: P, the rows of a sample.

    Returns the order of the samples, its inverse, and the number of rows that keep each channel.
    """
    order_N = torch.argsort(kept_N, descending=True, stable=True)
    counts = torch.bincount(kept_N.clamp(0, channels), minlength=channels + 1)
    row_counts = cast(list[int], (positions * counts.flip(0).cumsum(0).flip(0)[1:]).tolist())
    return order_N, torch.argsort(order_N), row_counts


def is_kept(row_counts: Sequence[int], rows: slice, device: torch.device) -> Tensor:
    """A mask (rows, C) that is true where a row keeps a channel.

    row_counts: the number of rows, the first ones, that keep each channel.
    rows: the range of rows of the mask.
    device: the device of the mask.
    """
    return torch.arange(rows.start, rows.stop, device=device)[:, None] < torch.tensor(row_counts, device=device)
