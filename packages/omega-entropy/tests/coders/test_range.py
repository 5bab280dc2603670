"""The format of `range` is pinned by a range coder with arbitrary-precision integers, written apart from it."""

from itertools import pairwise

import constriction
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from omega_core.coders import range as range_coder
from omega_core.coders.range import _RangeDecoder, _shortest
from omega_core.coding.tables import Tables
from omega_core.errors import CoderError
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

    def has(self, data):
        """Whether all numbers that begin with these bytes lie in it."""
        known = data[: self.bytes]
        least = int.from_bytes(known.ljust(self.bytes, b"\0"), "big")
        return self.low <= least and least + 256 ** (self.bytes - len(known)) <= self.low + self.width


def borders(counts):
    """The 24-bit fixed-point interval of every symbol."""
    size = len(counts) - 1
    return [cumulative * (2**24 - size) // 2**16 + i for i, cumulative in enumerate(counts.tolist())]


def shares_of(tables):
    return [borders(row) for row in tables.cumulative]


def reference_interval(symbols, tables):
    interval, shares = Interval(), shares_of(tables)
    for row, symbol in zip(tables.rows.tolist(), symbols.tolist(), strict=True):
        interval.narrow(shares[row][symbol], shares[row][symbol + 1])
    return interval


def reference_lengths(data, symbols, tables):
    """The fewest bytes that determine the first 0 to all symbols."""
    interval, shares, lengths = Interval(), shares_of(tables), [0]
    for row, symbol in zip(tables.rows.tolist(), symbols.tolist(), strict=True):
        interval.narrow(shares[row][symbol], shares[row][symbol + 1])
        lengths.append(next(n for n in range(lengths[-1], len(data) + 1) if interval.has(data[:n])))
    return lengths


def reference_decoding(data, tables, *, complete):
    """The symbols of a stream that goes on with zeros forever, or else those that its bytes determine."""
    interval, shares, symbols = Interval(), shares_of(tables), []
    for row in tables.rows.tolist():
        number = int.from_bytes(data[: interval.bytes].ljust(interval.bytes, b"\0"), "big")
        share = (number - interval.low) // (interval.width >> 24)
        if share >= 2**24:
            if complete:
                raise CoderError("the number is in the part of the interval that no symbol has")
            break
        symbol = sum(border <= share for border in shares[row]) - 1
        interval.narrow(shares[row][symbol], shares[row][symbol + 1])
        if not (complete or interval.has(data)):
            break
        symbols.append(symbol)
    return np.array(symbols, np.int64)


SKEWED = {"seed": 0, "alphabet": 1024, "channels": 3, "positions": 40, "skew": 1000.0, "kind": "any"}
CHEAP = {"seed": 0, "alphabet": 2, "channels": 5, "positions": 40, "skew": 0.0, "kind": "rare"}


@example(SKEWED)
@example(CHEAP)
@quick
@given(options=streams)
def test_an_independent_range_coder_reads_the_stream_and_would_have_written_it(coder, make_stream, options):
    symbols, tables = make_stream(**options)
    data, _ = coder.encode(symbols, tables, [tables.size])
    for complete in (True, False):
        assert np.array_equal(reference_decoding(data, tables, complete=complete), symbols)
    interval = reference_interval(symbols, tables)
    assert interval.has(data)
    unit = 256 ** (interval.bytes - len(data) + 1)
    assert -(-interval.low // unit) * unit + unit > interval.low + interval.width, "a byte less would have done"


@quick
@given(options=streams)
def test_the_stream_does_not_depend_on_how_many_probabilities_are_looked_up_at_once(coder, make_stream, options):
    symbols, tables = make_stream(**options)
    ends = list(range(tables.size + 1))
    data, lengths = coder.encode(symbols, tables, ends)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(range_coder, "_MAX_NUMBERS", 2 * options["alphabet"])
        assert coder.encode(symbols, tables, ends) == (data, lengths)
        assert np.array_equal(coder.decoder(data, complete=True).decode(tables), symbols)


@example(SKEWED)
@example(CHEAP)
@quick
@given(options=streams)
def test_a_length_has_the_fewest_bytes_that_determine_the_symbols(coder, make_stream, options):
    symbols, tables = make_stream(**options)
    data, lengths = coder.encode(symbols, tables, list(range(tables.size + 1)))
    assert lengths == reference_lengths(data, symbols, tables)


@quick
@given(options=streams)
def test_whatever_is_coded_comes_back_within_two_bytes_of_its_information(coder, make_stream, options):
    symbols, tables = make_stream(**options)
    data, lengths = coder.encode(symbols, tables, [tables.size])
    assert np.array_equal(coder.decode(data, tables), symbols)
    assert lengths == [len(data)]
    assert 8 * len(data) <= 1.001 * tables.bits(symbols) + 17


@example({"seed": 3, "alphabet": 4, "channels": 3, "positions": 16, "skew": 3.0}, b"\x01{")
@quick
@given(options=streams, data=st.binary(max_size=30) | st.text("\0\x7f\x80\xff").map(lambda text: text.encode("latin1")))
def test_any_bytes_decode_as_with_the_independent_range_coder(coder, make_stream, options, data):
    _, tables = make_stream(**options)
    determined = reference_decoding(data, tables, complete=False)
    assert np.array_equal(coder.decoder(data).decode(tables), determined)
    try:
        expected = reference_decoding(data, tables, complete=True)
    except CoderError:
        with pytest.raises(CoderError):
            coder.decode(data, tables)
    else:
        assert np.array_equal(coder.decode(data, tables), expected)
    some = tables.part(0, len(determined))
    assert len(coder.encode(determined, some, [some.size])[0]) <= len(data)


@quick
@given(options=streams, data=st.data())
def test_a_stream_that_grows_is_decoded_as_far_as_its_bytes_go(coder, make_stream, options, data):
    symbols, tables = make_stream(**options)
    ends = list(range(tables.size + 1))
    stream, lengths = coder.encode(symbols, tables, ends)
    bounds = sorted({0, len(stream), *data.draw(st.sets(st.integers(0, len(stream)), max_size=8))})
    decoder, decoded = coder.decoder(b""), []
    for start, end in pairwise(bounds):
        decoder.extend(stream[start:end])
        for _ in range(data.draw(st.integers(1, 2))):
            decoded += decoder.decode(tables.part(len(decoded))).tolist()
        assert len(decoded) == sum(length <= end for length in lengths) - 1
        assert decoded == symbols[: len(decoded)].tolist()
    assert len(decoded) == (tables.size if len(bounds) > 1 else 0)


def test_carries_do_not_spoil_a_length(coder, make_stream):
    """All intervals have a half in them, just below which their lower ends are a row of ones."""
    _, tables = make_stream(1, alphabet=7, channels=1, positions=200)
    symbols = reference_decoding(b"\x80", tables, complete=True)
    assert reference_interval(symbols, tables).low.to_bytes(800, "big").lstrip(b"\0").startswith(b"\x7f" + b"\xff" * 40)
    for last in range(7):
        symbols[-1] = last
        data, lengths = coder.encode(symbols, tables, list(range(201)))
        assert lengths == reference_lengths(data, symbols, tables)
        assert np.array_equal(coder.decode(data, tables), symbols)


def test_symbols_are_determined_by_a_byte_or_two_more_than_their_information(coder, make_stream):
    symbols, tables = make_stream(1, alphabet=32, positions=400)
    _, lengths = coder.encode(symbols, tables, list(range(1, tables.size + 1)))
    bits = np.cumsum(tables.bits_of_each(symbols))
    assert 0 < (8 * np.array(lengths) - bits).mean() < 13


@pytest.mark.parametrize(("alphabet", "kind"), [(64, "likely"), (256, "likely"), (1024, "any")])
def test_a_long_stream_costs_a_thousandth_more_than_its_information_at_most(coder, make_stream, alphabet, kind):
    symbols, tables = make_stream(2, alphabet=alphabet, channels=4, positions=25_000, skew=2.0, kind=kind)
    data, _ = coder.encode(symbols, tables, [tables.size])
    assert abs(8 * len(data) - tables.bits(symbols)) <= 0.001 * tables.bits(symbols) + 16
    assert np.array_equal(coder.decode(data, tables), symbols)


def test_symbols_that_are_nearly_certain_take_a_byte_together(coder):
    nearly_free = Tables(np.array([[0, (1 << 16) - 1, 1 << 16]]), np.zeros(400, np.int64), 2)
    data, lengths = coder.encode(np.zeros(400, np.int64), nearly_free, [0, 200, 400])
    assert (len(data), lengths) == (1, [0, 1, 1])


def test_a_decoder_of_whole_steps_decodes_each_symbol_once(coder, make_stream, monkeypatch):
    symbols, tables = make_stream(0, channels=12, positions=30)
    data, lengths = coder.encode(symbols, tables, [30 * step for step in range(1, 13)])
    monkeypatch.setattr(_RangeDecoder, "_determined", lambda *_: pytest.fail("it searches where a step is whole"))
    decoder = coder.decoder(b"")
    for step, (first, last) in enumerate(pairwise([0, *lengths])):
        decoder.extend(data[first:last])
        assert np.array_equal(decoder.decode(tables.part(30 * step, 30 * step + 30)), symbols[30 * step :][:30])


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
    cumulative = np.array([[0, 32768, 49152, 57344, 65536], [0, 1, 2, 3, 65536]])
    tables = Tables(cumulative, np.repeat([0, 1], 6), 4)
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


@pytest.mark.parametrize("before", [0x01FFFFFF_FFFFFFFF_FFFFFFFF, 0x01FFFFFF_FFFFFFFF_FFFFFFFE])
def test_the_shortest_stream_is_found_whatever_is_carried(before: int) -> None:
    """The number that constriction sends is 2⁶⁴ − 256 at the last place; 2⁶⁴ of the same interval ends in zeros."""
    words = np.array([0x01FFFFFF, 0xFFFFFFFF, before & 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFF00], np.uint32)
    found = _shortest(words, (3, (2**64 - 256, 2**40)))
    assert found == (before + 1).to_bytes(12, "big") + bytes(4)


def test_no_bytes_follow_a_whole_stream(coder):
    decoder = coder.decoder(b"\x80", complete=True)
    decoder.extend(b"")
    with pytest.raises(ValueError, match="no further bytes"):
        decoder.extend(b"\x80")
