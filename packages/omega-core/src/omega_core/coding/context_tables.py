"""The frozen prior `context`: tables that a net of integers chooses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omega_core.coding.integer_net import IntegerNet, small
from omega_core.coding.net_arithmetic import TABLES, NetArithmetic
from omega_core.coding.tables import TOTAL, FrozenPrior, Integers, Step, Symbols, check_cumulative, index_type


@dataclass(frozen=True)
class ContextTables(FrozenPrior):
    """A frozen prior whose tables an `IntegerNet` chooses.

    net: tells the number of the table of each symbol, from 0 to TABLES − 1.
    table: (TABLES, S+1), the tables, as `Tables.cumulative`.
    classes: (C,), the class of each channel, from 0 to K − 1.
    order: (K, TABLES), a permutation of 0 to K·TABLES − 1: the rank of each table in a channel of each class. Within a
        step, symbols are coded in the order of their ranks.

    Raises ValueError for arrays that do not fit each other.
    """

    net: IntegerNet
    table: Integers
    classes: Integers
    order: Integers
    cache: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_cumulative(self.table)
        if self.table.shape != (TABLES, self.net.alphabet + 1):
            raise ValueError(f"there are {TABLES} tables of {self.net.alphabet} symbols, not {self.table.shape}")
        if self.order.ndim != 2 or self.order.shape[1] != TABLES or self.classes.shape != (self.net.channels,):
            raise ValueError("the order of tables is (K, TABLES), and every channel has a class")
        if self.classes.min() < 0 or self.classes.max() >= len(self.order):
            raise ValueError(f"the classes of channels are not from 0 to {len(self.order) - 1}")
        if not np.array_equal(np.sort(self.order.reshape(-1)), np.arange(self.order.size)):
            raise ValueError("the order of tables is no permutation")

    @cached_property
    def cumulative(self) -> Integers:  # type: ignore[override]
        """The tables in their order, (K·TABLES, S+1)."""
        ordered = np.empty((self.order.size, self.table.shape[1]), np.int64)
        for ranks in self.order:
            ordered[ranks] = self.table
        return ordered

    @cached_property
    def _arithmetic(self) -> NetArithmetic:
        return NetArithmetic(self.net)

    def steps(self, symbols: Symbols) -> Iterator[Step]:
        """Yield three steps for each group of channels, and one at the end: see `NetArithmetic.tables`."""
        if len(symbols) != self.net.channels:
            raise ValueError(f"the tables are for {self.net.channels} channels, not {len(symbols)}")
        for places, tables in self._arithmetic.tables(symbols, self._first):
            yield Step(places, self._ranks[tables])

    @cached_property
    def _ranks(self) -> Symbols:
        """`order`, flat, in the shortest type: those of a large picture are many."""
        return self.order.reshape(-1).astype(index_type(self.order.size))

    @cached_property
    def _first(self) -> Symbols:
        """Where the ranks of each channel begin in `_ranks`."""
        return (self.classes * TABLES).astype(index_type(self.order.size))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of a model file."""
        net = {f"net.{name}": array for name, array in self.net.arrays().items()}
        tables = {"table": self.table.astype(np.uint16), "classes": small(self.classes), "order": small(self.order)}
        return net | tables  # 16 bits, in which 2¹⁶ is 0: there are many tables

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> ContextTables:
        """The inverse of `arrays`. Raises ValueError or KeyError if they are no such tables."""
        if any(array.dtype.kind not in "iu" for array in arrays.values()):
            raise ValueError("the arrays of a context prior are integers")
        numbers = {name: array.astype(np.int64) for name, array in arrays.items()}
        numbers["table"][:, -1:] += TOTAL
        net = IntegerNet(**{entry.name: numbers[f"net.{entry.name}"] for entry in fields(IntegerNet)})
        return cls(net, numbers["table"], numbers["classes"], numbers["order"])
