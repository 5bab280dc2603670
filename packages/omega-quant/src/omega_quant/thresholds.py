"""The symbols of one coordinate by comparison with thresholds, for weights of rank 1 without gradients.

    symbol(x) = argmin_s |slope[s]·x + bias[s]|        constant between thresholds: the cells of a channel

A channel has few thresholds, fewer than symbols if some symbols are never chosen. Finding symbols takes one comparison
for each threshold instead of one activation for each symbol. Shapes are as in `omega_quant.factored`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MAX_SYMBOLS = 64
"""With more symbols, activations are faster than thresholds, whose computation takes memory for S³ numbers."""
_AT_ONCE = 1 << 20  # numbers that are computed at once


@dataclass(frozen=True)
class Thresholds:
    """The thresholds of C channels, and the symbols of the cells between them.

    above: (C, B), the thresholds, rising. A coordinate above i of them is in cell i. Infinite if a channel has fewer.
    symbols: (C, B + 1), int64, the symbol of each cell.
    spans: for each of the B thresholds, the range of channels from the first to the last that has so many.
    slope_CS, bias_CS: copies of the slopes and biases from which the thresholds were computed.
    """

    above: Tensor
    symbols: Tensor
    spans: list[slice]
    slope_CS: Tensor
    bias_CS: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, slope_CS: Tensor, bias_CS: Tensor) -> Thresholds:
        """Compute the thresholds, in float64, for coordinates in the type of the slopes."""
        slope, bias = slope_CS.detach().cpu().double(), bias_CS.detach().cpu().double()
        channels, symbols = slope.shape
        some = max(1, _AT_ONCE // symbols**3)
        parts = [_cells(slope[first : first + some], bias[first : first + some]) for first in range(0, channels, some)]
        kept = [above.isfinite().sum(dim=1) for above, _ in parts]
        most = max((int(count.max()) for count in kept), default=0)
        above, of_cells = (torch.cat([part[number][:, : most + number] for part in parts]) for number in range(2))
        counts = torch.cat(kept)
        spans = []
        for number in range(most):
            having = torch.nonzero(counts > number)[:, 0]
            spans.append(slice(int(having[0]), int(having[-1]) + 1))
        # if two symbols are equally near, the first one is chosen
        included = of_cells[:, 1:] < of_cells[:, :-1]
        device = slope_CS.device
        return cls(
            _greatest_below(above, included, slope_CS.dtype).to(device),
            of_cells.to(device),
            spans,
            slope_CS.detach().clone(),
            bias_CS.detach().clone(),
        )

    def are_of(self, slope_CS: Tensor, bias_CS: Tensor) -> bool:
        """Whether the thresholds were computed from these slopes and biases."""
        pairs = (self.slope_CS, slope_CS), (self.bias_CS, bias_CS)
        return all(a.device == b.device and a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)

    def find(self, x_CR: Tensor) -> Tensor:
        """Return the symbols (C, R), int64, of coordinates (C, R)."""
        short = torch.uint8 if len(self.spans) < 256 else torch.int16
        cells = torch.zeros(x_CR.shape, dtype=short, device=x_CR.device)
        for number, span in enumerate(self.spans):
            cells[span] += x_CR[span] > self.above[span, number, None]
        return self.symbols.gather(1, cells.long())


def _cells(slope_CS: Tensor, bias_CS: Tensor) -> tuple[Tensor, Tensor]:
    """The thresholds (C, N), infinite after the last one of a channel, and the symbols (C, N + 1) between them."""
    symbols = slope_CS.shape[1]
    one, other = torch.triu_indices(symbols, symbols, offset=1)
    candidates = []
    for sign in (1, -1):  # |a| and |b| are equal where a = b and where a = −b
        slope = slope_CS[:, one] - sign * slope_CS[:, other]
        candidates.append(-(bias_CS[:, one] - sign * bias_CS[:, other]) / slope)
    crossing_CN = torch.cat(candidates, dim=1).nan_to_num(torch.inf, torch.inf, torch.inf).sort(dim=1).values
    finite = crossing_CN.isfinite()
    last = torch.where(finite, crossing_CN, -torch.inf).amax(dim=1, keepdim=True).nan_to_num(0.0, 0.0, 0.0)
    bounds = torch.where(finite, crossing_CN, last)
    after = last + 1 + last.abs()
    inside = torch.where(finite[:, 1:], (bounds[:, 1:] + bounds[:, :-1]) / 2, after)
    probes = torch.cat([bounds[:, :1] - 1 - bounds[:, :1].abs(), inside, after], dim=1)  # one in each interval
    distance_CNS = (probes[:, :, None] * slope_CS[:, None] + bias_CS[:, None]).abs()
    of_probes = distance_CNS.argmin(dim=2)
    changes = (of_probes[:, 1:] != of_probes[:, :-1]) & finite
    # thresholds first, in their order, then the others
    order = (~changes).to(torch.uint8).argsort(dim=1, stable=True)
    above = torch.where(changes, crossing_CN, torch.inf).gather(1, order)
    found = torch.cat([of_probes[:, :1], of_probes[:, 1:].gather(1, order)], dim=1)
    return above, found


def _greatest_below(threshold: Tensor, included: Tensor, dtype: torch.dtype) -> Tensor:
    """The greatest number of a type that is at most the threshold, or below it if the cell above includes it."""
    rounded = threshold.to(dtype)
    too_large = torch.where(included, rounded.double() >= threshold, rounded.double() > threshold)
    less = torch.nextafter(rounded, rounded.new_tensor(-torch.inf))
    return torch.where(too_large & threshold.isfinite(), less, rounded)
