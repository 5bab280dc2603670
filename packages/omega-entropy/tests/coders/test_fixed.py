import numpy as np
import pytest

from omega_core.errors import CoderError
from omega_core.tables import NoPrior
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


def test_what_a_cut_took_away_decodes_as_zeros(coder, uniform):
    symbols = np.array([255, 254, 253])
    data, cuts = coder.encode(symbols, uniform(256, 3), [1, 3])
    assert coder.decode(data[: cuts[0]], uniform(256, 3)).tolist() == [255, 0, 0]
    assert coder.decode(b"", uniform(256, 3)).tolist() == [0, 0, 0]


def test_a_symbol_that_the_alphabet_does_not_have_is_named(coder, uniform):
    with pytest.raises(CoderError, match="do not fit an alphabet of 5"):
        coder.decode(bytes([0b00101011, 0b11000000]), uniform(5, 5))


def test_it_needs_no_probabilities(coder):
    tables = NoPrior().tables(range(1), (1, 3), np.zeros((0, 1, 3), np.int64))
    symbols = np.array([0, 1 << 31, (1 << 32) - 1])
    data, cuts = coder.encode(symbols, tables, [1, 3])
    assert cuts == [4, len(data)] == [4, 12]
    assert np.array_equal(coder.decode(data, tables), symbols)
