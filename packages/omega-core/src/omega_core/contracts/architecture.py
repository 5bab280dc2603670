"""The transforms between image and latent."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Architecture(nn.Module, ABC):
    """An analysis transform (image to latent) and a synthesis transform (latent to image).

    Images are float in [0, 1], (B, colours, H, W). Normalisation and padding are the architecture's own
    business. Made as `Class(latent_channels=D, **options)`.
    """

    colours: int
    """1 for grey pictures, 3 for RGB."""
    latent_channels: int
    """D, the channels of the latent."""
    image_size: tuple[int, int] | None = None
    """(H, W) where only pictures of one size are taken."""
    precision: torch.dtype = torch.float32
    """In what the transforms of a trained model compute. In float64 pixels come out the same on every machine
    and with every number of threads, as a difference in the last bit no longer reaches what is rounded."""

    @abstractmethod
    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """(h, w) of the latent of an image of H×W pixels. Raises ImageError for a size it does not take."""

    @abstractmethod
    def analysis(self, image: Tensor) -> Tensor:
        """Image (B, colours, H, W) to latent (B, D, h, w)."""

    @abstractmethod
    def synthesis(self, latent: Tensor, height: int, width: int) -> Tensor:
        """Latent (B, D, h, w) to image (B, colours, height, width). Values may leave [0, 1] a little."""

    def normalise(self, image: Tensor) -> Tensor:
        """The image in the scale on which the distortion of training is measured."""
        return image
