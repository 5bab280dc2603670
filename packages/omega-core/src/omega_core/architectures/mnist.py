"""The architecture `mnist`: transforms for 28×28 gray pictures, of Löhdefink et al. 2022 (CVPR Workshops)."""

import torch
from torch import Tensor, nn

from omega_core.contracts.architecture import Architecture
from omega_core.errors import ComponentError, ImageError

_POSITIONS = 3 * 3


class MnistArchitecture(Architecture):
    """Three strided convolutions to a latent of 3×3 positions, and three transposed ones back.

        image 1×28×28 ─conv k3 s3─ 16×10×10 ─conv k3 s2─ 16×5×5 ─conv k3 s2─ latent D×3×3
        latent D×3×3 ─convᵀ k3 s2─ 16×7×7 ─convᵀ k5 s2─ 8×15×15 ─convᵀ k2 s2─ image 1×28×28

    with ReLU between and tanh at the end, on pictures normalized to [−1, 1].

    latent_channels: D.
    width: channels between the convolutions; 16 as published, and half as many before the last.
    mixing: hidden units of a block in both transforms that mixes all positions of the latent. With 0, as published,
        each pixel depends on at most the four nearest positions.
    """

    colors = 1
    image_size = (28, 28)
    precision = torch.float64  # it is so small that this takes hardly more time

    def __init__(self, *, latent_channels: int = 32, width: int = 16, mixing: int = 0) -> None:
        super().__init__()
        if latent_channels < 1 or width < 2 or mixing < 0:
            raise ComponentError(
                "latent-channels has to be at least 1, width at least 2 and mixing at least 0,"
                f" not {latent_channels}, {width} and {mixing}."
            )
        self.latent_channels = latent_channels
        self.gather = _Mixing(latent_channels, mixing) if mixing else nn.Identity()
        self.spread = _Mixing(latent_channels, mixing) if mixing else nn.Identity()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, width, 3, stride=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, latent_channels, 3, stride=2, padding=1),
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(latent_channels, width, 3, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width // 2, 5, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(width // 2, 1, 2, stride=2, padding=1),
            nn.Tanh(),
        )

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """Always (3, 3)."""
        if (height, width) != self.image_size:
            raise ImageError(f"the architecture mnist takes gray pictures of 28×28 pixels, not {width}×{height}.")
        return 3, 3

    def analysis(self, image: Tensor) -> Tensor:
        """Image (B, 1, 28, 28) to latent (B, D, 3, 3)."""
        latent: Tensor = self.gather(self.encoder(self.normalize(image)))
        return latent

    def synthesis(self, latent: Tensor, height: int, width: int) -> Tensor:
        """Latent (B, D, 3, 3) to image (B, 1, 28, 28), within [0, 1]."""
        image: Tensor = self.decoder(self.spread(latent))
        return image * 0.5 + 0.5

    def normalize(self, image: Tensor) -> Tensor:
        """From [0, 1] to [−1, 1]."""
        return (image - 0.5) / 0.5


class _Mixing(nn.Module):
    """y + share·(two linear layers of all positions and channels of y), at first equal to y.

    The share is learned from 0 (ReZero, Bachlechner et al. 2021, arXiv 2003.04887). Otherwise, the untrained block
    would move latents away from the symbols of a quantizer, which would then never be chosen.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        size = channels * _POSITIONS
        self.widen, self.narrow = nn.Linear(size, hidden), nn.Linear(hidden, size)
        self.share = nn.Parameter(torch.zeros(()))

    def forward(self, y: Tensor) -> Tensor:
        more: Tensor = self.narrow(self.widen(y.flatten(1)).relu())
        return y + self.share * more.view(y.shape)
