"""Scalar quantization of latent channels at any fineness, for the relaxed phase of training.

    latent y ─ × gain(fineness) ─ round ─ × step(fineness) ─ y_hat

The rate is the rate of y with uniform noise as wide as a cell (Ballé, Laparra and Simoncelli 2017, "End-to-end
Optimized Image Compression", ICLR): the noise makes it smooth. The distortion is that of rounding, with a
straight-through gradient: the synthesis learns from the values that it will decode (Guo et al. 2021, "Soft then Hard:
Rethinking the Quantization in Neural Image Compression", ICML).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from omega_core.layers import interpolated

_ANCHORS = 8


class ScalarRelaxation(nn.Module):
    """A gain before rounding and a step after it for each of D channels, interpolated between anchors of fineness.

    latent_channels: D.
    steps: the step sizes at fineness 0 and 1 before training; between them they are interpolated geometrically.
    """

    def __init__(self, latent_channels: int, steps: Sequence[float]) -> None:
        super().__init__()
        self.coarsest, self.finest = (math.log(step) for step in steps)
        self.log_gain = nn.Parameter(torch.zeros(_ANCHORS, latent_channels))
        self.log_step = nn.Parameter(torch.zeros(_ANCHORS, latent_channels))

    def forward(self, fineness: Tensor) -> tuple[Tensor, Tensor]:
        """Gains and steps, (B, D, 1, 1) each, for a fineness (B,) from 0 to 1."""
        log_size = (self.coarsest + (self.finest - self.coarsest) * fineness).to(self.log_gain)[:, None]
        log_gain, log_step = (interpolated(anchors, fineness) for anchors in (self.log_gain, self.log_step))
        return (log_gain - log_size).exp()[:, :, None, None], (log_step + log_size).exp()[:, :, None, None]


def rounded(values: Tensor) -> Tensor:
    """The nearest integers, with the gradient passed straight through."""
    return values + (values.round() - values).detach()
