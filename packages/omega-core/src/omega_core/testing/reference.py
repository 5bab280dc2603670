"""Components that checks of other kinds need."""

from typing import cast

import torch
from torch import Tensor, nn

from omega_core.coding.tables import FrozenTables
from omega_core.contracts.prior import Prior
from omega_core.contracts.quantizer import Quantized, Quantizer


class ReferencePrior(Prior):
    """Tables drawn at random, one a channel. Between whole numbers the likelihood is interpolated.

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
        """(C, 1, S)."""
        return -self.table.log2()[:, None, :]

    def likelihood(self, values: Tensor) -> Tensor:
        """The probability of values (B, C, h, w)."""
        most = self.table.shape[1] - 1
        place = (values - self.lowest).clamp(0, most)
        below = place.detach().floor().clamp_max(most - 1).long()
        share = place - below
        channel = torch.arange(len(self.table), device=values.device)[:, None, None]
        return self.table[channel, below] * (1 - share) + self.table[channel, below + 1] * share

    def relax(self, latent_channels: int) -> None:
        """See `Prior.relax`: a Laplacian for each channel, whose scale is learned."""
        self.relaxation = _Laplacian(latent_channels)

    def interval_bits(self, values: Tensor, half_width: Tensor, known: Tensor, fineness: Tensor) -> Tensor:
        """See `Prior.interval_bits`."""
        return cast(_Laplacian, self.relaxation)(values.abs(), half_width)

    def freeze(self) -> FrozenTables:
        """The tables as integers."""
        return FrozenTables.from_probabilities(self.table[:, None, :].double().cpu().numpy())


class _Laplacian(nn.Module):
    """−log2 of the probabilities of intervals around 0, of Laplacians."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, distance: Tensor, half_width: Tensor) -> Tensor:
        above, below = ((distance + sign * half_width) / self.log_scale.exp() for sign in (1, -1))
        inside = below.sign() * 0.5 * torch.exp(-below.abs()) - 0.5 * torch.exp(-above) + (below < 0)
        return -inside.clamp_min(1e-9).log2()


class Millionths(Quantizer):
    """Whole numbers of millionths, so that nothing of a latent is lost: to check architectures with."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels, self.alphabet = channels, 1 << 62
        self.scale = torch.nn.Parameter(torch.tensor(1e6, dtype=torch.float64))

    def forward(self, latent: Tensor, prior: Prior | None = None, kept: Tensor | None = None) -> Quantized:
        """See `Quantizer.forward`."""
        symbols = self.symbols(latent)
        return Quantized(self.latent(symbols), latent.new_zeros(len(latent)), symbols)

    def symbols(self, latent: Tensor) -> Tensor:
        """Latent (B, C, h, w) to whole numbers (B, C, h, w), here also below 0."""
        return (latent * self.scale).round().long()

    def latent(self, symbols: Tensor) -> Tensor:
        """And back."""
        return symbols / self.scale
