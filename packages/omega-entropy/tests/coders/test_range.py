"""The format of `range` is pinned by a range coder with arbitrary-precision integers, written apart from it."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from omega_core.errors import CoderError
from omega_core.tables import Tables
from omega_entropy import RangeCoder

quick = settings(max_examples=80, deadline=None, database=None, derandomize=True)
streams = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32),
        "alphabet": st.sampled_from([2, 3, 17, 64, 255, 256, 1000, 1024]) | st.integers(2, 40),
        "channels": st.integers(1, 5),
        "positions": st.integers(1, 40),
        "skew": st.sampled_from([0.0, 0.5, 3.0, 20.0, 1000.0]),
        "per_position": st.booleans(),
        "kind": st.sampled_from(["likely", "any", "rare"]),
    }
)


@pytest.fixture(scope="module")
def coder():
    return RangeCoder()


class Interval:
    """What is coded so far: any number in [low, low + width), of so many bytes, decodes it."""

    def __init__(self):
        self.low, self.width, self.bytes = 0, 2**64 - 1, 8

    def narrow(self, left, right):
        """To the share [left, right) of 2²⁴; a width below 32 bits is followed by another word."""
        unit = self.width >> 24
        self.low, self.width = self.low + unit * left, unit * (right - left)
        if self.width < 2**32:
            self.low, self.width, self.bytes = self.low << 32, self.width << 32, self.bytes + 4


def borders(counts):
    """The 24-bit fixed-point interval of every symbol."""
    size = len(counts) - 1
    return [cumulative * (2**24 - size) // 2**16 + i for i, cumulative in enumerate(counts.tolist())]


def rows_of(tables):
    return np.broadcast_to(tables.rows, (tables.channels, tables.positions)).reshape(-1).tolist()


def first(tables, count):
    """The tables of the first symbols alone, as one channel."""
    return Tables(tables.cumulative, np.array([rows_of(tables)[:count]]), count, tables.alphabet, tables.derived)


def reference_interval(symbols, tables):
    interval, shares = Interval(), [borders(row) for row in tables.cumulative]
    for row, symbol in zip(rows_of(tables), symbols.tolist(), strict=True):
        interval.narrow(shares[row][symbol], shares[row][symbol + 1])
    return interval


def reference_decoding(data, tables):
    """The symbols of a stream that goes on with zeros for ever."""
    interval, shares, symbols = Interval(), [borders(row) for row in tables.cumulative], []
    for row in rows_of(tables):
        number = int.from_bytes(data[: interval.bytes].ljust(interval.bytes, b"\0"), "big")
        share = (number - interval.low) // (interval.width >> 24)
        if share >= 2**24:
            raise CoderError("the number is in the part of the interval that no symbol has")
        symbol = sum(border <= share for border in shares[row]) - 1
        interval.narrow(shares[row][symbol], shares[row][symbol + 1])
        symbols.append(symbol)
    return np.array(symbols)


@example({"seed": 0, "alphabet": 1024, "channels": 3, "positions": 40, "skew": 1000.0, "kind": "any"})
@quick
@given(options=streams)
def test_an_independent_range_coder_reads_the_stream_and_would_have_written_it(coder, make_stream, options):
    symbols, tables = make_stream(**options)
    data, _ = coder.encode(symbols, tables, [tables.size])
    assert np.array_equal(reference_decoding(data, tables), symbols)
    interval = reference_interval(symbols, tables)
    sent = int.from_bytes(data.ljust(interval.bytes, b"\0"), "big")
    assert len(data) <= interval.bytes
    assert interval.low <= sent < interval.low + interval.width
    if data:
        shorter = 256 ** (interval.bytes - len(data) + 1)
        assert -(-interval.low // shorter) * shorter >= interval.low + interval.width, "a byte less would have done"


@quick
@given(options=streams)
def test_whatever_is_coded_comes_back_within_two_bytes_of_its_information(coder, make_stream, options):
    symbols, tables = make_stream(**options)
    data, cuts = coder.encode(symbols, tables, [tables.size])
    assert np.array_equal(coder.decode(data, tables), symbols)
    assert cuts == [len(data)]
    assert 8 * len(data) <= 1.001 * tables.bits(symbols) + 16


@example({"seed": 3, "alphabet": 4, "channels": 3, "positions": 16, "skew": 3.0}, b"\x01{")
@quick
@given(options=streams, data=st.binary(max_size=30) | st.text("\0\x7f\x80\xff").map(lambda text: text.encode("latin1")))
def test_any_bytes_decode_as_with_the_independent_range_coder_and_are_as_short_as_can_be(
    coder, make_stream, options, data
):
    _, tables = make_stream(**options)
    try:
        expected = reference_decoding(data, tables)
    except CoderError:
        with pytest.raises(CoderError):
            coder.decode(data, tables)
    else:
        assert np.array_equal(coder.decode(data, tables), expected)
        assert len(coder.encode(expected, tables, [tables.size])[0]) <= len(data.rstrip(b"\0"))


@quick
@given(options=streams, data=st.data())
def test_every_prefix_has_a_cut(coder, make_stream, options, data):
    symbols, tables = make_stream(**options)
    some = data.draw(st.sets(st.integers(1, tables.size), max_size=8))
    ends = sorted({0, *some, tables.size})
    stream, cuts = coder.encode(symbols, tables, ends)
    assert cuts == sorted(cuts)
    for end, cut in zip(ends[1:], cuts[1:], strict=True):
        assert np.array_equal(coder.decode(stream[:cut], first(tables, end)), symbols[:end])


def test_carries_do_not_spoil_a_cut(coder, make_stream):
    """All intervals have a half in them, just below which their lower ends are a row of ones."""
    _, tables = make_stream(1, alphabet=7, channels=1, positions=200)
    symbols = reference_decoding(b"\x80", tables)
    ends = list(range(1, 201))
    data, cuts = coder.encode(symbols, tables, ends)
    assert data == b"\x80"
    assert cuts == sorted(cuts)
    assert reference_interval(symbols, tables).low.to_bytes(800, "big").lstrip(b"\0").startswith(b"\x7f" + b"\xff" * 40)
    for last in range(7):
        symbols[-1] = last
        data, cuts = coder.encode(symbols, tables, ends)
        for end, cut in zip(ends, cuts, strict=True):
            assert np.array_equal(coder.decode(data[:cut], first(tables, end)), symbols[:end])


def test_a_cut_is_a_byte_or_two_more_than_its_information(coder, make_stream):
    symbols, tables = make_stream(1, alphabet=32, positions=400)
    ends = list(range(1, tables.size + 1))
    _, cuts = coder.encode(symbols, tables, ends)
    lengths = 16 - np.log2(np.diff(tables.cumulative, axis=1))
    bits = np.cumsum(lengths[rows_of(tables), symbols])
    assert 0 < (8 * np.array(cuts) - bits).mean() < 12


@pytest.mark.parametrize(("alphabet", "kind"), [(64, "likely"), (256, "likely"), (1024, "any")])
def test_a_long_stream_costs_a_thousandth_more_than_its_information_at_most(coder, make_stream, alphabet, kind):
    symbols, tables = make_stream(2, alphabet=alphabet, channels=4, positions=25_000, skew=2.0, kind=kind)
    data, _ = coder.encode(symbols, tables, [tables.size])
    assert abs(8 * len(data) - tables.bits(symbols)) <= 0.001 * tables.bits(symbols) + 16
    assert np.array_equal(coder.decode(data, tables), symbols)


def test_zeros_at_the_end_of_a_stream_are_not_written(coder, uniform):
    tables = uniform(2, 400)
    assert coder.encode(np.zeros(400, np.int64), tables, [0, 200, 400]) == (b"", [0, 0, 0])


def test_the_bytes_of_a_stream_never_change(coder):
    tables = Tables(np.array([[0, 32768, 49152, 57344, 65536], [0, 1, 2, 3, 65536]]), np.array([[0], [1]]), 6, 4)
    symbols = np.array([0, 1, 2, 3, 3, 1, 3, 3, 0, 3, 2, 3])
    assert coder.encode(symbols, tables, [6, 9, 12]) == (bytes.fromhex("5bf7febf8c73"), [4, 6, 6])


def test_damaged_bytes_may_be_recognised_and_are_then_a_coder_error(coder, make_stream):
    _, tables = make_stream()
    with pytest.raises(CoderError, match="cannot be decoded"):
        coder.decode(b"\xff" * 16, tables)


def test_the_models_of_a_table_are_made_once(coder, make_stream):
    symbols, tables = make_stream()
    coder.encode(symbols, tables, [tables.size])
    made = dict(tables.derived["range"])
    coder.decode(bytes(9), tables)
    assert all(tables.derived["range"][row] is model for row, model in made.items())
