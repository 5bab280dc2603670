"""Pictures that are all in memory."""

import numpy as np
from numpy.typing import NDArray


class ArrayImages:
    """Pictures of one size, (N, colors, H, W)."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def load(self, index: int, seed: int) -> NDArray[np.uint8]:
        """Picture `index`, always the same."""
        picture: NDArray[np.uint8] = self.pixels[index]
        return picture
