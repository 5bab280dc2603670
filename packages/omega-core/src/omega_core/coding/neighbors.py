"""Sums over the neighbors of positions, in NumPy.

Numbers are padded with zeros, and added as one long row, because the rows of a picture are too short to be fast. Sums
across the ends of rows are left out of the result. Types of a few bits are several times as fast; sums of integers are
right if the result fits its type.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def around_sum(numbers: NDArray[Any]) -> NDArray[Any]:
    """Return the sum of neighbors (…, h, w), twice the four direct and once the diagonal ones; 0 beyond the edge."""
    return _ring(padded_by_one(numbers))


def around_sum_with_edge(numbers: NDArray[Any]) -> NDArray[Any]:
    """Return the same sums, with the numbers at the edge repeated beyond it."""
    padded = padded_by_one(numbers)
    padded[..., 0, :], padded[..., -1, :] = padded[..., 1, :], padded[..., -2, :]
    padded[..., :, 0], padded[..., :, -1] = padded[..., :, 1], padded[..., :, -2]
    return _ring(padded)


def beside_sum(numbers: NDArray[Any]) -> NDArray[Any]:
    """Return the sum of the four direct neighbors (…, h, w); 0 beyond the edge."""
    padded = padded_by_one(numbers)
    flat, width = padded.reshape(-1), padded.shape[-1]
    total = flat[1 : -2 * width - 1] + flat[2 * width + 1 : -1]
    total += flat[width : -width - 2]
    total += flat[width + 2 : -width]
    return _unpadded(total, padded)


def padded_by_one(numbers: NDArray[Any]) -> NDArray[Any]:
    """Return numbers with a zero on each side of the last two axes, ten times as fast as `numpy.pad`."""
    *others, height, width = numbers.shape
    padded = np.zeros((*others, height + 2, width + 2), numbers.dtype)
    padded[..., 1:-1, 1:-1] = numbers
    return padded


def _ring(padded: NDArray[Any]) -> NDArray[Any]:
    """The 3×3 sum with the weights 1 2 1 in both directions, in two steps, without the middle."""
    flat, width = padded.reshape(-1), padded.shape[-1]
    rows = flat[: -2 * width] + flat[2 * width :]
    for _ in range(2):
        rows += flat[width:-width]
    whole: NDArray[Any] = rows[:-2] + rows[2:]
    for _ in range(2):
        whole += rows[1:-1]
    whole -= 4 * flat[width + 1 : -width - 1]
    return _unpadded(whole, padded)


def _unpadded(flat: NDArray[Any], padded: NDArray[Any]) -> NDArray[Any]:
    """The numbers (…, h, w) of positions, from those of the padded array from the first position to the last."""
    found = np.empty(padded.shape, flat.dtype)
    found.reshape(-1)[: flat.size] = flat
    return found[..., :-2, :-2]
