"""One-hot max (Ω) quantization.

Löhdefink, Sitzmann, Bär and Fingscheidt, "Adaptive Bitrate Quantization Scheme Without Codebook for Learned Image
Compression", CVPR Workshops 2022.

    latent y ─ReLU─1×1 conv─ a (S for each channel) ─argmin |a|─ symbol ─table─Σ over channels─ReLU─ y_hat

With several stages, each stage quantizes the residual of the earlier ones (residual quantization: Juang and Gray 1982,
"Multiple Stage Vector Quantization for Speech Coding", ICASSP):

    latent ─Ω, channels of stage 1─ y_1 ; latent − y_1 ─Ω, channels of stage 2─ y_2 ; … ; y_hat = y_1 + y_2 + …

In the factored form of rank r, the activations of a channel are affine functions of r coordinates of the latent:

    x[c, k] = direction[c, k]·z      a[c, s] = Σ_k slope[c, s, k]·x[c, k] + bias[c, s]
    table[c, s] = Σ_k table_point[c, s, k]·table_direction[c, k]
"""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Literal, cast

import torch
from einops import rearrange
from torch import Tensor, nn

from omega_core.coding.tables import MISSING
from omega_core.contracts.quantizer import MAX_LEVEL, Quantized, Quantizer, Refinement
from omega_core.errors import ComponentError
from omega_quant.factored import factored_nearest, factored_one_hot_max, sum_along_axes, sum_of_points
from omega_quant.nested_numbers import cells_of_latents, children, parents, refined, zero_symbol
from omega_quant.scalar_cells import Cells
from omega_quant.scalar_relaxation import ScalarRelaxation, rounded
from omega_quant.scalar_start import factored_parameters, full_parameters, scalar_directions
from omega_quant.straight_through import is_traced, nearest, one_hot_max, sum_of_rows
from omega_quant.thresholds import MAX_SYMBOLS, Thresholds

if TYPE_CHECKING:
    from omega_core.contracts.prior import Prior

_DEAD_ZONE_STEP = 0.6  # factor of the relaxed steps of fineness 1; dead zones need smaller steps for equal errors
_NEAR = 0.02  # noise that is added to a reset symbol, in standard deviations of the parameters of the channel


