"""Huffman coding: Huffman, "A Method for the Construction of Minimum-Redundancy Codes", 1952, in canonical form.

Bits are written most significant first; the last byte is filled up with zeros.
"""

import heapq
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from omega_core.coding.tables import Integers, Symbols, Tables
from omega_core.contracts.coder import Coder, Decoder, check_symbols
from omega_core.errors import CoderError


class HuffmanCoder(Coder):
    """Whole bits a symbol: up to one more than its information."""

    def encode(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        check_symbols(symbols, tables)
        code, length = np.zeros(symbols.size, np.int64), np.zeros(symbols.size, np.int64)
        for start, stop, book in _runs(tables):
            part = symbols[start:stop].astype(np.int64)
            code[start:stop], length[start:stop] = book.codes[part], book.lengths[part]
        widest = int(length.max(initial=1))
        place = np.arange(widest)
        bits = (code[:, None] >> (length[:, None] - 1 - place).clip(0)) & 1
        written = bits[place < length[:, None]].astype(np.uint8)
        reached = np.concatenate([[0], np.cumsum(length)])
        return np.packbits(written).tobytes(), [-(-int(reached[end]) // 8) for end in ends]

    def decoder(self, data: bytes, *, complete: bool = False) -> Decoder:
        return _HuffmanDecoder(data)


class _HuffmanDecoder(Decoder):
    def __init__(self, data: bytes) -> None:
        self.bits: list[int] = []
        self.done = 0
        self.extend(data)

    def extend(self, data: bytes) -> None:
        self.bits += np.unpackbits(np.frombuffer(data, np.uint8)).tolist()

    def decode(self, tables: Tables) -> Integers:
        symbols: list[int] = []
        for start, stop, book in _runs(tables):
            for _ in range(start, stop):
                symbol = self._symbol(book.words)
                if symbol is None:
                    return np.array(symbols, np.int64)
                symbols.append(symbol)
        return np.array(symbols, np.int64)

    def _symbol(self, words: dict[tuple[int, int], int]) -> int | None:
        """The next symbol, or None if its word is not whole yet."""
        code = length = 0
        while (length, code) not in words:
            if self.done + length == len(self.bits):
                return None
            code = 2 * code + self.bits[self.done + length]
            length += 1
        self.done += length
        return words[length, code]


class _Book:
    """The canonical code of one row of counts: shorter words first, and among those of one length by symbol."""

    def __init__(self, counts: Integers) -> None:
        self.lengths = _code_lengths(counts)
        self.codes = np.zeros(len(counts), np.int64)
        code = before = 0
        for symbol in np.lexsort((np.arange(len(counts)), self.lengths)).tolist():
            length = int(self.lengths[symbol])
            code <<= length - before
            self.codes[symbol], before = code, length
            code += 1
        pairs = zip(self.lengths.tolist(), self.codes.tolist(), strict=True)
        self.words = {pair: symbol for symbol, pair in enumerate(pairs)}


def _runs(tables: Tables) -> Iterator[tuple[int, int, _Book]]:
    """Where runs of symbols with one table start and stop, and the code for them."""
    if tables.cumulative is None:
        raise CoderError("the coder huffman needs probabilities, and this model has none; use the coder raw.")
    books: dict[int, _Book] = tables.cache.setdefault("huffman", {})
    starts, rows = tables.runs
    for (start, stop), row in zip(pairwise(starts.tolist()), rows.tolist(), strict=True):
        if row not in books:
            books[row] = _Book(np.diff(tables.cumulative[row]))
        yield start, stop, books[row]


def _code_lengths(counts: Integers) -> NDArray[np.int64]:
    """Bits of each symbol: the depths of the leaves of Huffman's tree."""
    parents = list(range(2 * len(counts) - 1))
    heap = [(int(count), number) for number, count in enumerate(counts)]
    heapq.heapify(heap)
    for node in range(len(counts), len(parents)):
        (one, left), (other, right) = heapq.heappop(heap), heapq.heappop(heap)
        parents[left] = parents[right] = node
        heapq.heappush(heap, (one + other, node))
    depths = [0] * len(parents)
    for node in range(len(parents) - 2, -1, -1):
        depths[node] = depths[parents[node]] + 1
    return np.array(depths[: len(counts)], np.int64)
