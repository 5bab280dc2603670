"""Layers shared by transforms and priors for photos."""

from typing import cast

from torch import Tensor, nn

MIN_EXPONENT = -50.0
"""The smallest x for which densities and softmaxes compute e^x. It is far below the rounding error of float64, and
products with it are normal numbers. Below −87, e^x is subnormal in float32, which makes CPUs many times slower."""


class ConvBlock(nn.Module):
    """x + pointwise(activation(pointwise(depthwise 3×3(x)))) for x (B, channels, h, w), initially close to x.

    This is the block of ConvNeXt (Liu et al. 2022, arXiv 2201.03545) without its normalization.
    """

    def __init__(self, channels: int, activation: nn.Module) -> None:
        super().__init__()
        self.around = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.activation = activation
        self.narrow = nn.Conv2d(2 * channels, channels, 1)
        self.narrow.weight.data.mul_(0.3)

    def forward(self, x: Tensor) -> Tensor:
        refined: Tensor = x + self.narrow(self.activation(self.widen(self.around(x))))
        return refined


def near_zero(layer: nn.Conv2d) -> nn.Conv2d:
    """Scale the weights of a layer by 0.05 and set its bias to zero, in place, and return the layer."""
    layer.weight.data.mul_(0.05)
    cast(Tensor, layer.bias).data.zero_()
    return layer


def interpolated(anchors: Tensor, fineness: Tensor) -> Tensor:
    """Interpolate linearly between anchors (A, D), evenly spaced from 0 to 1, at each fineness (B,): (B, D)."""
    last = len(anchors) - 1
    position = fineness.clamp(0, 1) * last
    below = position.floor().clamp(max=last - 1).long()
    share = (position - below).to(anchors)[:, None]
    return anchors[below] * (1 - share) + anchors[below + 1] * share
