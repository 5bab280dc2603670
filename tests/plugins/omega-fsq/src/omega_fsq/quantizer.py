"""Finite scalar quantization: Mentzer, Minnen, Agustsson and Tschannen, "Finite Scalar Quantization: VQ-VAE Made
Simple", 2023 (arXiv 2309.15505).

    latent ─1×1 convolution─ bounded by tanh to L levels ─ rounded ─ scaled to about [−1, 1] ─1×1 convolution─ latent
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from omega_core.contracts import Prior, Quantized, Quantizer
from omega_core.errors import ComponentError

_INSIDE = 1e-3  # the bound is that much less than the outermost levels would allow


class FiniteScalarQuantizer(Quantizer):
    """Each channel of a projected latent is rounded to one of L levels, with a straight-through gradient.

    latent_channels, channels, alphabet: D, C and S.
    levels: L; S if none.
    """

    def __init__(self, *, latent_channels: int, channels: int, alphabet: int, levels: int | None = None) -> None:
        super().__init__()
        self.channels, self.alphabet = channels, alphabet if levels is None else levels
        if self.alphabet < 2:
            raise ComponentError(f"the quantizer fsq needs at least 2 levels, not {self.alphabet}.")
        self.into = nn.Conv2d(latent_channels, channels, 1)
        self.out = nn.Conv2d(channels, latent_channels, 1)

    def forward(self, latent: Tensor, prior: Prior | None = None, kept: Tensor | None = None) -> Quantized:
        with torch.autocast(latent.device.type, enabled=False):
            level = self._level(latent)
            level = level + (level.round() - level).detach()
            mask = self.mask(kept, level)
            bits = level.new_zeros(len(level)) if prior is None else self.rate(level, prior, kept)
            return Quantized(self.out(self._code(level) * mask), bits, level.detach().round().long())

    def symbols(self, latent: Tensor) -> Tensor:
        with torch.autocast(latent.device.type, enabled=False):
            return self._level(latent).round().long()

    def latent(self, symbols: Tensor) -> Tensor:
        code = self._code(symbols.to(self.out.weight.dtype)) * (symbols >= 0)
        restored: Tensor = self.out(pad(code, (0, 0, 0, 0, 0, self.channels - code.shape[1])))
        return restored

    def _level(self, latent: Tensor) -> Tensor:
        """f of equation 1, before rounding, moved so that levels are 0 to L − 1."""
        half = (self.alphabet - 1) * (1 - _INSIDE) / 2
        offset = 0.0 if self.alphabet % 2 else 0.5
        shift = math.tan(offset / half)
        bounded = torch.tanh(self.into(latent.to(self.into.weight.dtype)) + shift) * half - offset
        return (bounded + self.alphabet // 2).clamp(0, self.alphabet - 1)

    def _code(self, level: Tensor) -> Tensor:
        return (level - self.alphabet // 2) / (self.alphabet // 2)
