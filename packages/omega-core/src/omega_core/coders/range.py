"""Range coding (Martin 1979; Pasco 1976) with the library constriction (Bamler 2022, arXiv 2201.01741).

constriction takes probabilities as floats. Given `counts / 2**16` in float64 with `perfect=False`, it converts them to
24-bit fixed-point numbers that depend on the counts alone: the interval of symbol i of S begins at
floor(cumulative[i]·(2²⁴ − S) / 2¹⁶) + i. So files do not depend on the rounding of a machine.

The stream is a number, most significant byte first. Symbols are determined by its first bytes if all numbers that begin
with these bytes lie in the interval of the symbols.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from omega_core.coding.tables import TOTAL, Integers, Symbols, Tables
from omega_core.contracts.coder import Coder, Decoder, check_symbols
from omega_core.errors import CoderError

_WORD = 4  # bytes of a word of constriction's output
_STATE = 8  # bytes of the state of its encoder
_MAX_NUMBERS = 1 << 20  # probabilities that are looked up at once
_SHORT_RUN = 12  # symbols of one table; for fewer, one model per symbol is faster than one call per run
_EACH = constriction.stream.model.Categorical(perfect=False)
State = tuple[int, tuple[int, int]]
"""The state of constriction's encoder, (number of words, (low, width)): any number of 8 bytes in [low, low +
width) at that word decodes to the symbols so far."""


class RangeCoder(Coder):
    """The default coder: its streams are a few bits longer than −Σ log2 p."""

    def encode(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        words, states = _states(symbols, tables, ends)
        data = _shortest(words, states[-1]) if tables.size else b""
        return data, _lengths(data, ends, states)

    def encode_start(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        words, states = _states(symbols, tables, ends)
        data = _in_common(words, states[-1]) if tables.size else b""
        return data, _lengths(data, ends, states)

    def decoder(self, data: bytes, *, complete: bool = False) -> Decoder:
        return _CompleteRangeDecoder(data) if complete else _RangeDecoder(data)


class _CompleteRangeDecoder(Decoder):
    """Decodes a whole stream."""

    def __init__(self, data: bytes) -> None:
        self.decoder = constriction.stream.queue.RangeDecoder(_words(data))

    def extend(self, data: bytes) -> None:
        """See `Decoder.extend`. Raises ValueError for bytes after the end."""
        if data:
            raise ValueError("a complete stream has no further bytes")

    def decode(self, tables: Tables) -> Integers:
        return _decoded(self.decoder, tables)


class _RangeDecoder(Decoder):
    """Decodes the symbols that the first bytes of a stream determine.

    constriction's decoder reads ahead, beyond the end of the bytes so far, and does not expose its state. Its encoder
    does. So decoded symbols are encoded again; the state of the encoder then shows whether the bytes determine the
    symbols, and where to continue.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.encoder = constriction.stream.queue.RangeEncoder()
        self.decoder = self._continued()

    def extend(self, data: bytes) -> None:
        self.data += data
        self.decoder = None

    def decode(self, tables: Tables) -> Integers:
        self.decoder = self.decoder or self._continued()
        if self._determines(self.encoder):
            encoder = self.encoder.clone()
            try:
                symbols = _decoded(self.decoder, tables, encoder)
            except CoderError:  # beyond the end of the bytes
                pass
            else:
                if self._determines(encoder):
                    self.encoder = encoder
                    return symbols
        self.decoder = None
        return self._determined(tables)

    def _determined(self, tables: Tables) -> Integers:
        """Decode the first symbols, as many as the bytes determine; found by bisection."""
        parts: list[Integers] = [np.zeros(0, np.int64)]
        # the bytes determine the symbols before `known`, not those before `unknown`
        known, unknown = 0, tables.size + 1
        while unknown - known > 1:
            middle = (known + unknown) // 2
            some = tables.part(known, middle)
            encoder = self.encoder.clone()
            try:
                symbols = _decoded(self._continued(), some, encoder)
            except CoderError:
                unknown = middle
                continue
            if self._determines(encoder):
                self.encoder, known = encoder, middle
                parts.append(symbols)
            else:
                unknown = middle
        return np.concatenate(parts)

    def _determines(self, encoder: Any) -> bool:
        """Whether the bytes so far determine the symbols that an encoder was given."""
        return _determines(self.data, encoder.pos(), len(self.data))

    def _continued(self) -> Any:
        """A decoder of the symbols after those that were encoded again."""
        position, interval = self.encoder.pos()
        decoder = constriction.stream.queue.RangeDecoder(_words(self.data, position * _WORD + _STATE))
        decoder.seek(position, interval)
        return decoder


