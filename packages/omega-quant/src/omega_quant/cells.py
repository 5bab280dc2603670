"""The cells of scalar quantizers that Ω starts from, along one direction, in steps of 1.

    a[s] = slope[s]·x + bias[s],   symbol = argmin |a|,   y = point[symbol],   later stages quantize x − grid[symbol]

Dead-zone quantizers whose steps halve from stage to stage are those of JPEG 2000 (Taubman 2000, "High Performance
Scalable Image Compression with EBCOT", IEEE Transactions on Image Processing): the cell around 0 is twice as wide as
the others, and every cell is a union of cells of the next stage. What a stage says about a number depends on whether
it was 0 so far, which Ω has no notion of. So grid points shift what is left of numbers that are not 0 to where
no others are:

    left over, in steps of the stage     −2 ── −1 ─────── 1 ── 2        4 ── 5 ── 6
    symbol                                 new ╵   still 0  ╵ new         low ╵ high
                                           numbers that were 0            that were not: in the lower or the upper half
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_APART = 4.0  # where numbers that are not 0 begin, in steps of the next stage: beyond the 2 where those that are 0 end
_NEVER = 1000.0  # bias of a symbol that is not used


@dataclass(frozen=True)
class Cells:
    """Of each symbol (S,) or, for channels that differ, (C, S): slope and bias, point and grid as above."""

    slope: Tensor
    bias: Tensor
    point: Tensor
    grid: Tensor

    @classmethod
    def uniform(cls, alphabet: int) -> "Cells":
        """Whole numbers, of which the symbol S/2 − 1 is 0."""
        level = _levels(alphabet)
        return cls(torch.ones(alphabet), -level, level, level)

    @classmethod
    def dead_zone(cls, alphabet: int) -> "Cells":
        """The first stage of a dead-zone quantizer: |x| rounded down. Points are the middles of cells."""
        level = _levels(alphabet)
        middle = level.sign() * (level.abs() + 0.5)
        slope = torch.where(level == 0, 0.5, 1.0)
        lower_end = torch.where(level < 0, level - 1, level)
        return cls(slope, -middle, middle, torch.where(level == 0, 0.0, lower_end - _APART / 2))

    @classmethod
    def halves(cls, alphabet: int) -> "Cells":
        """A later stage: 0 becomes −1 (new), 0 or 1 (new); others are in the lower or the upper half of their cell.

        These are the symbols from S/2 − 2 on; the others are not used.
        """
        unused, used = torch.zeros(alphabet), slice(alphabet // 2 - 2, alphabet // 2 + 3)
        cells = cls(unused.clone(), unused + _NEVER, unused.clone(), unused.clone())
        cells.slope[used] = torch.tensor([1.0, 0.5, 1.0, 1.0, 1.0])
        cells.bias[used] = -torch.tensor([-1.5, 0.0, 1.5, _APART + 0.5, _APART + 1.5])
        cells.point[used] = torch.tensor([-1.5, 0.0, 1.5, -0.5, 0.5])
        lower_end, apart = torch.tensor([-2.0, 0.0, 1.0, _APART, _APART + 1]), _APART / 2
        cells.grid[used] = lower_end - apart * torch.tensor([1.0, 0.0, 1.0, 1.0, 1.0])
        return cells

    def of(self, count: int, others: "Cells", total: int) -> "Cells":
        """Cells of `total` channels (C, S): these for the first `count` of them, the others' for the rest."""
        pairs = zip(vars(self).values(), vars(others).values(), strict=True)
        return Cells(*(torch.cat([mine.expand(count, -1), theirs.expand(total - count, -1)]) for mine, theirs in pairs))


def _levels(alphabet: int) -> Tensor:
    return torch.arange(alphabet, dtype=torch.float32) - (alphabet // 2 - 1)
