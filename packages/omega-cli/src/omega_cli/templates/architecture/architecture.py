"""An architecture to start from: blocks of pixels, and two convolutions each in analysis and synthesis."""

from omega_core.contracts import LocalArchitecture
from torch import Tensor, nn


class __CLASS__(LocalArchitecture):
    """One latent position per 4×4 pixels, for pictures of any size.

        image ─ unshuffle 4 ─ 16·colors ─ conv 3×3 ─ width ─ ReLU ─ conv 1×1 ─ latent D×H/4×W/4
        latent ─ conv 1×1 ─ width ─ ReLU ─ conv 3×3 ─ 16·colors ─ shuffle 4 ─ image

    latent_channels: D.
    colors: 1 for gray, 3 for RGB.
    width: number of channels between the convolutions.
    """

    stride = 4
    analysis_halo = 1  # a 3×3 convolution reads one more position on each side
    render_halo = 1

    def __init__(self, *, latent_channels: int, colors: int = 1, width: int = 64) -> None:
        super().__init__()
        self.latent_channels, self.colors = latent_channels, colors
        block = colors * self.stride**2
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(self.stride),
            nn.Conv2d(block, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, latent_channels, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(latent_channels, width, 1),
            nn.ReLU(),
            nn.Conv2d(width, block, 3, padding=1),
            nn.PixelShuffle(self.stride),
        )

    def analysis(self, image: Tensor) -> Tensor:
        """Map an image (B, colors, H, W) to a latent (B, D, h, w)."""
        latent: Tensor = self.encoder(2 * self.padded(image) - 1)
        return latent

    def render(self, features: Tensor) -> Tensor:
        """Map a latent (B, D, h, w) to whole blocks (B, colors, 4·h, 4·w), which Omega crops to the image."""
        image: Tensor = self.decoder(features)
        return (image + 1) / 2
