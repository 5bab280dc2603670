"""The order of symbols if a net selects tables: symbols that reduce the error most for their bits come first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omega_core.coding.integer_net import IntegerNet, small
from omega_core.coding.tables import Arrays, Integers, Symbols, index_type

_MAX_RANKS = 1 << 24  # float32 holds all indices of ranks


@dataclass(frozen=True)
class SymbolOrder:
    """The order of the symbols of a picture. C channels in G groups, T tables.

    classes: (C,), the class of each channel, from 0 to K − 1.
    ranks: (K, T), a permutation of 0 to K·T − 1: the rank of each table in a channel of each class. Symbols of
        one step are in the order of their ranks.
    latest: (C,), the group with which the symbols of a channel that refine are coded: the group of the channel or a
        later one, but before the group of a child, whose tables depend on them.

    Raises ValueError for arrays that do not fit each other.
    """

    classes: Integers
    ranks: Integers
    latest: Integers

    def __post_init__(self) -> None:
        if self.ranks.ndim != 2 or not np.array_equal(np.sort(self.ranks.reshape(-1)), np.arange(self.ranks.size)):
            raise ValueError("the ranks of tables are not a permutation (K, T)")
        if self.ranks.size > _MAX_RANKS:
            raise ValueError(f"there are at most {_MAX_RANKS} ranks, not {self.ranks.size}")
        if self.classes.shape != self.latest.shape or self.classes.ndim != 1:
            raise ValueError("every channel has a class and a last group")
        if self.classes.min() < 0 or self.classes.max() >= len(self.ranks):
            raise ValueError(f"the classes of channels are not from 0 to {len(self.ranks) - 1}")

    def check(self, net: IntegerNet, tables: int) -> None:
        """Raise ValueError if this is not an order of the symbols of a net. tables: T."""
        groups, sizes = len(net.bias), np.diff(net.bounds)
        if self.ranks.shape[1] != tables or self.latest.shape != (net.channels,):
            raise ValueError(f"the order is not one of {net.channels} channels with {tables} tables")
        own = np.repeat(np.arange(groups), sizes)
        if (self.latest < own).any() or (self.latest >= groups).any():
            raise ValueError("the symbols of a channel are coded with its group or a later one")
        if (self.latest[net.parents] >= own)[net.parents >= 0].any():
            raise ValueError("the symbols of a parent are coded before the group of its child")

    @cached_property
    def tables(self) -> Integers:
        """The table of each rank, (K·T,)."""
        found: Integers = np.argsort(self.ranks.reshape(-1)) % self.ranks.shape[1]
        return found

    def ranks_of(self, tables: NDArray[Any], start: int) -> Symbols:
        """Return the ranks of tables (n, P) of the channels from `start`, in the shortest type, as there may be many.

        tables: float32 or integers; they are overwritten.
        """
        tables += self._first[start : start + len(tables), None]
        found: Symbols = self._flat.take(tables.astype(self._first.dtype))
        return found

    @property
    def rank_type(self) -> np.dtype[Any]:
        """The shortest type that holds all ranks."""
        return np.dtype(index_type(self.ranks.size))

    @cached_property
    def _flat(self) -> Symbols:
        found: Symbols = self.ranks.reshape(-1).astype(self.rank_type)
        return found

    @cached_property
    def _first(self) -> Symbols:
        """Where the ranks of each channel begin in `_flat`."""
        found: Symbols = (self.classes * self.ranks.shape[1]).astype(index_type(self.ranks.size))
        return found

    def arrays(self) -> Arrays:
        """Return the arrays that a model file stores, by name."""
        ranks = self._flat.reshape(self.ranks.shape)
        return {"classes": small(self.classes), "ranks": ranks, "latest": small(self.latest)}
