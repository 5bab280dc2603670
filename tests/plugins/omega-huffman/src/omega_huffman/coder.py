"""Huffman coding: Huffman, "A Method for the Construction of Minimum-Redundancy Codes", 1952, in canonical form.

Bits are written most significant first; the last byte is filled up with zeros.
"""

import heapq

import numpy as np
from numpy.typing import NDArray

from omega_core.coding.tables import Integers, Symbols, Tables
from omega_core.contracts.coder import Coder, Decoder, check_length, check_symbols
from omega_core.errors import CoderError


class HuffmanCoder(Coder):
    """Whole bits a symbol: up to one more than its information."""

    def encode(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        check_symbols(symbols, tables)
        codes, lengths, done = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
        for row, run in tables.runs():
            book = _book(tables, row)
            part = symbols[done : done + run].astype(np.int64)
            codes.append(book.codes[part])
            lengths.append(book.lengths[part])
            done += run
        code, length = np.concatenate(codes), np.concatenate(lengths)
        widest = int(length.max(initial=1))
        place = np.arange(widest)
        bits = (code[:, None] >> (length[:, None] - 1 - place).clip(0)) & 1
        written = bits[place < length[:, None]].astype(np.uint8)
        reached = np.concatenate([[0], np.cumsum(length)])
        return np.packbits(written).tobytes(), [-(-int(reached[end]) // 8) for end in ends]

    def decoder(self, data: bytes) -> Decoder:
        return _HuffmanDecoder(data)


class _HuffmanDecoder(Decoder):
    def __init__(self, data: bytes) -> None:
        self.bits = np.unpackbits(np.frombuffer(data, np.uint8)).tolist()
        self.done = 0

    def decode(self, tables: Tables) -> Integers:
        check_length(bytes(len(self.bits) // 8), (self.done + tables.size) / 8)  # a symbol takes a bit at least
        symbols, filled = np.zeros(tables.size, np.int64), 0
        for row, run in tables.runs():
            words = _book(tables, row).words
            for place in range(filled, filled + run):
                symbols[place] = self._symbol(words)
            filled += run
        return symbols

    def _symbol(self, words: dict[tuple[int, int], int]) -> int:
        code = length = 0
        while (length, code) not in words:
            if self.done == len(self.bits):
                raise CoderError("the stream ends within a symbol: it was cut short or damaged.")
            code = 2 * code + self.bits[self.done]
            self.done, length = self.done + 1, length + 1
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


def _book(tables: Tables, row: int) -> _Book:
    if tables.cumulative is None:
        raise CoderError("the coder huffman needs probabilities, and this model has none; use the coder raw.")
    books: dict[int, _Book] = tables.cache.setdefault("huffman", {})
    if row not in books:
        books[row] = _Book(np.diff(tables.cumulative[row]))
    return books[row]


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
