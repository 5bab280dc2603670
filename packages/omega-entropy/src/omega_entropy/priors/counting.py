"""How often each symbol occurs."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Counts(nn.Module):
    """Counts of the symbols of each channel and, with `positions`, of each position of a fixed latent size.

    counts: (C, 1 or positions, S), float64. Under several processes they are those of all.
    """

    counts: Tensor

    def __init__(self, channels: int, positions: int, alphabet: int) -> None:
        super().__init__()
        self.register_buffer("counts", torch.zeros(channels, positions, alphabet, dtype=torch.float64))

    @torch.no_grad()
    def add(self, symbols: Tensor, kept: Tensor, *, decay: float = 1.0) -> None:
        """Add the symbols (B, C, h, w) of the first kept (B,) channels to `decay` times what was there."""
        channels, tables, alphabet = self.counts.shape
        height, width = symbols.shape[2:]
        positions = torch.arange(height * width, device=symbols.device) % tables
        row_CP = torch.arange(channels, device=symbols.device)[:, None] * tables + positions
        mask_BC = torch.arange(channels, device=symbols.device) < kept[:, None]
        seen = (row_CP * alphabet + symbols.flatten(2))[mask_BC]
        fresh = torch.bincount(seen.reshape(-1), minlength=self.counts.numel()).view_as(self.counts).to(self.counts)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(fresh)
        self.counts.mul_(decay).add_(fresh)

    def select_channels(self, order: Sequence[int]) -> None:
        """Keep these channels, in this order."""
        self.counts = self.counts[list(order)]

    def clear(self) -> None:
        """Forget them."""
        self.counts.zero_()

    def probabilities(self, pseudo: Tensor | float) -> Tensor:
        """Relative frequencies (C, 1 or positions, S), with `pseudo` counts besides those that were seen."""
        counts = self.counts + pseudo
        return counts / counts.sum(dim=2, keepdim=True)
