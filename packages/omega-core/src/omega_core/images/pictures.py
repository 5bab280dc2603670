"""`Picture`: pixels, alpha and ICC profile as 8-bit arrays."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from omega_core.errors import ImageError, OmegaWarning
from omega_core.format.limits import MAX_KEPT_PROFILE_BYTES
from omega_core.images.alpha_and_profile import Plane
from omega_core.images.writing import to_pillow

if TYPE_CHECKING:
    from torch import Tensor

Pixels = NDArray[np.uint8]
"""(colors, H, W), with 1 color for gray or 3 for RGB."""

MAX_PIXELS = 89_478_485  # above it, Pillow warns
"""The default maximum number of pixels of a picture; larger ones are refused before memory is allocated."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture in upright orientation.

    pixels: (1, H, W) for gray or (3, H, W) for RGB.
    alpha: (H, W), uint8: the alpha plane, 0 transparent to 255 opaque; None without one.
    profile: its ICC profile; b"" without one.
    filled: whether the colors of invisible pixels were replaced (`without_invisible_colors`).
    """

    pixels: Pixels
    alpha: Plane | None = None
    profile: bytes = b""
    filled: bool = False

    @property
    def mode(self) -> str:
        """The mode in Pillow: L, LA, RGB or RGBA."""
        return ("L" if len(self.pixels) == 1 else "RGB") + ("" if self.alpha is None else "A")

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[2]

    @property
    def visible(self) -> NDArray[np.bool_] | None:
        """(H, W): whether a pixel is visible, that is, has an alpha above 0; None if all pixels are visible."""
        return None if self.alpha is None or self.alpha.all() else self.alpha > 0

    def to_array(self) -> NDArray[np.uint8]:
        """Return an array of uint8: (H, W) of gray, (H, W, 3) of RGB; with alpha (H, W, 2) or (H, W, 4)."""
        planes = self.pixels if self.alpha is None else np.concatenate([self.pixels, self.alpha[None]])
        return planes[0].copy() if len(planes) == 1 else np.ascontiguousarray(planes.transpose(1, 2, 0))

    def to_tensor(self) -> "Tensor":
        """Return the colors, without alpha, as a tensor (colors, H, W), float32 in [0, 1]."""
        import torch

        return torch.from_numpy(self.pixels.copy()).float() / 255

    def to_pillow(self) -> Image.Image:
        """Return a Pillow image, with alpha and profile.

        Warns (OmegaWarning) if the profile is left out because Pillow could not read a PNG with it.
        """
        image = to_pillow(self.pixels)
        if self.alpha is not None:
            image.putalpha(Image.fromarray(self.alpha))
        if len(self.profile) > MAX_KEPT_PROFILE_BYTES:
            message = f"the ICC profile of {len(self.profile)} bytes, more than Pillow reads from a PNG, is left out."
            warnings.warn(message, OmegaWarning, stacklevel=2)
        elif self.profile:
            image.info["icc_profile"] = self.profile
        return image


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise ImageError for a picture with more than `max_pixels` pixels."""
    if width * height > max_pixels:
        raise ImageError(
            f"{width}×{height} pixels are more than {max_pixels}; allow more with max_pixels (--max-pixels)."
        )
