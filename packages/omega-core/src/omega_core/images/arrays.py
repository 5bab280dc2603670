"""Conversion of arrays and tensors to pictures."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from omega_core.errors import ImageError
from omega_core.images.pictures import Picture, check_size

if TYPE_CHECKING:
    from torch import Tensor


def picture_of_array(array: NDArray[Any], max_pixels: int) -> Picture:
    """Convert an array to a picture.

    array: uint8, (H, W) or (H, W, 1) for gray, (H, W, 3) for RGB; (H, W, 2) and (H, W, 4) with alpha.
    max_pixels: the maximum number of pixels.

    Raises ImageError for another type or shape, or for more pixels.
    """
    if array.dtype != np.uint8:
        raise ImageError(
            f"an array of {array.dtype} is not a picture; give uint8 values from 0 to 255, or a tensor (colors, H, W)"
            " of floating-point values from 0 to 1."
        )
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4) or not array.size:
        raise ImageError(
            f"an array of shape {array.shape} is not a picture; give (H, W) or (H, W, 3), and several as a list."
        )
    check_size(array.shape[1], array.shape[0], max_pixels)
    colors = 1 if array.shape[2] < 3 else 3
    pixels = np.array(array[:, :, :colors].transpose(2, 0, 1), order="C")
    alpha = np.ascontiguousarray(array[:, :, -1]) if array.shape[2] in (2, 4) else None
    return Picture(pixels, alpha)


def picture_of_tensor(tensor: "Tensor", max_pixels: int) -> Picture:
    """Convert a tensor to a picture, rounded to 256 levels.

    tensor: (colors, H, W) or (1, colors, H, W), 1 or 3 colors, of any floating-point type, in [0, 1].
    max_pixels: the maximum number of pixels.

    Raises ImageError for another type, shape or value, or for more pixels.
    """
    if tensor.is_meta or str(tensor.layout) != "torch.strided" or tensor.is_nested:
        raise ImageError("a tensor without values, a sparse or a nested one is not a picture; give a dense one.")
    if not tensor.is_floating_point():
        raise ImageError(f"a tensor of {tensor.dtype} is not a picture; give floating-point values from 0 to 1.")
    image = tensor[0] if tensor.ndim == 4 and len(tensor) == 1 else tensor
    if image.ndim != 3 or len(image) not in (1, 3) or not image.numel():
        raise ImageError(
            f"a tensor of shape {tuple(tensor.shape)} is not a picture; give (colors, H, W) with 1 or 3 colors."
        )
    check_size(image.shape[2], image.shape[1], max_pixels)
    values = image.detach().cpu()
    values = values.double() if values.element_size() == 8 else values.float()
    low, high = values.min().item(), values.max().item()
    if not (low >= 0 and high <= 1):  # also true for NaN
        raise ImageError(f"a tensor of values from {low:g} to {high:g} is not a picture; give values from 0 to 1.")
    return Picture(np.ascontiguousarray((values * 255).round().numpy().astype(np.uint8)))
