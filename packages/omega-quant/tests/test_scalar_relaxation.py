"""The relaxed phase of Ω."""

import pytest
import torch
from torch import Tensor

from omega_core.errors import ComponentError
from omega_core.testing.reference import ReferencePrior
from omega_quant.omega import OmegaQuantizer
from omega_quant.scalar_relaxation import ScalarRelaxation, rounded


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def relaxed_omega(**options: object) -> OmegaQuantizer:
    settings: dict[str, object] = {"latent_channels": 6, "channels": 6, "alphabet": 32, "start": "scalar", "rank": 1}
    omega = OmegaQuantizer(**{**settings, "relaxed_steps": (1.0, 0.1), **options})  # type: ignore[arg-type]
    omega.relax()
    return omega


def relaxation_of(omega: OmegaQuantizer) -> ScalarRelaxation:
    assert isinstance(omega.relaxation, ScalarRelaxation)
    return omega.relaxation


def test_rounding_passes_the_gradient_straight_through() -> None:
    x = torch.tensor([0.4, 1.6], requires_grad=True)
    whole = rounded(x)
    (3 * whole).sum().backward()
    assert whole.tolist() == [0.0, 2.0]
    assert x.grad is not None
    assert x.grad.tolist() == [3.0, 3.0]


def test_steps_are_interpolated_geometrically_over_the_fineness() -> None:
    relaxation = ScalarRelaxation(3, (1.0, 0.01))
    gain, step = relaxation(torch.tensor([0.0, 0.5, 1.0]))
    torch.testing.assert_close(step[:, 0, 0, 0], torch.tensor([1.0, 0.1, 0.01]))
    torch.testing.assert_close(gain * step, torch.ones(3, 3, 1, 1))


def test_each_channel_learns_gains_and_steps_between_anchors_of_its_own() -> None:
    relaxation = ScalarRelaxation(2, (1.0, 0.5))
    with torch.no_grad():
        relaxation.log_gain[3, 1] = 0.7
    plain = ScalarRelaxation(2, (1.0, 0.5))
    places = torch.tensor([2 / 7, 2.5 / 7, 3 / 7, 4 / 7])
    ratio = (relaxation(places)[0] / plain(places)[0])[:, :, 0, 0].log()
    torch.testing.assert_close(ratio[:, 1], torch.tensor([0.0, 0.35, 0.7, 0.0]), atol=1e-5, rtol=0)
    assert not ratio[:, 0].any()


def test_the_rate_is_that_of_noise_and_the_latent_that_of_rounding() -> None:
    omega, prior = relaxed_omega(), ReferencePrior(channels=6, alphabet=32)
    prior.relax(6)
    omega.sample_seeds = torch.tensor([1, 2])
    latent, fineness = torch.randn(2, 6, 3, 4), torch.tensor([0.2, 0.9])
    found = omega.train().relaxed(latent, prior, torch.tensor([1, 6]), fineness)
    gain, step = relaxation_of(omega)(fineness)
    noisy = latent + omega.noise(latent) / gain
    bits = prior.interval_bits(noisy, 0.5 / gain, latent, fineness).sum((1, 2, 3))
    torch.testing.assert_close(found.bits, bits)
    torch.testing.assert_close(found.latent, (latent * gain).round() * step)
    assert found.symbols is None


def test_evaluated_its_rate_is_that_of_rounding() -> None:
    omega, prior = relaxed_omega().eval(), ReferencePrior(channels=6, alphabet=32)
    prior.relax(6)
    latent, fineness = torch.randn(2, 6, 3, 4), torch.tensor([0.2, 0.9])
    found = omega.relaxed(latent, prior, torch.tensor([1, 6]), fineness)
    gain, _ = relaxation_of(omega)(fineness)
    whole = (latent * gain).round() / gain
    torch.testing.assert_close(found.bits, prior.interval_bits(whole, 0.5 / gain, whole, fineness).sum((1, 2, 3)))


@pytest.mark.parametrize("rank", [None, 1], ids=["full", "factored"])
def test_fitted_one_stage_rounds_in_the_steps_of_the_greatest_fineness(rank: int | None) -> None:
    omega = relaxed_omega(rank=rank)
    with torch.no_grad():
        relaxation_of(omega).log_gain.uniform_(-0.3, 0.3)
        relaxation_of(omega).log_step.uniform_(-0.3, 0.3)
    omega.fit()
    latent = torch.rand(2, 6, 3, 4) - 0.5
    gain, step = relaxation_of(omega)(torch.ones(2))
    with torch.no_grad():
        torch.testing.assert_close(omega.latent(omega.symbols(latent)), (latent * gain).round() * step)


