"""Rounding, the quantizer of most learned codecs.

Ballé, Minnen, Singh, Hwang and Johnston, "Variational image compression with a scale hyperprior", ICLR 2018 (arXiv
1802.01436).

    training    y + U(−½, ½), whose likelihood is the density of the noisy latent
    evaluation  round(y)
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from omega_core.contracts.quantizer import Quantized, Quantizer
from omega_core.errors import ComponentError

if TYPE_CHECKING:
    from omega_core.contracts.prior import Prior


class IntegerQuantizer(Quantizer):
    """Rounds to the S integers from −(S/2 − 1) to S/2, and needs a prior with a likelihood.

    latent_channels, channels: D and C, which have to be equal.
    alphabet: S, an even number.

    Raises ComponentError for invalid sizes.
    """

    needs_likelihood = True

    def __init__(self, *, latent_channels: int, channels: int, alphabet: int) -> None:
        super().__init__()
        if latent_channels != channels:
            raise ComponentError(
                f"the quantizer integer needs as many latent channels as channels, not {latent_channels} and"
                f" {channels}: set latent-channels to {channels}."
            )
        if channels < 1 or alphabet < 2 or alphabet % 2:
            raise ComponentError(
                f"the quantizer integer needs at least 1 channel and an even alphabet, not {channels} and {alphabet}."
            )
        self.channels, self.alphabet = channels, alphabet
        self.lowest = -(alphabet // 2 - 1)
        self.highest = alphabet // 2

    def forward(self, latent: Tensor, prior: "Prior | None" = None, kept: Tensor | None = None) -> Quantized:
        """See `Quantizer.forward`. Channels that are not kept are 0 and cost nothing."""
        latent = latent.float() if latent.dtype in (torch.float16, torch.bfloat16) else latent
        values = latent + self.noise(latent) if self.training else latent.round()
        values = values.clamp(self.lowest, self.highest)
        mask = self.mask(kept, latent)
        bits = latent.new_zeros(latent.shape[0])
        if prior is not None:
            with torch.autocast(latent.device.type, enabled=False):
                bits = -(prior.likelihood(values).log2() * mask).sum(dim=(1, 2, 3))
        return Quantized(values * mask, bits, self.symbols(latent.detach()))

    def symbols(self, latent: Tensor) -> Tensor:
        """The symbols (B, C, h, w), int64, of a latent (B, C, h, w). Symbol 0 is −(S/2 − 1); NaN counts as 0."""
        latent = latent.float() if latent.dtype in (torch.float16, torch.bfloat16) else latent
        return latent.round().clamp(self.lowest, self.highest).nan_to_num(0).long() - self.lowest

    def latent(self, symbols: Tensor) -> Tensor:
        """The latent (B, C, h, w) of the first n channels of symbols (B, n, h, w); the rest is 0."""
        batch, channels, height, width = symbols.shape
        latent = torch.zeros(batch, self.channels, height, width, device=symbols.device)
        latent[:, :channels] = torch.where(symbols < 0, 0, symbols + self.lowest).float()
        return latent

    def cells(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """See `Quantizer.cells`. The cells of the lowest and the highest integer have only one end."""
        batch, channels, height, width = symbols.shape
        lower = torch.full((batch, self.channels, height, width), -torch.inf, device=symbols.device)
        upper = -lower
        value = (symbols + self.lowest).float()
        known = symbols >= 0
        lower[:, :channels] = torch.where(known & (value > self.lowest), value - 0.5, -torch.inf)
        upper[:, :channels] = torch.where(known & (value < self.highest), value + 0.5, torch.inf)
        return lower, upper
