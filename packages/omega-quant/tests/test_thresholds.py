"""Symbols by thresholds are those whose activations are nearest to zero."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from omega_quant import OmegaQuantizer
from omega_quant.factored import factored_nearest
from omega_quant.scalar_cells import Cells
from omega_quant.thresholds import Thresholds


def found(slope, bias, x):
    return Thresholds.of(slope, bias).find(x)


def nearest(slope, bias, x):
    return (slope[:, :, None] * x[:, None] + bias[:, :, None]).abs().argmin(dim=1)


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(2, 9), st.booleans())
def test_they_give_what_activations_give(seed, channels, symbols, some_alike):
    torch.manual_seed(seed)
    slope, bias = torch.randn(2, channels, symbols, dtype=torch.double)
    if some_alike:  # slopes of 0, equal symbols, opposite ones
        slope[:, 0], slope[0, -1], bias[0, -1] = 0.0, -slope[0, 0], -bias[0, 0]
    x = torch.randn(channels, 200, dtype=torch.double) * 10 ** torch.empty(1).uniform_(-2, 3)
    activations = (slope[:, :, None] * x[:, None] + bias[:, :, None]).abs()
    chosen = activations.gather(1, found(slope, bias, x)[:, None])[:, 0]
    torch.testing.assert_close(chosen, activations.amin(dim=1), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("cells", [Cells.uniform(10), Cells.dead_zone(10), Cells.halves(10)], ids=["1", "2", "3"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_of_equally_near_symbols_it_is_the_first(cells, dtype):
    slope, bias = cells.slope[None].to(dtype), cells.bias[None].to(dtype)
    x = torch.arange(-40, 41, dtype=dtype)[None] / 4  # ties at halves and whole numbers
    assert torch.equal(found(slope, bias, x), nearest(slope, bias, x))
    assert torch.equal(found(-slope, -bias, x), nearest(-slope, -bias, x))
    turned = slope.flip(1), bias.flip(1)
    assert torch.equal(found(*turned, x), nearest(*turned, x))


def test_symbols_of_many_thresholds():
    slope, bias = torch.ones(2, 300), -torch.arange(300.0).repeat(2, 1)
    x = 300 * torch.rand(2, 500)
    assert torch.equal(found(slope, bias, x), nearest(slope, bias, x))


@pytest.mark.parametrize("symbols", [10, 300])
def test_a_quantizer_finds_the_nearest_of_few_and_of_many_symbols(symbols):
    torch.manual_seed(0)
    omega = OmegaQuantizer(latent_channels=2, channels=2, alphabet=symbols, start="scalar", rank=1).eval()
    latent = symbols * torch.randn(1, 2, 9, 11)
    z = latent[0].flatten(1).T
    assert torch.equal(
        omega.symbols(latent)[0].flatten(1), factored_nearest(z, omega.direction, omega.slope, omega.bias)
    )


def test_thresholds_between_numbers_of_a_type_are_not_rounded_across_them():
    slope, bias = torch.tensor([[1.0, 1.0]]), torch.tensor([[0.0, -2 / 3]])  # a third is no float
    third = torch.tensor(1 / 3)
    x = torch.stack([torch.nextafter(third, torch.tensor(0.0)), third, torch.nextafter(third, torch.tensor(1.0))])[None]
    in_double = nearest(slope.double(), bias.double(), x.double())
    assert torch.equal(found(slope, bias, x), in_double)


def test_numbers_that_are_none_have_symbols_too():
    x = torch.tensor([[torch.nan, torch.inf, -torch.inf]])
    symbols = found(torch.ones(1, 4), -torch.arange(4.0)[None], x)
    assert symbols.tolist() == [[0, 3, 0]]


def test_a_quantizer_computes_them_again_when_its_parameters_change():
    torch.manual_seed(0)
    omega = OmegaQuantizer(latent_channels=4, channels=4, alphabet=6, start="scalar", rank=1).eval()
    latent = 3 * torch.randn(1, 4, 8, 8)

    def are_nearest():
        symbols = omega.symbols(latent)
        z = latent.flatten(2)[0].T
        return torch.equal(symbols[0].flatten(1), factored_nearest(z, omega.direction, omega.slope, omega.bias))

    assert are_nearest()
    first = omega._thresholds[0]
    assert are_nearest()
    assert omega._thresholds[0] is first
    omega.bias.data.add_(0.3)
    assert are_nearest()
    assert omega._thresholds[0] is not first
    assert torch.equal(copy.deepcopy(omega).symbols(latent), omega.symbols(latent))
    omega.double()
    assert omega.symbols(latent).dtype == torch.int64
