import numpy as np

from omega_core.coding.tables import Tables, cumulative_counts
from omega_core.testing import CoderContract
from omega_rans.coder import RansCoder


class TestRans(CoderContract):
    name = "rans"


def test_a_stream_is_little_longer_than_its_information() -> None:
    random = np.random.default_rng(0)
    chances = random.dirichlet(np.full(32, 0.3), 4)
    tables = Tables(cumulative_counts(chances), np.repeat(np.arange(4), 2500), 32)
    symbols = np.concatenate([random.choice(32, 2500, p=row) for row in chances])
    data, _ = RansCoder().encode(symbols, tables, [10000])
    assert tables.bits(symbols) / 8 <= len(data) <= 1.001 * tables.bits(symbols) / 8 + 8


def test_a_symbol_is_determined_by_the_words_before_it() -> None:
    symbols = np.random.default_rng(0).integers(0, 256, 40)
    tables = Tables(cumulative_counts(np.ones((1, 256))), np.zeros(40, np.int64), 256)
    ends = list(range(41))
    data, lengths = RansCoder().encode(symbols, tables, ends)
    for end, length in zip(ends, lengths, strict=True):
        assert len(RansCoder().decoder(data[:length]).decode(tables)) >= end
        assert end == 0 or len(RansCoder().decoder(data[: length - 1]).decode(tables)) < end
