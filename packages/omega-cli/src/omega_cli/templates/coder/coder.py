"""A coder to start from: two bytes per symbol, independent of its probability."""

import numpy as np
from omega_core.coding.tables import Integers, Symbols, Tables
from omega_core.contracts.coder import Coder, Decoder, check_symbols
from omega_core.errors import CoderError


class __CLASS__(Coder):
    """Little-endian unsigned 16-bit integers."""

    def encode(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        """See `Coder.encode`. The probability of symbol i is (cumulative[i + 1] − cumulative[i]) / 2¹⁶ in its row."""
        check_symbols(symbols, tables)
        if tables.cumulative is None:
            raise CoderError("the coder __NAME__ needs probability tables, and this model has none: use the coder raw.")
        return symbols.astype("<u2").tobytes(), [2 * end for end in ends]

    def decoder(self, data: bytes, *, complete: bool = False) -> Decoder:
        """See `Coder.decoder`."""
        return _Decoder(data)


class _Decoder(Decoder):
    done = 0  # number of decoded bytes

    def decode(self, tables: Tables) -> Integers:
        """See `Decoder.decode`."""
        count = min(tables.size, (len(self.data) - self.done) // 2)  # symbols in the bytes received so far
        first, self.done = self.done, self.done + 2 * count
        symbols = np.frombuffer(self.data[first : self.done], "<u2").astype(np.int64)
        check_symbols(symbols, tables.part(0, count))
        return symbols
