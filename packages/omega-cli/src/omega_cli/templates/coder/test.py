"""Tests of the contract of coders, with the conformance kit."""

import numpy as np
from omega_core.coding.tables import Tables, cumulative_counts
from omega_core.testing import CoderContract

from __PACKAGE__.coder import __CLASS__


class Test__CLASS__(CoderContract):
    name = "__NAME__"


def test_a_symbol_takes_two_bytes() -> None:
    tables = Tables(cumulative_counts(np.ones((1, 8))), np.zeros(6, np.int64), 8)
    data, lengths = __CLASS__().encode(np.arange(6), tables, [6])
    assert (len(data), lengths) == (12, [12])
