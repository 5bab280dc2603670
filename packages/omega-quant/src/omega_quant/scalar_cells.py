"""The cells of the scalar quantizers from which Ω starts, along one direction, in steps of 1.

    a[s] = slope[s]·x + bias[s],   symbol = argmin |a|,   y = point[symbol],   later stages quantize x − grid[symbol]

Dead-zone quantizers whose steps halve from stage to stage are those of JPEG 2000 (Taubman 2000, "High Performance
Scalable Image Compression with EBCOT", IEEE Transactions on Image Processing): the cell around 0 is twice as wide as
the others, and every cell is a union of cells of the next stage. The meaning of a symbol depends on whether all earlier
symbols were 0, which Ω cannot express. Therefore the grid points shift the residuals of numbers that were not 0 to a
separate interval:

    residual, in steps of the stage      −2 ── −1 ─────── 1 ── 2        4 ── 5 ── 6
    symbol                                 new ╵   still 0  ╵ new         low ╵ high
                                           numbers that were 0            that were not: in the lower or the upper half
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from omega_quant.nested_numbers import zero_symbol

_APART = 4.0  # start of the interval of numbers that were not 0, in steps of the next stage; the others end at 2
_NEVER = 1000.0  # bias of an unused symbol: its activation is never nearest to zero


@dataclass(frozen=True)
class Cells:
    """Slopes, biases, points and grid points of symbols, as above: (S,), or (C, S) for channels that differ."""

    slope: Tensor
    bias: Tensor
    point: Tensor
    grid: Tensor

    @classmethod
    def uniform(cls, alphabet: int) -> "Cells":
        """Cells around integers; the symbol S/2 − 1 is 0. alphabet: S."""
        level = _levels(alphabet)
        return cls(torch.ones(alphabet), -level, level, level)

    @classmethod
    def dead_zone(cls, alphabet: int) -> "Cells":
        """The first stage of a dead-zone quantizer: |x| is rounded down, points are centers of cells. alphabet: S."""
        level = _levels(alphabet)
        middle = level.sign() * (level.abs() + 0.5)
        slope = torch.where(level == 0, 0.5, 1.0)
        lower_end = torch.where(level < 0, level - 1, level)
        return cls(slope, -middle, middle, torch.where(level == 0, 0.0, lower_end - _APART / 2))

    @classmethod
    def halves(cls, alphabet: int) -> "Cells":
        """A later stage: numbers that were 0 become −1, 0 or 1; others fall in the lower or upper half of their cell.

        The five symbols from S/2 − 2 are used, the others are not. alphabet: S, at least 6.
        """
        unused, used = torch.zeros(alphabet), slice(zero_symbol(alphabet) - 1, zero_symbol(alphabet) + 4)
        cells = cls(unused.clone(), unused + _NEVER, unused.clone(), unused.clone())
        cells.slope[used] = torch.tensor([1.0, 0.5, 1.0, 1.0, 1.0])
        cells.bias[used] = -torch.tensor([-1.5, 0.0, 1.5, _APART + 0.5, _APART + 1.5])
        cells.point[used] = torch.tensor([-1.5, 0.0, 1.5, -0.5, 0.5])
        lower_end, apart = torch.tensor([-2.0, 0.0, 1.0, _APART, _APART + 1]), _APART / 2
        cells.grid[used] = lower_end - apart * torch.tensor([1.0, 0.0, 1.0, 1.0, 1.0])
        return cells

    def of(self, count: int, others: "Cells", total: int) -> "Cells":
        """Cells (C, S) of `total` channels: these for the first `count` channels, `others` for the rest."""
        pairs = zip(vars(self).values(), vars(others).values(), strict=True)
        return Cells(*(torch.cat([mine.expand(count, -1), theirs.expand(total - count, -1)]) for mine, theirs in pairs))


def _levels(alphabet: int) -> Tensor:
    return torch.arange(alphabet, dtype=torch.float32) - zero_symbol(alphabet)
