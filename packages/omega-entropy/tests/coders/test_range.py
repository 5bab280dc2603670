"""The format of `range` is pinned by a range coder with arbitrary-precision integers, written apart from it."""

import math
from dataclasses import replace
from itertools import pairwise

import constriction
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from omega_core.coding.tables import Tables
from omega_core.errors import CoderError
from omega_entropy import RangeCoder
from omega_entropy.coders.range import _RangeDecoder, _shorten

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
    return Tables(tables.cumulative, np.array([rows_of(tables)[:count]]), count, tables.alphabet, tables.cache)


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


def least_bytes(tables, end):
    """The whole bytes of what the first symbols cost if each is the likeliest."""
    greatest = np.diff(tables.cumulative, axis=1).max(axis=1)[rows_of(tables)[:end]]
    return math.floor(math.fsum(16 - math.log2(count) for count in greatest.tolist()) / 8)


SKEWED = {"seed": 0, "alphabet": 1024, "channels": 3, "positions": 40, "skew": 1000.0, "kind": "any"}
CHEAP = {"seed": 0, "alphabet": 2, "channels": 5, "positions": 40, "skew": 0.0, "kind": "rare"}


@example(SKEWED)
@example(CHEAP)
@quick
@given(options=streams)
def test_an_independent_range_coder_reads_the_stream_and_would_have_written_it(coder, make_stream, options):
    symbols, tables = make_stream(**options)
    data, _ = coder.encode(symbols, tables, [tables.size])
    assert np.array_equal(reference_decoding(data, tables), symbols)
    interval = reference_interval(symbols, tables)
    sent = int.from_bytes(data.ljust(interval.bytes, b"\0"), "big")
    assert interval.low <= sent < interval.low + interval.width
    needed = len(data.rstrip(b"\0"))
    assert needed <= interval.bytes
    assert len(data) == max(needed, least_bytes(tables, tables.size))
    if needed:
        shorter = 256 ** (interval.bytes - needed + 1)
        assert -(-interval.low // shorter) * shorter >= interval.low + interval.width, "a byte less would have done"


@example(SKEWED)
@example(CHEAP)
@quick
@given(options=streams)
def test_a_cut_has_the_fewest_bytes_that_decode_but_never_fewer_than_the_likeliest_symbols_take(
    coder, make_stream, options
):
    symbols, tables = make_stream(**options)
    ends = list(range(tables.size + 1))
    data, cuts = coder.encode(symbols, tables, ends)
    shares, interval = [borders(row) for row in tables.cumulative], Interval()
    for end, cut in zip(ends, cuts, strict=True):
        if end:
            row, symbol = rows_of(tables)[end - 1], symbols[end - 1]
            interval.narrow(shares[row][symbol], shares[row][symbol + 1])

        def decodes(length):
            sent = int.from_bytes(data[:length][: interval.bytes].ljust(interval.bytes, b"\0"), "big")
            return interval.low <= sent < interval.low + interval.width

        least = least_bytes(tables, end)
        assert cut >= least
        assert decodes(cut)
        assert cut == least or not decodes(cut - 1)


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
    least = least_bytes(tables, tables.size)
    data = data.ljust(least, b"\0")
    try:
        expected = reference_decoding(data, tables)
    except CoderError:
        with pytest.raises(CoderError):
            coder.decode(data, tables)
    else:
        assert np.array_equal(coder.decode(data, tables), expected)
        assert len(coder.encode(expected, tables, [tables.size])[0]) <= max(least, len(data.rstrip(b"\0")))


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
    assert data == b"\x80".ljust(least_bytes(tables, 200), b"\0")
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


def test_zeros_at_the_end_of_a_stream_are_written_only_as_far_as_the_likeliest_symbols_would_reach(coder, uniform):
    tables = uniform(2, 400)
    assert coder.encode(np.zeros(400, np.int64), tables, [0, 200, 400]) == (bytes(50), [0, 25, 50])
    unlikely = Tables(np.array([[0, 1 << 14, 1 << 16]]), tables.rows, 400, 2)
    assert math.floor(-400 * math.log2(3 / 4) / 8) == 20 < 400 * 2 / 8
    assert coder.encode(np.zeros(400, np.int64), unlikely, [0, 200, 400]) == (bytes(20), [0, 10, 20])
    nearly_free = Tables(np.array([[0, (1 << 16) - 1, 1 << 16]]), tables.rows, 400, 2)
    assert coder.encode(np.zeros(400, np.int64), nearly_free, [0, 200, 400]) == (b"", [0, 0, 0])


def test_a_stream_more_than_a_byte_shorter_than_its_least_is_refused_at_the_group_that_it_ends_in(coder, uniform):
    tables = uniform(256, 10)
    for length in range(12):
        decode = coder.decoder(bytes(length)).decode
        if length < 9:
            with pytest.raises(CoderError, match=f"has {length} bytes; its symbols take at least 9"):
                decode(tables)
        else:
            assert decode(tables).tolist() == [0] * 10
            with pytest.raises(CoderError, match=f"has {length} bytes; its symbols take at least 19"):
                decode(tables)


@quick
@given(options=streams)
def test_no_cut_is_refused_as_too_short_however_it_is_divided(coder, make_stream, options):
    symbols, tables = make_stream(**options | {"kind": "any"})
    likeliest = np.diff(tables.cumulative, axis=1).argmax(axis=1)[rows_of(tables)]
    ends = [channel * tables.positions for channel in range(tables.channels + 1)]
    for chosen in (likeliest, symbols):
        data, cuts = coder.encode(chosen, tables, ends)
        for channels, (end, cut) in enumerate(zip(ends, cuts, strict=True)):
            decoder = coder.decoder(data[:cut])
            alone = [replace(tables, rows=tables.rows[channel : channel + 1]) for channel in range(channels)]
            decoded = [symbol for one in alone for symbol in decoder.decode(one).tolist()]
            assert decoded == chosen[:end].tolist()


@quick
@given(options=streams, chosen=st.sets(st.integers(0, 20)))
def test_a_stream_that_grows_is_decoded_once_whatever_arrives_together(coder, make_stream, options, chosen):
    symbols, tables = make_stream(**options)
    ends = [channel * tables.positions for channel in range(tables.channels + 1)]
    data, cuts = coder.encode(symbols, tables, ends)
    decoder, decoded, taken = coder.growing_decoder(b""), [], 0
    for channel in range(tables.channels):
        if channel + 1 == tables.channels or channel in chosen:
            decoder.extend(data[taken : cuts[channel + 1]])
            begun, taken = len(decoded), cuts[channel + 1]
            for each in range(begun, channel + 1):
                decoded.append(decoder.decode(replace(tables, rows=tables.rows[each : each + 1])))
    assert np.array_equal(np.concatenate(decoded), symbols)


def test_a_growing_decoder_does_not_decode_again(coder, make_stream, monkeypatch):
    symbols, tables = make_stream(0, channels=12, positions=30)
    data, cuts = coder.encode(symbols, tables, [30 * channel for channel in range(1, 13)])
    decoded, decode = [], _RangeDecoder.decode

    def watched(self, given):
        decoded.append(given.size)
        return decode(self, given)

    monkeypatch.setattr(_RangeDecoder, "decode", watched)
    decoder = coder.growing_decoder(b"")
    for channel, (first, last) in enumerate(pairwise([0, *cuts])):
        decoder.extend(data[first:last])
        decoder.decode(replace(tables, rows=tables.rows[channel : channel + 1]))
    assert decoded == [30] * 12


@pytest.mark.parametrize("skew", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("alphabet", [2, 3, 17, 256, 1000, 4096])
def test_constriction_divides_an_interval_by_whole_numbers_that_follow_from_the_counts(make_stream, alphabet, skew):
    """Symbol i of S begins at floor(cumulative[i]·(2²⁴ − S) / 2¹⁶) + i: a version that did else would break files."""
    _, tables = make_stream(alphabet, alphabet=alphabet, channels=1, skew=skew)
    cumulative, unit = tables.cumulative[0].tolist(), (2**64 - 1) // 2**24
    model = constriction.stream.model.Categorical(np.diff(tables.cumulative[0]) / 2**16, perfect=False)
    begins = [cumulative[i] * (2**24 - alphabet) // 2**16 + i for i in range(alphabet + 1)]
    assert begins[-1] == 2**24
    for i in {0, 1, alphabet // 3, alphabet // 2, alphabet - 2, alphabet - 1}:
        encoder = constriction.stream.queue.RangeEncoder()
        encoder.encode(i, model)
        words, (low, width) = encoder.pos()
        interval = (unit * begins[i], unit * (begins[i + 1] - begins[i]))
        if words:  # a width below 32 bits is followed by another word
            assert interval[1] < 2**32
            interval = (interval[0] << 32, interval[1] << 32)
        assert (low, width) == (interval[0] % 2**64, interval[1])


def test_the_bytes_of_a_stream_never_change(coder):
    tables = Tables(np.array([[0, 32768, 49152, 57344, 65536], [0, 1, 2, 3, 65536]]), np.array([[0], [1]]), 6, 4)
    symbols = np.array([0, 1, 2, 3, 3, 1, 3, 3, 0, 3, 2, 3])
    assert coder.encode(symbols, tables, [6, 9, 12]) == (bytes.fromhex("5bf7febf8c73"), [4, 6, 6])


def test_damaged_bytes_may_be_recognized_and_are_then_a_coder_error(coder, make_stream):
    _, tables = make_stream()
    with pytest.raises(CoderError, match="cannot be decoded"):
        coder.decode(b"\xff" * 16, tables)


def test_the_models_of_a_table_are_made_once(coder, make_stream):
    symbols, tables = make_stream()
    coder.encode(symbols, tables, [tables.size])
    made = dict(tables.cache["range"])
    coder.decode(bytes(9), tables)
    assert all(tables.cache["range"][row] is model for row, model in made.items())


@pytest.mark.parametrize("before", [b"\x01" + b"\xff" * 8, b"\x01" + b"\xff" * 7 + b"\xfe", b""])
def test_a_stream_is_shortened_whatever_is_carried(before: bytes) -> None:
    """The number sent is 2⁶⁴ − 1 at the last place, and 2⁶⁴ of the same interval ends in more zeros."""
    stream = bytearray(before + b"\xff" * 8 + bytes(8))
    low, width = 2**64 - 256, 2**40
    if not before:
        low, width = 2**64 - 256, 255
    _shorten(stream, len(before), low, width)
    sent = int.from_bytes(stream, "big") >> 64
    expected = (int.from_bytes(before, "big") << 64) + (2**64 if before else low)
    assert sent == expected
    assert len(stream) == len(before) + 16
