"""The transforms between image and latent."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn


class Architecture(nn.Module, ABC):
    """An analysis transform (image to latent) and a synthesis transform (latent to image).

    Images are float in [0, 1], (B, colors, H, W). Normalization and padding are the architecture's own
    business. Made as `Class(latent_channels=D, **options)`.
    """

    colors: int
    """1 for gray pictures, 3 for RGB."""
    latent_channels: int
    """D, the channels of the latent."""
    image_size: tuple[int, int] | None = None
    """(H, W) where only pictures of one size are taken."""
    fineness_aware: bool = False
    """Whether the synthesis is told how finely its latent was quantized: `synthesis` then takes `fineness`, (B,), from
    0 for the coarsest to 1 for the finest quantization, and so does `refine` of a `LocalArchitecture`."""
    precision: torch.dtype = torch.float32
    """In what the transforms of a trained model compute. In float64 pixels come out the same on every machine
    and with every number of threads, as a difference in the last bit no longer reaches what is rounded."""

    @abstractmethod
    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """(h, w) of the latent of an image of H×W pixels. Raises ImageError for a size it does not take."""

    @abstractmethod
    def analysis(self, image: Tensor) -> Tensor:
        """Image (B, colors, H, W) to latent (B, D, h, w)."""

    @abstractmethod
    def synthesis(self, latent: Tensor, height: int, width: int) -> Tensor:
        """Latent (B, D, h, w) to image (B, colors, height, width). Values may leave [0, 1] a little."""

    def synthesis_with_fineness(self, latent: Tensor, height: int, width: int, fineness: Tensor) -> Tensor:
        """The synthesis, told the fineness (B,) of each latent (B, D, h, w) where it is aware of it."""
        if not self.fineness_aware:
            return self.synthesis(latent, height, width)
        image: Tensor = cast(Any, self.synthesis)(latent, height, width, fineness)
        return image

    def normalize(self, image: Tensor) -> Tensor:
        """The image in the scale on which the distortion of training is measured."""
        return image


class Margins(NamedTuple):
    """Pixels that padding adds on each side of an image."""

    top: int
    bottom: int
    left: int
    right: int


class LocalArchitecture(Architecture):
    """An architecture for images of any size whose every output depends on its neighborhood alone.

    Such a transform can be worked out in tiles that overlap, in bounded memory, with the same result:

        image ─pad─ blocks of stride × stride pixels ─analysis→ latent
        latent, fineness ─refine→ features, one vector a position ─render→ blocks ─crop─ image

    An image is padded to whole blocks, of which the latent has one position each. Position (i, j) of the
    latent may depend on the pixels of blocks up to `analysis_halo` positions away; features on latents up to
    `refine_halo`, pixels on features up to `render_halo` positions away, and on no statistics of the image.
    """

    stride: int
    """Pixels a side of what one position of the latent stands for."""
    smallest: int = 1
    """Positions a side that a latent has at least."""
    analysis_halo: int
    refine_halo: int = 0
    render_halo: int

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """As many positions as there are blocks, also such that are not whole."""
        return max(self.smallest, -(-height // self.stride)), max(self.smallest, -(-width // self.stride))

    def margins(self, height: int, width: int) -> Margins:
        """What is added to an image of H×W pixels: the image is in the middle."""
        h, w = self.latent_size(height, width)
        down, across = h * self.stride - height, w * self.stride - width
        return Margins(down // 2, down - down // 2, across // 2, across - across // 2)

    def pad(self, image: Tensor, margins: Margins) -> Tensor:
        """Add margins to an image (B, colors, H, W), here by repeating its edges."""
        if not any(margins):
            return image
        top, bottom, left, right = margins
        return nn.functional.pad(image, (left, right, top, bottom), mode="replicate")

    def padded(self, image: Tensor) -> Tensor:
        """An image (B, colors, H, W) padded to whole blocks."""
        return self.pad(image, self.margins(image.shape[2], image.shape[3]))

    def refine(self, latent: Tensor) -> Tensor:
        """Latent (B, D, h, w) to features (B, F, h, w): the part of the synthesis that looks far but is small.

        One that is `fineness_aware` takes a second argument, `fineness: Tensor | None = None`.
        """
        return latent

    def refine_with_fineness(self, latent: Tensor, fineness: Tensor | None) -> Tensor:
        """`refine`, told the fineness where it is aware of it."""
        return cast(Any, self.refine)(latent, fineness) if self.fineness_aware else self.refine(latent)

    @abstractmethod
    def render(self, features: Tensor) -> Tensor:
        """Features (B, F, h, w) to whole blocks (B, colors, h·stride, w·stride)."""

    def synthesis(self, latent: Tensor, height: int, width: int, fineness: Tensor | None = None) -> Tensor:
        """Latent (B, D, h, w) to image (B, colors, height, width)."""
        top, _, left, _ = self.margins(height, width)
        return self.render(self.refine_with_fineness(latent, fineness))[:, :, top : top + height, left : left + width]
