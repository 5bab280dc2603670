"""The prior `factorized`: a density for each channel.

Ballé, Minnen, Singh, Hwang and Johnston, "Variational image compression with a scale hyperprior", ICLR 2018 (arXiv
1802.01436), section 6.1.

For each channel, a small network F maps a number to the logit of a cumulative distribution. F increases by
construction. The likelihood of v is the probability of the interval v ± ½.

The density is used in training. Tables of relative frequencies have a lower rate: if symbols are counted at the end of
the training, the frequencies, smoothed by the density, replace it.
"""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from omega_core.coding.tables import FrozenTables
from omega_core.contracts.prior import Prior
from omega_core.layers import MIN_EXPONENT
from omega_entropy.priors.symbol_counts import Counts

FILTERS = (1, 3, 3, 3, 1)
INITIAL_SCALE = 10.0
LEAST = 1e-9
SMOOTHING = 50.0
"""The weight of the density among the counts, in symbols."""


class FactorizedPrior(Prior):
    """A learned density for each channel, of values after noise or rounding.

    channels, alphabet: C and S.
    lowest: the value of symbol 0. The quantizer clamps to [lowest, lowest + S − 1]. The first and last symbols contain
        the tails of the density, so that estimated rates match files.
    latent_size: (h, w) if all pictures have one size, otherwise None.
    counted: whether the tables of a model are counted over the training set at the end; otherwise they are computed
        from the density.
    per_position: whether each position has its own counted table, if the latent size is fixed.
    """

    def __init__(
        self,
        *,
        channels: int,
        alphabet: int,
        lowest: int = 0,
        latent_size: tuple[int, int] | None = None,
        counted: bool = True,
        per_position: bool = True,
    ) -> None:
        super().__init__()
        self.observes = counted
        self.recounting = False
        positions = latent_size[0] * latent_size[1] if latent_size and per_position else 1
        self.seen = Counts(channels, positions, alphabet)
        self.lowest, self.highest = lowest, lowest + alphabet - 1
        scale = INITIAL_SCALE ** (1 / (len(FILTERS) - 1))
        self.matrices, self.biases, self.factors = nn.ParameterList(), nn.ParameterList(), nn.ParameterList()
        for inner, outer in pairwise(FILTERS):
            start = math.log(math.expm1(1 / scale / outer))
            self.matrices.append(nn.Parameter(torch.full((channels, outer, inner), start)))
            self.biases.append(nn.Parameter(torch.rand(channels, outer, 1) - 0.5))
            if outer > 1:
                self.factors.append(nn.Parameter(torch.zeros(channels, outer, 1)))

    def _logits(self, values_CN: Tensor) -> Tensor:
        """F, the logit of the cumulative distribution of each channel."""
        x = values_CN[:, None, :]
        for k, (matrix, bias) in enumerate(zip(self.matrices, self.biases, strict=True)):
            x = torch.matmul(functional.softplus(matrix), x) + bias
            if k < len(self.factors):
                x = x + torch.tanh(self.factors[k]) * torch.tanh(x)
        return x[:, 0, :]

    def _probability(self, values_CN: Tensor) -> Tensor:
        lower, upper = self._logits(values_CN - 0.5), self._logits(values_CN + 0.5)
        lower = lower.masked_fill(values_CN <= self.lowest, -math.inf)
        upper = upper.masked_fill(values_CN >= self.highest, math.inf)
        # the sign for which both sigmoids are precise
        side = torch.where((lower + upper).detach() > 0, -1.0, 1.0).to(values_CN.dtype)
        upper, lower = ((side * logits).clamp_min(MIN_EXPONENT) for logits in (upper, lower))
        return (torch.sigmoid(upper) - torch.sigmoid(lower)).abs()

    def likelihood(self, values: Tensor) -> Tensor:
        """The probability (B, C, h, w) of values, at least 1e-9. Below, only gradients that raise it pass."""
        if self.recounting and not self.training:
            return self._counted_likelihood(values)
        values_CN = values.transpose(0, 1).reshape(values.shape[1], -1)
        at_least = cast(Callable[[Tensor, float], Tensor], _AtLeast.apply)
        probability = at_least(self._probability(values_CN), LEAST)
        shape = (values.shape[1], values.shape[0], *values.shape[2:])
        return probability.reshape(shape).transpose(0, 1)

    def _counted_likelihood(self, values: Tensor) -> Tensor:
        symbols_BCP = (values.round().long() - self.lowest).flatten(2)
        probabilities_CTS = self.probabilities().to(values.dtype)
        probabilities_CPS = probabilities_CTS.expand(-1, symbols_BCP.shape[2], -1)
        found = probabilities_CPS.gather(2, symbols_BCP.permute(1, 2, 0))
        return found.permute(2, 0, 1).reshape(values.shape)

    def probabilities(self) -> Tensor:
        """The probabilities of all symbols: (C, 1, S), or (C, h·w, S) if they are counted for each position."""
        values = torch.arange(
            self.lowest, self.highest + 1, dtype=self.matrices[0].dtype, device=self.matrices[0].device
        )
        density = self._probability(values.expand(len(self.matrices[0]), -1))[:, None, :]
        return self.seen.probabilities(SMOOTHING * density) if self.recounting else density

    def code_lengths(self, height: int, width: int) -> Tensor:
        """The bits (C, 1 or h·w, S) of each symbol. Raises ValueError if another latent size was counted."""
        lengths = -self.probabilities().clamp_min(LEAST).log2()
        if lengths.shape[1] not in (1, height * width):
            raise ValueError(f"the prior factorized has tables for {lengths.shape[1]} positions, not {height}×{width}")
        return lengths

    def observe(self, symbols: Tensor, kept: Tensor) -> None:
        """Count the symbols (B, C, h, w) of the kept (B,) channels, after `recount`."""
        if self.recounting:
            self.seen.add(symbols, kept)

    def recount(self) -> None:
        """Clear the counts; from now on symbols are counted, and their frequencies replace the density."""
        self.seen.clear()
        self.recounting = True

    def select_channels(self, order: Sequence[int]) -> None:
        """Keep the channels `order`, in this order."""
        self.seen.select_channels(order)
        for parameters in (self.matrices, self.biases, self.factors):
            for k, parameter in enumerate(parameters):
                parameters[k] = nn.Parameter(parameter.detach()[list(order)])

    @torch.no_grad()
    def freeze(self) -> FrozenTables:
        """The probabilities of all symbols as integer tables, computed in float64."""
        return FrozenTables.from_probabilities(deepcopy(self).double().probabilities().cpu().numpy())


class _AtLeast(torch.autograd.Function):
    """max(x, bound), with the gradient passed through for x below the bound if it would raise x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp_min(bound)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradients[0] * ((x >= ctx.bound) | (gradients[0] < 0)), None
