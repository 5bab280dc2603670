"""What `torchac` shares with the other coders is tested in test_coders_agree.py."""

import numpy as np
import pytest

from omega_entropy import RangeCoder

pytestmark = pytest.mark.torchac


@pytest.fixture(scope="module")
def coder():
    from omega_entropy import TorchacCoder

    return TorchacCoder()


@pytest.mark.parametrize("skew", [0.0, 2.0, 30.0])
def test_a_long_stream_is_as_long_as_that_of_range(coder, make_stream, skew):
    symbols, tables = make_stream(6, alphabet=64, channels=1, positions=100_000, skew=skew)
    ours, _ = RangeCoder().encode(symbols, tables, [tables.size])
    theirs, _ = coder.encode(symbols, tables, [tables.size])
    assert np.array_equal(coder.decode(theirs, tables), symbols)
    assert abs(len(theirs) - len(ours)) <= 0.01 * len(ours)


def test_a_cut_takes_about_as_many_bytes_as_with_range(coder, make_stream):
    symbols, tables = make_stream(7, alphabet=32, channels=8, positions=100, skew=3.0)
    ends = list(range(100, 801, 100))
    _, ours = RangeCoder().encode(symbols, tables, ends)
    _, theirs = coder.encode(symbols, tables, ends)
    assert np.abs(np.subtract(theirs, ours)).max() <= 3
