"""Bits of symbols that lie between two, and of those that only may be chosen."""

import torch

from omega_core.contracts import Quantized, Quantizer
from omega_core.testing.reference import ReferencePrior


class Levels(Quantizer):
    channels, alphabet = 2, 5

    def forward(self, latent, prior=None, kept=None):
        return Quantized(latent, latent, latent)

    def symbols(self, latent):
        return latent

    def latent(self, symbols):
        return symbols


SYMBOLS = torch.randint(0, 5, (3, 2, 2, 4), generator=torch.Generator().manual_seed(0))
PRIOR = ReferencePrior(channels=2, alphabet=5)


class PerPosition(ReferencePrior):
    """Each position has a table of its own."""

    def code_lengths(self, height, width):
        return super().code_lengths(height, width) * torch.arange(1, height * width + 1)[None, :, None]


def paid(prior, kept):
    lengths = prior.code_lengths(2, 4).expand(-1, 8, -1)
    flat = SYMBOLS.flatten(2)
    return torch.stack(
        [sum(lengths[c, torch.arange(8), flat[b, c]].sum() for c in range(n)) for b, n in enumerate(kept)]
    )


def test_whole_numbers_cost_what_the_prior_says():
    for prior in (PRIOR, PerPosition(channels=2, alphabet=5)):
        for kept in ([2, 2, 2], [1, 2, 1]):
            bits = Levels().rate(SYMBOLS.float(), prior, torch.tensor(kept))
            assert torch.allclose(bits, paid(prior, kept))
            chances = torch.nn.functional.one_hot(SYMBOLS, 5).permute(0, 1, 4, 2, 3).float()
            assert torch.allclose(Levels().expected_rate(chances, prior, torch.tensor(kept)), paid(prior, kept))


def test_between_two_symbols_the_rate_is_between_theirs():
    places = torch.full((1, 2, 1, 1), 2.25, requires_grad=True)
    bits = Levels().rate(places, PRIOR)
    lengths = PRIOR.code_lengths(1, 1)[:, 0]
    assert torch.allclose(bits, (0.75 * lengths[:, 2] + 0.25 * lengths[:, 3]).sum())
    bits.sum().backward()
    assert torch.allclose(places.grad.flatten(), lengths[:, 3] - lengths[:, 2])


def test_chances_weigh_what_symbols_cost():
    chances = torch.softmax(torch.randn(1, 2, 5, 1, 3), dim=2).requires_grad_()
    bits = Levels().expected_rate(chances, PRIOR)
    lengths = PRIOR.code_lengths(1, 3)[:, 0]
    assert torch.allclose(bits, torch.einsum("bcshw,cs->b", chances, lengths))
    bits.sum().backward()
    assert torch.allclose(chances.grad[0, :, :, 0, 0], lengths)
