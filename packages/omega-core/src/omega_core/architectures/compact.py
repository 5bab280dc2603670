"""The architecture `compact`: transforms for photos that are fast without a GPU.

Both have a linear path, a lapped orthogonal transform (`omega_core.architectures.lapped`), and a parallel net whose
output is near zero at first (linear shortcuts: Li et al. 2025, "On Disentangled Training for Nonlinear Transform in
Learned Image Compression", ICLR, arXiv 2501.13751). So training begins with a classical codec, and improves on it.

The nets are made of blocks as in ConvNeXt (Liu et al. 2022, arXiv 2201.03545) without their norm: a depthwise 3×3
convolution, then two pointwise ones. Most of the work is matrix products at a sixteenth of the resolution.
"""

from math import ceil
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pixel_shuffle, pixel_unshuffle

from omega_core.architectures.lapped import cosine_transform, filtered, lap_filter
from omega_core.contracts.architecture import LocalArchitecture
from omega_core.errors import ComponentError
from omega_core.layers import ConvBlock, interpolated, near_zero

_DETAIL = 4  # side of a pixel of the detail, in pixels of the image
_WIDEST = 3.0  # maximum standard deviation of a latent channel at the start, with a gain
_HALF = 0.5  # scales latents to the standard deviation that suits the layers
_MAX_BLOCKS = 256  # maximum number of blocks of a net: a forged model file could have any number
_FINENESSES = 8  # number of finenesses between which the scales of the synthesis are interpolated


