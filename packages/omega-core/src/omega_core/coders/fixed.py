"""Fixed-length coding: ⌈log2 S⌉ bits for each symbol, without probabilities, as in the paper's fixed bitrate."""

import numpy as np

from omega_core.coding.tables import Integers, Symbols, Tables
from omega_core.contracts.coder import Coder, Decoder, check_symbols


class FixedCoder(Coder):
    """Packs symbols into bits, the most significant bit first; the last byte is padded with zeros."""

    def encode(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        check_symbols(symbols, tables)
        width = _width(tables)
        octets = symbols.astype(">u4").view(np.uint8).reshape(-1, 4)
        bits = np.unpackbits(octets, axis=1)[:, 32 - width :]
        return np.packbits(bits.reshape(-1)).tobytes(), [-(-end * width // 8) for end in ends]

    def encode_start(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        data, lengths = self.encode(symbols, tables, ends)
        whole = symbols.size * _width(tables) // 8
        return data[:whole], [length for length in lengths if length <= whole]

    def decoder(self, data: bytes, *, complete: bool = False) -> Decoder:
        return _FixedDecoder(data)


class _FixedDecoder(Decoder):
    done = 0  # number of decoded bits

    def decode(self, tables: Tables) -> Integers:
        width = _width(tables)
        count = min(tables.size, (8 * len(self.data) - self.done) // width)
        first, last = self.done, self.done + count * width
        self.done = last
        octets = np.frombuffer(self.data, np.uint8)[first // 8 : -(-last // 8)]
        bits = np.unpackbits(octets)[first % 8 :][: last - first].reshape(-1, width)
        padded = np.pad(bits, ((0, 0), (32 - width, 0)))
        symbols = np.packbits(padded, axis=1).view(">u4").reshape(-1).astype(np.int64)
        check_symbols(symbols, tables.part(0, count))
        return symbols


def _width(tables: Tables) -> int:
    return (tables.alphabet - 1).bit_length()
