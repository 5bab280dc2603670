"""PSNR of a decoded picture."""

import numpy as np

from omega_core.images.pictures import Pixels


def psnr(original: Pixels, decoded: Pixels) -> float:
    """Return the peak signal-to-noise ratio in dB over all colors of two pictures (colors, H, W); infinite if equal."""
    difference = original.astype(np.int16) - decoded
    error = float(np.mean(np.square(difference, dtype=np.float32), dtype=np.float64))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))
