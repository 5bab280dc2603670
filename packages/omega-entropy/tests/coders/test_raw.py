import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega_core.coding.tables import Tables
from omega_core.errors import CoderError
from omega_entropy import RawCoder


@pytest.fixture(scope="module")
def coder():
    return RawCoder()


def tables(count):
    return Tables(None, np.zeros(count, np.int64), 1 << 32)


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=30))
def test_every_32_bit_pattern_comes_back(coder, symbols):
    ends = list(range(len(symbols) + 1))
    data, lengths = coder.encode(np.array(symbols), tables(len(symbols)), ends)
    assert lengths == [4 * end for end in ends]
    assert len(data) == 4 * len(symbols)
    assert coder.decode(data, tables(len(symbols))).tolist() == symbols


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(st.binary(min_size=40, max_size=50) | st.binary(max_size=50))
def test_all_bytes_are_symbols_if_they_are_whole(coder, data):
    whole = min(10, len(data) // 4)
    assert coder.decoder(data).decode(tables(10)).astype("<u4").tobytes() == data[: 4 * whole]
    if whole < 10:
        with pytest.raises(CoderError, match=f"the stream has {whole} symbols, not 10"):
            coder.decode(data, tables(10))
    else:
        assert coder.decode(data, tables(10)).astype("<u4").tobytes() == data[:40]


def test_symbols_are_little_endian(coder):
    assert coder.encode(np.array([1, 0x3F800000]), tables(2), [1, 2]) == (b"\1\0\0\0" + b"\0\0\x80\x3f", [4, 8])


def test_symbols_may_be_decoded_in_parts_while_bytes_arrive(coder):
    data = np.arange(6, dtype="<u4").tobytes()
    decoder = coder.decoder(data[:15])
    assert [decoder.decode(tables(n)).tolist() for n in (1, 3, 2)] == [[0], [1, 2], []]
    decoder.extend(data[15:])
    assert decoder.decode(tables(9)).tolist() == [3, 4, 5]


@pytest.mark.parametrize("symbol", [-1, 1 << 32])
def test_a_symbol_of_more_than_32_bits_is_an_error(coder, symbol):
    with pytest.raises(CoderError, match=f"{symbol}.* alphabet of 4294967296"):
        coder.encode(np.array([symbol]), tables(1), [1])


def test_a_pattern_outside_of_a_smaller_alphabet_is_named() -> None:
    tables = Tables(None, np.zeros(4, np.int64), 4)
    with pytest.raises(CoderError, match="do not fit an alphabet of 4"):
        RawCoder().decode(b"\xff" * 16, tables)