class CompactArchitecture(LocalArchitecture):
    """One latent position for 16×16 pixels, 10.1 kMAC per pixel for the analysis and 13.6 for the synthesis.

    These numbers and the drawing are for D 256 and default options.

        image ─lap─ ─unshuffle 16─ 768 ─cosines─ first D ─────────────────────────────────┐
                                       └─ 1×1 ─ 320 ─4 blocks─ 1×1 ─ D ──────────────────(+)─ latent
        latent ─scales─ ─cosines, shuffle 16, unlap──────────────────────────────────────┐
                 └─ 1×1 ─ 256 ─4 blocks─ 1×1 ─shuffle 4─ 80 ─3 blocks─ 3×3 ─shuffle 4───(+)─ image

    The coefficients are those that have the greatest variance in photos, in that order. The analysis does not
    depend on the rate. The synthesis depends on how finely its latent was quantized (`fineness`): it scales each
    channel of the latent, as coarsely quantized values are best moved toward their mean, and shifts the features.

    Images are normalized to an interval of length 2: [−1, 1], if `origin` is 0.5.

    latent_channels: D, up to 3·block².
    block: side of a block (one latent position) in pixels: 16, or 8 for pictures with sharp edges and text, whose
        coefficients then cover a smaller area around an edge.
    lapped: whether the transform of a block overlaps its neighbors; False for the cosine transform alone, as in JPEG.
    origin: the gray level, from 0 for black to 1 for white, of an image whose latent is 0, which takes the fewest bits.
    gain: initial factor of the coefficients, for quantizers with steps of 1, limited so that their standard deviation
        stays at or below 3; each channel learns its own. None for the unscaled coefficients of an orthonormal transform
        of pixels from −1 to 1, for quantizers that learn gains themselves.
    nets: which transforms have nets: "both", "synthesis" or "none", which has only the linear path.
    width: channels of the blocks of the analysis.
    synthesis_width: channels of the blocks of the synthesis at the resolution of the latent.
    detail_width: channels of the blocks of its last part, at a quarter of the resolution of the image.
    depth, synthesis_depth, detail_depth: numbers of these blocks.

    Raises ComponentError for invalid options.
    """

    basis: Tensor
    """(K, K), K = 3·block²: the rows of the cosine transform, as on the machine where the model was made."""
    mean: Tensor
    """(D, 1, 1): an offset that the synthesis adds to a latent; 0 without nets."""
    lap: Tensor | None
    """(block, block): the orthogonal filter of the pixels across each edge of a block; None if it is not lapped."""

    colors = 3
    fineness_aware = True
    quick_precision = torch.bfloat16

    def __init__(
        self,
        *,
        latent_channels: int = 256,
        block: Literal[8, 16] = 16,
        lapped: bool = True,
        origin: float = 0.5,
        gain: float | None = None,
        nets: Literal["both", "synthesis", "none"] = "both",
        width: int = 320,
        synthesis_width: int = 256,
        detail_width: int = 80,
        depth: int = 4,
        synthesis_depth: int = 4,
        detail_depth: int = 3,
    ) -> None:
        super().__init__()
        if block not in (8, 16):
            raise ComponentError(f"blocks have 8 or 16 pixels a side, not {block}.")
        coefficients = 3 * block**2
        if not 1 <= latent_channels <= coefficients:
            raise ComponentError(f"latent-channels is a number from 1 to {coefficients}, not {latent_channels}.")
        if not 0 <= origin <= 1:
            raise ComponentError(f"the origin is a gray level from 0 to 1, not {origin}.")
        if gain is not None and not gain > 0:
            raise ComponentError(f"gain has to be above 0, not {gain}.")
        if nets not in ("both", "synthesis", "none"):
            raise ComponentError(f"nets are on 'both' sides, in the 'synthesis' or 'none', not {nets!r}.")
        if min(width, synthesis_width, detail_width) < 1:
            raise ComponentError(f"nets have at least 1 channel, not {width}, {synthesis_width} and {detail_width}.")
        if not all(0 <= blocks <= _MAX_BLOCKS for blocks in (depth, synthesis_depth, detail_depth)):
            given = f"{depth}, {synthesis_depth} and {detail_depth}"
            raise ComponentError(f"nets have 0 to {_MAX_BLOCKS} blocks, not {given}.")
        self.latent_channels, self.stride, self.origin = latent_channels, block, origin
        # each block and the last convolution reach one position or pixel further, the lapped transform one position
        per_position = block // _DETAIL
        self.analysis_halo = lapped + (depth if nets == "both" else 0)
        self.refine_halo = synthesis_depth if nets != "none" else 0
        self.render_halo = max(int(lapped), ceil((detail_depth + 1) / per_position) if nets != "none" else 0)
        basis, variances = cosine_transform(block)
        order = np.argsort(-variances, kind="stable")
        self.register_buffer("basis", torch.from_numpy(basis[order]))
        self.register_buffer("lap", torch.from_numpy(lap_filter(block)) if lapped else None)
        log_gain = np.zeros((latent_channels, 1, 1), np.float32)
        if gain is not None:
            log_gain[:, 0, 0] = np.log(np.minimum(_WIDEST / np.sqrt(variances[order[:latent_channels]]), gain))
        self.log_gain = nn.Parameter(torch.from_numpy(log_gain))
        self.log_step = nn.Parameter(torch.from_numpy(-log_gain))
        if nets == "none":  # a learned mean, the same in every block, would make white gray
            self.register_buffer("mean", torch.zeros(latent_channels, 1, 1))
        else:
            self.mean = nn.Parameter(torch.zeros(latent_channels, 1, 1))
        self.log_scale = nn.Parameter(torch.zeros(_FINENESSES, latent_channels))
        self.encoder = self.body = self.detail = None
        if nets == "both":
            self.encoder = nn.Sequential(
                nn.Conv2d(coefficients, width, 1),
                *(ConvBlock(width, nn.GELU("tanh")) for _ in range(depth)),
                near_zero(nn.Conv2d(width, latent_channels, 1)),
            )
        if nets != "none":
            self.entry = nn.Conv2d(latent_channels, synthesis_width, 1)
            self.told = nn.Linear(1, synthesis_width)
            self.body = nn.Sequential(*(ConvBlock(synthesis_width, nn.GELU("tanh")) for _ in range(synthesis_depth)))
            self.detail = nn.Sequential(
                nn.Conv2d(synthesis_width, per_position**2 * detail_width, 1),
                nn.PixelShuffle(per_position),
                *(ConvBlock(detail_width, nn.ReLU(inplace=True)) for _ in range(detail_depth)),
                near_zero(nn.Conv2d(detail_width, 3 * _DETAIL**2, 3, padding=1)),
                nn.PixelShuffle(_DETAIL),
            )

    def analysis(self, image: Tensor) -> Tensor:
        """Image (B, 3, H, W) to latent (B, D, h, w)."""
        pixels = self.normalize(self.padded(image))
        if self.lap is not None:
            pixels = filtered(pixels, self.lap)
        blocks = pixel_unshuffle(pixels, self.stride).contiguous(memory_format=torch.channels_last)
        with torch.autocast(image.device.type, enabled=False):  # in 16 bits, the basis would lose half of its digits
            coefficients = conv2d(blocks.to(self.basis.dtype), self.basis[:, :, None, None])
        latent = coefficients[:, : self.latent_channels]
        if self.encoder is not None:
            latent = latent + self.encoder(coefficients * _HALF)
        return latent * self.log_gain.exp()

    def refine(self, latent: Tensor, fineness: Tensor | None = None) -> Tensor:
        """Latent (B, D, h, w) to features at its resolution, followed by the scaled latent: (B, F + D, h, w).

        fineness: (B,), from 0 for the coarsest quantization to 1 for the finest. Default: 1.
        """
        if fineness is None:
            fineness = latent.new_ones(len(latent))
        scales = interpolated(self.log_scale, fineness.to(latent)).exp()[:, :, None, None]
        scaled = latent * self.log_step.exp() * scales + self.mean
        if self.body is None:
            return scaled
        told = self.told(2 * fineness.to(latent)[:, None] - 1)[:, :, None, None]
        features = self.body(self.entry(scaled * _HALF) + told)
        return torch.cat([features.to(scaled.dtype), scaled], dim=1)

    def render(self, features: Tensor) -> Tensor:
        """Features and latent (B, F + D, h, w) to an image (B, 3, block·h, block·w)."""
        found, latent = features[:, : -self.latent_channels], features[:, -self.latent_channels :]
        basis = self.basis[: self.latent_channels].T[:, :, None, None]
        with torch.autocast(features.device.type, enabled=False):
            image = pixel_shuffle(conv2d(latent, basis.to(latent.dtype)), self.stride)
            if self.lap is not None:
                image = filtered(image, self.lap.T)
        if self.detail is not None:
            image = image + self.detail(found)
        return image * 0.5 + self.origin

    def normalize(self, image: Tensor) -> Tensor:
        """From [0, 1] to an interval of length 2, in which the origin is 0: [−1, 1] for 0.5."""
        return (image - self.origin) / 0.5
