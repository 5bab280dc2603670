"""Symbols to bytes and back, without loss. No torch here."""

from abc import ABC, abstractmethod

from omega_core.coding.tables import Integers, Symbols, Tables
from omega_core.errors import CoderError


class Decoder(ABC):
    """One stream being decoded, from its beginning."""

    @abstractmethod
    def decode(self, tables: Tables) -> Integers:
        """The next `tables.size` symbols, flat. Raises CoderError if the bytes cannot be decoded."""


class GrowingDecoder(Decoder):
    """A decoder of a stream that arrives in pieces.

    It is asked for no more symbols than there are at the last cut of the stream that the bytes given so far reach.
    """

    @abstractmethod
    def extend(self, data: bytes) -> None:
        """Take the bytes of the stream that follow those given before. What was decoded is not asked for again."""


class Coder(ABC):
    """Codes integers with tables: lossless for every input, or a CoderError that says why not.

    Made as `Class()`: a file has to be decoded by knowing no more than its coder's name.
    """

    @abstractmethod
    def encode(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        """One stream for `symbols`, integers of any type, flat and in the order of `tables`, and where it may be cut.

        Of the stream (data, cuts), the first `cuts[i]` bytes, followed by zeros or by nothing, decode the first
        `ends[i]` symbols: a decoder is asked for no more of them. `ends` rises, and may begin with 0; the last is the
        number of symbols, the last cut the length of the stream. A code of whole bits, written most significant first,
        would be cut at ⌈bits of the first `ends[i]` symbols / 8⌉.
        """

    @abstractmethod
    def decoder(self, data: bytes) -> Decoder:
        """A decoder of a stream or of what was left of it by a cut."""

    def growing_decoder(self, data: bytes) -> GrowingDecoder:
        """A decoder of the first bytes of a stream, which can be extended by those that follow.

        Unless overridden, it decodes all earlier symbols again after each extension, with a new `decoder`.
        """
        return _RestartingDecoder(self, data)

    def decode(self, data: bytes, tables: Tables) -> Integers:
        """All `tables.size` symbols of a stream at once."""
        return self.decoder(data).decode(tables)


class _RestartingDecoder(GrowingDecoder):
    """Reads a longer stream from its beginning again: right for every coder, and slow for many extensions."""

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
    """Raise CoderError if a stream has not even `least` bytes: before all that it is said to hold is allocated."""
    if len(data) < least:
        raise CoderError(f"the stream has {len(data)} bytes; what it is said to hold takes at least {least:.0f}.")


def check_symbols(symbols: Symbols, tables: Tables) -> None:
    """Raise CoderError unless `symbols` are what `tables` are for."""
    if symbols.size != tables.size:
        raise CoderError(f"{symbols.size} symbols were given with tables for {tables.size}.")
    # as numbers without a sign, what is below 0 is above all else: one look instead of two
    if symbols.size and symbols.view(symbols.dtype.str.replace("i", "u")).max() >= tables.alphabet:
        raise CoderError(
            f"symbols from {symbols.min()} to {symbols.max()} do not fit an alphabet of {tables.alphabet}."
        )
