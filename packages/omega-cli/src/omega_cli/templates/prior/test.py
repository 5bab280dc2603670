"""Tests of the contract of priors, with the conformance kit."""

import torch
from omega_core.testing import PriorContract

from __PACKAGE__.prior import __CLASS__


class Test__CLASS__(PriorContract):
    name = "__NAME__"


def test_a_symbol_that_always_occurs_costs_almost_nothing() -> None:
    prior = __CLASS__(channels=1, alphabet=4)
    prior.recount()
    prior.observe(torch.zeros(100, 1, 3, 3, dtype=torch.int64), torch.ones(100))
    assert prior.code_lengths(3, 3)[0, 0, 0] < 0.01
