import numpy as np
import pytest

from omega_core.coding.tables import NoPrior
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
    data, cuts = coder.encode(symbols, tables, [count])
    assert len(data) == cuts[-1] == -(-count * width // 8)
    assert np.array_equal(coder.decode(data, tables), symbols)


def test_the_most_significant_bit_comes_first(coder, uniform):
    data, cuts = coder.encode(np.array([1, 2, 3, 4, 0]), uniform(5, 5), [1, 2, 3, 5])
    assert data == bytes([0b00101001, 0b11000000])
    assert cuts == [1, 1, 2, 2]


def test_a_cut_holds_its_symbols_and_no_more(coder, uniform):
    symbols = np.array([255, 254, 253])
    data, cuts = coder.encode(symbols, uniform(256, 3), [1, 3])
    assert coder.decode(data[: cuts[0]], uniform(256, 1)).tolist() == [255]
    for length in range(3):
        with pytest.raises(CoderError, match=f"has {length} bytes; its symbols take at least 3"):
            coder.decode(data[:length], uniform(256, 3))


@pytest.mark.parametrize(("alphabet", "count"), [(2, 8), (2, 9), (5, 5), (5, 8), (1000, 4), (1000, 5)])
def test_the_last_byte_may_be_filled_up_but_not_missing(coder, uniform, alphabet, count):
    tables = uniform(alphabet, count)
    data, _ = coder.encode(np.zeros(count, np.int64), tables, [count])
    assert coder.decode(data, tables).tolist() == [0] * count
    with pytest.raises(CoderError, match=f"has {len(data) - 1} bytes"):
        coder.decode(data[:-1], tables)


def test_a_group_begins_within_a_byte_and_is_refused_if_it_is_not_whole(coder, uniform):
    data, _ = coder.encode(np.array([1, 2, 3, 4, 0]), uniform(5, 5), [5])
    decoder = coder.decoder(data)
    assert decoder.decode(uniform(5, 1)).tolist() == [1]
    assert decoder.decode(uniform(5, 4)).tolist() == [2, 3, 4, 0]
    decoder = coder.decoder(data[:1])
    assert decoder.decode(uniform(5, 2)).tolist() == [1, 2]
    with pytest.raises(CoderError, match="has 1 bytes"):
        decoder.decode(uniform(5, 1))


def test_a_symbol_that_the_alphabet_does_not_have_is_named(coder, uniform):
    with pytest.raises(CoderError, match="do not fit an alphabet of 5"):
        coder.decode(bytes([0b00101011, 0b11000000]), uniform(5, 5))


def test_it_needs_no_probabilities(coder):
    tables = NoPrior().tables(range(1), (1, 3), np.zeros((0, 1, 3), np.int64))
    symbols = np.array([0, 1 << 31, (1 << 32) - 1])
    data, cuts = coder.encode(symbols, tables, [1, 3])
    assert cuts == [4, len(data)] == [4, 12]
    assert np.array_equal(coder.decode(data, tables), symbols)