def test_fitted_stages_are_coarser_by_the_factor_asked_for() -> None:
    omega = relaxed_omega(channels=9, stages=[3, 6], finer=3.0)
    omega.fit()
    latent = torch.rand(2, 6, 3, 4) - 0.5
    symbols = omega.symbols(latent)
    with torch.no_grad():
        torch.testing.assert_close(omega.latent(symbols[:, :3])[:, :3], (latent[:, :3] / 0.3).round() * 0.3)
        torch.testing.assert_close(omega.latent(symbols), (latent / 0.1).round() * 0.1)


def test_a_quantizer_that_was_not_relaxed_stays_as_it_is() -> None:
    omega = OmegaQuantizer(latent_channels=6, channels=6, alphabet=8, start="scalar")
    before = {name: value.clone() for name, value in omega.state_dict().items()}
    omega.fit()
    assert all(torch.equal(value, before[name]) for name, value in omega.state_dict().items())
    with pytest.raises(ValueError, match="has no relaxed phase before `relax`"):
        omega.relaxed(torch.zeros(1, 6, 1, 1), None, torch.tensor([6]), torch.ones(1))


@pytest.mark.parametrize(
    "options", [{"start": "random"}, {"channels": 5}, {"channels": 12}, {"channels": 20, "stages": [1, 3]}]
)
def test_a_form_that_contains_no_quantizer_of_each_latent_has_no_relaxed_phase(options: dict[str, object]) -> None:
    with pytest.raises(ComponentError, match="needs the start 'scalar'"):
        relaxed_omega(**options)


def test_the_fineness_of_prefixes_is_told_and_selected_with_channels() -> None:
    omega = relaxed_omega()
    told = torch.tensor([0.0, 0.1, 0.3, 0.4, 0.8, 0.9, 1.0])
    omega.set_fineness(told)
    torch.testing.assert_close(omega.fineness(torch.arange(7)), told)
    omega.select_channels([0, 2, 5])
    torch.testing.assert_close(omega.fineness(torch.arange(4)), told[[0, 1, 3, 6]])


def test_fineness_is_interpolated_where_a_part_of_a_channel_is_kept() -> None:
    omega = relaxed_omega()
    omega.set_fineness(torch.tensor([0.0, 0.1, 0.3, 0.4, 0.8, 0.9, 1.0]))
    found = omega.fineness(torch.tensor([0.0, 0.5, 1.25, 3.5, 5.9, 6.0]))
    torch.testing.assert_close(found, torch.tensor([0.0, 0.05, 0.15, 0.6, 0.99, 1.0]))


def test_without_a_rank_fineness_is_the_share_of_the_channels() -> None:
    omega = relaxed_omega(rank=None)
    omega.set_fineness(torch.zeros(7))
    fineness: Tensor = omega.fineness(torch.tensor([0, 3, 6]))
    assert fineness.tolist() == [0.0, 0.5, 1.0]


def test_a_quantizer_without_some_channels_is_fitted_alike_when_it_was_loaded() -> None:
    options = {"stages": [1, 1, 1], "dead_zone": True, "latent_channels": 4}
    latent = torch.rand(1, 4, 20, 20) * 2 - 1
    omega = relaxed_omega(**options, channels=12)
    omega.fit()
    omega.select_channels([0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11])  # the second stage has more channels than the first
    loaded = relaxed_omega(**options, channels=11)
    loaded.load_state_dict(omega.state_dict())
    for each in (omega, loaded):
        each.fit()
    with torch.no_grad():
        found = [each.latent(each.symbols(latent)) for each in (omega, loaded)]
    assert torch.equal(*found)
    assert (found[0] - latent).abs().max() < 0.1


def test_a_quantizer_whose_stages_shrink_cannot_be_fitted() -> None:
    omega = relaxed_omega(stages=[1, 1], dead_zone=True, channels=12)
    omega.select_channels(range(11))
    for attempt in (omega.fit, omega.relax):
        with pytest.raises(ComponentError, match="do not shrink, but channels were dropped"):
            attempt()


def test_fineness_rises_whatever_the_order_of_channels_and_frozen_parameters_stay_frozen() -> None:
    omega = relaxed_omega()
    omega.set_fineness(torch.tensor([0.0, 0.1, 0.3, 0.4, 0.8, 0.9, 1.0]))
    omega.bias.requires_grad_(False)
    omega.select_channels([5, 0, 2])
    torch.testing.assert_close(omega.fineness(torch.arange(4)), torch.tensor([0.0, 0.1, 0.4, 1.0]))
    assert not omega.bias.requires_grad
    assert omega.slope.requires_grad
