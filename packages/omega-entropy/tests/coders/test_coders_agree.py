"""What every coder promises, whatever its bytes look like."""

from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega_core.coding.tables import Tables
from omega_core.errors import CoderError

CODERS = [
    pytest.param("omega_core.coders.range:RangeCoder", id="range"),
    pytest.param("omega_core.coders.fixed:FixedCoder", id="fixed"),
    pytest.param("omega_core.coders.raw:RawCoder", id="raw"),
    pytest.param("omega_entropy.coders.torchac:TorchacCoder", id="torchac", marks=pytest.mark.torchac),
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


def ends_of(tables):
    """Nothing, some, and everything."""
    size = tables.size
    return sorted({end for end in (0, 1, size // 4, size // 3 + 1, size // 2, size - 1, size) if 0 <= end <= size})


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


def test_a_stream_does_not_depend_on_the_ends_that_are_asked_for(coder, stream):
    symbols, tables = stream
    whole, _ = coder.encode(symbols, tables, [tables.size])
    assert coder.encode(symbols, tables, ends_of(tables))[0] == whole


def test_every_length_determines_as_many_symbols_as_it_says(coder, stream):
    symbols, tables = stream
    ends = ends_of(tables)
    data, lengths = coder.encode(symbols, tables, ends)
    assert len(lengths) == len(ends)
    assert lengths == sorted(lengths)
    assert lengths[-1] == len(data)
    for end, length in zip(ends, lengths, strict=True):
        decoded = coder.decoder(data[:length]).decode(tables)
        assert end <= len(decoded), f"{length} bytes for {end} symbols"
        assert np.array_equal(decoded, symbols[: len(decoded)])
    assert lengths[0] == 0, "nothing takes no bytes"


@pytest.mark.parametrize("coder", CODERS[:3], indirect=True)
def test_a_byte_less_determines_fewer_symbols(coder, stream):
    symbols, tables = stream
    ends = ends_of(tables)
    data, lengths = coder.encode(symbols, tables, ends)
    for end, length in zip(ends, lengths, strict=True):
        assert not length or len(coder.decoder(data[: length - 1]).decode(tables)) < end


def test_whatever_follows_changes_nothing(coder, stream):
    symbols, tables = stream
    data, _ = coder.encode(symbols, tables, [tables.size])
    half = coder.decoder(data[: len(data) // 2]).decode(tables)
    for after in (bytes(64), b"\xff" * 64, b"\x5a"):
        decoded = coder.decoder(data[: len(data) // 2] + after).decode(tables.part(0, len(half)))
        assert np.array_equal(decoded, half)
        assert np.array_equal(coder.decoder(data + after).decode(tables), symbols)


@pytest.mark.parametrize("complete", [True, False])
def test_symbols_may_be_decoded_in_parts(coder, stream, complete):
    symbols, tables = stream
    data, _ = coder.encode(symbols, tables, [tables.size])
    decoder, ends = coder.decoder(data, complete=complete), ends_of(tables)
    parts = [decoder.decode(tables.part(start, end)) for start, end in pairwise(ends)]
    assert [len(part) for part in parts] == np.diff(ends).tolist()
    assert np.array_equal(np.concatenate(parts), symbols)


def test_a_stream_may_arrive_byte_by_byte(coder, make_stream):
    symbols, tables = make_stream(3, alphabet=30, positions=20, per_position=True)
    ends = list(range(tables.size + 1))
    data, lengths = coder.encode(symbols, tables, ends)
    decoder, decoded = coder.decoder(b""), []
    for start in range(len(data)):
        decoder.extend(data[start : start + 1])
        decoded += decoder.decode(tables.part(len(decoded))).tolist()
        assert len(decoded) == sum(length <= start + 1 for length in lengths) - 1
    assert decoded == symbols.tolist()


def test_a_decoder_may_be_given_more_than_it_is_asked_for(coder, stream):
    symbols, tables = stream
    data, lengths = coder.encode(symbols, tables, [tables.size // 2, tables.size])
    decoder, half = coder.decoder(data[: lengths[0] + 1]), tables.size // 2
    parts = [decoder.decode(tables.part(0, half // 2)), decoder.decode(tables.part(half // 2, half))]
    decoder.extend(data[lengths[0] + 1 :])
    parts.append(decoder.decode(tables.part(half)))
    assert np.array_equal(np.concatenate(parts), symbols)


def test_what_is_decoded_is_not_changed_by_bytes_that_follow(coder, make_stream):
    symbols, tables = make_stream(3, alphabet=30, positions=20)
    data, _ = coder.encode(symbols, tables, [tables.size])
    decoder = coder.decoder(data[: len(data) // 2])
    known = decoder.decode(tables)
    decoder.extend(b"\xa5" * 9)
    assert np.array_equal(known, symbols[: len(known)])
    try:
        rest = decoder.decode(tables.part(len(known)))
    except CoderError:
        return
    assert len(rest) <= tables.size - len(known)


def test_parts_may_have_tables_of_their_own(coder, make_stream):
    groups = [make_stream(seed, channels=seed + 1, positions=7, alphabet=20, skew=3.0) for seed in range(3)]
    symbols = np.concatenate([symbols for symbols, _ in groups])
    offsets = np.cumsum([0, *(len(tables.cumulative) for _, tables in groups[:-1])])
    rows = np.concatenate([tables.rows + offset for (_, tables), offset in zip(groups, offsets, strict=True)])
    whole = Tables(np.concatenate([tables.cumulative for _, tables in groups]), rows, 20)
    data, _ = coder.encode(symbols, whole, [whole.size])
    decoder = coder.decoder(data)
    for expected, tables in groups:
        assert np.array_equal(decoder.decode(tables), expected)


def test_no_symbols_are_no_bytes(coder):
    nothing = np.zeros(0, np.int64)
    tables = Tables(np.array([[0, 1 << 15, 1 << 16]]), nothing, 2)
    assert coder.encode(nothing, tables, [0]) == (b"", [0])
    assert coder.decode(b"", tables).size == 0
    assert coder.decoder(b"").decode(tables).dtype == np.int64


def test_no_bytes_determine_no_symbols(coder, stream):
    _, tables = stream
    assert coder.decoder(b"").decode(tables).tolist() == []


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
    tables = Tables(None, np.zeros(8, np.int64), 1 << 32)
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
