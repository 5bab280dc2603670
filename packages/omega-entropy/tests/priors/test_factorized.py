"""The density is compared with Ballé's definition, written with plain loops over plain numbers."""

import copy
import math

import numpy as np
import pytest
import torch

from omega_core.coding.order import SymbolArrays, in_order
from omega_entropy import FactorizedPrior

C, S, LOWEST = 3, 16, -7
HIGHEST = LOWEST + S - 1


def make(alphabet=S, lowest=LOWEST, dtype=torch.float64, seed=0):
    """A density that has learned something."""
    torch.manual_seed(seed)
    prior = FactorizedPrior(channels=C, alphabet=alphabet, lowest=lowest)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(torch.randn_like(parameter))
    return prior.to(dtype)


@pytest.fixture
def prior():
    return make()


def cumulative_logit(prior, channel, value):
    """F(v) for one channel: x ← softplus(H)·x + b, then x ← x + tanh(a) ⊙ tanh(x) but for the last."""
    x = [value]
    for k, (matrix, bias) in enumerate(zip(prior.matrices, prior.biases, strict=True)):
        rows = matrix[channel].tolist()
        x = [
            sum(math.log1p(math.exp(h)) * v for h, v in zip(row, x, strict=True)) + b
            for row, (b,) in zip(rows, bias[channel].tolist(), strict=True)
        ]
        if k < len(prior.factors):
            x = [v + math.tanh(a) * math.tanh(v) for v, (a,) in zip(x, prior.factors[k][channel].tolist(), strict=True)]
    return x[0]


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def definition(prior, channel, value):
    """The probability of v ± ½, of everything outside too for the end symbols."""
    upper = 1.0 if value >= HIGHEST else sigmoid(cumulative_logit(prior, channel, value + 0.5))
    lower = 0.0 if value <= LOWEST else sigmoid(cumulative_logit(prior, channel, value - 0.5))
    return upper - lower


def all_values(prior):
    values = torch.arange(prior.lowest, prior.highest + 1, dtype=torch.float64)
    return values.expand(1, C, 1, -1)


def test_the_likelihood_is_that_of_the_paper(prior):
    values = [LOWEST, -5.25, -1.0, 0.0, 0.3, 2.5, HIGHEST - 0.01, HIGHEST]
    found = prior.likelihood(torch.tensor(values, dtype=torch.float64).expand(2, C, 1, -1))
    expected = [[definition(prior, channel, value) for value in values] for channel in range(C)]
    for sample in found:
        torch.testing.assert_close(sample[:, 0], torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-14)


def test_it_starts_as_wide_as_the_paper_says():
    prior = FactorizedPrior(channels=1, alphabet=1024, lowest=-511).double()
    slope = math.prod(torch.nn.functional.softplus(matrix[0]).sum(dim=1)[0].item() for matrix in prior.matrices)
    assert slope == pytest.approx(1 / 10)
    assert all((factor == 0).all() for factor in prior.factors)
    assert all((bias.abs() <= 0.5).all() for bias in prior.biases)


@pytest.mark.parametrize("seed", range(3))
def test_the_symbols_have_all_the_probability_tails_included(seed):
    prior = make(seed=seed)
    likelihood = prior.likelihood(all_values(prior))
    torch.testing.assert_close(likelihood.sum(dim=3).flatten(), torch.ones(C, dtype=torch.float64))


@pytest.mark.parametrize("offset", [0.0, 0.25, -0.4])
def test_values_between_integers_share_one_density(offset):
    wide = FactorizedPrior(channels=C, alphabet=2048, lowest=-1023).double()
    values = torch.arange(-900, 901, dtype=torch.float64) + offset
    total = wide.likelihood(values.expand(1, C, 1, -1)).sum(dim=3)
    torch.testing.assert_close(total.flatten(), torch.ones(C, dtype=torch.float64), rtol=0, atol=1e-5)


def test_code_lengths_are_those_of_the_likelihood(prior):
    lengths = prior.code_lengths(3, 4)
    assert lengths.shape == (C, 1, S)
    torch.testing.assert_close(lengths[:, 0], -prior.likelihood(all_values(prior))[0, :, 0].log2())


def test_channels_positions_and_samples_keep_their_places(prior):
    values = torch.randint(LOWEST, HIGHEST + 1, (4, C, 3, 5), generator=torch.Generator().manual_seed(2)).double()
    lengths = prior.code_lengths(3, 5)[:, 0]
    index = (values.long() - LOWEST).transpose(0, 1).reshape(C, -1)
    expected = lengths.gather(1, index).reshape(C, 4, 3, 5).transpose(0, 1)
    torch.testing.assert_close(-prior.likelihood(values).log2(), expected)


def test_frozen_tables_are_close_to_the_likelihood(prior):
    frozen = prior.freeze()
    likelihood = prior.likelihood(all_values(prior))[0, :, 0].detach().numpy()
    counts = np.diff(frozen.cumulative, axis=1)
    assert frozen.rows.tolist() == [[0], [1], [2]]
    assert counts.min() >= 1
    bits = (likelihood * -np.log2(likelihood)).sum(axis=1)
    assert ((likelihood * (16 - np.log2(counts))).sum(axis=1) - bits).max() < 1e-3
    common = likelihood > 2**-10
    np.testing.assert_allclose(counts[common] / 2**16, likelihood[common], rtol=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_freezing_leaves_the_prior_as_it_was(dtype):
    prior = make(dtype=dtype)
    parameters, before = list(prior.parameters()), copy.deepcopy(prior.state_dict())
    prior.freeze()
    for now, then in zip(prior.parameters(), parameters, strict=True):
        assert now is then
        assert now.requires_grad
    for name, tensor in prior.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name])


