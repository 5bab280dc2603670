"""One-hot max (Ω) quantization: Löhdefink, Sitzmann, Bär and Fingscheidt, "Adaptive Bitrate Quantization
Scheme Without Codebook for Learned Image Compression", CVPR Workshops 2022.

    latent y ─ReLU─1×1 conv─ a (S for each channel) ─argmin |a|─ symbol ─table─Σ over channels─ReLU─ y_hat

In several stages, each takes what those before left over (residual quantization: Juang and Gray 1982, "Multiple Stage
Vector Quantization for Speech Coding", ICASSP):

    latent ─Ω, channels of stage 1─ y_1 ; latent − y_1 ─Ω, channels of stage 2─ y_2 ; … ; y_hat = y_1 + y_2 + …
"""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Literal

import torch
from einops import rearrange
from torch import Tensor, nn

from omega_core.contracts.quantizer import Quantized, Quantizer
from omega_core.errors import ComponentError
from omega_quant.straight_through import nearest, one_hot_max, sum_of_rows

if TYPE_CHECKING:
    from omega_core.contracts.prior import Prior

_NEAR = 0.02  # of the deviation over all numbers of a channel: how far a woken symbol starts from its parent


class OmegaQuantizer(Quantizer):
    """Ω: the symbol of a channel is the one whose activation is nearest to zero.

    latent_channels, channels, alphabet: D, C and S.
    start: "random", as published; or "scalar", in which each channel starts as a uniform scalar quantizer
        of one direction of the latent, with steps of 1, and which has no ReLUs: quicker where there are
        many channels.
    temperature: of the softmax behind the straight-through gradient; 100 or, for "scalar", 2.
    temperature_growth: by what factor temperatures grow in the course of training, beside what they learn.
    stages: how channels are divided among stages, such as [1, 2] where a second stage has twice as many as the first;
        for the start "scalar". So the first channels are a coarse description of much of the latent, which is what a
        low rate asks for, and later ones make it finer.
    finer: how many steps of a stage are one of the stage before, at the start.

    compiled: set by `compile_parts`.

    `weight` (C, S, D) and `bias` (C, S) are the first 1×1 convolution, `table` (C, S, D) and
    `table_bias` (D,) the second, whose columns stand where others have a codebook. With several stages, `stage` (C,)
    is that of each channel, from 0 on.
    """

    stage: Tensor

    def __init__(
        self,
        *,
        latent_channels: int,
        channels: int,
        alphabet: int,
        start: Literal["random", "scalar"] = "random",
        temperature: float | None = None,
        temperature_growth: float = 1.0,
        stages: Sequence[float] = (1.0,),
        finer: float = 3.0,
    ) -> None:
        super().__init__()
        if start not in ("random", "scalar"):
            raise ComponentError(f"the quantizer omega starts 'random' or 'scalar', not {start!r}.")
        if min(latent_channels, channels) < 1 or alphabet < 2:
            raise ComponentError(
                "the quantizer omega needs at least 1 latent channel, 1 channel and 2 symbols, not"
                f" {latent_channels}, {channels} and {alphabet}."
            )
        if temperature is None:
            temperature = 100.0 if start == "random" else 2.0
        if not (temperature > 0 and temperature_growth > 0):
            raise ComponentError(
                f"the temperature and its growth have to be above 0, not {temperature} and {temperature_growth}."
            )
        if len(stages) < 1 or min(stages) <= 0 or (len(stages) > 1 and start != "scalar"):
            raise ComponentError(
                "the stages of the quantizer omega are numbers above 0, several if it starts 'scalar', not"
                f" {list(stages)} for {start!r}."
            )
        if not finer > 0:
            raise ComponentError(f"a stage is finer by a factor above 0, not {finer}.")
        self.temperature_growth = temperature_growth
        self.latent_channels, self.channels, self.alphabet = latent_channels, channels, alphabet
        self.rectified = start == "random"
        self.compiled = False
        self.weight = nn.Parameter(torch.empty(channels, alphabet, latent_channels))
        self.bias = nn.Parameter(torch.empty(channels, alphabet))
        self.table = nn.Parameter(torch.empty(channels, alphabet, latent_channels))
        self.table_bias = nn.Parameter(torch.zeros(latent_channels))
        # the logarithm is learned, so that a temperature stays positive
        self.log_temperature = nn.Parameter(torch.full((channels,), math.log(temperature)))
        self.stages = len(stages)
        bounds = [round(channels * part / sum(stages)) for part in (0.0, *accumulate(stages))]
        if self.stages > 1:  # a model that was made anew for fewer channels has theirs in its state
            sizes = torch.tensor([end - first for first, end in pairwise(bounds)])
            self.register_buffer("stage", torch.arange(self.stages).repeat_interleave(sizes, output_size=channels))
        if start == "random":
            self._start_randomly()
        else:
            for number, (first, end) in enumerate(pairwise(bounds)):
                self._start_as_scalar_quantizer(slice(first, end), finer**number)

    def _start_randomly(self) -> None:
        """As torch starts 1×1 convolutions, but for the fan-in of the second: of S·C inputs only C are not 0."""
        for parameter, fan_in in (
            (self.weight, self.latent_channels),
            (self.bias, self.latent_channels),
            (self.table, self.channels),
            (self.table_bias, self.channels),
        ):
            nn.init.uniform_(parameter, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def _start_as_scalar_quantizer(self, members: slice, fineness: float) -> None:
        """a[s] = fineness·direction·y − level[s], so that the nearest level wins; table[s] is what that a is 0 for."""
        levels_S = torch.arange(self.alphabet, dtype=torch.float32) - (self.alphabet // 2 - 1)
        directions_CD = torch.empty(members.stop - members.start, self.latent_channels)
        if len(directions_CD) == self.latent_channels or (
            self.stages > 1 and len(directions_CD) < self.latent_channels
        ):
            nn.init.eye_(directions_CD)
        else:
            nn.init.orthogonal_(directions_CD)
        with torch.no_grad():
            self.weight[members] = fineness * directions_CD[:, None, :].expand(-1, self.alphabet, -1)
            self.bias[members] = -levels_S
            self.table[members] = levels_S[:, None] * directions_CD[:, None, :] / fineness

    def forward(self, latent: Tensor, prior: "Prior | None" = None, kept: Tensor | None = None) -> Quantized:
        """See `Quantizer.forward`. Computed in float32 at least, under mixed precision too.

        Raises ValueError if the latent does not have D channels.
        """
        self._check(latent)
        batch, _, height, width = latent.shape
        if kept is None:
            kept = torch.full((batch,), self.channels, device=latent.device)
        if kept.shape != (batch,):
            raise ValueError(f"kept has the shape {tuple(kept.shape)}; it is one number for each of {batch} samples")
        with torch.autocast(latent.device.type, enabled=False):
            rest = rearrange(self._rectify(latent.to(self.weight.dtype)), "n d h w -> n (h w) d")
            if prior is None:
                lengths = rest.new_zeros(self.channels, 1, self.alphabet)
            else:
                lengths = prior.code_lengths(height, width).to(rest.dtype)
            if self.stages == 1:
                y, bits, symbols = self._one_hot_max(rest, slice(None), lengths, kept)
            else:
                y, bits, symbols = self._in_stages(rest, lengths, kept)
            y = self._rectify(rearrange(y + self.table_bias, "n (h w) d -> n d h w", h=height))
        return Quantized(y, bits, rearrange(symbols, "n c (h w) -> n c h w", h=height))

    def _in_stages(self, rest: Tensor, lengths: Tensor, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What `_one_hot_max` returns, of all stages together, for `rest` (N, P, D)."""
        rest = rest - self.table_bias
        total, bits = torch.zeros_like(rest), rest.new_zeros(len(rest))
        symbols = torch.zeros(len(rest), self.channels, rest.shape[1], dtype=torch.int64, device=rest.device)
        here = torch.arange(self.channels, device=kept.device) < kept[:, None]
        deepest = torch.where(here, self.stage, -1).amax(dim=1)
        for number, members in self._members():
            own = here[:, members].sum(dim=1)
            y, stage_bits, symbols[:, members] = self._one_hot_max(rest, members, lengths, own)
            total, bits = total + y, bits + stage_bits
            if number + 1 < self.stages:
                # what later stages see does not depend on how many channels are kept
                needed = torch.where(deepest > number, len(members), own)
                if not torch.equal(needed, own):
                    y = self._one_hot_max(rest, members, lengths, needed)[0]
                rest = rest - y
        return total, bits, symbols

    def _one_hot_max(
        self, z: Tensor, members: Tensor | slice, lengths: Tensor, kept: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        return one_hot_max(
            z,
            self.weight[members],
            self.bias[members],
            self.temperature()[members],
            self.table[members],
            lengths[members],
            kept,
            compiled=self.compiled,
        )

    def _members(self) -> list[tuple[int, Tensor]]:
        """The stages that have channels, and these, where there are several."""
        all_of_them = ((number, (self.stage == number).nonzero()[:, 0]) for number in range(self.stages))
        return [(number, members) for number, members in all_of_them if len(members)]

    def temperature(self) -> Tensor:
        """T of each channel (C,), at this point of training."""
        grown: float = self.temperature_growth**self.progress
        return self.log_temperature.exp() * grown

    def compile_parts(self) -> None:
        """See `Quantizer.compile_parts`."""
        self.compiled = True

    def symbols(self, latent: Tensor) -> Tensor:
        """Latent (B, D, h, w) to symbols (B, C, h, w)."""
        self._check(latent)
        with torch.autocast(latent.device.type, enabled=False):
            rest = rearrange(self._rectify(latent.to(self.weight.dtype)), "n d h w -> (n h w) d")
            if self.stages == 1:
                found = nearest(rest, self.weight, self.bias)
            else:
                rest = rest - self.table_bias
                found = torch.empty(len(rest), self.channels, dtype=torch.int64, device=rest.device)
                for _, members in self._members():
                    found[:, members] = nearest(rest, self.weight[members], self.bias[members])
                    rest = rest - sum_of_rows(self.table[members], found[:, members])
        batch, _, height, width = latent.shape
        return rearrange(found, "(n h w) c -> n c h w", n=batch, h=height, w=width)

    def latent(self, symbols: Tensor) -> Tensor:
        """The first n channels of symbols (B, n, h, w) to a latent (B, D, h, w)."""
        batch, channels, height, width = symbols.shape
        if channels > self.channels:
            raise ValueError(f"{channels} channels of symbols; the quantizer omega was made for {self.channels}")
        y = sum_of_rows(self.table[:channels], rearrange(symbols, "n c h w -> (n h w) c")) + self.table_bias
        return self._rectify(rearrange(y, "(n h w) d -> n d h w", n=batch, h=height, w=width))

    @torch.no_grad()
    def wake(self, counts: Tensor, seed: int) -> int:
        """Symbols that were never chosen become near copies of some that were, which they then share positions with.

        Which ones is drawn in proportion to `counts`, as in the splitting of Linde, Buzo and Gray 1980.
        """
        random = torch.Generator().manual_seed(seed)
        woken = 0
        for c, counts_S in enumerate(counts.cpu()):
            dead = (counts_S == 0).nonzero()[:, 0]
            if len(dead) in (0, self.alphabet):
                continue
            parents = torch.multinomial(counts_S.double(), len(dead), replacement=True, generator=random)
            for parameter in (self.weight, self.bias, self.table):
                rows = parameter[c].detach().cpu()[parents]
                spread = _NEAR * parameter[c].detach().std().cpu()
                nearby = rows + spread * torch.randn(rows.shape, generator=random)
                parameter[c, dead.to(parameter.device)] = nearby.to(parameter)
            woken += len(dead)
        return woken

    def select(self, order: Sequence[int]) -> None:
        """Keep these channels, in this order."""
        for name in ("weight", "bias", "table", "log_temperature"):
            setattr(self, name, nn.Parameter(getattr(self, name).detach()[list(order)]))
        if self.stages > 1:
            self.stage = self.stage[list(order)]
        self.channels = len(order)

    def _rectify(self, x: Tensor) -> Tensor:
        return torch.relu(x) if self.rectified else x

    def _check(self, latent: Tensor) -> None:
        if latent.ndim != 4 or latent.shape[1] != self.latent_channels:
            raise ValueError(
                f"the quantizer omega was made for latents (B, {self.latent_channels}, h, w), not {tuple(latent.shape)}"
            )
