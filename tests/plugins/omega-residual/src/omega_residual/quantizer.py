"""Residual quantization (Juang and Gray 1982) with Ω: the second stage sees what the first left over.

    latent ─Ω, channels 0 to C/2─ first ; latent − first ─Ω, channels C/2 to C─ second ; latent = first + second

Ω is taken by its name, like anybody's component.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from omega_core import resolve
from omega_core.contracts import Prior, Quantized, Quantizer
from omega_core.errors import ComponentError


class ResidualOmega(Quantizer):
    """Two Ω quantizers, one after the other.

    latent_channels, channels, alphabet: D, C and S.
    first: channels of the first stage; half of them if none.
    start: of both stages, as of Ω.
    """

    def __init__(
        self,
        *,
        latent_channels: int,
        channels: int,
        alphabet: int,
        first: int | None = None,
        start: Literal["random", "scalar"] = "scalar",
    ) -> None:
        super().__init__()
        first = channels // 2 if first is None else first
        if not 1 <= first < channels:
            raise ComponentError(f"the quantizer residual-omega needs 1 to {channels - 1} channels first, not {first}.")
        self.channels, self.alphabet, self.first = channels, alphabet, first
        omega = resolve("quantizer", "omega-quant/omega")
        sizes = [first, channels - first]
        self.stages = nn.ModuleList(
            omega(latent_channels=latent_channels, channels=each, alphabet=alphabet, start=start) for each in sizes
        )

    def forward(self, latent: Tensor, prior: Prior | None = None, kept: Tensor | None = None) -> Quantized:
        if kept is None:
            kept = torch.full((len(latent),), self.channels, device=latent.device)
        rest, total, bits, symbols = latent, torch.zeros_like(latent), latent.new_zeros(len(latent)), []
        for number, stage in enumerate(self.stages):
            begin = number * self.first
            own = (kept - begin).clamp(0, stage.channels)
            part = None if prior is None else _Part(prior, begin, begin + stage.channels)
            made = stage(rest, part, own.clamp_min(1))
            here = (own > 0).to(latent.dtype)  # a stage of which nothing is kept adds nothing
            restored = made.latent * here[:, None, None, None]
            total, rest, bits = total + restored, rest - made.latent, bits + made.bits * here
            symbols.append(made.symbols)
        return Quantized(total, bits, torch.cat(symbols, dim=1))

    def symbols(self, latent: Tensor) -> Tensor:
        rest, symbols = latent, []
        for stage in self.stages:
            symbols.append(stage.symbols(rest))
            rest = rest - stage.latent(symbols[-1])
        return torch.cat(symbols, dim=1)

    def latent(self, symbols: Tensor) -> Tensor:
        first, second = self.stages
        restored: Tensor = first.latent(symbols[:, : self.first])
        if symbols.shape[1] > self.first:
            rest = symbols[:, self.first :]
            restored = restored + second.latent(rest) * (rest[:, :1] >= 0)
        return restored

    def temperature(self) -> Tensor:
        return torch.cat([stage.temperature() for stage in self.stages])

    def compile_parts(self) -> None:
        for stage in self.stages:
            stage.compile_parts()

    def reset_dead_symbols(self, counts: Tensor, seed: int) -> int:
        parts: Sequence[Tensor] = counts.split([stage.channels for stage in self.stages])
        return sum(
            stage.reset_dead_symbols(part, seed + n)
            for n, (stage, part) in enumerate(zip(self.stages, parts, strict=True))
        )


class _Part:
    """Some channels of a prior, as a stage asks for them."""

    def __init__(self, prior: Prior, begin: int, end: int) -> None:
        self.prior, self.channels = prior, slice(begin, end)

    def code_lengths(self, height: int, width: int) -> Tensor:
        return self.prior.code_lengths(height, width)[self.channels]
