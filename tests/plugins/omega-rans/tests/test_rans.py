import numpy as np

from omega_core.coding.tables import FrozenTables
from omega_core.testing import CoderContract
from omega_rans.coder import RansCoder


class TestRans(CoderContract):
    name = "rans"


def test_a_stream_is_little_longer_than_its_information() -> None:
    random = np.random.default_rng(0)
    chances = random.dirichlet(np.full(32, 0.3), (4, 1))
    tables = FrozenTables.from_probabilities(chances).tables(range(4), (50, 50), np.zeros((0, 50, 50), np.int64))
    symbols = np.concatenate([random.choice(32, 2500, p=row[0]) for row in chances])
    data, _ = RansCoder().encode(symbols, tables, [10000])
    assert tables.bits(symbols) / 8 <= len(data) <= 1.001 * tables.bits(symbols) / 8 + 8
