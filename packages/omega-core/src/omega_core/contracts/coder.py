"""Coders: symbols to bytes and back, without loss, and without torch."""

from abc import ABC, abstractmethod

from omega_core.coding.tables import Integers, Symbols, Tables
from omega_core.errors import CoderError


class Decoder(ABC):
    """Decodes one stream, from its beginning."""

    @abstractmethod
    def decode(self, tables: Tables) -> Integers:
        """Decode the next `tables.size` symbols: flat, int64, in the order of `tables`.

        Raises CoderError if the bytes cannot be decoded.
        """


class GrowingDecoder(Decoder):
    """Decodes a stream that arrives in pieces.

    `decode` is only called for symbols before the last cut of the stream that the bytes so far contain.
    """

    @abstractmethod
    def extend(self, data: bytes) -> None:
        """Append the next bytes of the stream. Symbols that are decoded already are not decoded again."""


class Coder(ABC):
    """Codes integers with tables: without loss, or with a CoderError that says why not.

    Made as `Class()`: a file names its coder and nothing more.
    """

    @abstractmethod
    def encode(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        """Encode symbols to one stream, and return it with the lengths at which it may be cut.

        symbols: integers of any type, flat, in the order of `tables`.
        tables: the probabilities of the symbols.
        ends: rising numbers of symbols, after which the stream is to be cut; the first may be 0, the last is
            `tables.size`.

        Of the result (data, cuts), the first `cuts[i]` bytes of data, followed by zeros or by nothing, decode to the
        first `ends[i]` symbols; the last cut is the length of data. A code of whole bits, most significant bit first,
        is cut at ⌈bits of the first `ends[i]` symbols / 8⌉.

        Raises CoderError for symbols that do not fit the tables.
        """

    @abstractmethod
    def decoder(self, data: bytes) -> Decoder:
        """Return a decoder of a stream, or of its first bytes up to a cut."""

    def growing_decoder(self, data: bytes) -> GrowingDecoder:
        """Return a decoder of the first bytes of a stream, which `extend` then continues.

        Unless overridden, it decodes all earlier symbols again, with a new `decoder`, after each extension.
        """
        return _RestartingDecoder(self, data)

    def decode(self, data: bytes, tables: Tables) -> Integers:
        """Decode all `tables.size` symbols of a stream: flat, int64. Raises CoderError."""
        return self.decoder(data).decode(tables)


class _RestartingDecoder(GrowingDecoder):
    """Decodes from the beginning again after each extension: correct for every coder, slow for many extensions."""

    def __init__(self, coder: Coder, data: bytes) -> None:
        self.coder, self.data = coder, data
        self.before: list[Tables] = []
        self.decoder: Decoder | None = None

    def decode(self, tables: Tables) -> Integers:
        """See `Decoder.decode`."""
        if self.decoder is None:
            self.decoder = self.coder.decoder(self.data)
            for earlier in self.before:
                self.decoder.decode(earlier)
        symbols = self.decoder.decode(tables)
        self.before.append(tables)
        return symbols

    def extend(self, data: bytes) -> None:
        """See `GrowingDecoder.extend`."""
        self.data += data
        self.decoder = None


def check_length(data: bytes, least: float) -> None:
    """Raise CoderError if a stream has fewer than `least` bytes. Called before memory for its symbols is allocated."""
    if len(data) < least:
        raise CoderError(f"the stream has {len(data)} bytes; its symbols take at least {least:.0f}.")


def check_symbols(symbols: Symbols, tables: Tables) -> None:
    """Raise CoderError unless symbols are `tables.size` integers in one dimension, within the alphabet."""
    if symbols.dtype.kind not in "iu" or symbols.ndim != 1:
        raise CoderError(f"symbols are a flat array of integers, not {symbols.dtype} of the shape {symbols.shape}.")
    if symbols.size != tables.size:
        raise CoderError(f"{symbols.size} symbols were given with tables for {tables.size}.")
    if symbols.size and not 0 <= symbols.min() <= symbols.max() < tables.alphabet:
        raise CoderError(
            f"symbols from {symbols.min()} to {symbols.max()} do not fit an alphabet of {tables.alphabet}."
        )
