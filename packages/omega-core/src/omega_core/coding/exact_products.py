"""Matrix products and convolutions of integers in float32.

They are exact, and so the same in any order, on every machine, as long as no sum in them reaches 2²⁴ in units of the
last bit. Where torch is there already, it computes them: its kernels are the quickest.
"""

import sys

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_ALONE = 1 << 18
"""Products in a matrix product up to which OpenBLAS lets one thread do it. More of them wait for each other by
spinning, which on a busy machine takes ten times as long as the product."""


def product(weights: Floats, numbers: Floats) -> Floats:
    """Return the matrix product (R, P) of weights (R, N) and numbers (N, P)."""
    found: Floats
    if torch := sys.modules.get("torch"):
        with torch.inference_mode():
            found = (torch.from_numpy(weights) @ torch.from_numpy(numbers)).numpy()
        return found
    rows, columns = len(weights), numbers.shape[1]
    found = np.empty((rows, columns), np.float32)
    at_once = max(1, _ALONE // weights.size)
    parts = columns // at_once
    blocks = [
        as_strided(each, (parts, len(each), at_once), (at_once * each.itemsize, *each.strides))
        for each in (numbers, found)
    ]
    np.matmul(weights, blocks[0], out=blocks[1])
    np.matmul(weights, numbers[:, parts * at_once :], out=found[:, parts * at_once :])
    return found


def convolved(weights: Floats, bias: Floats, numbers: Floats) -> Floats:
    """Return the 3×3 convolution of each of the numbers (W, h, w) by itself; 0 is beyond the edge.

    weights: (W, 3, 3). bias: (W,), which is added.
    """
    found: Floats
    if torch := sys.modules.get("torch"):
        with torch.inference_mode():
            given = [torch.from_numpy(each) for each in (numbers[None], weights[:, None], bias)]
            found = torch.nn.functional.conv2d(*given, padding=1, groups=len(weights)).numpy()[0]
        return found
    count, height, width = numbers.shape
    padded = np.zeros((count, height + 2, width + 2), np.float32)
    padded[:, 1:-1, 1:-1] = numbers
    windows = as_strided(padded, (count, 3, 3, height, width), (padded.strides[0], *2 * padded.strides[1:]))
    summed = weights.reshape(count, 1, 9) @ windows.reshape(count, 9, height * width)
    found = summed.reshape(numbers.shape)
    found += bias[:, None, None]
    return found
