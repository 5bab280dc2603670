import numpy as np
import pytest

from omega_core.coding.tables import Tables
from omega_core.errors import CoderError
from omega_entropy import FixedCoder


@pytest.fixture
def coder():
    return FixedCoder()


@pytest.mark.parametrize(
    ("alphabet", "width"),
    [(2, 1), (3, 2), (4, 2), (5, 3), (100, 7), (128, 7), (129, 8), (256, 8), (257, 9), (1024, 10)],
)
@pytest.mark.parametrize("count", [1, 7, 8, 9, 1000])
def test_every_symbol_takes_as_many_bits_as_the_alphabet_needs(coder, uniform, alphabet, width, count):
    tables = uniform(alphabet, count)
    symbols = np.random.default_rng(0).integers(alphabet, size=count)
    symbols[0] = alphabet - 1
    data, lengths = coder.encode(symbols, tables, [count])
    assert len(data) == lengths[-1] == -(-count * width // 8)
    assert np.array_equal(coder.decode(data, tables), symbols)


def test_the_most_significant_bit_comes_first(coder, uniform):
    data, lengths = coder.encode(np.array([1, 2, 3, 4, 0]), uniform(5, 5), [1, 2, 3, 5])
    assert data == bytes([0b00101001, 0b11000000])
    assert lengths == [1, 1, 2, 2]


def test_bytes_determine_the_symbols_whose_bits_they_have(coder, uniform):
    tables = uniform(5, 5)  # of 3 bits each
    data, lengths = coder.encode(np.array([4, 3, 2, 1, 0]), tables, [0, 1, 2, 3, 4, 5])
    assert lengths == [0, 1, 1, 2, 2, 2]
    assert [len(coder.decoder(data[:length]).decode(tables)) for length in range(3)] == [0, 2, 5]


@pytest.mark.parametrize(("alphabet", "count"), [(2, 8), (2, 9), (5, 5), (5, 8), (1000, 4), (1000, 5)])
def test_the_last_byte_may_be_filled_up_but_not_missing(coder, uniform, alphabet, count):
    tables = uniform(alphabet, count)
    data, _ = coder.encode(np.zeros(count, np.int64), tables, [count])
    assert coder.decode(data, tables).tolist() == [0] * count
    with pytest.raises(CoderError, match=f"symbols, not {count}"):
        coder.decode(data[:-1], tables)


def test_a_part_may_begin_within_a_byte(coder, uniform):
    data, _ = coder.encode(np.array([1, 2, 3, 4, 0]), uniform(5, 5), [5])
    decoder = coder.decoder(data[:1])
    assert decoder.decode(uniform(5, 1)).tolist() == [1]
    assert decoder.decode(uniform(5, 4)).tolist() == [2]
    decoder.extend(data[1:])
    assert decoder.decode(uniform(5, 3)).tolist() == [3, 4, 0]


def test_a_symbol_that_the_alphabet_does_not_have_is_named(coder, uniform):
    with pytest.raises(CoderError, match="do not fit an alphabet of 5"):
        coder.decode(bytes([0b00101011, 0b11000000]), uniform(5, 5))


def test_it_needs_no_probabilities(coder):
    tables = Tables(None, np.zeros(3, np.int64), 1 << 32)
    symbols = np.array([0, 1 << 31, (1 << 32) - 1])
    data, lengths = coder.encode(symbols, tables, [1, 3])
    assert lengths == [4, len(data)] == [4, 12]
    assert np.array_equal(coder.decode(data, tables), symbols)
