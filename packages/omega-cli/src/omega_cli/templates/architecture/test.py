"""Tests of the contract of architectures, with the conformance kit."""

import torch
from omega_core.testing import ArchitectureContract

from __PACKAGE__.architecture import __CLASS__


class Test__CLASS__(ArchitectureContract):
    name = "__NAME__"


class Test__CLASS__InColor(ArchitectureContract):
    name = "__NAME__"
    options = {"colors": 3}


def test_a_digit_has_a_latent_of_7_by_7() -> None:
    latent = __CLASS__(latent_channels=4).analysis(torch.rand(2, 1, 28, 28))
    assert latent.shape == (2, 4, 7, 7)
