"""omega-quant with omega-core and torch alone."""

from importlib.metadata import distributions

import torch

import omega_core
from omega_quant import OmegaQuantizer


def test_it_brings_no_trainer_no_command_and_no_coder() -> None:
    installed = {distribution.name for distribution in distributions()}
    assert not installed & {"omega-entropy", "omega-train", "omega-cli", "lightning", "typer", "constriction"}


def test_a_network_of_ones_own_can_use_it() -> None:
    quantizer = OmegaQuantizer(latent_channels=8, channels=4, alphabet=16)
    latent = torch.randn(2, 8, 5, 7, requires_grad=True)
    quantizer(latent).latent.sum().backward()
    assert latent.grad is not None
    assert omega_core.resolve("quantizer", "omega") is OmegaQuantizer
