"""Symbols as 32-bit integers, without compression."""

import numpy as np

from omega_core.coding.tables import Integers, Symbols, Tables
from omega_core.contracts.coder import Coder, Decoder, check_symbols


class RawCoder(Coder):
    """Writes little-endian unsigned 32-bit integers: the bits of float32 values, for the quantizer identity."""

    def encode(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        check_symbols(symbols, tables)
        return symbols.astype("<u4").tobytes(), [4 * end for end in ends]

    def encode_start(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        return self.encode(symbols, tables, ends)

    def decoder(self, data: bytes, *, complete: bool = False) -> Decoder:
        return _RawDecoder(data)


class _RawDecoder(Decoder):
    done = 0  # number of decoded symbols

    def decode(self, tables: Tables) -> Integers:
        count = min(tables.size, len(self.data) // 4 - self.done)
        symbols = np.frombuffer(self.data[4 * self.done : 4 * (self.done + count)], "<u4").astype(np.int64)
        self.done += count
        check_symbols(symbols, tables.part(0, count))
        return symbols
