"""What `torchac` shares with the other coders is tested in test_coders_agree.py."""

from dataclasses import replace

import numpy as np
import pytest

from omega_core.errors import CoderError
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


def test_a_stream_of_the_likeliest_symbols_is_not_refused_as_too_short(coder, make_stream):
    for skew in (0.0, 1.0, 5.0, 50.0):
        for alphabet in (2, 16, 1000):
            _, tables = make_stream(8, alphabet=alphabet, channels=4, positions=300, skew=skew)
            likeliest = np.diff(tables.cumulative, axis=1).argmax(axis=1).repeat(300)
            ends = [0, 300, 600, 900, 1200]
            data, cuts = coder.encode(likeliest, tables, ends)
            for end, cut in zip(ends, cuts, strict=True):
                short = replace(tables, rows=tables.rows[: end // 300])
                assert np.array_equal(coder.decode(data[:cut], short), likeliest[:end])


def test_a_stream_more_than_four_bytes_shorter_than_its_least_is_refused(coder, uniform):
    tables = uniform(256, 100)
    for length in (0, 50, 95):
        with pytest.raises(CoderError, match=f"has {length} bytes; its symbols take at least 96"):
            coder.decode(bytes(length), tables)
    assert coder.decode(bytes(96), tables).tolist() == [0] * 100
