"""The rate that each sample is trained for, and the seeds of its noise, as functions of seed, step and sample."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from omega_core.coding.order import even_counts
from omega_train.data.batches import NOISE, RATE, Batch, draws
from omega_train.recipe import Recipe

_BALANCE = 0.35  # exponent of λ/(1 − λ), which down-weights high rates, whose loss is larger


@dataclass
class Rates:
    """The rates that the samples of a batch are trained for.

    kept: (B,), int64, the number of kept channels. lambda_: (B,), λ.
    fineness: (B,), the fineness of quantization, from 0 to 1.
    scale: (B,), the factor of the loss that balances the rates.
    """

    kept: Tensor
    lambda_: Tensor
    fineness: Tensor
    scale: Tensor

    def losses(self, mse: Tensor, bpp: Tensor, rate_factor: float = 1.0) -> Tensor:
        """The loss of each sample (B,): λ·MSE + (1 − λ)·bpp, scaled.

        mse, bpp: (B,). rate_factor: the factor of bpp, less than 1 during the rate warmup.
        """
        scale, lambda_ = self.scale.to(mse), self.lambda_.to(mse)
        return scale * (lambda_ * mse + rate_factor * (1 - lambda_) * bpp)


def draw_shares(recipe: Recipe, batch: Batch) -> Tensor:
    """Uniform random numbers in (0, 1] for the samples of a batch: (B,), float64."""
    bits = draws(recipe.seed, RATE, torch.tensor(batch.step), batch.samples)
    return ((bits >> 11 & ((1 << 53) - 1)) + 1).to(torch.float64) / 2**53


def draw_rates(recipe: Recipe, batch: Batch) -> Rates:
    """Draw the rates of a batch: n = C_min + ⌈f·(C − C_min)⌉ channels, and λ at the same share f of its range.

    f = U^draw_exponent, U uniform; in a recipe with a relaxed phase f = U, which is the fineness.
    """
    exponent = 1.0 if recipe.relaxed_share else recipe.draw_exponent
    return rates_at(recipe, draw_shares(recipe, batch) ** exponent)


def rates_at(recipe: Recipe, f: Tensor) -> Rates:
    """The rates at shares f (B,), in (0, 1], of the range that a recipe trains for."""
    span = recipe.channels - recipe.channels_min
    kept = recipe.channels_min + (f * span).ceil().long()
    if recipe.relaxed_share:
        return balanced_rates(recipe, kept, f)
    lambda_ = (recipe.lambda_min + f * (recipe.lambda_max - recipe.lambda_min)).float()
    return Rates(kept, lambda_, f.float(), torch.ones_like(lambda_))


def balanced_rates(recipe: Recipe, kept: Tensor, fineness: Tensor) -> Rates:
    """Rates of a recipe with a relaxed phase: λ/(1 − λ) rises geometrically with fineness (B,). kept: (B,)."""
    least, most = (math.log(each / (1 - each)) for each in (recipe.lambda_min, recipe.lambda_max))
    log_odds = least + fineness.double() * (most - least)
    scale = (1 + log_odds.exp()) * (-_BALANCE * (log_odds - (least + most) / 2)).exp()
    return Rates(kept, log_odds.sigmoid().float(), fineness.float(), scale.float())


def noise_seeds(recipe: Recipe, batch: Batch) -> Tensor:
    """Seeds of the quantizer's noise for the samples of a batch: (B,), int64."""
    return draws(recipe.seed, NOISE, torch.tensor(batch.step), batch.samples)


def shares(recipe: Recipe) -> tuple[list[int], NDArray[np.float64], NDArray[np.float64]]:
    """The channel counts at which a codec is validated, the share f at each, and the weight of each.

    The weight of a count is the probability that training draws it, or a count between it and the previous one. Up to
    32 channels, all counts are used.
    """
    span = recipe.channels - recipe.channels_min
    if span == 0:
        return [recipe.channels], np.ones(1), np.ones(1)
    counts = [n for n in even_counts(recipe.channels) if n > recipe.channels_min]
    f = (np.array(counts) - recipe.channels_min) / span
    return counts, f, np.diff(f ** (1 / recipe.draw_exponent), prepend=0.0)
