"""Sums over the neighbors of positions, in NumPy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def around_sum(numbers: NDArray[Any]) -> NDArray[Any]:
    """Return twice the four neighbors and once those on the diagonals (…, h, w); 0 beyond the edge."""
    return _ring(padded_by_one(numbers), numbers)


def around_sum_with_edge(numbers: NDArray[Any]) -> NDArray[Any]:
    """Return the same sums, in which the edge stands for what is beyond it."""
    padded = padded_by_one(numbers)
    padded[..., 0, :], padded[..., -1, :] = padded[..., 1, :], padded[..., -2, :]
    padded[..., :, 0], padded[..., :, -1] = padded[..., :, 1], padded[..., :, -2]
    return _ring(padded, numbers)


def beside_sum(numbers: NDArray[Any]) -> NDArray[Any]:
    """Return the sum of the four neighbors (…, h, w); 0 beyond the edge."""
    padded = padded_by_one(numbers)
    total: NDArray[Any] = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
    total += padded[..., 1:-1, :-2]
    total += padded[..., 1:-1, 2:]
    return total


def padded_by_one(numbers: NDArray[Any]) -> NDArray[Any]:
    """Return numbers with a zero on each side of the last two axes: what `numpy.pad` does in ten times the time."""
    *others, height, width = numbers.shape
    padded = np.zeros((*others, height + 2, width + 2), numbers.dtype)
    padded[..., 1:-1, 1:-1] = numbers
    return padded


def _ring(padded: NDArray[Any], numbers: NDArray[Any]) -> NDArray[Any]:
    """A 3×3 sum of 1 2 1, in two steps, without the middle."""
    rows = padded[..., :-2, :] + padded[..., 2:, :]
    rows += 2 * padded[..., 1:-1, :]
    whole: NDArray[Any] = rows[..., :-2] + rows[..., 2:]
    whole += 2 * rows[..., 1:-1]
    whole -= 4 * numbers
    return whole
