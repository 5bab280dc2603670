import pytest
import torch

from omega_core.errors import ComponentError
from omega_quant import IntegerQuantizer

B, C, S = 4, 3, 8
LOWEST, HIGHEST = -3, 4
KEPT = torch.tensor([0, 1, C, 2])
MASK = torch.arange(C) < KEPT[:, None]


@pytest.fixture
def integer():
    return IntegerQuantizer(latent_channels=C, channels=C, alphabet=S)


def test_evaluation_rounds_and_clamps(integer, normal):
    latent = 5 * normal(B, C, 6, 5)
    found = integer.eval()(latent)
    assert torch.equal(found.latent, latent.round().clamp(LOWEST, HIGHEST))
    assert (found.latent.min(), found.latent.max()) == (LOWEST, HIGHEST)
    assert (integer.lowest, integer.highest) == (LOWEST, HIGHEST)


def test_symbols_count_from_the_lowest_value(integer):
    latent = torch.tensor([-99.0, -3.4, -2.6, -0.4, 0.6, 4.4, 99.0]).expand(1, C, 1, 7)
    symbols = integer.symbols(latent)
    assert symbols.dtype == torch.int64
    assert symbols[0, 0, 0].tolist() == [0, 0, 0, 3, 4, 7, 7]


def test_coding_agrees_with_evaluation(integer, normal):
    latent = 5 * normal(B, C, 6, 5)
    found = integer.eval()(latent)
    assert torch.equal(integer.symbols(latent), found.symbols)
    assert torch.equal(integer.latent(found.symbols), found.latent)


@pytest.mark.parametrize("n", range(C + 1))
def test_a_prefix_of_the_channels_leaves_the_others_0(integer, normal, n):
    latent = 5 * normal(B, C, 6, 5)
    prefix = integer.latent(integer.symbols(latent)[:, :n])
    assert prefix.shape == latent.shape
    assert torch.equal(prefix, integer.eval()(latent, None, torch.full((B,), n)).latent)
    assert (prefix[:, n:] == 0).all()


def test_missing_symbols_are_0(integer):
    symbols = torch.tensor([[0, 7], [-1, 6], [-1, -1]]).reshape(1, C, 1, 2)
    assert integer.latent(symbols)[0, :, 0].tolist() == [[-3, 4], [0, 3], [0, 0]]


def test_symbols_are_numbers_that_refine_nothing(integer):
    told = integer.refinement()
    assert told.parents == [-1] * C
    assert (told.levels == torch.arange(S) + LOWEST).all()


def test_training_adds_uniform_noise_of_half_a_step(integer, normal):
    latent = normal(64, C, 8, 8)
    noise = integer(latent).latent - latent
    inside = (latent > LOWEST + 1) & (latent < HIGHEST - 1)
    assert noise[inside].abs().max() <= 0.5 + 1e-6
    assert noise[inside].mean().abs() < 0.02
    assert abs(noise[inside].std() - 12**-0.5) < 0.01


def test_training_clamps_the_noisy_value_and_its_gradient(integer):
    latent = torch.tensor([-50.0, 0.0, 50.0]).reshape(1, C, 1, 1).requires_grad_()
    found = integer(latent).latent
    found.sum().backward()
    assert (found[0, 0].item(), found[0, 2].item()) == (LOWEST, HIGHEST)
    assert latent.grad.flatten().tolist() == [0.0, 1.0, 0.0]


def test_symbols_of_training_are_those_without_noise(integer, normal):
    latent = 5 * normal(B, C, 6, 5)
    assert torch.equal(integer.train()(latent).symbols, integer.symbols(latent))


def test_noise_follows_from_the_seed_of_the_sample_alone(integer, normal):
    latent = normal(B, C, 2, 2)
    seeds = torch.tensor([7, -1, 2**62, 3])
    integer.sample_seeds = seeds
    together = integer(latent).latent
    assert torch.equal(integer(latent).latent, together)
    order = torch.tensor([2, 0])
    integer.sample_seeds = seeds[order]
    assert torch.equal(integer(latent[order]).latent, together[order])
    integer.sample_seeds = seeds + 1
    assert not torch.equal(integer(latent).latent, together)


