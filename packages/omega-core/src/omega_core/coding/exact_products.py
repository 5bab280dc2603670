"""Matrix products and convolutions of integers in float32.

They are exact, and so the same in any order, on every machine, as long as no sum reaches 2²⁴ in units of the last bit.
If torch is already imported, it computes them, because its kernels are the fastest.
"""

import sys

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_ALONE = 1 << 18
"""Up to this many products of numbers, OpenBLAS computes a matrix product in one thread. Several threads wait for each
other by spinning, which takes ten times as long as the product on a busy machine."""


def product(left: Floats, right: Floats, added: Floats | None = None) -> Floats:
    """Return the matrix product (P, R) of two matrices (P, N) and (N, R).

    added: (R,), (P, 1) or (P, R), an array that is added to the product.
    """
    found: Floats
    if torch := sys.modules.get("torch"):
        # callers may use autocast to 16 bits, which do not hold all integers
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            factors = torch.from_numpy(left), torch.from_numpy(right)
            if added is None:
                found = (factors[0] @ factors[1]).numpy()
            else:
                found = torch.addmm(torch.from_numpy(added), *factors).numpy()
        return found
    found = np.empty((len(left), right.shape[1]), np.float32)
    if len(left) < right.shape[1]:
        _multiply(right.T, left.T, found.T)
    else:
        _multiply(left, right, found)
    if added is not None:
        found += added
    return found


def _multiply(left: Floats, right: Floats, found: Floats) -> None:
    """Write the product of two matrices, some rows at a time."""
    at_once = max(1, _ALONE // max(1, right.size))
    parts = len(left) // at_once
    blocks = [
        as_strided(each, (parts, at_once, each.shape[1]), (at_once * each.strides[0], *each.strides))
        for each in (left, found)
    ]
    np.matmul(blocks[0], right, out=blocks[1])
    np.matmul(left[parts * at_once :], right, out=found[parts * at_once :])


def convolved(weights: Floats, bias: Floats, numbers: Floats) -> Floats:
    """Return the depthwise 3×3 convolution of numbers (h, w, W), padded with zeros.

    weights: (W, 3, 3). bias: (W,).
    """
    found: Floats
    if torch := sys.modules.get("torch"):
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            channels = torch.from_numpy(numbers)[None].permute(0, 3, 1, 2)  # channels last in memory, which is fastest
            kernels, offsets = torch.from_numpy(weights[:, None]), torch.from_numpy(bias)
            summed = torch.nn.functional.conv2d(channels, kernels, offsets, padding=1, groups=len(weights))
            found = summed[0].permute(1, 2, 0).numpy()
        return found
    height, width, count = numbers.shape
    padded = np.zeros((height + 2, width + 2, count), np.float32)
    padded[1:-1, 1:-1] = numbers
    # whole rows at once: loops over the numbers of one position are too short to be fast
    rows, kernels = padded.reshape(height + 2, -1), np.tile(np.moveaxis(weights, 0, -1), width)
    found, weighted = np.empty((2, height, width * count), np.float32)
    found[:] = np.tile(bias, width)
    for y, x in np.ndindex(3, 3):
        np.multiply(rows[y : y + height, x * count : (x + width) * count], kernels[y, x], out=weighted)
        found += weighted
    return found.reshape(numbers.shape)
