"""A bounded scalar quantizer: tanh, then the nearest of S levels, with a straight-through gradient."""

import torch
from torch import Tensor

from omega_core.contracts import Prior, Quantized, Quantizer


class LatticeQuantizer(Quantizer):
    def __init__(self, *, latent_channels: int, channels: int, alphabet: int, stretch: float = 1.0) -> None:
        super().__init__()
        self.channels, self.alphabet, self.stretch = channels, alphabet, stretch
        self.into = torch.nn.Conv2d(latent_channels, channels, 1)
        self.out = torch.nn.Conv2d(channels, latent_channels, 1)

    def forward(self, latent: Tensor, prior: Prior | None = None, kept: Tensor | None = None) -> Quantized:
        inside = self._inside(latent)
        symbols = inside.round().long()
        hard = inside + (symbols - inside).detach()
        mask = torch.ones_like(hard)
        if kept is not None:
            mask = (torch.arange(self.channels) < kept[:, None])[:, :, None, None].to(hard)
        bits = hard.new_zeros(len(hard))
        if prior is not None:
            lengths = prior.code_lengths(*latent.shape[2:]).to(hard)
            flat = symbols.flatten(2).permute(1, 2, 0)
            cost = lengths.expand(-1, flat.shape[1], -1).gather(2, flat).permute(2, 0, 1)
            bits = (cost * mask.flatten(2)).sum(dim=(1, 2))
        return Quantized(self.out(self._levels(hard) * mask), bits, symbols)

    def symbols(self, latent: Tensor) -> Tensor:
        return self._inside(latent).round().long()

    def latent(self, symbols: Tensor) -> Tensor:
        batch, channels, height, width = symbols.shape
        levels = torch.zeros(batch, self.channels, height, width)
        levels[:, :channels] = self._levels(symbols.float())
        return self.out(levels)

    def _inside(self, latent: Tensor) -> Tensor:
        return (torch.tanh(self.stretch * self.into(latent)) + 1) / 2 * (self.alphabet - 1)

    def _levels(self, symbols: Tensor) -> Tensor:
        return symbols / (self.alphabet - 1) * 2 - 1
