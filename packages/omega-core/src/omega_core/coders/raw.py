"""Symbols as 32-bit integers, without compression."""

import numpy as np

from omega_core.coding.tables import Integers, Symbols, Tables
from omega_core.contracts.coder import Coder, Decoder, check_symbols


class RawCoder(Coder):
    """Writes little-endian unsigned 32-bit integers, which are the float32 values of the quantizer identity."""

    def encode(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        """See `Coder.encode`."""
        check_symbols(symbols, tables)
        return symbols.astype("<u4").tobytes(), [4 * end for end in ends]

    def encode_start(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        """See `Coder.encode_start`."""
        return self.encode(symbols, tables, ends)

    def decoder(self, data: bytes, *, complete: bool = False) -> Decoder:
        """See `Coder.decoder`."""
        return _RawDecoder(data)


class _RawDecoder(Decoder):
    done = 0  # symbols that are decoded

    def decode(self, tables: Tables) -> Integers:
        """See `Decoder.decode`."""
        count = min(tables.size, len(self.data) // 4 - self.done)
        symbols = np.frombuffer(self.data[4 * self.done : 4 * (self.done + count)], "<u4").astype(np.int64)
        self.done += count
        check_symbols(symbols, tables.part(0, count))
        return symbols
