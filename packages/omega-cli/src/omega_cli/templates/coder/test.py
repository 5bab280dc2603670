"""Tests of the contract of coders, by the conformance kit."""

import numpy as np
from omega_core.coding.tables import FrozenTables
from omega_core.testing import CoderContract

from __PACKAGE__.coder import __CLASS__


class Test__CLASS__(CoderContract):
    name = "__NAME__"


def test_a_symbol_takes_two_bytes() -> None:
    tables = FrozenTables.from_probabilities(np.ones((1, 1, 8))).tables(range(1), (2, 3), np.zeros((0, 2, 3), np.int64))
    data, cuts = __CLASS__().encode(np.arange(6), tables, [6])
    assert (len(data), cuts) == (12, [12])