def test_seeded_noise_is_uniform_and_differs_between_samples_and_places(integer):
    integer.sample_seeds = torch.arange(500)
    noise = integer.noise(torch.zeros(500, C, 4, 4))
    assert (noise.min() >= -0.5) & (noise.max() < 0.5)
    assert noise.mean().abs() < 0.01
    assert abs(noise.std() - 12**-0.5) < 0.005
    assert len(noise.unique()) > 0.99 * noise.numel()
    correlations = torch.corrcoef(noise.flatten(1).T) - torch.eye(C * 16)
    assert correlations.abs().max() < 0.25


@pytest.mark.parametrize("training", [True, False])
def test_channels_that_are_not_kept_are_0_and_free(integer, logistic_prior, normal, training):
    integer.train(training).sample_seeds = torch.arange(B)
    latent = normal(B, C, 6, 5)
    found = integer(latent, logistic_prior, KEPT)
    whole = integer(latent).latent
    assert torch.equal(found.latent, whole * MASK[:, :, None, None])
    per_channel = -logistic_prior.likelihood(whole).log2().sum(dim=(2, 3))
    torch.testing.assert_close(found.bits, (per_channel * MASK).sum(dim=1))
    assert found.bits[0] == 0


def test_bits_have_a_gradient_to_the_latent_of_kept_channels_only(integer, logistic_prior, normal):
    latent = normal(B, C, 6, 5).requires_grad_()
    integer(latent, logistic_prior, KEPT).bits.sum().backward()
    assert torch.equal((latent.grad != 0).any(dim=3).any(dim=2), MASK)


def test_without_a_prior_there_are_no_bits(integer, normal):
    assert integer(normal(B, C, 2, 2)).bits.tolist() == [0.0] * B


def test_under_mixed_precision_it_computes_in_float32(integer, logistic_prior, normal):
    latent = (5 * normal(B, C, 6, 5)).bfloat16()
    plain = integer.eval()(latent.float(), logistic_prior)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = integer(latent, logistic_prior)
    assert mixed.latent.dtype == mixed.bits.dtype == torch.float32
    assert torch.equal(mixed.latent, plain.latent)
    assert torch.equal(mixed.bits, plain.bits)


def test_it_asks_for_a_likelihood(integer):
    assert integer.needs_prior
    assert integer.needs_likelihood


@pytest.mark.parametrize(
    ("dims", "channels", "alphabet", "message"),
    [
        (5, 3, 8, "not 5 and 3: set latent-channels to 3"),
        (3, 3, 7, "even alphabet, not 3 and 7"),
        (3, 3, 0, "even alphabet, not 3 and 0"),
        (0, 0, 8, "at least 1 channel .* not 0 and 8"),
    ],
)
def test_options_that_do_not_fit_are_named(dims, channels, alphabet, message):
    with pytest.raises(ComponentError, match=message):
        IntegerQuantizer(latent_channels=dims, channels=channels, alphabet=alphabet)


def test_a_bfloat16_latent_is_clamped_to_the_alphabet() -> None:
    quantizer = IntegerQuantizer(latent_channels=1, channels=1, alphabet=1024)
    latent = torch.tensor([-600.0, 600.0], dtype=torch.bfloat16).reshape(2, 1, 1, 1)
    assert quantizer.symbols(latent).flatten().tolist() == [0, 1023]


def test_what_is_no_number_has_the_symbol_of_0() -> None:
    quantizer = IntegerQuantizer(latent_channels=1, channels=1, alphabet=16)
    latent = torch.tensor([torch.nan, torch.inf, -torch.inf, 0.0]).view(1, 1, 1, 4)
    assert quantizer.symbols(latent).flatten().tolist() == [7, 15, 0, 7]
