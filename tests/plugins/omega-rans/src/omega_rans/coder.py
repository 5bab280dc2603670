"""Range asymmetric numeral systems (Duda 2009, arXiv 0902.0271) with constriction's stack coder.

What is encoded last is decoded first: symbols are encoded from the last to the first. The words of the stack lie in
the file from the top down, little-endian, so that decoding begins at the beginning. The first two words are the state;
a symbol is determined by the state before it, and so by the words that were read up to there.
"""

from collections.abc import Iterator
from typing import Any

import constriction
import numpy as np

from omega_core.coding.tables import TOTAL, Integers, Symbols, Tables
from omega_core.contracts.coder import Coder, Decoder, check_symbols
from omega_core.errors import CoderError

_WORD = 4
_STATE = 2  # words of the state
_FIRST = np.array([0, 1], np.uint32)
"""The state before anything is encoded, 2³²: the least that a state may be."""


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
        lengths = self._lengths(words, runs, ends)
        return words[::-1].astype("<u4").tobytes()[: lengths[-1]], lengths

    def _lengths(self, words: Any, runs: list[tuple[Any, int]], ends: list[int]) -> list[int]:
        """The bytes that are read before the last of the first `ends[i]` symbols is decoded."""
        coder = constriction.stream.stack.AnsCoder(words)
        reached, lengths = 0, {0: 0}
        for model, run in runs:
            last = reached + run
            for end in [*(end for end in ends if reached < end < last), last]:
                coder.decode(model, end - 1 - reached)
                lengths[end] = _WORD * (len(words) - coder.pos()[0])
                coder.decode(model, 1)
                reached = end
        return [lengths[end] for end in ends]

    def decoder(self, data: bytes, *, complete: bool = False) -> Decoder:
        return _RansDecoder(data)


class _RansDecoder(Decoder):
    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.read = _STATE
        self.state: int | None = None  # after that many words were read
        self.lacking = False  # whether the last of them was not there, and counts as 0 in the state

    def decode(self, tables: Tables) -> Integers:
        """See `Decoder.decode`. A word that is not whole determines nothing."""
        runs, known = list(_runs(tables)), len(self.data) // _WORD
        if known < self.read or not runs:
            return np.zeros(0, np.int64)
        if self.data[:_WORD] == bytes(_WORD):
            raise CoderError("the stream begins with zeros, which no stream of the coder rans does.")
        words = np.frombuffer(self.data[: known * _WORD] + bytes(tables.size * _WORD), "<u4")[::-1].astype(np.uint32)
        coder = constriction.stream.stack.AnsCoder(words)
        if self.state is not None:
            if self.lacking:
                self.state += int(words[-self.read])
            coder.seek(len(words) - self.read, self.state)
        decoded = [np.zeros(0, np.int64)]
        for model, run in runs:
            before = coder.clone()
            part = coder.decode(model, run)
            if len(words) - coder.pos()[0] > known:  # of words that are not there yet
                coder, part = before, _some(before, model, run, len(words) - known)
            decoded.append(part)
            if len(part) < run:
                break
        position, self.state = coder.pos()
        self.read = len(words) - position
        self.lacking = self.read > known
        return np.concatenate(decoded, dtype=np.int64)


def _some(coder: Any, model: Any, most: int, unknown: int) -> Integers:
    """Up to `most` symbols, as long as `unknown` words of the stack are not read."""
    symbols: list[int] = []
    while len(symbols) < most and coder.pos()[0] >= unknown:
        symbols.append(coder.decode(model))
    return np.array(symbols, np.int64)


def _runs(tables: Tables) -> Iterator[tuple[Any, int]]:
    """Models, and how many symbols in a row each is for."""
    if tables.cumulative is None:
        raise CoderError("the coder rans needs probabilities, and this model has none; use the coder raw.")
    models = tables.cache.setdefault("rans", {})
    starts, rows = tables.runs
    for row, run in zip(rows.tolist(), np.diff(starts).tolist(), strict=True):
        if row not in models:
            probabilities = np.diff(tables.cumulative[row]) / TOTAL
            models[row] = constriction.stream.model.Categorical(probabilities, perfect=False)
        yield models[row], run
