"""Simple components that checks of other kinds need."""

from typing import cast

import torch
from torch import Tensor, nn

from omega_core.coding.tables import FrozenTables
from omega_core.contracts.prior import Prior
from omega_core.contracts.quantizer import Quantized, Quantizer


class ReferencePrior(Prior):
    """One random table for each channel. Between integers, the likelihood is interpolated linearly.

    channels, alphabet: C and S.
    lowest: the value of symbol 0.
    """

    table: Tensor
    """(C, S), probabilities."""

    def __init__(self, *, channels: int, alphabet: int, lowest: int = 0) -> None:
        super().__init__()
        weights = torch.rand(channels, alphabet, generator=torch.Generator().manual_seed(7)) + 0.1
        self.lowest = lowest
        self.register_buffer("table", weights / weights.sum(dim=1, keepdim=True))

    def code_lengths(self, height: int, width: int) -> Tensor:
        """Return the code lengths (C, 1, S), in bits."""
        return -self.table.log2()[:, None, :]

    def likelihood(self, values: Tensor) -> Tensor:
        """Return the probability of values (B, C, h, w)."""
        most = self.table.shape[1] - 1
        level = (values - self.lowest).clamp(0, most)
        below = level.detach().floor().clamp_max(most - 1).long()
        share = level - below
        channel = torch.arange(len(self.table), device=values.device)[:, None, None]
        return self.table[channel, below] * (1 - share) + self.table[channel, below + 1] * share

    def relax(self, latent_channels: int) -> None:
        """See `Prior.relax`: a Laplacian with a learned scale for each channel."""
        self.relaxation = _Laplacian(latent_channels)

    def interval_bits(self, values: Tensor, half_width: Tensor, known: Tensor, fineness: Tensor) -> Tensor:
        return cast(_Laplacian, self.relaxation)(values.abs(), half_width)

    def freeze(self) -> FrozenTables:
        """Return the tables as integers."""
        return FrozenTables.from_probabilities(self.table[:, None, :].double().cpu().numpy())


class _Laplacian(nn.Module):
    """−log2 of the probability of an interval under a Laplacian around 0, with a learned scale for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, distance: Tensor, half_width: Tensor) -> Tensor:
        above, below = ((distance + sign * half_width) / self.log_scale.exp() for sign in (1, -1))
        inside = below.sign() * 0.5 * torch.exp(-below.abs()) - 0.5 * torch.exp(-above) + (below < 0)
        return -inside.clamp_min(1e-9).log2()


class Millionths(Quantizer):
    """A quantizer to millionths, which loses almost nothing of a latent, for checks of architectures."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels, self.alphabet = channels, 1 << 62
        self.scale = torch.nn.Parameter(torch.tensor(1e6, dtype=torch.float64))

    def forward(self, latent: Tensor, prior: Prior | None = None, kept: Tensor | None = None) -> Quantized:
        symbols = self.symbols(latent)
        return Quantized(self.latent(symbols), latent.new_zeros(len(latent)), symbols)

    def symbols(self, latent: Tensor) -> Tensor:
        """Quantize a latent (B, C, h, w) to integers (B, C, h, w), which may be negative here."""
        return (latent * self.scale).round().long()

    def latent(self, symbols: Tensor) -> Tensor:
        """Dequantize symbols (B, C, h, w) to a latent (B, C, h, w)."""
        return symbols / self.scale
