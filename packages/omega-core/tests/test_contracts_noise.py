import numpy as np
import pytest
import torch

from omega_core.contracts import Quantizer
from omega_core.contracts.quantizer import hashed

SPLITMIX64 = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]
"""The first outputs of the published generator, seeded with 0."""
MASK = (1 << 64) - 1


class Noisy(Quantizer):
    def forward(self, latent, prior=None, kept=None):
        raise NotImplementedError

    symbols = latent = forward


def seeded(*seeds):
    quantizer = Noisy()
    quantizer.sample_seeds = torch.tensor(seeds)
    return quantizer


def mixed(state):
    """SplitMix64 in whole numbers."""
    state = (state + 0x9E3779B97F4A7C15) & MASK
    state = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ state >> 27) * 0x94D049BB133111EB) & MASK
    return state ^ state >> 31


def test_hashes_of_the_first_numbers_are_the_outputs_of_splitmix64():
    assert [value & MASK for value in hashed(torch.arange(4)).tolist()] == SPLITMIX64


@pytest.mark.parametrize("numbers", [(0,), (-1,), (1, 2), (2, 1), (42, 0, 7), (2**63 - 1, -(2**63), 123456789)])
def test_hashes_of_several_numbers_are_a_chain(numbers):
    state = 0
    for number in numbers:
        state = mixed(state ^ (number * 0x9E3779B97F4A7C15) & MASK)
    assert hashed(*(torch.tensor(number) for number in numbers)).item() & MASK == state


def test_hashed_numbers_are_broadcast():
    table = hashed(torch.arange(3)[:, None], torch.arange(4))
    assert table.shape == (3, 4)
    assert table[2, 1] == hashed(torch.tensor(2), torch.tensor(1))
    assert len(table.unique()) == 12


def test_one_changed_bit_changes_half_of_the_hash():
    numbers = torch.arange(2000)
    changed = hashed(numbers) ^ hashed(numbers ^ 1)
    ones = np.unpackbits(changed.numpy().view(np.uint8)).mean()
    assert ones == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("seeds", [None, range(8)])
def test_noise_is_uniform_around_zero(seeds):
    torch.manual_seed(0)
    noise = (Noisy() if seeds is None else seeded(*seeds)).noise(torch.zeros(8, 4, 32, 32))
    assert (noise.shape, noise.dtype) == ((8, 4, 32, 32), torch.float32)
    assert noise.min() >= -0.5
    assert noise.max() < 0.5
    assert noise.mean().item() == pytest.approx(0, abs=0.005)
    shares = torch.histc(noise, 10, -0.5, 0.5) / noise.numel()
    assert torch.allclose(shares, torch.tensor(0.1), atol=0.005)


def test_seeded_noise_of_a_sample_depends_on_its_seed_alone():
    like = torch.zeros(3, 2, 4, 4)
    torch.manual_seed(0)
    noise = seeded(5, 6, 7).noise(like)
    torch.manual_seed(1)
    assert torch.equal(seeded(7, 5).noise(like[:2]), noise[[2, 0]])
    assert torch.equal(seeded(6).noise(torch.full_like(like[:1], 9.0)), noise[[1]])


def test_seeded_noise_leaves_the_random_generator_alone():
    before = torch.get_rng_state()
    seeded(1).noise(torch.zeros(1, 100))
    assert torch.equal(torch.get_rng_state(), before)


def test_neighboring_seeds_give_unrelated_noise():
    noise = seeded(*range(50)).noise(torch.zeros(50, 2000)).numpy()
    between = np.corrcoef(noise)[~np.eye(50, dtype=bool)]
    assert abs(between).max() < 0.12


def test_noise_has_the_type_of_what_it_is_added_to():
    assert seeded(1).noise(torch.zeros(1, 5, dtype=torch.float64)).dtype == torch.float64


def test_seeded_noise_never_changes():
    """A run that is resumed with a later version goes on with the same noise."""
    expected = [((value >> 40) / 2**24) - 0.5 for value in map(mixed, [mixed(0) ^ 0, mixed(0) ^ 0x9E3779B97F4A7C15])]
    assert seeded(0).noise(torch.zeros(1, 2)).tolist() == [expected]
