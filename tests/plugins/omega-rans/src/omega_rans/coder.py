"""Range asymmetric numeral systems (Duda 2009, arXiv 0902.0271) with constriction's stack coder.

What is encoded last is decoded first: symbols are encoded from the last to the first. The words of the stack lie in
the file from the top down, little-endian, so that decoding begins at the beginning and a cut is a prefix.
"""

from collections.abc import Iterator
from typing import Any

import constriction
import numpy as np

from omega_core.coding.tables import TOTAL, Integers, Symbols, Tables
from omega_core.contracts.coder import Coder, Decoder, check_length, check_symbols
from omega_core.errors import CoderError

_WORD = 4
_STATE = 2  # words of the state
_FIRST = np.array([0, 1], np.uint32)
"""The state before anything is encoded, 2³²: a full one, so that what lies below it, zeros or not, is never read."""


class RansCoder(Coder):
    """As near to −Σ log2 p as range coding, up to the eight bytes of the state."""

    def encode(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        check_symbols(symbols, tables)
        runs = list(_runs(tables))
        if not symbols.size:
            return b"", [0 for _ in ends]
        coder = constriction.stream.stack.AnsCoder(_FIRST)
        last = symbols.size
        for model, run in reversed(runs):
            coder.encode_reverse(symbols[last - run : last].astype(np.int32), model)
            last -= run
        words = coder.get_compressed()
        return words[::-1].astype("<u4").tobytes(), self._cuts(words, runs, ends)

    def _cuts(self, words: Any, runs: list[tuple[Any, int]], ends: list[int]) -> list[int]:
        """Where words have been read up to, found by decoding."""
        coder = constriction.stream.stack.AnsCoder(words)
        reached, cuts = 0, {0: 0}
        for model, run in runs:
            last = reached + run
            for end in [*(end for end in ends if reached < end < last), last]:
                coder.decode(model, end - reached)
                reached = end
                cuts[end] = len(words) - coder.pos()[0]
        cuts[reached] = len(words)
        return [_WORD * cuts[end] for end in ends]

    def decoder(self, data: bytes) -> Decoder:
        return _RansDecoder(data)


class _RansDecoder(Decoder):
    def __init__(self, data: bytes) -> None:
        whole = data + bytes(-len(data) % _WORD + _WORD * _STATE)
        words = np.frombuffer(whole, "<u4")[::-1].astype(np.uint32)
        if not words.any():
            words = words[:0]
        elif words[-1] == 0:
            raise CoderError("the stream begins with zeros, which no stream of the coder rans does.")
        self.data, self.least = data, 0.0
        self.coder = constriction.stream.stack.AnsCoder(words)

    def decode(self, tables: Tables) -> Integers:
        self.least += tables.least_bits([tables.size])[0]
        check_length(self.data, self.least / 8 - _WORD * _STATE)
        parts = [self.coder.decode(model, run) for model, run in _runs(tables)]
        return np.concatenate([np.zeros(0, np.int64), *parts], dtype=np.int64)


def _runs(tables: Tables) -> Iterator[tuple[Any, int]]:
    """Models, and how many symbols in a row each is for."""
    if tables.cumulative is None:
        raise CoderError("the coder rans needs probabilities, and this model has none; use the coder raw.")
    models = tables.cache.setdefault("rans", {})
    for row, run in tables.runs():
        if row not in models:
            probabilities = np.diff(tables.cumulative[row]) / TOTAL
            models[row] = constriction.stream.model.Categorical(probabilities, perfect=False)
        if run:
            yield models[row], run
