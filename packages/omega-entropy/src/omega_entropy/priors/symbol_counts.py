"""Counts of symbols."""

from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor, nn


class Counts(nn.Module):
    """Counts of the symbols of each channel, or of each channel at each position of a latent of fixed size.

    channels: C.
    positions: the number of tables of a channel: h·w for a table at each position, or 1.
    alphabet: S.

    `counts` is (C, positions, S), float64. With torch.distributed, it counts the symbols of all processes.
    """

    counts: Tensor

    def __init__(self, channels: int, positions: int, alphabet: int) -> None:
        super().__init__()
        self.register_buffer("counts", torch.zeros(channels, positions, alphabet, dtype=torch.float64))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move counts between devices, but keep them in float64 if a model gets another type, so that they stay exact.

        MPS has no float64.
        """
        counts = self.counts
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch does not annotate it
        if self.counts.dtype != counts.dtype and self.counts.device.type != "mps":
            self.counts = counts.to(self.counts.device)
        return self

    @torch.no_grad()
    def add(self, symbols: Tensor, kept: Tensor, *, decay: float = 1.0) -> None:
        """Count symbols, after multiplying the counts so far by `decay`.

        symbols: (B, C, h, w), int64.
        kept: (B,), the number of channels, the first ones, of each sample that are counted.

        Raises ValueError for symbols of another latent size, if each position has its own counts.
        """
        channels, tables, alphabet = self.counts.shape
        height, width = symbols.shape[2:]
        if tables not in (1, height * width):
            raise ValueError(f"symbols at {height * width} positions; these counts are for {tables}")
        positions = torch.arange(height * width, device=symbols.device) % tables
        row_CP = torch.arange(channels, device=symbols.device)[:, None] * tables + positions
        mask_BC = torch.arange(channels, device=symbols.device) < kept[:, None]
        seen = (row_CP * alphabet + symbols.flatten(2))[mask_BC]
        fresh = torch.bincount(seen.reshape(-1), minlength=self.counts.numel()).view_as(self.counts).to(self.counts)
        self.counts.mul_(decay).add_(summed(fresh))

    def select_channels(self, order: Sequence[int]) -> None:
        """Keep the channels `order`, in this order."""
        self.counts = self.counts[list(order)]

    def clear(self) -> None:
        """Set all counts to 0."""
        self.counts.zero_()

    def probabilities(self, pseudo: Tensor | float) -> Tensor:
        """Relative frequencies (C, positions, S), after adding `pseudo` to the counts."""
        counts = self.counts + pseudo
        return counts / counts.sum(dim=2, keepdim=True)


def summed(counts: Tensor) -> Tensor:
    """Sum counts over all processes of torch.distributed, in place, and return them."""
    if is_distributed():
        torch.distributed.all_reduce(counts)
    return counts


def maximum(numbers: Tensor) -> None:
    """Take the maximum of numbers over all processes of torch.distributed, in place."""
    if is_distributed():
        torch.distributed.all_reduce(numbers, torch.distributed.ReduceOp.MAX)


def is_distributed() -> bool:
    """Return whether several processes of torch.distributed may share the work."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()
