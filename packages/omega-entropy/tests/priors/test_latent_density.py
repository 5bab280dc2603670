"""The density of latents in the relaxed phase of training."""

import math

import pytest
import torch

from omega_core.errors import ComponentError
from omega_entropy.priors.context import ContextPrior
from omega_entropy.priors.latent_density import LatentDensity, _laplace_cdf
from omega_entropy.priors.static import StaticPrior


def test_without_conditions_it_is_a_mixture_of_laplacians() -> None:
    density = LatentDensity(3, conditional=False).double()
    values = torch.linspace(-1, 1, 2 * 3 * 4 * 5, dtype=torch.double).reshape(2, 3, 4, 5)
    half = torch.full((2, 1, 1, 1), 0.3, dtype=torch.double)
    bits = density.bits(values, half, torch.zeros_like(values), torch.ones(2))
    scales = density.log_scale.detach().exp()[:, None, :, None, None]
    laplace = torch.distributions.Laplace(torch.tensor(0.0, dtype=torch.double), scales)
    inside = laplace.cdf((values + half)[None]) - laplace.cdf((values - half)[None])
    torch.testing.assert_close(bits.detach(), -inside.mean(0).log2())


def test_an_interval_far_out_has_a_finite_cost() -> None:
    density = LatentDensity(2, conditional=False)
    values = torch.full((1, 2, 1, 1), 1e6)
    bits = density.bits(values, torch.ones(1, 1, 1, 1), values, torch.ones(1))
    assert bits.max() <= -math.log2(1e-9) + 1e-3


def test_tails_far_out_are_normal_numbers() -> None:
    distance = torch.linspace(-150, 150, 1000, requires_grad=True)
    tail = _laplace_cdf(distance)
    (slope,) = torch.autograd.grad(tail.sum(), distance)
    for values in (tail.detach(), slope):
        assert ((values == 0) | (values >= torch.finfo(torch.float32).tiny)).all()


def test_it_learns_that_channels_foretell_each_other() -> None:
    """The second of two equal channels costs next to nothing, but only where conditions are allowed."""
    torch.manual_seed(0)
    costs = {}
    for conditional in (False, True):
        density = LatentDensity(2, conditional=conditional)
        optimizer = torch.optim.Adam(density.parameters(), lr=3e-2)
        for _ in range(60):
            first = torch.randn(8, 1, 4, 4) * 3
            latent = torch.cat([first, first], 1).round()
            bits = density.bits(latent, torch.full((8, 1, 1, 1), 0.5), latent, torch.full((8,), 0.5))
            optimizer.zero_grad()
            bits.mean().backward()
            optimizer.step()
        costs[conditional] = float(bits[:, 1].detach().mean())
    assert costs[True] < 0.6 * costs[False]


def test_the_second_half_of_a_checkerboard_is_foretold_from_the_first() -> None:
    torch.manual_seed(0)
    density = LatentDensity(256, conditional=True)
    with torch.no_grad():
        for parameter in density.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    known = torch.zeros(1, 256, 4, 4, requires_grad=True)
    bits = density.bits(torch.zeros(1, 256, 4, 4), torch.full((1, 1, 1, 1), 0.5), known, torch.ones(1))
    first, second = ((torch.arange(4)[:, None] + torch.arange(4)) % 2 == color for color in (0, 1))
    group = slice(8, 32)
    (of_first,) = torch.autograd.grad(bits[0, group][:, first].sum(), known, retain_graph=True)
    (of_second,) = torch.autograd.grad(bits[0, group][:, second].sum(), known)
    assert not of_first[0, group].any()
    assert of_second[0, group][:, first].any()
    assert not of_second[0, group][:, second].any()
    assert of_first[0, :8].any()
    assert not of_second[0, 32:].any()


def test_a_share_of_the_rate_in_training_is_that_of_densities_without_conditions() -> None:
    torch.manual_seed(0)
    density = LatentDensity(16, conditional=True, marginal_share=0.25)
    for parameter in density.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    alone = LatentDensity(16, conditional=False)
    alone.load_state_dict({"log_scale": density.marginal_log_scale, "mixture": density.marginal_mixture})
    values, half, told = torch.randn(2, 16, 4, 4), torch.full((2, 1, 1, 1), 0.5), torch.ones(2)
    conditional = density.eval().bits(values, half, values, told)
    marginal = alone.bits(values, half, values, told)
    assert (conditional - marginal).abs().max() > 0.1
    torch.testing.assert_close(density.train().bits(values, half, values, told), 0.75 * conditional + 0.25 * marginal)


def test_a_marginal_share_is_from_0_to_1() -> None:
    with pytest.raises(ComponentError):
        ContextPrior(channels=6, alphabet=4, marginal_share=1.5)


@pytest.mark.parametrize(("kind", "groups"), [(StaticPrior, 0), (ContextPrior, 5)])
def test_a_prior_relaxes_to_a_density_that_depends_on_what_its_tables_do(kind: type[StaticPrior], groups: int) -> None:
    prior = kind(channels=6, alphabet=4)
    with pytest.raises(ValueError, match="has no density of latents before `relax`"):
        prior.interval_bits(*(torch.zeros(1, 4, 1, 1) for _ in range(3)), torch.ones(1))
    prior.relax(256)
    assert isinstance(prior.relaxation, LatentDensity)
    assert len(prior.relaxation.groups) == groups
    assert "relaxation.log_scale" in prior.state_dict()
    assert not any("relaxation" in name for name in prior.freeze().arrays())
