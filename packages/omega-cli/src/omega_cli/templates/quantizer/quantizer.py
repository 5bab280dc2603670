"""A quantizer to begin with: each channel is rounded to one of S levels between −1 and 1.

latent ─1×1 convolution─ tanh ─ S levels ─ rounded: the symbol ─1×1 convolution─ latent
"""

import torch
from omega_core.contracts import Prior, Quantized, Quantizer
from torch import Tensor, nn


class __CLASS__(Quantizer):
    """Bounded scalar quantization with a straight-through gradient.

    latent_channels, channels, alphabet: D, C and S.
    stretch: how steeply the levels are reached.
    """

    def __init__(self, *, latent_channels: int, channels: int, alphabet: int, stretch: float = 1.0) -> None:
        super().__init__()
        self.channels, self.alphabet, self.stretch = channels, alphabet, stretch
        self.into = nn.Conv2d(latent_channels, channels, 1)
        self.out = nn.Conv2d(channels, latent_channels, 1)

    def forward(self, latent: Tensor, prior: Prior | None = None, kept: Tensor | None = None) -> Quantized:
        """See `Quantizer.forward`."""
        with torch.autocast(latent.device.type, enabled=False):  # mixed precision is too coarse for levels
            place = self._place(latent)
            place = place + (place.round() - place).detach()  # forwards the nearest level, backwards as if not rounded
            mask = self.mask(kept, place)
            bits = place.new_zeros(len(place)) if prior is None else self.rate(place, prior, kept)
            return Quantized(self.out(self._level(place) * mask), bits, place.detach().round().long())

    def symbols(self, latent: Tensor) -> Tensor:
        """Latent (B, D, h, w) to symbols (B, C, h, w), in [0, S)."""
        with torch.autocast(latent.device.type, enabled=False):
            return self._place(latent).round().long()

    def latent(self, symbols: Tensor) -> Tensor:
        """The first n channels of symbols (B, n, h, w) to a latent (B, D, h, w): others, and missing ones, count as 0."""
        level = self._level(symbols.to(self.out.weight.dtype)) * (symbols >= 0)
        missing = self.channels - level.shape[1]
        restored: Tensor = self.out(nn.functional.pad(level, (0, 0, 0, 0, 0, missing)))
        return restored

    def _place(self, latent: Tensor) -> Tensor:
        """Where between symbol 0 and symbol S − 1 each channel lies: (B, C, h, w)."""
        mixed = self.into(latent.to(self.into.weight.dtype))
        return (torch.tanh(self.stretch * mixed) + 1) / 2 * (self.alphabet - 1)

    def _level(self, place: Tensor) -> Tensor:
        return 2 * place / (self.alphabet - 1) - 1
