"""A prior that is a table, one that is a density, and latents: what the tests of quantizers need."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from omega_core.coding.tables import FrozenTables
from omega_core.contracts import Prior


class TablePrior(Prior):
    """Code lengths that are simply given."""

    def __init__(self, lengths_CTS: Tensor) -> None:
        super().__init__()
        self.lengths = nn.Parameter(lengths_CTS)

    def code_lengths(self, height: int, width: int) -> Tensor:
        return self.lengths

    def freeze(self) -> FrozenTables:
        return FrozenTables.from_probabilities(np.exp2(-self.lengths.detach().double().numpy()))


class LogisticPrior(TablePrior):
    """A logistic density of scale 1 for all channels."""

    def likelihood(self, values: Tensor) -> Tensor:
        return torch.sigmoid(values + 0.5) - torch.sigmoid(values - 0.5)


@pytest.fixture(scope="session")
def table_prior() -> Callable[[Tensor], Prior]:
    return TablePrior


@pytest.fixture(scope="session")
def logistic_prior() -> Prior:
    return LogisticPrior(torch.ones(1, 1, 2))


@pytest.fixture(scope="session")
def normal() -> Callable[..., Tensor]:
    """normal(*shape, seed=0, dtype=float32): the same numbers every time."""

    def make(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)

    return make
