"""How rows and the symbols of all channels are cut into blocks that stay in the cache.

Shapes as in `straight_through`: R rows, of which the first ones keep most channels; C channels of S symbols.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

BLOCK = {"cpu": 1 << 19}
"""Numbers that are worked on at once, by kind of device: on a CPU a few blocks fit the cache that cores share."""
LARGE_BLOCK = 1 << 24
"""Numbers that are worked on at once elsewhere: enough to keep a GPU busy."""
WIDTH = 1024
"""Symbols of a block, those of several channels together where they have fewer: enough for a quick matrix product."""


@dataclass
class Part:
    """Channels, how many rows keep each, and in which blocks these are worked out."""

    channels: slice
    symbols: int
    keeping: list[int]
    blocks: list[slice]

    def cut_out(self, memory: Tensor, rows: slice) -> tuple[Tensor, ...]:
        """Of each of several memories what a block needs: (rows, width)."""
        height, width = rows.stop - rows.start, len(self.keeping) * self.symbols
        return memory[:, : height * width].view(-1, height, width).unbind()

    def split(self, block: Tensor) -> Tensor:
        """(rows, width) as (rows, channels, S)."""
        return block.view(len(block), -1, self.symbols)


@dataclass
class Cut:
    """How R rows and C·S symbols are cut into blocks, without rows that keep none of a block's channels.

    keeping: for each channel, how many rows keep it; it falls. rows, channels: of a block, at most.
    """

    keeping: list[int]
    symbols: int
    rows: int
    channels: int

    @classmethod
    def of(cls, z_RD: Tensor, symbols: int, keeping: list[int], multiple: int = 1) -> "Cut":
        """For rows on a device, each block with a multiple of some number of rows."""
        at_once = min(len(keeping), max(1, WIDTH // symbols))
        size = BLOCK.get(z_RD.device.type, LARGE_BLOCK)
        rows = max(1, size // (at_once * symbols) // multiple) * multiple
        return cls(keeping, symbols, max(1, min(rows, len(z_RD))), at_once)

    @property
    def used(self) -> int:
        """How many channels any row keeps."""
        return sum(rows > 0 for rows in self.keeping)

    def memory(self, like: Tensor, count: int) -> Tensor:
        """Several memories that all blocks use again."""
        return like.new_empty(count, self.rows * self.channels * self.symbols)

    def affine_memory(self, weight_CSD: Tensor) -> Tensor:
        """For the weights and biases of the symbols of a block (width, D + 1)."""
        return weight_CSD.new_empty(self.channels * self.symbols, weight_CSD.shape[2] + 1)

    def __iter__(self) -> Iterator[Part]:
        for first in range(0, len(self.keeping), self.channels):
            some = slice(first, min(first + self.channels, len(self.keeping)))
            most = self.keeping[first]
            blocks = [slice(row, min(row + self.rows, most)) for row in range(0, most, self.rows)]
            if blocks:
                yield Part(some, self.symbols, self.keeping[some], blocks)


def by_kept(kept_N: Tensor, channels: int, positions: int) -> tuple[Tensor, Tensor, list[int]]:
    """The order of samples by how many channels they keep, most first, and the way back; how many rows keep each."""
    order_N = torch.argsort(kept_N, descending=True, stable=True)
    counts = torch.bincount(kept_N.clamp(0, channels), minlength=channels + 1)
    keeping = cast(list[int], (positions * counts.flip(0).cumsum(0).flip(0)[1:]).tolist())
    return order_N, torch.argsort(order_N), keeping


def is_kept(keeping: Sequence[int], rows: slice, device: torch.device) -> Tensor:
    """Whether rows keep each channel (rows, C)."""
    return torch.arange(rows.start, rows.stop, device=device)[:, None] < torch.tensor(keeping, device=device)
