"""What every coder promises, whatever its bytes look like."""

import tracemalloc
from dataclasses import replace
from datetime import timedelta
from functools import partial
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega_core.coding.tables import NoPrior, Tables
from omega_core.contracts.coder import Coder
from omega_core.errors import CoderError

CODERS = [
    pytest.param(
        f"omega_entropy.coders.{name}:{name.capitalize()}Coder",
        id=name,
        marks=pytest.mark.torchac if name == "torchac" else (),
    )
    for name in ("range", "fixed", "raw", "torchac")
]
STREAMS = {
    "likely": {},
    "two symbols": {"alphabet": 2, "positions": 300, "skew": 5.0},
    "per position": {"per_position": True, "alphabet": 5},
    "unlikely": {"kind": "rare", "alphabet": 64, "skew": 20.0},
    "uniform": {"kind": "any", "alphabet": 100, "skew": 0.0},
    "nearly free": {"alphabet": 16, "positions": 2000, "skew": 50.0},
    "many symbols": {"alphabet": 1024, "kind": "any"},
    "one symbol": {"channels": 1, "positions": 1},
}

quick = settings(max_examples=30, deadline=timedelta(seconds=5), database=None, derandomize=True)


@pytest.fixture(params=CODERS)
def coder(request):
    module, name = request.param.split(":")
    return getattr(import_module(module), name)()


@pytest.fixture(params=STREAMS)
def stream(request, make_stream):
    return make_stream(3, **STREAMS[request.param])


def first(tables, count):
    """The tables of the first symbols alone, as one channel."""
    rows = np.broadcast_to(tables.rows, (tables.channels, tables.positions)).reshape(1, -1)[:, :count]
    return Tables(tables.cumulative, rows, count, tables.alphabet)


