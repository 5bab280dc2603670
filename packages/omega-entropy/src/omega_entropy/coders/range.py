"""Range coding (Martin 1979; Pasco 1976) with the library constriction (Bamler 2022, arXiv 2201.01741).

constriction takes probabilities as floats. Given `counts / 2**16` in float64 with `perfect=False`, it converts them to
24-bit fixed-point numbers that depend on the counts alone: the interval of symbol i of S begins at
floor(cumulative[i]·(2²⁴ − S) / 2¹⁶) + i. So files do not depend on the rounding of a machine.

The stream is big-endian, most significant byte first, and as short as the last interval allows.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from omega_core.coding.tables import TOTAL, Integers, Symbols, Tables
from omega_core.contracts.coder import Coder, Decoder, GrowingDecoder, check_length, check_symbols
from omega_core.errors import CoderError

_WORD = 4  # bytes of a word of constriction's output
_STATE = 8  # bytes of the state of its encoder
_MOST_NUMBERS = 1 << 20  # probabilities that are looked up at once
_EACH = constriction.stream.model.Categorical(perfect=False)


class RangeCoder(Coder):
    """The default coder: its streams are a few bits longer than −Σ log2 p."""

    def encode(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        """See `Coder.encode`."""
        check_symbols(symbols, tables)
        models, wanted = _models(tables), set(ends)
        encoder = constriction.stream.queue.RangeEncoder()
        symbols = symbols.astype(np.int32, copy=False)
        states = {0: encoder.pos()}
        for start, stop, model, numbers in _parts(tables, models, wanted):
            encoder.encode(symbols[start:stop], model, *numbers)
            if stop in wanted:
                states[stop] = encoder.pos()
        least = [int(bits / 8) for bits in tables.least_bits(ends)]
        return _stream(encoder.get_compressed(), [states[end] for end in ends], least)

    def decoder(self, data: bytes) -> Decoder:
        """See `Coder.decoder`."""
        return _RangeDecoder(data)

    def growing_decoder(self, data: bytes) -> GrowingDecoder:
        """See `Coder.growing_decoder`."""
        return _GrowingRangeDecoder(data)


class _RangeDecoder(Decoder):
    def __init__(self, data: bytes) -> None:
        self.data, self.least = data, 0.0
        self.decoder = constriction.stream.queue.RangeDecoder(_words(data))

    def decode(self, tables: Tables) -> Integers:
        """See `Decoder.decode`."""
        models = _models(tables)
        self.least += tables.least_bits([tables.size])[0]
        check_length(self.data, self.least / 8 - 1)
        symbols = np.empty(tables.size, np.int64)
        try:
            for start, stop, model, numbers in _parts(tables, models):
                symbols[start:stop] = self.decoder.decode(model, *(numbers or (stop - start,)))
        except AssertionError as problem:  # constriction raises it for bytes that no encoder writes
            raise CoderError(f"the stream cannot be decoded: {problem}.") from problem
        return symbols


class _GrowingRangeDecoder(_RangeDecoder, GrowingDecoder):
    """Continues decoding after the stream was extended.

    constriction's decoder reads ahead, beyond the end of the data so far, and does not expose its state. Its encoder
    does: encoding the decoded symbols again gives the position in the stream and the interval from which to continue.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.encoder = constriction.stream.queue.RangeEncoder()
        self.decoded: list[tuple[Integers, Tables]] = []  # not encoded again so far
        self.extended = False

    def decode(self, tables: Tables) -> Integers:
        """See `Decoder.decode`."""
        if self.extended:
            self._go_on()
        symbols = super().decode(tables)
        self.decoded.append((symbols, tables))
        return symbols

    def extend(self, data: bytes) -> None:
        """See `GrowingDecoder.extend`."""
        self.data += data
        self.extended = True

    def _go_on(self) -> None:
        for symbols, tables in self.decoded:
            small = symbols.astype(np.int32)
            for start, stop, model, numbers in _parts(tables, _models(tables)):
                self.encoder.encode(small[start:stop], model, *numbers)
        self.decoded.clear()
        position, interval = self.encoder.pos()
        self.decoder = constriction.stream.queue.RangeDecoder(_words(self.data, position * _WORD + _STATE))
        self.decoder.seek(position, interval)
        self.extended = False


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


