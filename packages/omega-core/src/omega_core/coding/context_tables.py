"""The frozen prior `context`: tables that a net of integers selects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from math import ceil

import numpy as np

from omega_core.coding.integer_net import IntegerNet
from omega_core.coding.net_arithmetic import TABLES, NetArithmetic
from omega_core.coding.symbol_order import SymbolOrder
from omega_core.coding.tables import Arrays, FrozenPrior, Integers, Step, Symbols, check_cumulative, stored_integers


@dataclass(frozen=True)
class ContextTables(FrozenPrior):
    """A frozen prior whose tables an `IntegerNet` selects.

    net: selects the table of each symbol, from 0 to TABLES − 1.
    tables: (TABLES, S+1), as `Tables.cumulative`.
    order: the order of the symbols.

    Raises ValueError for arrays that do not fit each other.
    """

    net: IntegerNet
    tables: Integers
    order: SymbolOrder

    def __post_init__(self) -> None:
        check_cumulative(self.tables)
        if self.tables.shape != (TABLES, self.net.alphabet + 1):
            raise ValueError(f"there are {TABLES} tables of {self.net.alphabet} symbols, not {self.tables.shape}")
        self.order.check(self.net, TABLES)

    @cached_property
    def cumulative(self) -> Integers:  # type: ignore[override]
        """The tables in the order of ranks, (K·TABLES, S+1)."""
        return self.tables[self.order.tables]

    @cached_property
    def coding_memory(self) -> int:  # type: ignore[override]
        """See `FrozenPrior`. It is the sum for the largest half of a group in the net, the largest step in the coder,
        and all symbols that refine, as they may wait. Each was measured with random symbols, plus a fifth.
        """
        refining = self.net.parents >= 0
        halves = np.diff(self.net.bounds) / 2
        step = halves + np.bincount(self.order.latest[refining], minlength=len(halves))
        return ceil(float(90 * halves.max() + 46 * step.max() + 9 * refining.sum()) / self.net.channels)

    @property
    def parameters(self) -> int:
        """See `FrozenPrior`."""
        return self.tables[:, 1:].size + sum(array.size for array in self.net.arrays().values())

    @property
    def multiplications(self) -> float:
        """See `FrozenPrior`. Those of matrix products and convolutions, not those that scale and round their sums."""
        channels, (groups, width) = 2 * self.net.channels, self.net.bias.shape
        # for all positions: inputs, scores, and the layers of each group except the last mixing
        everywhere = 2 * channels * width + groups * (3 * 9 * width + 2 * width**2)
        in_half = 2 * channels * width + groups * width**2  # marks of the first half, scores of the second
        return float(everywhere + in_half / 2)

    @cached_property
    def _arithmetic(self) -> NetArithmetic:
        return NetArithmetic(self.net, self.order)

    def steps(self, symbols: Symbols) -> Iterator[Step]:
        """Yield two steps for each group of channels: see `NetArithmetic.steps`."""
        if len(symbols) != self.net.channels:
            raise ValueError(f"the tables are for {self.net.channels} channels, not {len(symbols)}")
        for indices, ranks in self._arithmetic.steps(symbols):
            yield Step(indices, ranks)

    def arrays(self) -> Arrays:
        """Return the arrays of a model file."""
        net = {f"net.{name}": array for name, array in self.net.arrays().items()}
        # tables are large, so they are stored in 16 bits, with 0 for 2¹⁶
        return net | {"tables": self.tables.astype(np.uint16)} | self.order.arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> ContextTables:
        """The inverse of `arrays`. Raises ValueError or KeyError if they are not such tables."""
        numbers = stored_integers(arrays, "tables")
        net = IntegerNet(**{entry.name: numbers[f"net.{entry.name}"] for entry in fields(IntegerNet)})
        order = SymbolOrder(**{entry.name: numbers[entry.name] for entry in fields(SymbolOrder)})
        return cls(net, numbers["tables"], order)
