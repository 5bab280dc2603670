"""A quantizer to start from: it rounds each channel to one of S levels, which stand for values between −1 and 1.

latent ─ 1×1 convolution ─ tanh ─ level from 0 to S − 1 ─ round: the symbol ─ 1×1 convolution ─ latent
"""

import torch
from omega_core.contracts import Prior, Quantized, Quantizer
from torch import Tensor, nn


class __CLASS__(Quantizer):
    """Bounded scalar quantization with a straight-through gradient.

    latent_channels, channels, alphabet: D, C and S.
    stretch: the factor before tanh; a larger one uses the outer levels more often.
    """

    def __init__(self, *, latent_channels: int, channels: int, alphabet: int, stretch: float = 1.0) -> None:
        super().__init__()
        self.channels, self.alphabet, self.stretch = channels, alphabet, stretch
        self.into = nn.Conv2d(latent_channels, channels, 1)
        self.out = nn.Conv2d(channels, latent_channels, 1)

    def forward(self, latent: Tensor, prior: Prior | None = None, kept: Tensor | None = None) -> Quantized:
        """See `Quantizer.forward`."""
        with torch.autocast(latent.device.type, enabled=False):  # mixed precision is too coarse for levels
            level = self._level(latent)
            # straight-through: round in the forward pass, identity gradient in the backward pass
            level = level + (level.round() - level).detach()
            mask = self.mask(kept, level)
            bits = level.new_zeros(len(level)) if prior is None else self.rate(level, prior, kept)
            return Quantized(self.out(self._value(level) * mask), bits, level.detach().round().long())

    def symbols(self, latent: Tensor) -> Tensor:
        """Map a latent (B, D, h, w) to symbols (B, C, h, w) in [0, S)."""
        with torch.autocast(latent.device.type, enabled=False):
            return self._level(latent).round().long()

    def latent(self, symbols: Tensor) -> Tensor:
        """Map symbols (B, n, h, w) of the first n channels to a latent (B, D, h, w).

        Missing symbols, which are negative, and missing channels have the value 0.
        """
        value = self._value(symbols.to(self.out.weight.dtype)) * (symbols >= 0)
        missing = self.channels - value.shape[1]
        restored: Tensor = self.out(nn.functional.pad(value, (0, 0, 0, 0, 0, missing)))
        return restored

    def _level(self, latent: Tensor) -> Tensor:
        """The level (B, C, h, w) of each channel before rounding, between 0 and S − 1."""
        mixed = self.into(latent.to(self.into.weight.dtype))
        return (torch.tanh(self.stretch * mixed) + 1) / 2 * (self.alphabet - 1)

    def _value(self, level: Tensor) -> Tensor:
        """The value of a level, between −1 and 1."""
        return 2 * level / (self.alphabet - 1) - 1