def _parts(
    tables: Tables, models: _Models, ends: Iterable[int] = ()
) -> Iterator[tuple[int, int, Any, tuple[NDArray[np.float64], ...]]]:
    """Ranges of symbols to code at once, as (start, stop, model, probabilities); no range crosses one of `ends`.

    If all positions of a channel share a table, the model is that of the table, and there are no probabilities.
    Otherwise the model is a family of models, and the probabilities are those of each symbol: this gives the same
    intervals without a call for each symbol.
    """
    shared = tables.rows.shape[1] == 1
    step = max(1, tables.positions if shared else _MOST_NUMBERS // tables.alphabet)
    rows = tables.rows[:, 0].tolist() if shared else tables.flat_rows
    for start, stop in pairwise(sorted({*range(0, tables.size, step), *ends, 0, tables.size})):
        if shared:
            yield start, stop, models[rows[start // step]], ()
        else:
            yield start, stop, _EACH, (models.probabilities[rows[start:stop]],)


def _stream(words: Any, states: Sequence[tuple[int, tuple[int, int]]], least: Sequence[int]) -> tuple[bytes, list[int]]:
    """The stream and its cuts in bytes, from constriction's words and its states at the ends.

    A state is (number of words, (low, range)): any number in [low, low + range) at that position decodes the symbols so
    far. The number N of the whole stream lies in all these intervals. N without its last bytes still lies in an
    interval as long as the value of these bytes is at most N − low.

    words: the output of the encoder.
    states: its state at each end.
    least: for each end, the smallest length of its cut in bytes, which is a lower bound of the information. A decoder
        can therefore reject a stream that is too short for its symbols before it allocates memory.
    """
    stream = bytearray(words.astype(">u4").tobytes()) + bytes(2 * _STATE)
    position, (low, width) = states[-1]
    _shorten(stream, position * _WORD, low, width)
    cuts = []
    for (position, (low, _)), shortest in zip(states, least, strict=True):
        start = position * _WORD
        window = int.from_bytes(stream[start : start + _STATE], "big")
        slack = (window - low) % (1 << 8 * _STATE)
        cut = start + _STATE
        while cut > start and int.from_bytes(stream[cut - 1 : start + _STATE], "big") <= slack:
            cut -= 1
        if cut == start:  # trailing zeros before that are implied as well
            cut = len(stream[:start].rstrip(b"\0"))
        cuts.append(max(cut, shortest))
    return bytes(stream[: cuts[-1]].ljust(cuts[-1], b"\0")), cuts


def _shorten(stream: bytearray, start: int, low: int, width: int) -> None:
    """Replace the number of the stream by the one in its last interval that has the most trailing zeros."""
    window = int.from_bytes(stream[start : start + _STATE], "big")
    beyond = (window - low) % (1 << 8 * _STATE)  # distance of the number from the start of the interval
    for kept in range(_STATE + 1):
        unit = 1 << 8 * (_STATE - kept)
        shortest = -(-low // unit) * unit
        if shortest < low + width:
            difference = shortest - low - beyond
            break
    first = max(0, start - _STATE)  # a carry goes beyond that with probability 2⁻⁶⁴
    changed = int.from_bytes(stream[first : start + _STATE], "big") + difference
    if not 0 <= changed < 1 << 8 * (start + _STATE - first):
        first, changed = 0, int.from_bytes(stream[: start + _STATE], "big") + difference
    stream[first : start + _STATE] = changed.to_bytes(start + _STATE - first, "big")
    stream[start + _STATE :] = bytes(len(stream) - start - _STATE)