def test_freezing_works_in_float64_whatever_the_prior_is_in():
    single = make(alphabet=512, lowest=-255, dtype=torch.float32, seed=4)  # float32 differs in 57 counts
    double = copy.deepcopy(single).double()
    assert np.array_equal(single.freeze().cumulative, double.freeze().cumulative)


def test_the_likelihood_is_never_below_its_bound_but_can_be_pushed_up():
    prior = FactorizedPrior(channels=1, alphabet=2048, lowest=-1023).double()
    value = torch.full((1, 1, 1, 1), 250.0, dtype=torch.float64, requires_grad=True)
    likelihood = prior.likelihood(value)
    assert likelihood.item() == 1e-9
    up, down = (torch.autograd.grad(s * likelihood.sum(), value, retain_graph=True)[0].item() for s in (-1, 1))
    assert up > 0, "a smaller value would be likelier"
    assert down == 0
    (-likelihood.log2()).sum().backward()
    assert value.grad.item() > 0
    assert any(parameter.grad.abs().max() > 0 for parameter in prior.parameters())


def test_above_the_bound_the_gradient_is_that_of_the_density(prior):
    values = torch.tensor([-3.2, 0.1, 4.0], dtype=torch.float64).expand(1, C, 1, 3).clone().requires_grad_()
    assert torch.autograd.gradcheck(prior.likelihood, values)


def test_gradients_are_finite_at_the_ends_of_the_alphabet(prior):
    values = torch.tensor([LOWEST, HIGHEST], dtype=torch.float64).expand(1, C, 1, 2).clone().requires_grad_()
    (-prior.likelihood(values).log2()).sum().backward()
    assert values.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in prior.parameters())


def test_far_tails_are_as_precise_on_both_sides():
    prior = FactorizedPrior(channels=1, alphabet=512, lowest=-255)
    with torch.no_grad():
        for bias in prior.biases:
            bias.zero_()
    left, right = (prior.likelihood(torch.full((1, 1, 1, 1), sign * 120.0)).item() for sign in (-1, 1))
    assert left == pytest.approx(right, rel=1e-4)
    assert 1e-9 < left < 1e-5


def test_far_tails_are_normal_numbers(monkeypatch):
    prior = FactorizedPrior(channels=1, alphabet=256, lowest=-127)
    monkeypatch.setattr(prior, "_logits", lambda values: 100 * values)
    values = torch.linspace(-2, 2, 1001)[None].requires_grad_()
    probability = prior._probability(values)
    (slope,) = torch.autograd.grad(probability.sum(), values)
    for found in (probability.detach(), slope.abs()):
        assert ((found == 0) | (found >= torch.finfo(torch.float32).tiny)).all()


def test_it_trains_towards_what_it_sees():
    torch.manual_seed(0)
    prior = FactorizedPrior(channels=1, alphabet=32, lowest=-15)
    values = (2 * torch.randn(256, 1, 2, 2) + 3).round().clamp(-15, 16)
    bits = []
    for _ in range(60):
        rate = -prior.likelihood(values).log2().mean()
        gradients = torch.autograd.grad(rate, list(prior.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(prior.parameters(), gradients, strict=True):
                parameter.sub_(0.2 * gradient)
        bits.append(rate.item())
    entropy = 0.5 * math.log2(2 * math.pi * math.e * 4)
    assert bits[-1] < bits[0] - 0.5
    assert entropy - 0.1 < bits[-1] < entropy + 1.0


@pytest.mark.parametrize("latent_size", [None, (2, 3)])
@torch.no_grad()
def test_counting_at_the_end_replaces_the_density_and_estimates_agree(latent_size):
    torch.manual_seed(0)
    prior = FactorizedPrior(channels=2, alphabet=8, lowest=-3, latent_size=latent_size).eval()
    symbols = torch.randint(2, 6, (500, 2, 2, 3))
    kept = torch.full((500,), 2)
    before = prior.code_lengths(2, 3)
    prior.observe(symbols, kept)
    assert torch.equal(prior.code_lengths(2, 3), before)

    prior.recount()
    prior.observe(symbols, kept)
    lengths = prior.code_lengths(2, 3)
    assert lengths.shape == (2, 6 if latent_size else 1, 8)
    seen = torch.stack([(symbols == s).float().mean(dim=0) for s in range(8)], dim=-1).flatten(1, 2)
    if latent_size is None:
        seen = seen.mean(dim=1, keepdim=True)
    assert torch.allclose(torch.exp2(-lengths).float(), seen, atol=0.1)

    frozen = prior.freeze()
    for one in symbols[:5]:
        likelihood = prior.likelihood(one[None].float() - 3)
        arrays = SymbolArrays.of([one.numpy()])
        places, tables = in_order(frozen, arrays)
        assert float(-likelihood.log2().sum()) == pytest.approx(tables.bits(arrays.flat[places]), rel=2e-3)


def test_without_counting_the_tables_are_the_densitys():
    torch.manual_seed(0)
    prior = FactorizedPrior(channels=2, alphabet=8, lowest=-3, latent_size=(2, 3), counted=False)
    assert not prior.observes
    assert prior.freeze().rows.shape == (2, 1)


def test_tables_of_positions_are_for_one_size():
    prior = FactorizedPrior(channels=2, alphabet=4, latent_size=(2, 2))
    assert prior.code_lengths(3, 3).shape == (2, 1, 4)
    prior.recount()
    assert prior.code_lengths(2, 2).shape == (2, 4, 4)
    with pytest.raises(ValueError, match="tables for 4 positions, not 3×3"):
        prior.code_lengths(3, 3)
