"""Symbols to bytes and back, without loss. No torch here."""

from abc import ABC, abstractmethod

from omega_core.coding.tables import Integers, Symbols, Tables
from omega_core.errors import CoderError


class Decoder(ABC):
    """One stream being decoded, from its beginning."""

    @abstractmethod
    def decode(self, tables: Tables) -> Integers:
        """The next `tables.size` symbols, flat. Raises CoderError if the bytes cannot be decoded."""


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

    def decode(self, data: bytes, tables: Tables) -> Integers:
        """All `tables.size` symbols of a stream at once."""
        return self.decoder(data).decode(tables)


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
