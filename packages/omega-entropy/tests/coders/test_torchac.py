"""What `torchac` shares with the other coders is tested in test_coders_agree.py."""

import numpy as np
import pytest

from omega_entropy import RangeCoder

pytestmark = pytest.mark.torchac


@pytest.fixture(scope="module")
def coder():
    from omega_entropy.coders.torchac import TorchacCoder

    return TorchacCoder()


@pytest.mark.parametrize("skew", [0.0, 2.0, 30.0])
def test_a_long_stream_is_as_long_as_that_of_range(coder, make_stream, skew):
    symbols, tables = make_stream(6, alphabet=64, channels=1, positions=100_000, skew=skew)
    ours, _ = RangeCoder().encode(symbols, tables, [tables.size])
    theirs, _ = coder.encode(symbols, tables, [tables.size])
    assert np.array_equal(coder.decode(theirs, tables), symbols)
    assert abs(len(theirs) - len(ours)) <= 0.01 * len(ours)


def test_symbols_take_about_as_many_bytes_as_with_range(coder, make_stream):
    symbols, tables = make_stream(7, alphabet=32, channels=8, positions=100, skew=3.0)
    ends = list(range(100, 801, 100))
    _, ours = RangeCoder().encode(symbols, tables, ends)
    _, theirs = coder.encode(symbols, tables, ends)
    assert np.abs(np.subtract(theirs, ours)).max() <= 3


@pytest.mark.parametrize("skew", [0.0, 1.0, 5.0, 50.0])
@pytest.mark.parametrize("alphabet", [2, 16, 1000])
def test_streams_of_the_likeliest_symbols_are_determined_by_their_bytes(coder, make_stream, skew, alphabet):
    _, tables = make_stream(8, alphabet=alphabet, channels=4, positions=300, skew=skew)
    likeliest = np.diff(tables.cumulative, axis=1).argmax(axis=1)[tables.rows]
    ends = [0, 300, 600, 900, 1200]
    data, lengths = coder.encode(likeliest, tables, ends)
    for end, length in zip(ends, lengths, strict=True):
        assert np.array_equal(coder.decoder(data[:length]).decode(tables.part(0, end)), likeliest[:end])
