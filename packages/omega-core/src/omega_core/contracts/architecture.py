"""Architectures: the transforms between image and latent."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn


class Architecture(nn.Module, ABC):
    """An analysis transform (image to latent) and a synthesis transform (latent to image).

    Images are floating-point in [0, 1], (B, colors, H, W). The architecture normalizes and pads them itself.
    Made as `Class(latent_channels=D, **options)`.
    """

    colors: int
    """1 for gray pictures, 3 for RGB."""
    latent_channels: int
    """D, the channels of the latent."""
    image_size: tuple[int, int] | None = None
    """(H, W) if the architecture takes pictures of one size only; None for any size."""
    fineness_aware: bool = False
    """Whether the synthesis depends on how finely its latent was quantized: `synthesis` then takes a fourth argument
    `fineness`, (B,), from 0 for the coarsest to 1 for the finest quantization, and so does `refine` of a
    `LocalArchitecture`."""
    precision: torch.dtype = torch.float32
    """The type in which the transforms of a trained model compute. In float64, every machine and every number of
    threads gives the same pixels: differences in the last bit are too small to change the rounded values."""
    quick_precision: torch.dtype | None = None
    """A shorter type in which the transforms of a trained model may multiply, by autocast, on devices that are faster
    with it. Decoded pixels may then differ by one level at most, and the few symbols that differ must not cost bits.
    Transforms have to exclude exact computations from autocast."""

    @abstractmethod
    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """Return (h, w) of the latent of an image of height × width pixels. Raises ImageError for a size it refuses."""

    @abstractmethod
    def analysis(self, image: Tensor) -> Tensor:
        """Transform an image (B, colors, H, W) into its latent (B, D, h, w)."""

    @abstractmethod
    def synthesis(self, latent: Tensor, height: int, width: int) -> Tensor:
        """Transform a latent (B, D, h, w) into an image (B, colors, height, width).

        The latent is the dequantized one; height and width are in pixels. Values may lie slightly outside [0, 1].
        """

    def synthesis_with_fineness(self, latent: Tensor, height: int, width: int, fineness: Tensor) -> Tensor:
        """Call `synthesis`, with the fineness if the architecture is `fineness_aware`.

        latent, height, width: as for `synthesis`.
        fineness: (B,), how finely each latent was quantized, from 0 to 1.
        """
        if not self.fineness_aware:
            return self.synthesis(latent, height, width)
        return cast(Any, self.synthesis)(latent, height, width, fineness)

    def normalize(self, image: Tensor) -> Tensor:
        """Scale an image (B, colors, H, W) from [0, 1] to the values whose MSE is the distortion; the identity here."""
        return image


class Margins(NamedTuple):
    """Pixels that padding adds on each side of an image."""

    top: int
    bottom: int
    left: int
    right: int


class LocalArchitecture(Architecture):
    """An architecture for images of any size, each of whose outputs depends on a bounded neighborhood.

    Its transforms can be computed in overlapping tiles, in bounded memory, with the same result:

        image ─pad─ blocks of stride × stride pixels ─analysis→ latent
        latent, fineness ─refine→ features, one vector a position ─render→ blocks ─crop─ image

    The image is padded to whole blocks; the latent has one position per block. A latent position may depend on
    pixels of blocks up to `analysis_halo` positions away, features on latents up to `refine_halo` positions away,
    and pixels on features up to `render_halo` positions away. None may depend on statistics of the whole image.
    """

    stride: int
    """The side, in pixels, of the block of one latent position."""
    smallest: int = 1
    """The minimum height and width of a latent, in positions."""
    analysis_halo: int
    """The positions around a block whose pixels its latent may depend on."""
    refine_halo: int = 0
    """The positions around a feature whose latents it may depend on."""
    render_halo: int
    """The positions around a block whose features its pixels may depend on."""

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the number of blocks in each direction, incomplete ones included, but at least `smallest`."""
        return max(self.smallest, -(-height // self.stride)), max(self.smallest, -(-width // self.stride))

    def margins(self, height: int, width: int) -> Margins:
        """Return the pixels to add around an image of height × width pixels, which is then centered."""
        h, w = self.latent_size(height, width)
        down, across = h * self.stride - height, w * self.stride - width
        return Margins(down // 2, down - down // 2, across // 2, across - across // 2)

    def pad(self, image: Tensor, margins: Margins) -> Tensor:
        """Add margins to an image (B, colors, H, W) by repeating its edges."""
        if not torch.compiler.is_compiling() and not any(margins):  # an exported program is for any size
            return image
        top, bottom, left, right = margins
        return nn.functional.pad(image, (left, right, top, bottom), mode="replicate")

    def padded(self, image: Tensor) -> Tensor:
        """Pad an image (B, colors, H, W) to whole blocks."""
        return self.pad(image, self.margins(image.shape[2], image.shape[3]))

    def refine(self, latent: Tensor) -> Tensor:
        """Transform a latent (B, D, h, w) into features (B, F, h, w): the part of the synthesis at low resolution.

        A `fineness_aware` architecture takes a second argument, `fineness: Tensor | None = None`, (B,).
        """
        return latent

    def refine_with_fineness(self, latent: Tensor, fineness: Tensor | None) -> Tensor:
        """Call `refine` on a latent (B, D, h, w), with the fineness (B,) if the architecture is `fineness_aware`."""
        return cast(Any, self.refine)(latent, fineness) if self.fineness_aware else self.refine(latent)

    @abstractmethod
    def render(self, features: Tensor) -> Tensor:
        """Transform features (B, F, h, w) into whole blocks of pixels (B, colors, h·stride, w·stride)."""

    def synthesis(self, latent: Tensor, height: int, width: int, fineness: Tensor | None = None) -> Tensor:
        """Transform a latent (B, D, h, w) into an image (B, colors, height, width).

        fineness: (B,), used if the architecture is `fineness_aware`.
        """
        top, _, left, _ = self.margins(height, width)
        return self.render(self.refine_with_fineness(latent, fineness))[:, :, top : top + height, left : left + width]
