"""Arrays ↔ pictures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from omega_core.errors import ImageError
from omega_core.images.pictures import Picture, check_size


def picture_of_array(array: NDArray[Any], max_pixels: int) -> Picture:
    """A picture of an array of uint8: (H, W), (H, W, 2), (H, W, 3) or (H, W, 4), of which 2 and 4 have opacity.

    Raises ImageError for another type or shape, or for more than `max_pixels` pixels.
    """
    if array.dtype != np.uint8:
        raise ImageError(f"an array of {array.dtype} is no picture here; give uint8 values from 0 to 255.")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4) or not array.size:
        raise ImageError(f"an array of shape {array.shape} is no picture here; give (H, W) or (H, W, 3).")
    check_size(array.shape[1], array.shape[0], max_pixels)
    colors = 1 if array.shape[2] < 3 else 3
    pixels = np.array(array[:, :, :colors].transpose(2, 0, 1), order="C")
    alpha = np.ascontiguousarray(array[:, :, -1]) if array.shape[2] in (2, 4) else None
    return Picture(pixels, alpha)
