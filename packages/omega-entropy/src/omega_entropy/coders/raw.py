"""Symbols as 32-bit integers, without compression."""

import numpy as np

from omega_core.coding.tables import Integers, Symbols, Tables
from omega_core.contracts.coder import Coder, Decoder, GrowingDecoder, check_length, check_symbols


class RawCoder(Coder):
    """Writes little-endian unsigned 32-bit integers, which are the float32 values of the quantizer identity."""

    def encode(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        """See `Coder.encode`."""
        check_symbols(symbols, tables)
        return symbols.astype("<u4").tobytes(), [4 * end for end in ends]

    def decoder(self, data: bytes) -> Decoder:
        """See `Coder.decoder`."""
        return _RawDecoder(data)

    def growing_decoder(self, data: bytes) -> GrowingDecoder:
        """See `Coder.growing_decoder`."""
        return _RawDecoder(data)


class _RawDecoder(GrowingDecoder):
    def __init__(self, data: bytes) -> None:
        self.data, self.done = data, 0

    def extend(self, data: bytes) -> None:
        """See `GrowingDecoder.extend`."""
        self.data += data

    def decode(self, tables: Tables) -> Integers:
        """See `Decoder.decode`."""
        first, last = 4 * self.done, 4 * (self.done + tables.size)
        self.done += tables.size
        check_length(self.data, last)
        symbols = np.frombuffer(self.data[first:last], "<u4").astype(np.int64)
        check_symbols(symbols, tables)
        return symbols