def ends_of(tables):
    """Nothing, inside of a channel, at all its ends, and everything."""
    inside = [1, tables.positions // 2, tables.positions + 1, tables.size - 1]
    channels = [c * tables.positions for c in range(tables.channels + 1)]
    return sorted({end for end in (*inside, *channels) if 0 <= end <= tables.size})


def test_the_same_symbols_come_back(coder, stream):
    symbols, tables = stream
    data, _ = coder.encode(symbols, tables, [tables.size])
    assert isinstance(data, bytes)
    decoded = coder.decode(data, tables)
    assert decoded.dtype == np.int64
    assert np.array_equal(decoded, symbols)


def test_a_stream_is_a_function_of_what_is_coded(coder, stream):
    symbols, tables = stream
    once = coder.encode(symbols, tables, [tables.size])
    again = coder.encode(symbols.copy(), replace(tables, cache={}), [tables.size])
    assert once == again == coder.encode(symbols, tables, [tables.size])


def test_a_stream_does_not_depend_on_its_cuts(coder, stream):
    symbols, tables = stream
    whole, _ = coder.encode(symbols, tables, [tables.size])
    assert coder.encode(symbols, tables, ends_of(tables))[0] == whole


def test_every_cut_decodes_as_many_symbols_as_it_says(coder, stream):
    symbols, tables = stream
    ends = ends_of(tables)
    data, cuts = coder.encode(symbols, tables, ends)
    assert len(cuts) == len(ends)
    assert cuts == sorted(cuts)
    assert cuts[-1] <= len(data)
    for end, cut in zip(ends, cuts, strict=True):
        if end:
            decoded = coder.decode(data[:cut], first(tables, end))
            assert np.array_equal(decoded, symbols[:end]), f"{cut} bytes for {end} symbols"
    assert cuts[0] == 0, "nothing takes no bytes"


def test_zeros_after_a_cut_change_nothing(coder, stream):
    symbols, tables = stream
    end = tables.size // 2
    data, cuts = coder.encode(symbols, tables, [0, end, tables.size])
    if end:
        assert np.array_equal(coder.decode(data[: cuts[1]] + bytes(64), first(tables, end)), symbols[:end])


def test_channels_may_be_decoded_one_after_the_other(coder, stream):
    symbols, tables = stream
    data, _ = coder.encode(symbols, tables, [tables.size])
    decoder = coder.decoder(data)
    parts = [decoder.decode(replace(tables, rows=tables.rows[c : c + 1])) for c in range(tables.channels)]
    assert [len(part) for part in parts] == [tables.positions] * tables.channels
    assert np.array_equal(np.concatenate(parts), symbols)


def between(tables, start, end):
    """The tables of symbols [start, end) alone, as one channel."""
    rows = np.broadcast_to(tables.rows, (tables.channels, tables.positions)).reshape(1, -1)[:, start:end]
    return Tables(tables.cumulative, rows, end - start, tables.alphabet)


@pytest.mark.parametrize("growing", ["of the coder", "of the contract"])
def test_a_stream_may_be_extended_to_cut_after_cut(coder, stream, growing):
    symbols, tables = stream
    ends = ends_of(tables)
    data, cuts = coder.encode(symbols, tables, ends)
    make = coder.growing_decoder if growing == "of the coder" else partial(Coder.growing_decoder, coder)
    decoder, done, given = make(b""), 0, 0
    for end, cut in zip(ends, cuts, strict=True):
        decoder.extend(data[given : (given + cut) // 2])
        decoder.extend(data[(given + cut) // 2 : cut])
        if end:
            assert np.array_equal(decoder.decode(between(tables, done, end)), symbols[done:end])
        done, given = end, cut


def test_a_growing_decoder_may_be_given_more_than_a_cut_and_asked_for_less(coder, stream):
    symbols, tables = stream
    data, cuts = coder.encode(symbols, tables, [tables.size // 2, tables.size])
    decoder, half = coder.growing_decoder(data[: cuts[0] + 1]), tables.size // 2
    quarters = [(0, half // 2), (half // 2, half)]
    parts = [decoder.decode(between(tables, *places)) for places in quarters if places[0] < places[1]]
    decoder.extend(data[cuts[0] + 1 :])
    parts.append(decoder.decode(between(tables, half, tables.size)))
    assert np.array_equal(np.concatenate(parts), symbols)


def test_bytes_that_are_too_few_for_a_growing_decoder_are_an_error(coder, uniform):
    tables = uniform(256, 20)
    symbols = np.random.default_rng(0).integers(256, size=20)
    data, _ = coder.encode(symbols, tables, [20])
    decoder = coder.growing_decoder(data[:2])
    with pytest.raises(CoderError, match="has 2 bytes; its symbols take at least"):
        decoder.decode(tables)


def test_groups_may_have_tables_of_their_own(coder, make_stream):
    groups = [make_stream(seed, channels=seed + 1, positions=7, alphabet=20, skew=3.0) for seed in range(3)]
    symbols = np.concatenate([symbols for symbols, _ in groups])
    offsets = np.cumsum([0, *(len(tables.cumulative) for _, tables in groups[:-1])])
    rows = np.concatenate([tables.rows + offset for (_, tables), offset in zip(groups, offsets, strict=True)])
    whole = Tables(np.concatenate([tables.cumulative for _, tables in groups]), rows, 7, 20)
    data, _ = coder.encode(symbols, whole, [whole.size])
    decoder = coder.decoder(data)
    for expected, tables in groups:
        assert np.array_equal(decoder.decode(tables), expected)


def test_no_symbols_are_no_bytes(coder):
    nothing = np.zeros(0, np.int64)
    tables = Tables(np.array([[0, 1 << 15, 1 << 16]]), np.zeros((0, 1), np.int64), 4, 2)
    assert coder.encode(nothing, tables, [0]) == (b"", [0])
    assert coder.decode(b"", tables).size == 0


def test_bytes_that_are_too_few_for_what_they_are_said_to_hold_are_an_error(coder, stream):
    symbols, tables = stream
    data, _ = coder.encode(symbols, tables, [tables.size])
    least = tables.least_bits([tables.size])[0] / 8
    for length in {0, 1, len(data) // 2, int(least) - 5}:
        if 0 <= length < least - 4:
            with pytest.raises(CoderError, match=f"has {length} bytes; its symbols take at least"):
                coder.decode(data[:length], tables)


def test_bytes_that_are_too_few_for_a_later_group_are_an_error_there(coder, uniform):
    tables = uniform(256, 20)
    symbols = np.random.default_rng(0).integers(256, size=20)
    data, _ = coder.encode(symbols, tables, [20])
    decoder = coder.decoder(data)
    assert np.array_equal(decoder.decode(tables), symbols)
    with pytest.raises(CoderError, match=f"has {len(data)} bytes; its symbols take at least"):
        decoder.decode(tables)


@pytest.mark.parametrize("channels", [1, 480])
def test_a_short_stream_said_to_hold_billions_of_symbols_is_refused_before_memory_is_taken(coder, uniform, channels):
    tables = replace(uniform(256, 10**9), rows=np.zeros((channels, 1), np.int64))
    decoder = coder.decoder(bytes(1000))
    tracemalloc.start()
    try:
        with pytest.raises(CoderError, match="has 1000 bytes; its symbols take at least"):
            decoder.decode(tables)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("symbol", [-1, 8, 1 << 40])
def test_a_symbol_outside_the_alphabet_is_an_error_that_shows_it(coder, make_stream, symbol):
    symbols, tables = make_stream()
    symbols[5] = symbol
    with pytest.raises(CoderError, match=rf"{symbol}\b.* alphabet of 8"):
        coder.encode(symbols, tables, [tables.size])


@pytest.mark.parametrize("integers", ["i1", "u1", "i2", ">i4", "i4", "u4", "u8"])
def test_symbols_of_any_integer_type_are_coded_alike(coder, make_stream, integers):
    symbols, tables = make_stream()
    assert coder.encode(symbols.astype(integers), tables, [tables.size]) == coder.encode(symbols, tables, [tables.size])


@pytest.mark.parametrize(("symbol", "integers"), [(-1, "i1"), (255, "u1"), (-1, "i4"), (1 << 31, "u4"), (8, ">i4")])
def test_no_integer_type_hides_a_symbol_outside_the_alphabet(coder, make_stream, symbol, integers):
    symbols, tables = make_stream()
    symbols = symbols.astype(integers)
    symbols[5] = symbol
    with pytest.raises(CoderError, match=rf"{symbol}\b.* alphabet of 8"):
        coder.encode(symbols, tables, [tables.size])


@pytest.mark.parametrize("count", [35, 37])
def test_another_number_of_symbols_than_the_tables_are_for_is_an_error(coder, make_stream, count):
    _, tables = make_stream()
    with pytest.raises(CoderError, match=f"{count} symbols were given with tables for 36"):
        coder.encode(np.zeros(count, np.int64), tables, [count])


@pytest.mark.parametrize("coder", [CODERS[0], CODERS[3]], indirect=True)
def test_tables_without_probabilities_are_an_error_that_names_the_coder_to_take(coder):
    tables = NoPrior().tables(range(2), (2, 2), np.zeros((0, 2, 2), np.int64))
    with pytest.raises(CoderError, match="use the coder raw"):
        coder.encode(np.zeros(8, np.int64), tables, [8])
    with pytest.raises(CoderError, match="use the coder raw"):
        coder.decode(bytes(8), tables)


# raw has no symbols that are not in its alphabet, see test_raw.py
@pytest.mark.parametrize("coder", [CODERS[0], CODERS[1], CODERS[3]], indirect=True)
@pytest.mark.parametrize("options", STREAMS.values(), ids=STREAMS)
def test_random_bytes_are_symbols_or_a_coder_error(coder, make_stream, options):
    _, tables = make_stream(4, **{**options, "positions": min(50, options.get("positions", 12))})

    @quick
    @given(st.binary(max_size=60))
    def check(data):
        try:
            symbols = coder.decode(data, tables)
        except CoderError:
            return
        assert symbols.shape == (tables.size,)
        assert symbols.min() >= 0
        assert symbols.max() < tables.alphabet

    check()


@pytest.mark.parametrize("damage", [1, 0x80, 0xFF])
def test_a_damaged_byte_anywhere_is_symbols_or_a_coder_error(coder, make_stream, damage):
    symbols, tables = make_stream(5, alphabet=11, kind="any")
    data, _ = coder.encode(symbols, tables, [tables.size])
    for i in range(len(data)):
        damaged = bytearray(data)
        damaged[i] ^= damage
        try:
            assert coder.decode(bytes(damaged), tables).shape == symbols.shape
        except CoderError:
            continue
