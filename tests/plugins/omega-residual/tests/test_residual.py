import pytest
import torch

from omega_core.errors import ComponentError
from omega_core.testing import QuantizerContract
from omega_residual.quantizer import ResidualOmega


class TestResidualOmega(QuantizerContract):
    name = "residual-omega"


class TestPublishedStart(QuantizerContract):
    name = "residual-omega"
    options = {"start": "random", "first": 1}


def test_the_second_stage_takes_error_away() -> None:
    torch.manual_seed(0)
    quantizer = ResidualOmega(latent_channels=4, channels=8, alphabet=16)
    with torch.no_grad():
        for parameter in (quantizer.stages[1].bias, quantizer.stages[1].table):
            parameter /= 8  # finer levels than those of the first
        latent = 2 * torch.randn(8, 4, 5, 5)
        symbols = quantizer.symbols(latent)
        errors = [float((quantizer.latent(symbols[:, :n]) - latent).square().mean()) for n in (4, 8)]
    assert errors[1] < 0.2 * errors[0]


def test_a_stage_without_channels_is_none() -> None:
    with pytest.raises(ComponentError, match="1 to 3 channels first"):
        ResidualOmega(latent_channels=4, channels=4, alphabet=8, first=4)
