"""Bits of intervals of a mixture of Laplacians: values and gradients are those that torch finds by the formula."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Laplace

from omega_entropy.priors.laplace_mixture import _half_exponential, interval_bits

BATCH, CHANNELS, SIDE, COMPONENTS = 40, 300, 3, 3


def by_formula(distance: Tensor, half_width: Tensor, log_scales: Tensor, log_factor: Tensor, shares: Tensor) -> Tensor:
    chance = torch.zeros_like(distance)
    for log_scale, share in zip(log_scales[:, :, None, None], shares[:, :, None, None], strict=True):
        laplacian = Laplace(torch.zeros_like(distance), (log_scale + log_factor).exp())
        ends = [laplacian.cdf(distance.abs() + side * half_width) for side in (1, -1)]
        chance = chance + share * (ends[0] - ends[1])
    return -chance.log2()


@pytest.fixture
def given() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    latents = (BATCH, CHANNELS, SIDE, SIDE)
    return {
        "distance": normal(*latents),
        "half_width": normal(BATCH, CHANNELS, 1, 1).square() + 0.1,
        "log_scales": 0.3 * normal(COMPONENTS, CHANNELS),
        "log_factor": 0.3 * normal(*latents),
        "shares": normal(COMPONENTS, CHANNELS).softmax(0),
    }


@pytest.mark.parametrize("of_channels", [True, False])
def test_a_batch_of_many_parts_has_the_gradients_of_the_formula(given: dict[str, Tensor], of_channels: bool) -> None:
    if not of_channels:
        given["half_width"] = given["half_width"][:, :1]
    weights = torch.rand(given["distance"].shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    results = []
    for bits_of in (by_formula, interval_bits):
        tensors = {name: tensor.clone().requires_grad_() for name, tensor in given.items()}
        bits = bits_of(**tensors)
        (bits * weights).sum().backward()
        results.append({"bits": bits.detach()} | {name: tensor.grad for name, tensor in tensors.items()})
    for name, expected in results[0].items():
        torch.testing.assert_close(results[1][name], expected, rtol=1e-8, atol=1e-8, msg=name)


def test_without_a_factor_scales_are_those_of_the_channels(given: dict[str, Tensor]) -> None:
    ones = given | {"log_factor": torch.zeros_like(given["distance"])}
    assert torch.equal(interval_bits(**given | {"log_factor": None}), interval_bits(**ones))  # type: ignore[arg-type]


def test_what_is_next_to_impossible_has_thirty_bits_and_no_gradient() -> None:
    distance = torch.full((1, 1, 1, 1), 1e6, requires_grad=True)
    one = torch.ones(1, 1)
    bits = interval_bits(distance, torch.full((1, 1, 1, 1), 0.5), torch.zeros(1, 1), None, one)
    assert float(bits.detach()) == pytest.approx(-math.log2(1e-9))
    bits.backward()
    assert distance.grad is not None
    assert float(distance.grad) == 0


def test_tails_far_out_are_normal_numbers() -> None:
    tail = _half_exponential(torch.linspace(0, 150, 1000))
    assert tail.min() >= torch.finfo(torch.float32).tiny
