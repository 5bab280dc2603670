"""PSNR of a decoded picture."""

import numpy as np
from numpy.typing import NDArray

from omega_core.images.pictures import Pixels


def psnr(original: Pixels, decoded: Pixels, visible: NDArray[np.bool_] | None = None) -> float:
    """Return the peak signal-to-noise ratio in dB over all colors of two pictures (colors, H, W); infinite if equal.

    visible: (H, W): whether a pixel counts; None if all do.
    """
    difference = original.astype(np.int16) - decoded
    if visible is not None:
        difference = difference[:, visible]
    if not difference.size:
        return float("inf")
    error = float(np.mean(np.square(difference, dtype=np.float32), dtype=np.float64))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))
