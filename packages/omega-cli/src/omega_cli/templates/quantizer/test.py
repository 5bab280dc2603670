"""Tests of the contract of quantizers, with the conformance kit."""

import torch
from omega_core.testing import QuantizerContract

from __PACKAGE__.quantizer import __CLASS__


class Test__CLASS__(QuantizerContract):
    name = "__NAME__"


def test_levels_lie_between_the_first_and_the_last_symbol() -> None:
    quantizer = __CLASS__(latent_channels=4, channels=2, alphabet=5)
    symbols = quantizer.symbols(1e3 * torch.randn(8, 4, 3, 3))
    assert set(symbols.flatten().tolist()) <= set(range(5))
