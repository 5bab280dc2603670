"""A small transform for photos, for processors without a GPU.

The analysis is a lapped orthogonal transform (Malvar and Staelin 1989, "The LOT: Transform Coding Without Blocking
Effects", IEEE Transactions on ASSP): a discrete cosine transform of blocks, between which a filter has first spread
what the edges of blocks would otherwise show. It costs little, and a net beside it learned next to nothing that
quantizing left: where most symbols are zeros, its gradients are noise.

The synthesis is the inverse of that, past which goes a net that learns what it misses (linear shortcuts: Li et al.
2025, "On Disentangled Training for Nonlinear Transform in Learned Image Compression", ICLR). Its blocks are as in
ConvNeXt (Liu et al. 2022, arXiv 2201.03545) without their norm: a depthwise convolution looks around, two pointwise
ones work out the channels. Most of the work is matrix products at low resolutions.

So training begins where classical codecs are, with every channel in use and in order. The cosines stay as they are, for
noise in so many small weights would undo them; their gains are learned.
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
_WIDEST = 3.0  # the greatest deviation of a latent
_QUIET = 0.1  # of what blocks usually begin with


class CompactArchitecture(LocalArchitecture):
    """One latent position for 16×16 pixels, at 1.4 kMAC per pixel for the analysis and 15 for the synthesis (D 208).

        image ─lap─ 3×H×W ─unshuffle 16─ 768 ─basis, gains─ latent D×H/16×W/16
        latent ─steps, basis─ 768 ─shuffle 16─ 3×H×W ─unlap─ image
               ─3 blocks─ 256 ─shuffle 2─ 128 ─3 blocks─ ─shuffle 2─ 64 ─4 blocks─ ─conv k3─ 48 ─shuffle 4─ image

    The image is the sum of both. Latents are those coefficients that have the greatest variance in photographs, each
    times a number that is learned.

    Images are normalised to [−1, 1].

    latent_channels: D, up to 768.
    gain: latents for one of a coefficient, at the start: a quantizer with steps of 1 then has steps of 1/gain, where
        pixels are from −1 to 1 and coefficients orthonormal.

    Raises ComponentError for a number that cannot be.
    """

    basis: Tensor
    """(D, 768): the rows of the cosine transform that are kept, as on the machine where the model was made."""
    lap: Tensor
    """(16, 16): what filters the 16 pixels around each edge of a block, across it; orthogonal."""

    colours = 3
    stride = 16
    analysis_halo = 1
    refine_halo = 6
    render_halo = 6

    def __init__(self, *, latent_channels: int = 192, gain: float = 1.5) -> None:
        super().__init__()
        if not 1 <= latent_channels <= 3 * _SIDE**2:
            raise ComponentError(f"latent-channels is a number from 1 to {3 * _SIDE**2}, not {latent_channels}.")
        if not gain > 0:
            raise ComponentError(f"gain has to be above 0, not {gain}.")
        self.latent_channels = latent_channels
        quarter, eighth, sixteenth = _WIDTHS
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
            *(_Block(quarter) for _ in range(4)),
            nn.Conv2d(quarter, 48, 3, padding=1),
            nn.PixelShuffle(4),
        )
        cast(nn.Conv2d, self.decoder[-2]).weight.data.mul_(_QUIET)
        basis, variances = _cosine_transform()
        kept = variances.argsort(descending=True, stable=True)[:latent_channels]
        gains = (_WIDEST / variances[kept].sqrt()).clamp(max=gain)
        self.register_buffer("basis", basis[kept])
        self.register_buffer("lap", _lap())
        self.log_gain = nn.Parameter(gains.log())
        self.log_step = nn.Parameter(-gains.log())

    def analysis(self, image: Tensor) -> Tensor:
        """Image (B, 3, H, W) to latent (B, D, h, w)."""
        lapped = _filtered(self.normalise(self.padded(image)), self.lap)
        coefficients = (self.log_gain.exp()[:, None] * self.basis)[:, :, None, None]
        return conv2d(pixel_unshuffle(lapped, _SIDE), coefficients)

    def refine(self, latent: Tensor) -> Tensor:
        """Latent (B, D, h, w) to 256 features from the blocks at its resolution, and itself: (B, 256 + D, h, w)."""
        return torch.cat([self.body(latent), latent], dim=1)

    def render(self, features: Tensor) -> Tensor:
        """Features and latent (B, 256 + D, h, w) to an image (B, 3, 16·h, 16·w)."""
        found, latent = features[:, : _WIDTHS[-1]], features[:, _WIDTHS[-1] :]
        blocks = (self.log_step.exp()[:, None] * self.basis).T[:, :, None, None]
        lapped = pixel_shuffle(conv2d(latent, blocks), _SIDE)
        image: Tensor = self.decoder(found) + _filtered(lapped, self.lap.T)
        return image * 0.5 + 0.5

    def normalise(self, image: Tensor) -> Tensor:
        """From [0, 1] to [−1, 1]."""
        return (image - 0.5) / 0.5


def _cosines(n: int) -> Tensor:
    """The orthonormal type-II DCT of n numbers."""
    k = torch.arange(n, dtype=torch.float64)
    cosines: Tensor = (2 / n) ** 0.5 * torch.cos(math.pi / n * (k + 0.5) * k[:, None])
    cosines[0] /= 2**0.5
    return cosines


def _lap() -> Tensor:
    """The filter that makes the DCT of blocks the LOT: by its quick form, a DCT-II and a DCT-IV of half a block."""
    half = _SIDE // 2
    k = torch.arange(half, dtype=torch.float64) + 0.5
    fourth = (2 / half) ** 0.5 * torch.cos(math.pi / half * k * k[:, None])
    odd = (_cosines(half).T @ fourth).flip(0, 1)
    one, mirrored = torch.eye(half, dtype=torch.float64), torch.eye(half, dtype=torch.float64).flip(0)
    butterfly = torch.cat([torch.cat([one, mirrored], 1), torch.cat([mirrored, -one], 1)]) / 2**0.5
    middle = torch.eye(_SIDE, dtype=torch.float64)
    middle[half:, half:] = odd
    return (butterfly @ middle @ butterfly).float()


def _filtered(image: Tensor, lap: Tensor) -> Tensor:
    """An image of whole blocks (B, 3, H, W), filtered across their edges; beyond its own edges it is its mirror image,
    which the filter leaves as it is.
    """
    half, lap = _SIDE // 2, lap.to(image.dtype)
    for dim in (2, 3):
        size = image.shape[dim]
        first, last = image.narrow(dim, 0, half), image.narrow(dim, size - half, half)
        mirrored = torch.cat([first.flip(dim), image, last.flip(dim)], dim)
        edges = torch.unflatten(mirrored, dim, (-1, _SIDE))
        spread = (edges.movedim(dim + 1, -1) @ lap.T).movedim(-1, dim + 1)
        image = spread.flatten(dim, dim + 1).narrow(dim, half, size)
    return image


def _cosine_transform() -> tuple[Tensor, Tensor]:
    """Orthonormal rows (768, 768) for blocks as PixelUnshuffle lays them out, and the variance of each coefficient.

    In both directions the type-II DCT; of the colours, brightness and two differences. Variances fall with the third
    power of the frequency, as those of photographs do (Field 1987, "Relations between the statistics of natural images
    and the response properties of cortical cells", JOSA A).
    """
    n, cosines = torch.arange(_SIDE, dtype=torch.float64), _cosines(_SIDE)
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
