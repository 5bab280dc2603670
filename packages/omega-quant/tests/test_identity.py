import math

import pytest
import torch

from omega_core.codec.image_codec import ImageCodec
from omega_core.errors import ComponentError
from omega_quant import IdentityQuantizer

PATTERNS = [
    (0.0, 0),
    (-0.0, 0x80000000),
    (1.0, 0x3F800000),
    (-1.5, 0xBFC00000),
    (math.inf, 0x7F800000),
    (-math.inf, 0xFF800000),
    (2.0**-149, 1),  # the least denormal
    (-(2.0**-127), 0x80400000),
]
NOT_A_NUMBER = [0x7FC00000, 0xFFC00001, 0x7FFFFFFF, 0xFFFFFFFF]


@pytest.fixture
def identity():
    return IdentityQuantizer(latent_channels=3, channels=3)


def bits_of(latent):
    return latent.contiguous().view(torch.int32)


def test_the_latent_passes_with_its_gradient_and_without_a_rate(identity, normal):
    latent = normal(2, 3, 4, 5).requires_grad_()
    found = identity(latent)
    found.latent.sum().backward()
    assert torch.equal(found.latent, latent)
    assert torch.equal(latent.grad, torch.ones_like(latent))
    assert found.bits.tolist() == [0.0, 0.0]
    assert torch.equal(found.symbols, identity.symbols(latent.detach()))


def test_channels_that_are_not_kept_are_0(identity, normal):
    latent = normal(4, 3, 4, 5)
    found = identity(latent, None, torch.tensor([0, 3, 1, 2]))
    for sample, kept in enumerate((0, 3, 1, 2)):
        assert torch.equal(found.latent[sample, :kept], latent[sample, :kept])
        assert (found.latent[sample, kept:] == 0).all()


@pytest.mark.parametrize(("value", "pattern"), PATTERNS)
def test_symbols_are_the_bit_patterns_of_float32(identity, value, pattern):
    assert identity.symbols(torch.full((1, 3, 1, 1), value)).unique().tolist() == [pattern]


def test_every_bit_pattern_comes_back_not_a_number_too(identity):
    patterns = [*NOT_A_NUMBER, 0x7F7FFFFF, 0x007FFFFF, *(pattern for _, pattern in PATTERNS)]
    patterns = torch.tensor(patterns)[None, None, :, None].expand(1, 3, -1, 1)
    latent = identity.latent(patterns)
    assert latent.dtype == torch.float32
    assert latent.isnan()[0, 0, :, 0].tolist() == [True] * 4 + [False] * (len(PATTERNS) + 2)
    assert torch.equal(identity.symbols(latent), patterns)


def test_any_latent_comes_back_bit_by_bit(identity, normal):
    latent = normal(2, 3, 7, 5) * 10.0 ** (20 * normal(2, 3, 7, 5, seed=1)).clamp(-44, 38)
    symbols = identity.symbols(latent)
    assert symbols.dtype == torch.int64
    assert (symbols.min() >= 0) & (symbols.max() < identity.alphabet)
    assert torch.equal(bits_of(identity.latent(symbols)), bits_of(latent))


def test_a_latent_that_is_not_contiguous_is_no_exception(identity, normal):
    latent = normal(2, 5, 4, 3).transpose(1, 3)
    assert torch.equal(identity.latent(identity.symbols(latent)), latent)


@pytest.mark.parametrize("n", range(4))
def test_a_prefix_of_the_channels_leaves_the_others_0(identity, normal, n):
    latent = normal(2, 3, 4, 5)
    prefix = identity.latent(identity.symbols(latent)[:, :n])
    assert torch.equal(prefix, identity(latent, None, torch.full((2,), n)).latent)


def test_missing_symbols_are_0(identity, normal):
    latent = normal(2, 3, 4, 5)
    symbols = identity.symbols(latent)
    symbols[:, 1:, 2] = -1
    latent[:, 1:, 2] = 0
    assert torch.equal(identity.latent(symbols), latent)


def test_it_needs_no_prior_and_has_every_pattern_in_its_alphabet():
    identity = IdentityQuantizer(latent_channels=2, channels=2, alphabet=256)
    assert not identity.needs_prior
    assert identity.alphabet == 1 << 32


@pytest.mark.parametrize(("dims", "channels"), [(4, 3), (0, 0)])
def test_channel_counts_that_do_not_fit_are_named(dims, channels):
    with pytest.raises(ComponentError, match=f"not {dims} and {channels}"):
        IdentityQuantizer(latent_channels=dims, channels=channels)


def test_channels_that_are_not_kept_are_zero_whatever_they_were() -> None:
    quantizer = IdentityQuantizer(latent_channels=3, channels=3)
    latent = torch.tensor([1.0, float("inf"), float("nan")]).reshape(1, 3, 1, 1)
    assert quantizer(latent, kept=torch.tensor([1])).latent.flatten().tolist() == [1.0, 0.0, 0.0]


def test_a_prior_that_there_is_not_is_refused_though_none_is_made() -> None:
    sizes = {"latent_channels": 16, "channels": 16, "alphabet": 8}
    with pytest.raises(ComponentError, match="nosuch"):
        ImageCodec.from_names("mnist", "identity", "nosuch", **sizes)
