"""Pictures in memory."""

import numpy as np
from numpy.typing import NDArray

from omega_train.data.identity import digest


class ArrayImages:
    """Pictures of one size. pixels: (N, colors, H, W), uint8."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def load(self, index: int, seed: int) -> NDArray[np.uint8]:
        """Picture `index`, (colors, H, W); the seed is not used."""
        picture: NDArray[np.uint8] = self.pixels[index]
        return picture

    def identity(self) -> tuple[list[bytes], list[str]]:
        """See `Identified`."""
        return [digest(picture.tobytes()) for picture in self.pixels], [f"picture {i}" for i in range(len(self))]
