"""The density of latents in the relaxed phase of training, which has no symbols.

    −log2 P([y − Δ/2, y + Δ/2]),   P a mixture of three Laplacians for each channel, with mean m and log scale s

If it is conditional, m and s of a group of channels are predicted from the earlier groups (channel-conditional:
Minnen and Singh 2020, "Channel-wise Autoregressive Entropy Models for Learned Image Compression", ICIP) and, for the
second half of a checkerboard, from the first half of the same group (He et al. 2021, "Checkerboard Context Model for
Efficient Learned Image Compression", CVPR):

    groups before ─1×1─ 128 ─2 blocks─┬─ 1×1 ─ m, s of the first half
                                      └─(+)─ 2 blocks ─ 1×1 ─(+)─ m, s of the second half
                first half of this group ┘

A decoder has all of these before it decodes a group. The tables of the prior `context`, which are selected by integer
sums, approximate such conditional densities less exactly. Therefore a share of the rate can be measured with marginal,
unconditional densities, from which the analysis learns latents whose channels depend less on each other.
"""

from itertools import accumulate, pairwise
from typing import cast

import torch
from torch import Tensor, nn

from omega_core.layers import MIN_EXPONENT, ConvBlock, near_zero

_GROUPS = (8, 24, 48, 80, 96)  # relative sizes of the groups of channels, each conditional on the earlier ones
_WIDTH = 128
_HALF = 0.5  # scales latents to the standard deviation that the layers are initialized for
_LARGEST = 4.0  # bound of the logarithm of the factor of a conditional scale
_LEAST = 1e-9  # smallest probability


class LatentDensity(nn.Module):
    """The density of each of D latent channels.

    latent_channels: D.
    conditional: whether the density of a channel depends on channels and positions that are decoded before it.
    marginal_share: the share of the training rate that is measured with separate, unconditional densities; in [0, 1].
    """

    def __init__(self, latent_channels: int, *, conditional: bool, marginal_share: float = 0.0) -> None:
        super().__init__()
        self.log_scale, self.mixture = _mixture(latent_channels)
        self.marginal_share = marginal_share
        if marginal_share:
            self.marginal_log_scale, self.marginal_mixture = _mixture(latent_channels)
        bounds = [round(latent_channels * part / sum(_GROUPS)) for part in accumulate(_GROUPS, initial=0)]
        self.groups = [group for group in pairwise(bounds) if group[0] < group[1]] if conditional else []
        self.conditionals = nn.ModuleList(_Conditional(first, end - first) for first, end in self.groups)

    def bits(self, values: Tensor, half_width: Tensor, known: Tensor, fineness: Tensor) -> Tensor:
        distance, log_scale = values, self.log_scale[:, :, None, None]
        if self.groups:
            mean, log_factor = self._predicted(known, fineness)
            distance, log_scale = values - mean, log_scale[:, None] + log_factor
        with torch.autocast(values.device.type, enabled=False):
            bits = _interval_bits(distance, half_width, log_scale, self.mixture)
            if self.marginal_share and self.training:
                scales = self.marginal_log_scale[:, :, None, None]
                bits = bits.lerp(_interval_bits(values, half_width, scales, self.marginal_mixture), self.marginal_share)
        return bits

    def _predicted(self, known: Tensor, fineness: Tensor) -> tuple[Tensor, Tensor]:
        """The predicted mean and logarithm of the factor of the scale of each latent: (B, D, h, w) each."""
        height, width = known.shape[2:]
        rows, columns = (torch.arange(size, device=known.device) for size in (height, width))
        first = ((rows[:, None] + columns) % 2 == 0).to(known.dtype)
        told = 2 * fineness.to(known.dtype)[:, None] - 1
        parts = [
            cast(_Conditional, conditional)(known[:, :start], known[:, start:end] * first, told, first)
            for conditional, (start, end) in zip(self.conditionals, self.groups, strict=True)
        ]
        means, log_factors = zip(*(part.float().chunk(2, dim=1) for part in parts), strict=True)
        return torch.cat(means, dim=1), torch.cat(log_factors, dim=1).clamp(-_LARGEST, _LARGEST)


class _Conditional(nn.Module):
    """Predicts means and log factors of a group of G = `channels` channels from the `given` channels before it."""

    def __init__(self, given: int, channels: int) -> None:
        super().__init__()
        self.told = nn.Linear(1, _WIDTH)
        self.before = nn.Conv2d(given, _WIDTH, 1) if given else None
        self.blocks = nn.Sequential(ConvBlock(_WIDTH, nn.ReLU()), ConvBlock(_WIDTH, nn.ReLU())) if given else None
        self.first = near_zero(nn.Conv2d(_WIDTH, 2 * channels, 1))
        self.own = nn.Conv2d(channels, _WIDTH, 1)
        self.beside = nn.Sequential(ConvBlock(_WIDTH, nn.ReLU()), ConvBlock(_WIDTH, nn.ReLU()))
        self.second = near_zero(nn.Conv2d(_WIDTH, 2 * channels, 1))

    def forward(self, before: Tensor, own: Tensor, told: Tensor, first: Tensor) -> Tensor:
        """The means and log factors (B, 2·G, h, w).

        before: (B, given, h, w), the channels before the group.
        own: (B, G, h, w), the channels of the group, set to 0 in the second half of the checkerboard.
        told: (B, 1), the fineness, from −1 to 1.
        first: (h, w), 1 in the first half of the checkerboard and 0 in the second.
        """
        features = self.told(told)[:, :, None, None]
        if self.before is not None and self.blocks is not None:
            features = self.blocks(self.before(before * _HALF) + features)
        else:
            features = features.expand(-1, -1, *own.shape[2:])
        at_first = self.first(features)
        at_second = at_first + self.second(self.beside(features + self.own(own * _HALF)))
        return torch.where(first > 0, at_first, at_second)


def _mixture(latent_channels: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Log scales (3, D) and logits of the shares (3, D) of the Laplacians of each channel, before training."""
    spread = torch.linspace(1.0, -2.5, latent_channels)  # latents are in the order of falling variance
    log_scales = torch.stack([spread - 1.5, spread - 0.3, spread + 0.8])
    return nn.Parameter(log_scales), nn.Parameter(torch.zeros(3, latent_channels))


def _interval_bits(distance: Tensor, half_width: Tensor, log_scales: Tensor, mixture: Tensor) -> Tensor:
    """−log2 of the probability of each interval (B, D, h, w) around a distance from the mean, in float32.

    log_scales: (3, D, 1, 1) or (3, B, D, h, w). mixture: (3, D), logits of the shares.
    """
    distance = distance.abs()
    chance = torch.zeros_like(distance)
    for share, log_scale in zip(mixture.softmax(0)[:, :, None, None], log_scales, strict=True):
        scale = log_scale.exp()
        inside = _laplace_cdf((distance + half_width) / scale) - _laplace_cdf((distance - half_width) / scale)
        chance = chance + share * inside
    return -chance.clamp_min(_LEAST).log2()


def _laplace_cdf(t: Tensor) -> Tensor:
    tail = 0.5 * torch.exp((-t.abs()).clamp_min(MIN_EXPONENT))
    return torch.where(t >= 0, 1 - tail, tail)
