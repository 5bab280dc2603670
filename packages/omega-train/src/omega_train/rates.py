"""The rate that each sample is trained for, and the seeds of its noise, as functions of seed, step and sample."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from omega_core.format.cuts import channels_per_group, group_ends
from omega_train.data.batches import NOISE, RATE, Batch, draws
from omega_train.recipe import Recipe

_BALANCE = 0.35  # of the logarithm of λ/(1 − λ): by as much high rates count less, whose loss is larger


@dataclass
class Rates:
    """The rate that each sample is trained for.

    kept: (B,), channels that are kept. lambda_: (B,), λ. fineness: (B,), of the quantization, from 0 to 1.
    scale: (B,), what the loss is multiplied with, so that all rates count.
    """

    kept: Tensor
    lambda_: Tensor
    fineness: Tensor
    scale: Tensor

    def losses(self, mse: Tensor, bpp: Tensor, rate_factor: float = 1.0) -> Tensor:
        """λ·MSE + (1 − λ)·bpp of each sample (B,), scaled; rate_factor: what the rate counts."""
        scale, lambda_ = self.scale.to(mse), self.lambda_.to(mse)
        return scale * (lambda_ * mse + rate_factor * (1 - lambda_) * bpp)


def draw_shares(recipe: Recipe, batch: Batch) -> Tensor:
    """A number in (0, 1] for each sample of a batch (B,), all alike, in float64."""
    bits = draws(recipe.seed, RATE, torch.tensor(batch.step), batch.samples)
    return ((bits >> 11 & ((1 << 53) - 1)) + 1).to(torch.float64) / 2**53


def draw_rates(recipe: Recipe, batch: Batch) -> Rates:
    """Channel counts and λ of the samples of a batch: n = C_min + ⌈f·(C − C_min)⌉, λ likewise.

    f = U^draw_exponent; in a relaxed phase it is U, the fineness.
    """
    exponent = 1.0 if recipe.relaxed_share else recipe.draw_exponent
    return rates_at(recipe, draw_shares(recipe, batch) ** exponent)


def rates_at(recipe: Recipe, f: Tensor) -> Rates:
    """The channel count and λ at a share f in (0, 1] of the range that a recipe trains for."""
    span = recipe.channels - recipe.channels_min
    kept = recipe.channels_min + (f * span).ceil().long()
    if recipe.relaxed_share:
        return balanced_rates(recipe, kept, f)
    lambda_ = (recipe.lambda_min + f * (recipe.lambda_max - recipe.lambda_min)).float()
    return Rates(kept, lambda_, f.float(), torch.ones_like(lambda_))


def balanced_rates(recipe: Recipe, kept: Tensor, fineness: Tensor) -> Rates:
    """Of a recipe with a relaxed phase: λ/(1 − λ) rises geometrically with the fineness (B,), in float64."""
    least, most = (math.log(each / (1 - each)) for each in (recipe.lambda_min, recipe.lambda_max))
    log_odds = least + fineness.double() * (most - least)
    scale = (1 + log_odds.exp()) * (-_BALANCE * (log_odds - (least + most) / 2)).exp()
    return Rates(kept, log_odds.sigmoid().float(), fineness.float(), scale.float())


def noise_seeds(recipe: Recipe, batch: Batch) -> Tensor:
    """What a quantizer's noise depends on, (B,)."""
    return draws(recipe.seed, NOISE, torch.tensor(batch.step), batch.samples)


def shares(recipe: Recipe) -> tuple[list[int], NDArray[np.float64], NDArray[np.float64]]:
    """The channel counts at which a file has cuts, the share f at each, and how often training draws up to it.

    With up to 32 channels these are all that training draws.
    """
    span = recipe.channels - recipe.channels_min
    if span == 0:
        return [recipe.channels], np.ones(1), np.ones(1)
    ends = group_ends(recipe.channels, channels_per_group(recipe.channels))
    counts = [n for n in ends if n > recipe.channels_min]
    f = (np.array(counts) - recipe.channels_min) / span
    return counts, f, np.diff(f ** (1 / recipe.draw_exponent), prepend=0.0)
