"""Products of integers in float32, by torch and by NumPy alone, against 64-bit integers."""

import numpy as np
import pytest
import torch

from omega_core.coding import exact_products
from omega_core.coding.exact_products import convolved, product


@pytest.fixture(params=["torch", "numpy"])
def kernels(request, monkeypatch):
    """Those of torch, or those of NumPy, as where torch is not imported."""
    if request.param == "numpy":
        monkeypatch.setattr(exact_products.sys, "modules", {})
        monkeypatch.setattr(torch, "from_numpy", lambda _: pytest.fail("torch was used"))


def integers(*shape, seed=0):
    return np.random.default_rng(seed).integers(-127, 128, shape)


@pytest.mark.parametrize("columns", [1, 5, 300, 4097])
@pytest.mark.parametrize("rows", [1, 58, 96])
def test_matrix_products_are_exact(kernels, rows, columns):
    weights, numbers = integers(rows, 97), integers(97, columns, seed=1)
    found = product(weights.astype(np.float32), numbers.astype(np.float32))
    assert found.dtype == np.float32
    assert np.array_equal(found, weights @ numbers)


def test_weights_may_be_some_columns_of_an_array(kernels):
    weights, numbers = integers(96, 200), integers(30, 700, seed=1)
    found = product(weights.astype(np.float32)[:, 40:70], numbers.astype(np.float32))
    assert np.array_equal(found, weights[:, 40:70] @ numbers)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 1), (7, 6), (32, 48)])
def test_convolutions_are_exact(kernels, size):
    weights, bias, numbers = integers(5, 3, 3), integers(5, seed=1), integers(5, *size, seed=2)
    padded = np.pad(numbers, ((0, 0), (1, 1), (1, 1)))
    wanted = np.broadcast_to(bias[:, None, None], numbers.shape).copy()
    for y, x in np.ndindex(3, 3):
        wanted += weights[:, y, x, None, None] * padded[:, y : y + size[0], x : x + size[1]]
    found = convolved(*(each.astype(np.float32) for each in (weights, bias, numbers)))
    assert np.array_equal(found, wanted)
