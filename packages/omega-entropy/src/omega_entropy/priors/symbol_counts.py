"""Counts of symbols."""

from collections.abc import Sequence

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

    @torch.no_grad()
    def add(self, symbols: Tensor, kept: Tensor, *, decay: float = 1.0) -> None:
        """Count symbols, after multiplying the counts so far by `decay`.

        symbols: (B, C, h, w), int64.
        kept: (B,), how many channels, the first ones, of each sample are counted.
        """
        channels, tables, alphabet = self.counts.shape
        height, width = symbols.shape[2:]
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
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(counts)
    return counts
