"""A small transform for photos, for processors without a GPU.

Blocks as in ConvNeXt (Liu et al. 2022, arXiv 2201.03545) without their norm: a depthwise convolution looks
around, two pointwise ones work out the channels. Most of the work is matrix products at low resolutions.
"""

from typing import cast

from torch import Tensor, nn

from omega_core.contracts.architecture import LocalArchitecture
from omega_core.errors import ComponentError

_WIDTHS = (64, 128, 256)  # channels at a quarter, an eighth and a sixteenth of the resolution
_GAIN = 16.0


class CompactArchitecture(LocalArchitecture):
    """One latent position for 16×16 pixels, at 21 kMAC per pixel for both transforms together.

        image 3×H×W ─unshuffle 4─ 48 ─conv k3─ 64 ─block─ ─s2─ 128 ─2 blocks─ ─s2─ 256 ─3 blocks─ latent D×H/16×W/16
        latent ─3 blocks─ 256 ─shuffle 2─ 128 ─3 blocks─ ─shuffle 2─ 64 ─2 blocks─ ─conv k3─ 48 ─shuffle 4─ image 3×H×W

    Images are normalised to [−1, 1].

    latent_channels: D.

    Raises ComponentError for a number that cannot be.
    """

    colours = 3
    stride = 16
    analysis_halo = 9
    refine_halo = 6
    render_halo = 5

    def __init__(self, *, latent_channels: int = 192) -> None:
        super().__init__()
        if latent_channels < 1:
            raise ComponentError(f"latent-channels has to be at least 1, not {latent_channels}.")
        self.latent_channels = latent_channels
        quarter, eighth, sixteenth = _WIDTHS
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, quarter, 3, padding=1),
            _Block(quarter),
            nn.Conv2d(quarter, eighth, 2, stride=2),
            *(_Block(eighth) for _ in range(2)),
            nn.Conv2d(eighth, sixteenth, 2, stride=2),
            *(_Block(sixteenth) for _ in range(3)),
            nn.Conv2d(sixteenth, latent_channels, 1),
        )
        # deviations near 1 from the start: quantizers have steps of 1, and a latent far below stays 0
        cast(nn.Conv2d, self.encoder[-1]).weight.data.mul_(_GAIN)
        self.body = nn.Sequential(
            nn.Conv2d(latent_channels, sixteenth, 1),
            *(_Block(sixteenth) for _ in range(3)),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(sixteenth, 4 * eighth, 1),
            nn.PixelShuffle(2),
            *(_Block(eighth) for _ in range(3)),
            nn.Conv2d(eighth, 4 * quarter, 1),
            nn.PixelShuffle(2),
            *(_Block(quarter) for _ in range(2)),
            nn.Conv2d(quarter, 48, 3, padding=1),
            nn.PixelShuffle(4),
        )

    def analysis(self, image: Tensor) -> Tensor:
        """Image (B, 3, H, W) to latent (B, D, h, w)."""
        latent: Tensor = self.encoder(self.normalise(self.padded(image)))
        return latent

    def refine(self, latent: Tensor) -> Tensor:
        """Latent (B, D, h, w) through the blocks at its resolution."""
        features: Tensor = self.body(latent)
        return features

    def render(self, features: Tensor) -> Tensor:
        """Features (B, 256, h, w) to an image (B, 3, 16·h, 16·w)."""
        image: Tensor = self.decoder(features)
        return image * 0.5 + 0.5

    def normalise(self, image: Tensor) -> Tensor:
        """From [0, 1] to [−1, 1]."""
        return (image - 0.5) / 0.5


class _Block(nn.Module):
    """x + pointwise(ReLU(pointwise(depthwise(x)))), which begins near x."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.around = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.narrow = nn.Conv2d(2 * channels, channels, 1)
        self.narrow.weight.data.mul_(0.3)

    def forward(self, x: Tensor) -> Tensor:
        refined: Tensor = x + self.narrow(self.widen(self.around(x)).relu())
        return refined
