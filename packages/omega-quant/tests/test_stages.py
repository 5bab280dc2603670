"""Ω in several stages is compared with single Ω quantizers, each of which takes what those before left over."""

import pytest
import torch

from omega_core.errors import ComponentError
from omega_quant import OmegaQuantizer
from omega_quant.dense_reference import dense_one_hot_max

B, D, C, S, H, W, STAGES = 5, 4, 8, 9, 3, 2, 2
ORDERS = (list(range(C)), [0, 5, 1, 4, 2, 3, 6, 7], [7, 0, 6])


@pytest.fixture
def make():
    """make(order): a quantizer of float64 whose parameters are not those of the start."""

    def quantizer(order=ORDERS[0]):
        torch.manual_seed(1)
        omega = OmegaQuantizer(latent_channels=D, channels=C, alphabet=S, start="scalar", stages=[1, 1]).double()
        with torch.no_grad():
            for parameter in omega.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        omega.select_channels(order)
        return omega

    return quantizer


def dense(omega, latent, lengths_CTS, kept):
    """One sample after the other: stages see everything that those before say, kept or not."""
    latents, bits = [], []
    for sample, n in zip(latent, kept.tolist(), strict=True):
        rest = sample.flatten(1).T[None] - omega.table_bias
        y, cost = torch.zeros_like(rest), rest.new_zeros(1)
        for number in range(STAGES):
            members = (omega.stage == number).nonzero()[:, 0]
            of_stage = omega.weight[members], omega.bias[members], omega.log_temperature.exp()[members]
            own = (members < n).sum()[None]
            for count, counts in ((torch.tensor([len(members)]), False), (own, True)):
                made, made_bits, _ = dense_one_hot_max(
                    rest, *of_stage, omega.table[members], lengths_CTS[members], count
                )
                if counts:
                    y, cost = y + made, cost + made_bits
                else:
                    whole = made
            rest = rest - whole
        latents.append((y + omega.table_bias)[0].T.unflatten(1, latent.shape[2:]))
        bits.append(cost)
    return torch.stack(latents), torch.cat(bits)


@pytest.mark.parametrize("order", ORDERS)
def test_values_and_all_gradients_are_those_of_the_definition(make, table_prior, normal, order):
    omega = make(order)
    n = len(order)
    kept = torch.tensor([2, 0, n, n - 1, 1])
    latent = (2 * normal(B, D, H, W, seed=2, dtype=torch.float64)).requires_grad_()
    prior = table_prior(normal(n, 1, S, seed=3, dtype=torch.float64).square())
    inputs = {"latent": latent, "lengths": prior.lengths, **dict(omega.named_parameters())}
    expected, expected_bits = dense(omega, latent, prior.lengths, kept)
    found = omega(latent, prior, kept)
    weights = normal(*latent.shape, seed=8, dtype=torch.float64), normal(B, seed=9, dtype=torch.float64)
    pairs = [("latent", found.latent, expected), ("bits", found.bits, expected_bits)]
    gradients = [
        torch.autograd.grad((y * weights[0]).sum() + (bits * weights[1]).sum(), list(inputs.values()))
        for y, bits in ((found.latent, found.bits), (expected, expected_bits))
    ]
    for name, ours, theirs in [*pairs, *zip(inputs, *gradients, strict=True)]:
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}")
        assert theirs.abs().max() > 0, f"{name}: nothing was compared"


@pytest.mark.parametrize("order", ORDERS)
def test_coding_agrees_with_training(make, normal, order):
    omega, latent = make(order), 2 * normal(B, D, H, W, dtype=torch.float64)
    symbols = omega.symbols(latent)
    for n in range(len(order) + 1):
        found = omega(latent, None, torch.full((B,), n))
        assert torch.equal(found.symbols[:, :n], symbols[:, :n])
        torch.testing.assert_close(found.latent, omega.latent(symbols[:, :n]))


def test_a_channel_has_the_symbols_that_it_has_in_any_order(make, normal):
    latent = 2 * normal(B, D, H, W, dtype=torch.float64)
    order = ORDERS[1]
    assert torch.equal(make(order).symbols(latent), make().symbols(latent)[:, order])


def test_a_second_stage_makes_steps_finer_by_its_factor(normal):
    omega = OmegaQuantizer(latent_channels=D, channels=2 * D, alphabet=S, start="scalar", stages=[1, 1], finer=4.0)
    latent = normal(B, D, H, W).clamp(-3, 4)
    symbols = omega.symbols(latent)
    assert (omega.latent(symbols[:, :D]) - latent).abs().max().item() == pytest.approx(1 / 2, rel=0.1)
    assert (omega.latent(symbols) - latent).abs().max().item() == pytest.approx(1 / 8, rel=0.1)


def test_channels_are_divided_as_is_said():
    omega = OmegaQuantizer(latent_channels=D, channels=9, alphabet=S, start="scalar", stages=[1, 2])
    assert omega.stage.tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1]
    directions = omega.weight[:, -1]  # those of a stage with fewer channels are the first latents
    assert torch.equal(directions[:3], torch.eye(3, D))


def test_a_model_with_fewer_channels_is_made_anew_and_loaded(make, normal):
    latent = 2 * normal(B, D, H, W, dtype=torch.float64)
    for order in ([0], [6, 7], ORDERS[2]):
        omega = make()
        omega.select_channels(order)
        again = OmegaQuantizer(latent_channels=D, channels=len(order), alphabet=S, start="scalar", stages=[1, 1])
        again.double().load_state_dict(omega.state_dict())
        assert torch.equal(again.symbols(latent), omega.symbols(latent))
        assert torch.equal(again(latent).latent, omega(latent).latent)


def test_one_stage_has_nothing_to_keep_about_stages():
    assert "stage" not in OmegaQuantizer(latent_channels=D, channels=C, alphabet=S, start="scalar").state_dict()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"stages": []}, "numbers above 0"),
        ({"stages": [1, 0]}, "numbers above 0"),
        ({"stages": [1, 1], "start": "random"}, "several stages need the start 'scalar'"),
        ({"stages": [1, 1], "finer": 0.0}, "finer has to be above 0"),
    ],
)
def test_stages_that_cannot_be_are_refused(options, complaint):
    with pytest.raises(ComponentError, match=complaint):
        OmegaQuantizer(latent_channels=D, channels=C, alphabet=S, **{"start": "scalar", **options})