class OmegaQuantizer(Quantizer):
    """Ω: the symbol of a channel is the one whose activation is nearest to zero.

    latent_channels, channels, alphabet: D, C and S.
    start: "random" is the published initialization, with ReLUs. With "scalar", each channel starts as a uniform scalar
        quantizer with step 1 along one direction of the latent, without ReLUs. Many channels train faster this way.
    temperature: the initial temperature of the softmax behind the straight-through gradient, above 0. Default: 100
        for "random" and 2 for "scalar".
    temperature_growth: the factor by which temperatures grow over the training, in addition to what they learn.
    stages: the relative sizes of the stages; [1, 2] gives a second stage twice as many channels as the first. Several
        stages need the start "scalar". The first channels then describe much of the latent coarsely, as a low rate
        requires, and later channels refine it.
    finer: the initial ratio of the step of a stage to the step of the next stage. Default: 2 with dead zones,
        otherwise 3. If it is odd, the cells of a stage are unions of cells of the next one.
    rank: the rank r of the factored form, at most D and S; None selects the published, full form. A position of the
        latent then costs 2·C·r·D + C·S·(r + 1) products instead of C·S·(D + 1). The model has 2·C·r·(D + S) parameters
        instead of 2·C·S·D, besides biases and temperatures. Rank 1 with up to 64 symbols is even faster on a CPU.
    dead_zone: whether the stages are nested dead-zone quantizers (`omega_quant.scalar_cells`), which together are one
        quantizer with the steps of the last stage. This needs a rank, at least two stages with at most D channels each,
        none smaller than the one before, `finer` 2, and at least 6 symbols.
    relaxed_steps: the step sizes at fineness 0 and 1 at the beginning of the relaxed phase of training.

    Raises ComponentError for invalid or inconsistent sizes and options.
    """

    stage: Tensor
    grid: Tensor
    child: Tensor
    prefix_fineness: Tensor

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
        finer: float | None = None,
        rank: int | None = None,
        dead_zone: bool = False,
        relaxed_steps: Sequence[float] = (1.725, 0.181),
    ) -> None:
        super().__init__()
        if temperature is None:
            temperature = 100.0 if start == "random" else 2.0
        if finer is None:
            finer = 2.0 if dead_zone else 3.0
        self.latent_channels, self.channels, self.alphabet = latent_channels, channels, alphabet
        self.temperature_growth, self.finer, self.relaxed_steps = temperature_growth, float(finer), relaxed_steps
        self.rank, self.dead_zone = rank, dead_zone
        self._check_options(start, temperature, stages)
        self.rectified = start == "random"
        self.compiled = False  # True after `compile_parts`: training uses torch.compile
        self.stage_count, self._sizes = len(stages), self._sizes_of_stages(stages)
        self._thresholds: dict[int, Thresholds] = {}  # of each stage, computed again when its parameters change
        self._make_parameters(temperature)
        if not self.bias.is_meta:  # torch would import its compiler to compute values on the meta device
            self._start(start)

    def _check_options(self, start: str, temperature: float, stages: Sequence[float]) -> None:
        """Raise ComponentError for invalid or inconsistent sizes and options."""
        if start not in ("random", "scalar"):
            raise ComponentError(f"the start of the quantizer omega has to be 'random' or 'scalar', not {start!r}.")
        if min(self.latent_channels, self.channels) < 1 or self.alphabet < 2:
            raise ComponentError(
                "the quantizer omega needs at least 1 latent channel, 1 channel and 2 symbols, not"
                f" {self.latent_channels}, {self.channels} and {self.alphabet}."
            )
        if not (temperature > 0 and self.temperature_growth > 0):
            raise ComponentError(
                f"the temperature and its growth have to be above 0, not {temperature} and {self.temperature_growth}."
            )
        if len(stages) < 1 or min(stages) <= 0 or (len(stages) > 1 and start != "scalar"):
            raise ComponentError(
                "the stages of the quantizer omega have to be numbers above 0, and several stages need the start"
                f" 'scalar', not {list(stages)} with the start {start!r}."
            )
        if not self.finer > 0:
            raise ComponentError(f"the option finer has to be above 0, not {self.finer}.")
        most = min(self.latent_channels, self.alphabet)
        if self.rank is not None and not 1 <= self.rank <= most:
            raise ComponentError(
                f"the rank of the quantizer omega has to be from 1 to {most}, the lesser of its latent channels and its"
                f" alphabet, not {self.rank}."
            )
        steps = self.relaxed_steps
        if not (len(steps) == 2 and 0 < steps[1] < steps[0]):
            raise ComponentError(f"relaxed-steps have to be two steps above 0, the coarser first, not {list(steps)}.")
        if not self.dead_zone:
            return
        shrinks = list(stages) != sorted(stages)
        if self.rank is None or len(stages) < 2 or self.finer != 2 or self.alphabet < 6 or shrinks:
            raise ComponentError(
                "dead zones need a rank, two or more stages that do not shrink, finer 2, and at least 6 symbols, not"
                f" rank {self.rank}, stages {list(stages)}, finer {self.finer:g} and {self.alphabet} symbols."
            )
        sizes = self._sizes_of_stages(stages)
        if sizes[-1] > self.latent_channels:
            raise ComponentError(
                f"stages with dead zones have at most {self.latent_channels} channels, like the latent, not {sizes}."
            )

    def _sizes_of_stages(self, stages: Sequence[float]) -> list[int]:
        """The number of channels of each stage, for the option `stages`."""
        bounds = [round(self.channels * part / sum(stages)) for part in (0.0, *accumulate(stages))]
        sizes = [end - first for first, end in pairwise(bounds)]
        return sorted(sizes) if self.dead_zone else sizes  # rounding may make equal stages shrink by 1

    def _make_parameters(self, temperature: float) -> None:
        """Make the parameters and buffers; most of them get their values later, from `_start` or a state dict."""
        c, s, d, r = self.channels, self.alphabet, self.latent_channels, self.rank
        if r is None:
            # the first 1×1 convolution, and the second one, whose columns replace a codebook
            self.weight = nn.Parameter(torch.empty(c, s, d))
            self.bias = nn.Parameter(torch.empty(c, s))
            self.table = nn.Parameter(torch.empty(c, s, d))
        else:
            # the factors of the weights, and those of the table: see the module docstring
            self.direction = nn.Parameter(torch.empty(c, r, d))
            self.slope = nn.Parameter(torch.empty(c, s, r))
            self.bias = nn.Parameter(torch.empty(c, s))
            self.table_direction = nn.Parameter(torch.empty(c, r, d))
            self.table_point = nn.Parameter(torch.empty(c, s, r))
        if self.dead_zone:
            # Table points are the centers of cells. Values are denser near 0, so the mean of a cell lies closer to 0
            # than its center, and the wider the cell, the larger this shift. `correction` is the shift, in units of the
            # distance between the points of the numbers 0 and 1. It is added for the last known symbol of each latent.
            # Only `correction` gets a gradient from `latent`: table points differ so much in size between stages that
            # no single learning rate suits them.
            self.correction = nn.Parameter(torch.zeros(c, s))
            # The channel of the same latent in the next stage that has one, or C for none. `_index_stages` derives it
            # from the directions when they are set or loaded. Training has to leave channels along their latents.
            self.register_buffer("child", torch.full((c,), c), persistent=False)
        self.table_bias = nn.Parameter(torch.zeros(d))
        # the logarithm is learned, so that a temperature stays positive
        self.log_temperature = nn.Parameter(torch.full((c,), math.log(temperature)))
        if self.stage_count > 1:
            # the stage of each channel, from 0 on: a buffer, as channels of a stage can be dropped after training
            self.register_buffer("stage", torch.empty(c, dtype=torch.int64))
            self.register_load_state_dict_post_hook(_index_after_load)  # type: ignore[no-untyped-call]
            if r is not None:
                # Σ_k grid[c, s, k]·direction[c, k]/|direction[c, k]|² is subtracted before the next stage. `grid` holds
                # coordinates along `direction` if the directions are orthogonal. Without dead zones it starts equal to
                # `table_point`. It is separate, so that training only the parameters that decode keeps the symbols.
                self.register_buffer("grid", torch.empty(c, s, r))
        if r is not None:
            self.register_buffer("prefix_fineness", torch.empty(c + 1))

    def _start(self, start: str) -> None:
        """Initialize the parameters according to the option `start`, and the buffers."""
        stage = torch.arange(self.stage_count).repeat_interleave(torch.tensor(self._sizes))
        if self.rank is not None:
            self.prefix_fineness.copy_(torch.arange(self.channels + 1) / self.channels)
        if start == "random":
            self._start_randomly()
            return
        for number, size in enumerate(self._sizes):
            gain = torch.full((size,), self.finer**number)
            self._start_as_scalar_quantizer(number, (stage == number).nonzero()[:, 0], gain, 1 / gain)
        if self.stage_count > 1:
            self.stage.copy_(stage)
            self._index_stages()

    def _start_randomly(self) -> None:
        """Initialize like 1×1 convolutions of torch. The fan-in of the second is C: only C of its S·C inputs are not 0.

        Factors are scaled so that their products have the same variance as in the full form.
        """
        if self.rank is None:
            of_latents, of_channels = [self.weight, self.bias], [self.table, self.table_bias]
        else:
            of_latents, of_channels = [self.direction, self.bias], [self.table_direction, self.table_bias]
            for factor in (self.slope, self.table_point):
                nn.init.uniform_(factor, -math.sqrt(3 / self.rank), math.sqrt(3 / self.rank))
        for fan_in, parameters in ((self.latent_channels, of_latents), (self.channels, of_channels)):
            for parameter in parameters:
                nn.init.uniform_(parameter, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    @torch.no_grad()
    def _start_as_scalar_quantizer(self, number: int, members: Tensor, gain_C: Tensor, step_C: Tensor) -> None:
        """Initialize a stage as scalar quantizers: see `omega_quant.scalar_start`.

        number: the stage, which determines the cells.
        members: the indices of its channels.
        gain_C, step_C: the scale of each channel before and after quantization.
        """
        cells, count = self._cells(number, len(members)), len(members)
        rows = count if self.rank is None else max(count, self.latent_channels)
        directions = scalar_directions(rows, self.latent_channels, along_latents=self._along_latents(count)).to(gain_C)
        if self.rank is None:
            parameters = full_parameters(cells, gain_C, step_C, directions)
        else:
            parameters = factored_parameters(cells, gain_C, step_C, directions, self.rank)
            if self.stage_count == 1:
                del parameters["grid"]
        for name, values in parameters.items():
            getattr(self, name)[members] = values

    def _cells(self, number: int, count: int) -> Cells:
        """The cells of stage `number`, which has `count` channels."""
        if not self.dead_zone:
            return Cells.uniform(self.alphabet)
        before = 0 if number == 0 else min(count, self._sizes[number - 1])
        return Cells.halves(self.alphabet).of(before, Cells.dead_zone(self.alphabet), count)

    def _along_latents(self, count: int) -> bool:
        """Whether the channels of a stage of this size start along the latents themselves."""
        return count == self.latent_channels or (self.stage_count > 1 and count < self.latent_channels)

    def relax(self) -> None:
        """See `Quantizer.relax`. Raises ComponentError if its channels cannot be scalar quantizers."""
        self._check_scalar()
        self.relaxation = ScalarRelaxation(self.latent_channels, self.relaxed_steps)

    def _check_scalar(self) -> None:
        """Raise ComponentError if the current channels cannot be scalar quantizers along single latents."""
        if self.rectified or not all(map(self._along_latents, self._sizes)):
            raise ComponentError(
                "the relaxed phase of the quantizer omega needs the start 'scalar' and as many channels as latent"
                " channels or, with several stages, at most as many in each stage."
            )
        if self.dead_zone and self._sizes != sorted(self._sizes):
            raise ComponentError(f"stages with dead zones do not shrink, but channels were dropped: {self._sizes}.")

    def relaxed(self, latent: Tensor, prior: "Prior | None", kept: Tensor, fineness: Tensor) -> Quantized:
        """See `Quantizer.relaxed`. Each latent channel is rounded with a step that depends on the fineness.

        Raises ValueError before `relax`.
        """
        if not isinstance(self.relaxation, ScalarRelaxation):
            raise ValueError("the quantizer omega has no relaxed phase before `relax`")
        latent = latent.to(self.bias.dtype)
        with torch.autocast(latent.device.type, enabled=False):
            gain, step = self.relaxation(fineness)
            whole = rounded(latent * gain)
        bits = latent.new_zeros(len(latent))
        if prior is not None:
            noisy = latent + self.noise(latent) / gain if self.training else whole / gain
            bits = prior.interval_bits(noisy, 0.5 / gain, whole / gain, fineness).sum(dim=(1, 2, 3))
        return Quantized(whole * step, bits, None)

    @torch.no_grad()
    def fit(self) -> None:
        """See `Quantizer.fit`. Stages become scalar quantizers, the last one with the steps of fineness 1.

        The steps of a stage are `finer` times those of the next one. With dead zones, all steps are 0.6 times as large.
        In the factored form, channels that are already along the first latents, in any order, stay along these.
        `correction` stays unchanged, because it is relative to the steps.

        Raises ComponentError if so many channels were dropped since `relax` that stages with dead zones shrink.
        """
        if not isinstance(self.relaxation, ScalarRelaxation):
            return
        self._check_scalar()
        gain_D, step_D = (each[0, :, 0, 0] for each in self.relaxation(torch.ones(1, device=self.bias.device)))
        everything = [(0, torch.arange(self.channels, device=self.bias.device))]
        for number, members in self._members() if self.stage_count > 1 else everything:
            size = self.finer ** (self.stage_count - 1 - number) * (_DEAD_ZONE_STEP if self.dead_zone else 1.0)
            count, members = len(members), self._in_order_of_latents(members)
            self._start_as_scalar_quantizer(number, members, gain_D[:count] / size, step_D[:count] * size)
        self._index_stages()

    def _in_order_of_latents(self, members: Tensor) -> Tensor:
        """The channels of a stage in the order of their latents if these are the first latents, otherwise unchanged."""
        if self.rank is None:
            return members
        latents, order = torch.sort(torch.tensor(self._latents(), device=members.device)[members])
        return members[order] if torch.equal(latents, torch.arange(len(members), device=members.device)) else members

    def fineness(self, kept: Tensor) -> Tensor:
        """See `Quantizer.fineness`. The factored form interpolates linearly between the values of `set_fineness`."""
        if self.rank is None:
            return super().fineness(kept)
        below = kept.long().clamp(0, self.channels - 1)
        of_prefixes = self.prefix_fineness.float()
        return torch.lerp(of_prefixes[below], of_prefixes[below + 1], (kept - below).to(of_prefixes))

    def set_fineness(self, fineness: Tensor) -> None:
        """See `Quantizer.set_fineness`. The full form does not store it."""
        if self.rank is not None:
            self.prefix_fineness.copy_(fineness)

    def forward(self, latent: Tensor, prior: "Prior | None" = None, kept: Tensor | None = None) -> Quantized:
        """See `Quantizer.forward`. Computes in the type of its parameters, even under mixed precision.

        Raises ValueError if the latent does not have D channels, or `kept` is not one number for each sample.
        """
        self._check(latent)
        batch, _, height, width = latent.shape
        if kept is None and is_traced() and not torch.is_grad_enabled():
            return self._without_gradient(latent, prior)
        if kept is None:
            kept = torch.full((batch,), self.channels, device=latent.device)
        if kept.shape != (batch,):
            raise ValueError(f"kept has the shape {tuple(kept.shape)}, not one number for each of {batch} samples")
        with torch.autocast(latent.device.type, enabled=False):
            rest = rearrange(self._rectify(latent.to(self.bias.dtype)), "n d h w -> n (h w) d")
            if prior is None:
                lengths = rest.new_zeros(self.channels, 1, self.alphabet)
            else:
                lengths = prior.code_lengths(height, width).to(rest.dtype)
            if self.stage_count == 1:
                y, bits, symbols = self._one_hot_max(rest, slice(None), lengths, kept)
            else:
                y, bits, symbols = self._in_stages(rest, lengths, kept)
            y = self._rectify(rearrange(y + self.table_bias, "n (h w) d -> n d h w", h=height))
        return Quantized(y, bits, rearrange(symbols, "n c (h w) -> n c h w", h=height))

    def _without_gradient(self, latent: Tensor, prior: "Prior | None") -> Quantized:
        """`forward` for all channels, in operations that torch.export supports for any size."""
        symbols = self.symbols(latent)
        bits = self.bias.new_zeros(latent.shape[0])
        if prior is not None:
            lengths_CTS = prior.code_lengths(*latent.shape[2:]).to(self.bias.dtype)
            chosen = symbols.flatten(2).permute(1, 2, 0)
            bits = lengths_CTS.expand(-1, chosen.shape[1], -1).gather(2, chosen).sum(dim=(0, 1))
        return Quantized(self.latent(symbols), bits, symbols)

    def _in_stages(self, rest: Tensor, lengths: Tensor, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`_one_hot_max` in all stages for `rest` (N, P, D). Returns the sums of latents and bits, and all symbols."""
        rest = self._seen_by_the_first_stage(rest)
        total, bits = torch.zeros_like(rest), rest.new_zeros(len(rest))
        symbols = torch.zeros(len(rest), self.channels, rest.shape[1], dtype=torch.int64, device=rest.device)
        here = torch.arange(self.channels, device=kept.device) < kept[:, None]
        deepest = torch.where(here, self.stage, -1).amax(dim=1)
        for number, members in self._members():
            own = here[:, members].sum(dim=1)
            y, stage_bits, symbols[:, members] = self._one_hot_max(rest, members, lengths, own)
            total, bits = total + y, bits + stage_bits
            if number + 1 < self.stage_count:
                # the residual must not depend on the number of kept channels
                needed = torch.where(deepest > number, len(members), own)
                seen = symbols[:, members]
                if not torch.equal(needed, own):
                    y, _, seen = self._one_hot_max(rest, members, lengths, needed)
                rest = rest - self._seen_by_later_stages(y, members, seen)
        if self.dead_zone:
            known = torch.where(here[:, :, None], symbols, MISSING)
            last = rearrange(torch.where(self._is_last(known), symbols, MISSING), "n c p -> c (n p)")
            total = total + sum_of_points(self.table_direction, self._corrections(), last).view_as(total)
        return total, bits, symbols

    def _one_hot_max(
        self, z: Tensor, members: Tensor | slice, lengths: Tensor, kept: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        of_channels = lengths[members], kept
        bias, temperature = self.bias[members], self.temperature()[members]
        if self.rank is None:
            full = self.weight[members], bias, temperature, self.table[members]
            return one_hot_max(z, *full, *of_channels, compiled=self.compiled)
        table = self.table_direction[members], self.table_point[members]
        factors = self.direction[members], self.slope[members], bias, temperature, *table
        return factored_one_hot_max(z, *factors, *of_channels, compiled=self.compiled)

    def _seen_by_the_first_stage(self, z: Tensor) -> Tensor:
        return z - self.table_bias if self.rank is None else z

    def _seen_by_later_stages(self, y: Tensor, members: Tensor, symbols: Tensor) -> Tensor:
        """The points (N, P, D) to subtract before later stages, with the gradient of the sum of table rows `y`."""
        if self.rank is None:
            return y
        points = self._grid_points(members, symbols.transpose(0, 1).flatten(1)).view_as(y)
        return points + (y - y.detach())

    @torch.no_grad()
    def _grid_points(self, members: Tensor, symbols_CR: Tensor) -> Tensor:
        """The grid points (R, D) of the symbols of some channels."""
        direction_CKD = self.direction[members]
        along_CKD = direction_CKD / direction_CKD.square().sum(dim=2, keepdim=True)
        return sum_of_points(along_CKD, self.grid[members], symbols_CR)

    @torch.no_grad()
    def _index_stages(self) -> None:
        """Store the channels of each stage as Python integers: reading them needs no GPU and is not traced.

        With dead zones, also store the child of each channel.
        """
        if self.stage_count > 1 and not self.stage.is_meta:
            of_channels = self.stage.tolist()
            stages = (
                (number, [c for c, of in enumerate(of_channels) if of == number]) for number in range(self.stage_count)
            )
            self._channels_of_stages = [(number, members) for number, members in stages if members]
            self._sizes = [of_channels.count(number) for number in range(self.stage_count)]
            if self.dead_zone:
                members_of_stages = [members for _, members in self._channels_of_stages]
                # computed from integers, so that it is the same in all processes
                self.child = torch.tensor(children(members_of_stages, self._latents()), device=self.stage.device)

    def _members(self) -> list[tuple[int, Tensor]]:
        """The stages that have channels, each with their indices. Only for several stages."""
        device = self.bias.device
        return [(number, torch.tensor(members, device=device)) for number, members in self._channels_of_stages]

    def temperature(self) -> Tensor:
        """The temperatures (C,) of the channels at the current progress of training."""
        grown: float = self.temperature_growth**self.progress
        return self.log_temperature.exp() * grown

    def compile_parts(self) -> None:
        self.compiled = True

    def symbols(self, latent: Tensor) -> Tensor:
        """The symbols (B, C, h, w), int64, of a latent (B, D, h, w). Raises ValueError for another shape."""
        self._check(latent)
        axes = self._axes(self.direction) if self.rank == 1 and self.stage_count > 1 else None
        with torch.autocast(latent.device.type, enabled=False):
            rest = self._rectify(latent.to(self.bias.dtype))
            if axes is not None:
                found = self._find_along_axes(rearrange(rest, "n d h w -> d (n h w)"), axes)
            elif self.stage_count == 1:
                found = self._find(rearrange(rest, "n d h w -> (n h w) d"), 0, slice(None))
            else:
                rest = rearrange(rest, "n d h w -> (n h w) d")
                found = self._find_in_stages(self._seen_by_the_first_stage(rest))
        batch, _, height, width = latent.shape
        return rearrange(found, "c (n h w) -> n c h w", n=batch, h=height, w=width)

    def _find_in_stages(self, rest: Tensor) -> Tensor:
        """The symbols (C, R) of all channels for rows (R, D)."""
        found_CR = torch.empty(self.channels, rest.shape[0], dtype=torch.int64, device=rest.device)
        rest = rest.contiguous()  # like what is subtracted: with different layouts, subtracting takes ten times as long
        for number, members in self._members():
            of_stage = self._find(rest, number, members)
            found_CR.index_copy_(0, members, of_stage)
            if number + 1 < self.stage_count:
                rest = rest - self._rows_of_stage(members, of_stage)
        return found_CR

    @torch.no_grad()
    def _find_along_axes(self, rest_DR: Tensor, axis_C: Tensor) -> Tensor:
        """The symbols (C, R) of all channels for latents (D, R), by indexing instead of matrix products.

        axis_C: the latent that each channel is along.
        """
        found_CR = torch.empty(self.channels, rest_DR.shape[1], dtype=torch.int64, device=rest_DR.device)
        rest_DR = rest_DR.clone(memory_format=torch.contiguous_format)
        for number, members in self._members():
            of_stage = axis_C[members]
            symbols_CR = self._thresholds_of(number, members).find(rest_DR[of_stage])
            found_CR.index_copy_(0, members, symbols_CR)
            if number + 1 < self.stage_count:
                rest_DR.index_add_(0, of_stage, self.grid[members, :, 0].gather(1, symbols_CR), alpha=-1)
        return found_CR

    def _find(self, z: Tensor, number: int, members: Tensor | slice) -> Tensor:
        """The symbols (C, R) of the channels of a stage for rows (R, D)."""
        if self.rank is None:
            return nearest(z, self.weight[members], self.bias[members]).T
        if self._uses_thresholds(z):
            return self._thresholds_of(number, members).find(self.direction[members, 0] @ z.T)
        return factored_nearest(z, self.direction[members], self.slope[members], self.bias[members])

    def _uses_thresholds(self, like: Tensor) -> bool:
        """Whether comparisons with thresholds find the symbols, on the device of a tensor.

        A position then costs 2·C·D products. With several stages it costs none if each direction is a unit vector along
        one latent, because indexing replaces the matrix products.
        """
        few = self.rank == 1 and self.alphabet <= MAX_SYMBOLS
        return few and like.device.type == "cpu" and not is_traced()

    def _thresholds_of(self, number: int, members: Tensor | slice) -> Thresholds:
        """The thresholds of the channels of a stage."""
        slope, bias = self.slope[members, :, 0], self.bias[members]
        thresholds = self._thresholds.get(number)
        if thresholds is None or not thresholds.are_of(slope, bias):
            thresholds = self._thresholds[number] = Thresholds.of(slope, bias)
        return thresholds

    @torch.no_grad()
    def _axes(self, direction_CKD: Tensor) -> Tensor | None:
        """The latents (C,) of channels as in `_axis_of_channels`, if indexing is used; otherwise None."""
        return self._axis_of_channels(direction_CKD) if self._uses_thresholds(direction_CKD) else None

    @staticmethod
    def _axis_of_channels(direction_CKD: Tensor) -> Tensor | None:
        """The latents (C,) that channels are along, if each direction is a unit vector along one; otherwise None."""
        length_C, latent_C = direction_CKD[:, 0].max(dim=1)
        alone = int(direction_CKD.count_nonzero()) == len(length_C) and bool((length_C == 1).all())
        return latent_C if alone else None

    def _rows_of_stage(self, members: Tensor, symbols_CR: Tensor) -> Tensor:
        """The points (R, D) to subtract before later stages."""
        if self.rank is None:
            return sum_of_rows(self.table[members], symbols_CR.T)
        return self._grid_points(members, symbols_CR)

    def latent(self, symbols: Tensor) -> Tensor:
        """The latent (B, D, h, w) of the first n channels of symbols (B, n, h, w). Raises ValueError if n > C."""
        batch, channels, height, width = symbols.shape
        if channels > self.channels:
            raise ValueError(f"the symbols have {channels} channels; the quantizer omega was made for {self.channels}")
        if self.rank is None:
            y = sum_of_rows(self.table[:channels], rearrange(symbols, "n c h w -> (n h w) c"))
        else:
            y = self._sum_of_points(symbols)
        y = y + (self.table_bias.detach() if self.dead_zone else self.table_bias)
        return self._rectify(rearrange(y, "(n h w) d -> n d h w", n=batch, h=height, w=width))

    def _sum_of_points(self, symbols: Tensor) -> Tensor:
        """The points (B·h·w, D) of the first n channels of symbols (B, n, h, w), corrected with dead zones."""
        channels = symbols.shape[1]
        direction, point = self.table_direction[:channels], self.table_point[:channels]
        row_CR: Tensor | int = 0  # the row of the point of symbol 0
        if self.dead_zone:
            direction, point = direction.detach(), point.detach()
            point = torch.cat([point, point + self._corrections()[:channels]], dim=1)
            row_CR = rearrange(self.alphabet * self._is_last(symbols).short(), "n c h w -> c (n h w)")
        symbols_CR = rearrange(symbols, "n c h w -> c (n h w)")
        has_gradient = torch.is_grad_enabled() and direction.requires_grad  # indexing does not compute it
        axes = None if has_gradient else self._axes(direction)
        if axes is None:
            return sum_of_points(direction, point, symbols_CR + row_CR)
        return sum_along_axes(axes, self.latent_channels, point[:, :, 0], symbols_CR, row_CR).T

    @torch.no_grad()
    def cells(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """See `Quantizer.cells`. The outermost cells of a first stage have finite ends, but contain all values beyond.

        Raises ComponentError without dead zones or rank 1, if channels are not along single latents, or if a channel is
        missing that another one refines.
        """
        axis_C = self._axis_of_channels(self.direction) if self.dead_zone and self.rank == 1 else None
        if axis_C is None:
            raise ComponentError(
                "a search for better symbols needs cells, which the quantizer omega has only with dead zones, rank 1"
                " and channels along single latents."
            )
        refines = self.grid[:, zero_symbol(self.alphabet) + 2, 0] > 0  # true only for cells of `Cells.halves`
        if refines.tolist() != [parent >= 0 for parent in self._parents()]:
            raise ComponentError("the quantizer omega has no cells, because channels are missing that others refine.")
        slopes_C = self.slope[:, zero_symbol(self.alphabet) + 1, 0].cpu().double()  # not all devices have float64
        steps_C = (1 / slopes_C).float().to(self.slope.device)
        members = [members for _, members in self._members()]
        return cells_of_latents(symbols, members, axis_C, steps_C, self.latent_channels, self.alphabet)

    def _is_last(self, symbols: Tensor) -> Tensor:
        """A mask (B, n, …) of symbols (B, n, …): true where a symbol is the last known one of its latent."""
        channels = symbols.shape[1]
        # runtimes in browsers cannot index or combine booleans; elsewhere 8-bit integers are the fastest
        missing = (symbols == MISSING).to(symbols.dtype if is_traced() else torch.int8)
        with_none = torch.cat([missing, torch.ones_like(missing[:, :1])], dim=1)
        return missing < with_none.index_select(1, self.child[:channels].clamp(max=channels))

    def _corrections(self) -> Tensor:
        """The `correction` of each symbol as coordinates (C, S, r) along the directions of the table."""
        return self.correction[:, :, None] * self._from_0_to_1().detach()[:, None]

    def _from_0_to_1(self) -> Tensor:
        """The differences (C, r) between the points of the numbers 1 and 0, along the directions of the table."""
        zero = zero_symbol(self.alphabet)
        return self.table_point[:, zero + 1] - self.table_point[:, zero]

    def _latents(self) -> list[int]:
        """The latent that each channel is along, or closest to."""
        latents: list[int] = self.direction[:, 0].abs().argmax(dim=1).tolist()
        return latents

    @torch.no_grad()
    def refinement(self) -> Refinement:
        """See `Quantizer.refinement`. With dead zones, a parent is the channel of the same latent in the stage before.

        Symbol S/2 − 1 stands for the number 0. A symbol that refines another number selects a half of its cell.
        """
        if self.rectified:
            return super().refinement()
        zero = zero_symbol(self.alphabet)
        digit = torch.arange(self.alphabet) - zero
        before = torch.arange(-MAX_LEVEL, MAX_LEVEL + 1)[:, None]
        numbers = refined(before, digit) if self.dead_zone else digit.repeat(len(before), 1)
        parents = self._parents() if self.dead_zone else [-1] * self.channels
        if self.rank is None:
            sizes = (self.table[:, zero + 1] - self.table[:, zero]).square().sum(dim=1)
        else:
            sizes = torch.einsum("ck,ckd->cd", self._from_0_to_1(), self.table_direction).square().sum(dim=1)
        return Refinement(parents, numbers.clamp(-MAX_LEVEL, MAX_LEVEL), sizes.tolist())

    def _parents(self) -> list[int]:
        return parents(self.stage.tolist(), self._latents())

    @torch.no_grad()
    def reset_dead_symbols(self, counts: Tensor, seed: int) -> int:
        """See `Quantizer.reset_dead_symbols`. Each dead symbol becomes a noisy copy of a chosen one.

        The copied symbols are drawn in proportion to `counts`, as in the splitting of Linde, Buzo and Gray 1980.
        """
        random = torch.Generator().manual_seed(seed)
        reset = 0
        for c, counts_S in enumerate(counts.cpu()):
            dead = (counts_S == 0).nonzero()[:, 0]
            if len(dead) in (0, self.alphabet):
                continue
            parents = torch.multinomial(counts_S.double(), len(dead), replacement=True, generator=random)
            for parameter in self._of_symbols():
                rows = parameter[c].detach().cpu()[parents]
                spread = _NEAR * parameter[c].detach().std().cpu()
                nearby = rows + spread * torch.randn(rows.shape, generator=random)
                parameter[c, dead.to(parameter.device)] = nearby.to(parameter)
            if self.rank is not None and self.stage_count > 1:
                self.grid[c, dead.to(self.grid.device)] = self.grid[c, parents.to(self.grid.device)]
            if self.dead_zone:
                self.correction[c, dead.to(self.grid.device)] = self.correction[c, parents.to(self.grid.device)]
            reset += len(dead)
        return reset

    def _of_symbols(self) -> list[nn.Parameter]:
        """The parameters that have values for each symbol, except `correction`."""
        if self.rank is None:
            return [self.weight, self.bias, self.table]
        return [self.slope, self.bias, self.table_point]

    def select_channels(self, order: Sequence[int]) -> None:
        """Keep these channels, in this order."""
        for name, parameter in list(self.named_parameters(recurse=False)):
            if name != "table_bias":  # it has no dimension for channels
                setattr(self, name, nn.Parameter(parameter.detach()[list(order)], parameter.requires_grad))
        for name, buffer in list(self.named_buffers(recurse=False)):
            # fineness rises with the number of known channels, whichever they are
            rows = [0, *(c + 1 for c in sorted(order))] if name == "prefix_fineness" else list(order)
            setattr(self, name, buffer[rows])
        self.channels = len(order)
        self._index_stages()

    def _rectify(self, x: Tensor) -> Tensor:
        return torch.relu(x) if self.rectified else x

    def _check(self, latent: Tensor) -> None:
        if latent.ndim != 4 or latent.shape[1] != self.latent_channels:
            raise ValueError(
                f"the quantizer omega was made for latents (B, {self.latent_channels}, h, w), not {tuple(latent.shape)}"
            )


def _index_after_load(module: nn.Module, _: object) -> None:
    """A hook for `load_state_dict`, at module level so that quantizers can be pickled."""
    cast(OmegaQuantizer, module)._index_stages()
