"""Tables and symbols to code with."""

from collections.abc import Callable

import numpy as np
import pytest

from omega_core.coding.tables import FrozenTables, Tables, cumulative_counts

Stream = tuple[np.ndarray, Tables]


@pytest.fixture(scope="session")
def make_stream() -> Callable[..., Stream]:
    """make_stream(seed, …): symbols, flat, and tables for them, the same every time.

    skew: 0 for uniform probabilities; the larger, the fewer symbols have most of the probability.
    kind: "likely", drawn from the tables; "any", all as likely; "rare", the least likely of all.
    """

    def make(
        seed: int = 0,
        *,
        alphabet: int = 8,
        channels: int = 3,
        positions: int = 12,
        skew: float = 1.0,
        per_position: bool = False,
        kind: str = "likely",
    ) -> Stream:
        rng = np.random.default_rng(seed)
        shape = (channels, positions if per_position else 1, alphabet)
        frozen = FrozenTables.from_probabilities(np.exp(-skew * rng.gamma(1, size=shape)))
        rows = np.broadcast_to(frozen.rows, (channels, positions)).reshape(-1)
        tables = Tables(frozen.cumulative, rows, alphabet)
        if kind == "likely":
            drawn = rng.integers(1 << 16, size=(tables.size, 1))
            symbols = (drawn >= frozen.cumulative[rows][:, 1:]).sum(axis=1)
        elif kind == "any":
            symbols = rng.integers(alphabet, size=tables.size)
        else:
            symbols = np.diff(frozen.cumulative, axis=1)[rows].argmin(axis=1)
        return symbols.astype(np.int64), tables

    return make


@pytest.fixture(scope="session")
def uniform() -> Callable[..., Tables]:
    """uniform(alphabet, count): tables in which all symbols are as likely as can be."""

    def make(alphabet: int, count: int) -> Tables:
        return Tables(cumulative_counts(np.ones((1, alphabet))), np.zeros(count, np.int64), alphabet)

    return make
