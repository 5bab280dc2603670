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


@pytest.mark.parametrize("rows", [1, 5, 300, 4097])
@pytest.mark.parametrize("columns", [1, 58, 96])
@pytest.mark.parametrize("transposed", [False, True])
def test_matrix_products_are_exact(kernels, rows, columns, transposed):
    left, right = integers(rows, 97), integers(97, columns, seed=1)
    wanted = left @ right
    left, right = left.astype(np.float32), right.astype(np.float32)
    found = product(right.T, left.T).T if transposed else product(left, right)
    assert found.dtype == np.float32
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize("shape", [(58,), (300, 1), (300, 58)])
def test_what_is_added_to_a_product_is_of_columns_rows_or_both(kernels, shape):
    left, right, added = integers(300, 97), integers(97, 58, seed=1), integers(*shape, seed=2)
    found = product(*(each.astype(np.float32) for each in (left, right, added)))
    assert np.array_equal(found, left @ right + added)


def test_factors_may_be_parts_of_arrays(kernels):
    left, right = integers(700, 60), integers(200, 96, seed=1)
    found = product(left.astype(np.float32)[:, 10:40], right.astype(np.float32)[40:70])
    assert np.array_equal(found, left[:, 10:40] @ right[40:70])


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 1), (7, 6), (32, 48)])
@pytest.mark.parametrize("width", [1, 5, 96])
def test_convolutions_are_exact(kernels, size, width):
    weights, bias, numbers = integers(width, 3, 3), integers(width, seed=1), integers(*size, width, seed=2)
    padded = np.pad(numbers, ((1, 1), (1, 1), (0, 0)))
    wanted = np.broadcast_to(bias, numbers.shape).copy()
    for y, x in np.ndindex(3, 3):
        wanted += weights[:, y, x] * padded[y : y + size[0], x : x + size[1]]
    found = convolved(*(each.astype(np.float32) for each in (weights, bias, numbers)))
    assert found.shape == wanted.shape
    assert np.array_equal(found, wanted)
