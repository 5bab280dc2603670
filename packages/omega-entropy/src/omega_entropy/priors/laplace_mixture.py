"""The bits of intervals of a mixture of Laplacians, and their gradients.

    bits = −log2 Σ_k share[k]·(F((|x| + Δ/2) / s[k]) − F((|x| − Δ/2) / s[k])),   s = e^log_scale

F is the distribution function of the Laplacian of scale 1.

Differentiated by torch, each operation of a formula like this writes a tensor as large as the latent, and dozens of
them take a third of a training step on a CPU. So the gradients are computed here, a part of the batch at a time, which
stays in the cache.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from omega_core.layers import LEAST_EXPONENT

_LEAST = 1e-9  # probability
_AT_ONCE = 1 << 16  # numbers of a part on a CPU


def interval_bits(
    distance: Tensor, half_width: Tensor, log_scales: Tensor, log_factor: Tensor | None, shares: Tensor
) -> Tensor:
    """The bits (B, D, h, w) of intervals of 2·half_width around a distance from the mean, with gradients for all.

    distance: (B, D, h, w), float32 or float64, as are the others.
    half_width: (B, D, 1, 1) or (B, 1, 1, 1), above 0.
    log_scales: (K, D), of the Laplacians of each channel.
    log_factor: (B, D, h, w), of their scales; None for 0.
    shares: (K, D), which sum to 1 over K.

    No interval has more than 30 bits.
    """
    of_channels = half_width.expand(-1, distance.shape[1], -1, -1)
    found: Tensor = _IntervalBits.apply(distance, of_channels, log_scales, log_factor, shares)  # type: ignore[no-untyped-call]
    return found


class _IntervalBits(torch.autograd.Function):
    """See `interval_bits`."""

    @staticmethod
    def forward(
        ctx: Any, distance: Tensor, half_width: Tensor, log_scales: Tensor, log_factor: Tensor | None, shares: Tensor
    ) -> Tensor:
        ctx.save_for_backward(distance, half_width, log_scales, log_factor, shares)
        bits = torch.empty_like(distance)
        for part in _parts(distance):
            chance = torch.zeros_like(distance[part])
            for _, _, _, inside, share in _components(part, distance, half_width, log_scales, log_factor, shares):
                chance.addcmul_(inside, share)
            bits[part] = chance.clamp_(min=_LEAST).log2_().neg_()
        return bits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        distance, half_width, log_scales, log_factor, shares = ctx.saved_tensors
        of_distance = torch.empty_like(distance)
        of_half_width = half_width.new_empty(half_width.shape)  # which may be expanded
        of_factor = None if log_factor is None else torch.empty_like(distance)
        of_scales, of_shares = torch.zeros_like(log_scales), torch.zeros_like(shares)
        for part in _parts(distance):
            chance = torch.zeros_like(distance[part])
            by_distance, by_half_width, by_factor = (torch.zeros_like(chance) for _ in range(3))
            components = list(_components(part, distance, half_width, log_scales, log_factor, shares))
            by_scale = []
            for inverse, upper, lower, inside, share in components:
                # the densities at both ends, of which those of Laplacians are half the exponentials
                at_upper, at_lower = _half_exponential(upper), _half_exponential(lower.abs())
                chance.addcmul_(inside, share)
                weight = inverse * share
                by_distance.addcmul_(at_upper - at_lower, weight)
                by_half_width.addcmul_(at_upper + at_lower, weight)
                by_scale.append(upper.mul_(at_upper).sub_(lower.mul_(at_lower)).mul_(-share))
                by_factor += by_scale[-1]
            outer = gradient[part] * (chance >= _LEAST)
            outer /= chance.clamp_(min=_LEAST).mul_(-math.log(2))
            of_distance[part] = by_distance.mul_(outer).mul_(distance[part].sign())
            of_half_width[part] = by_half_width.mul_(outer).sum(dim=(2, 3), keepdim=True)
            if of_factor is not None:
                of_factor[part] = by_factor.mul_(outer)
            for k, (_, _, _, inside, _) in enumerate(components):
                of_scales[k] += by_scale[k].mul_(outer).sum(dim=(0, 2, 3))
                of_shares[k] += inside.mul_(outer).sum(dim=(0, 2, 3))
        return of_distance, of_half_width, of_scales, of_factor, of_shares


def _parts(distance: Tensor) -> Iterator[slice]:
    """Parts of a batch, which on a CPU are small."""
    size = len(distance)
    if distance.device.type == "cpu":
        size = max(1, _AT_ONCE // max(1, distance[0].numel()))
    for start in range(0, len(distance), max(1, size)):
        yield slice(start, start + size)


def _components(
    part: slice, distance: Tensor, half_width: Tensor, log_scales: Tensor, log_factor: Tensor | None, shares: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]:
    """For each Laplacian 1/s, both ends of the intervals in units of s, the probability between them, and its share."""
    center = distance[part].abs()
    high, low = center + half_width[part], center - half_width[part]
    factor = 1 if log_factor is None else log_factor[part].neg().exp_()
    for log_scale, share in zip(log_scales[:, :, None, None], shares[:, :, None, None], strict=True):
        inverse = factor * log_scale.neg().exp()
        upper, lower = high * inverse, low * inverse  # the upper end is above 0
        tail = _half_exponential(lower.abs())
        inside = torch.where(lower >= 0, tail, 1 - tail).sub_(_half_exponential(upper))
        yield inverse, upper, lower, inside, share


def _half_exponential(t: Tensor) -> Tensor:
    """½·e^−t, of t from 0 on."""
    return t.neg().clamp_(min=LEAST_EXPONENT).exp_().mul_(0.5)