def _decoded(decoder: Any, tables: Tables, encoder: Any = None) -> Integers:
    """Decode symbols with constriction, and encode them again with an encoder, if there is one.

    Raises CoderError for bytes that no encoder writes.
    """
    parts = [np.zeros(0, np.int32)]
    try:
        for bounds, models, probabilities in _ranges(tables, _models(tables)):
            sizes = np.diff(bounds).tolist()
            given = [size if own is None else own for size, own in zip(sizes, probabilities, strict=True)]
            found = list(map(decoder.decode, models, given))  # in a loop, decoding would take a tenth longer
            if encoder is not None:
                for symbols, model, own in zip(found, models, probabilities, strict=True):
                    _encode(encoder, symbols, model, own)
            parts += found
    except AssertionError as problem:
        raise CoderError(f"the stream cannot be decoded: {problem}.") from problem
    return np.concatenate(parts, dtype=np.int64)


def _states(symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[Any, list[State]]:
    """Encode symbols with constriction, and return its words and the state of its encoder at each end."""
    check_symbols(symbols, tables)
    models, wanted = _models(tables), set(ends)
    encoder = constriction.stream.queue.RangeEncoder()
    # constriction takes 32-bit symbols; those of a large picture are converted part by part
    whole = symbols.astype(np.int32, copy=False) if symbols.size <= _MAX_NUMBERS else None
    states = {0: encoder.pos()}
    for bounds, chosen, probabilities in _ranges(tables, models, ends):
        for (start, stop), model, own in zip(pairwise(bounds), chosen, probabilities, strict=True):
            part = symbols[start:stop].astype(np.int32) if whole is None else whole[start:stop]
            _encode(encoder, part, model, own)
            if stop in wanted:
                states[stop] = encoder.pos()
    return encoder.get_compressed(), [states[end] for end in ends]


def _encode(encoder: Any, symbols: NDArray[np.int32], model: Any, own: NDArray[np.float64] | None) -> None:
    """Encode the symbols of a range of `_ranges`. own: the probabilities of each symbol, or None."""
    if own is None:
        encoder.encode(symbols, model)
    else:
        encoder.encode(symbols, model, own)


def _words(data: bytes, least: int = 0) -> NDArray[np.uint32]:
    """The words of a stream for constriction, padded with zeros to whole words and to at least `least` bytes."""
    padded = data.ljust(max(len(data), least), b"\0")
    return np.frombuffer(padded + bytes(-len(padded) % _WORD), ">u4").astype(np.uint32)


class _Models(dict[int, Any]):
    """constriction's entropy models, one for each table, created when they are first used."""

    def __init__(self, cumulative: Integers) -> None:
        super().__init__()
        self.probabilities = np.diff(cumulative) / TOTAL

    def __missing__(self, row: int) -> Any:
        model = self[row] = constriction.stream.model.Categorical(self.probabilities[row], perfect=False)
        return model


def _models(tables: Tables) -> _Models:
    if tables.cumulative is None:
        raise CoderError("the coder range needs probabilities, and this model has none; use the coder raw.")
    models: _Models | None = tables.cache.get("range")
    if models is None:
        models = tables.cache["range"] = _Models(tables.cumulative)
    return models


def _ranges(
    tables: Tables, models: _Models, ends: Sequence[int] = ()
) -> Iterator[tuple[list[int], list[Any], list[NDArray[np.float64] | None]]]:
    """Yield ranges of symbols, some at a time: their bounds (R + 1), the model (R) and the probabilities (R) of each.

    No range crosses one of `ends`. A run of symbols with one table has the model of the table, without probabilities.
    Several short runs together have a family of models, with the probabilities of each symbol. Both have the same
    intervals.
    """
    at_once, all_ends = max(1, _MAX_NUMBERS // tables.alphabet), np.array(ends, np.int64)
    for first in range(0, tables.size, at_once):
        some = tables.part(first, first + at_once)
        within = all_ends[(all_ends > first) & (all_ends < first + some.size)] - first
        starts = np.union1d(some.runs[0], within) if within.size else some.runs[0]
        long = np.diff(starts) >= min(_SHORT_RUN, 2 + 128 // tables.alphabet)
        begins = long.copy()
        begins[0], begins[1:] = True, begins[1:] | long[:-1] | np.isin(starts[1:-1], within)
        bounds, is_long = np.append(starts[:-1][begins], some.size), long[begins]
        rows = some.rows[bounds[:-1]].tolist()
        chosen = [models[row] if alone else _EACH for row, alone in zip(rows, is_long.tolist(), strict=True)]
        probabilities: list[NDArray[np.float64] | None] = [None] * len(chosen)
        short, sizes = np.flatnonzero(~is_long), np.diff(bounds)
        if len(short):  # all at once, as each lookup takes time
            numbers = models.probabilities[some.rows[np.flatnonzero(np.repeat(~is_long, sizes))]]
            ends_of_short = np.cumsum(sizes[short]).tolist()
            for index, (start, stop) in zip(short.tolist(), pairwise([0, *ends_of_short]), strict=True):
                probabilities[index] = numbers[start:stop]
        yield (bounds + first).tolist(), chosen, probabilities


def _window(data: bytes, position: int, length: int) -> tuple[int, int]:
    """The smallest 8-byte number at a word of a stream with `length` known bytes; how many larger are possible."""
    start = position * _WORD
    known = data[start : min(length, start + _STATE)]
    return int.from_bytes(known.ljust(_STATE, b"\0"), "big"), (1 << 8 * (_STATE - len(known))) - 1


def _determines(data: bytes, state: State, length: int) -> bool:
    """Whether the first `length` bytes of a stream determine the symbols up to a state of its encoder."""
    position, (low, width) = state
    smallest, others = _window(data, position, length)
    return length > position * _WORD and (smallest - low) % (1 << 8 * _STATE) + others < width


def _lengths(data: bytes, ends: list[int], states: list[State]) -> list[int]:
    """The fewest bytes of a stream that determine the symbols up to each end, for the ends that `data` determines.

    data: the stream, or its first bytes. states: the states of its encoder, at each end.
    """
    lengths: list[int] = []
    for end, state in zip(ends, states, strict=True):
        possible = range(state[0] * _WORD, len(data) + 1)
        length = next((each for each in possible if _determines(data, state, each)), None) if end else 0
        if length is None:
            break
        lengths.append(length)
    return lengths


def _in_common(words: Any, state: State) -> bytes:
    """The first bytes of all streams whose symbols begin with those of an encoder.

    words: the output of the encoder.
    state: the state of the encoder after these symbols.
    """
    position, (low, width) = state
    size = position * _WORD + _STATE
    number = int.from_bytes(words.astype(">u4").tobytes().ljust(size, b"\0")[:size], "big")
    lowest = number - (number - low) % (1 << 8 * _STATE)
    apart = (lowest ^ lowest + width - 1).bit_length()  # all numbers between have the same bits before these
    return lowest.to_bytes(size, "big")[: size - -(-apart // 8)]


def _shortest(words: Any, state: State) -> bytes:
    """The shortest stream that determines all symbols.

    words: the output of the encoder.
    state: the state of the encoder after the last symbol.
    """
    position, (low, width) = state
    start = position * _WORD
    stream = bytearray(words.astype(">u4").tobytes()) + bytes(2 * _STATE)
    window = int.from_bytes(stream[start : start + _STATE], "big")
    beyond = (window - low) % (1 << 8 * _STATE)  # distance of the number from the start of the interval
    for kept in range(1, _STATE + 1):
        unit = 1 << 8 * (_STATE - kept)
        first_number = -(-low // unit) * unit
        if first_number + unit <= low + width:
            break
    difference = first_number - low - beyond
    first = max(0, start - _STATE)  # a carry goes beyond that with probability 2⁻⁶⁴
    changed = int.from_bytes(stream[first : start + _STATE], "big") + difference
    if not 0 <= changed < 1 << 8 * (start + _STATE - first):
        first, changed = 0, int.from_bytes(stream[: start + _STATE], "big") + difference
    stream[first : start + _STATE] = changed.to_bytes(start + _STATE - first, "big")
    return bytes(stream[: start + kept])
