import pytest
import torch

from omega_core.errors import ComponentError
from omega_core.testing import QuantizerContract
from omega_fsq.quantizer import FiniteScalarQuantizer


class TestFsq(QuantizerContract):
    name = "fsq"


class TestFiveLevels(QuantizerContract):
    name = "fsq"
    options = {"levels": 5}


class TestTwoLevels(QuantizerContract):
    name = "fsq"
    options = {"levels": 2}


@pytest.mark.parametrize("levels", [2, 3, 8])
def test_all_levels_are_reached_and_no_others(levels: int) -> None:
    quantizer = FiniteScalarQuantizer(latent_channels=1, channels=1, alphabet=256, levels=levels)
    torch.nn.init.ones_(quantizer.into.weight)
    torch.nn.init.zeros_(quantizer.into.bias)
    symbols = quantizer.symbols(torch.linspace(-20, 20, 4001)[None, None, None])
    assert symbols.unique().tolist() == list(range(levels))


def test_one_level_is_none() -> None:
    with pytest.raises(ComponentError, match="at least 2 levels"):
        FiniteScalarQuantizer(latent_channels=1, channels=1, alphabet=8, levels=1)
