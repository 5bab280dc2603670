"""A small transform for photos, for processors without a GPU.

Blocks as in ConvNeXt (Liu et al. 2022, arXiv 2201.03545) without their norm: a depthwise convolution looks
around, two pointwise ones work out the channels. Most of the work is matrix products at low resolutions.

Each of both transforms is the sum of such blocks and of a discrete cosine transform that goes past them. So what is
learned begins where classical codecs are, with every channel in use and in order, and learns what is missing (linear
shortcuts: Li et al. 2025, "On Disentangled Training for Nonlinear Transform in Learned Image Compression", ICLR). The
cosines stay as they are, for noise in so many small weights would undo them; their gains are learned.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pixel_shuffle, pixel_unshuffle

from omega_core.contracts.architecture import LocalArchitecture
from omega_core.errors import ComponentError

_WIDTHS = (64, 128, 256)  # channels at a quarter, an eighth and a sixteenth of the resolution
_SIDE = 16  # of a block of pixels, which one latent position stands for
_POWER = (20.0, 2.2, 0.5)  # of brightness and of two colour differences, where black is −1 and white 1
_GAIN, _WIDEST = 1.5, 3.0  # latents for one of a coefficient; the greatest deviation of a latent
_QUIET = 0.1  # of what blocks usually begin with


class CompactArchitecture(LocalArchitecture):
    """One latent position for 16×16 pixels, at 22 kMAC per pixel for both transforms together (D 192).

        image 3×H×W ─unshuffle 4─ 48 ─conv k3─ 64 ─block─ ─s2─ 128 ─2 blocks─ ─s2─ 256 ─3 blocks─ latent D×H/16×W/16
        latent ─3 blocks─ 256 ─shuffle 2─ 128 ─3 blocks─ ─shuffle 2─ 64 ─2 blocks─ ─conv k3─ 48 ─shuffle 4─ image 3×H×W

    and, added to each of the two, the cosine transform from the 768 numbers of a block of pixels to D, or back: those
    coefficients that have the greatest variance in photographs, each times a number that is learned.

    Images are normalised to [−1, 1].

    latent_channels: D, up to 768.

    Raises ComponentError for a number that cannot be.
    """

    basis: Tensor
    """(D, 768): the rows of the cosine transform that are kept, as on the machine where the model was made."""

    colours = 3
    stride = 16
    analysis_halo = 9
    refine_halo = 6
    render_halo = 5

    def __init__(self, *, latent_channels: int = 192) -> None:
        super().__init__()
        if not 1 <= latent_channels <= 3 * _SIDE**2:
            raise ComponentError(f"latent-channels is a number from 1 to {3 * _SIDE**2}, not {latent_channels}.")
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
        for last in (self.encoder[-1], self.decoder[-2]):
            cast(nn.Conv2d, last).weight.data.mul_(_QUIET)
        basis, variances = _cosine_transform()
        kept = variances.argsort(descending=True, stable=True)[:latent_channels]
        gains = (_WIDEST / variances[kept].sqrt()).clamp(max=_GAIN)
        self.register_buffer("basis", basis[kept])
        self.log_gain = nn.Parameter(gains.log())
        self.log_step = nn.Parameter(-gains.log())

    def analysis(self, image: Tensor) -> Tensor:
        """Image (B, 3, H, W) to latent (B, D, h, w)."""
        pixels = self.normalise(self.padded(image))
        coefficients = (self.log_gain.exp()[:, None] * self.basis)[:, :, None, None]
        latent: Tensor = self.encoder(pixels) + conv2d(pixel_unshuffle(pixels, _SIDE), coefficients)
        return latent

    def refine(self, latent: Tensor) -> Tensor:
        """Latent (B, D, h, w) to 256 features from the blocks at its resolution, and itself: (B, 256 + D, h, w)."""
        return torch.cat([self.body(latent), latent], dim=1)

    def render(self, features: Tensor) -> Tensor:
        """Features and latent (B, 256 + D, h, w) to an image (B, 3, 16·h, 16·w)."""
        found, latent = features[:, : _WIDTHS[-1]], features[:, _WIDTHS[-1] :]
        blocks = (self.log_step.exp()[:, None] * self.basis).T[:, :, None, None]
        image: Tensor = self.decoder(found) + pixel_shuffle(conv2d(latent, blocks), _SIDE)
        return image * 0.5 + 0.5

    def normalise(self, image: Tensor) -> Tensor:
        """From [0, 1] to [−1, 1]."""
        return (image - 0.5) / 0.5


def _cosine_transform() -> tuple[Tensor, Tensor]:
    """Orthonormal rows (768, 768) for blocks as PixelUnshuffle lays them out, and the variance of each coefficient.

    In both directions the type-II DCT; of the colours, brightness and two differences. Variances fall with the third
    power of the frequency, as those of photographs do (Field 1987, "Relations between the statistics of natural images
    and the response properties of cortical cells", JOSA A).
    """
    n = torch.arange(_SIDE, dtype=torch.float64)
    cosines = (2 / _SIDE) ** 0.5 * torch.cos(math.pi / _SIDE * (n + 0.5) * n[:, None])
    cosines[0] /= 2**0.5
    colours = torch.tensor([[1, 1, 1], [1, 0, -1], [-1, 2, -1]], dtype=torch.float64)
    colours /= colours.norm(dim=1, keepdim=True)
    basis = torch.einsum("kc,ui,vj->kuvcij", colours, cosines, cosines).reshape(3 * _SIDE**2, -1)
    falling = (n[:, None] ** 2 + n**2 + 0.25) ** -1.5
    variances = torch.tensor(_POWER, dtype=torch.float64)[:, None, None] * falling
    return basis.float(), variances.flatten().float()


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
