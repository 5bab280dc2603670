"""Coders: symbols to bytes and back, without loss, and without torch."""

from abc import ABC, abstractmethod
from typing import Any

from omega_core.coding.tables import Integers, Symbols, Tables
from omega_core.errors import CoderError


class Decoder(ABC):
    """Decodes one stream, from its beginning.

    data: the bytes of the stream so far.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data

    @abstractmethod
    def decode(self, tables: Tables) -> Integers:
        """Decode the next symbols: flat, int64, in the order of `tables`.

        tables: the tables of the symbols to decode. If fewer symbols were returned before, it begins with the others.

        Returns as many of the `tables.size` symbols as the bytes so far determine, whatever bytes follow them. If the
        stream is complete, these are all of its symbols.

        Raises CoderError if the bytes cannot be decoded.
        """

    def extend(self, data: bytes) -> None:
        """Append the next bytes of the stream, to `data` unless overridden.

        Symbols that are decoded already are not decoded again.
        """
        self.data += data


class Coder(ABC):
    """Codes integers with tables, without loss. Raises CoderError if it cannot.

    Made as `Class()`, as a file contains only the name of its coder.
    """

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "encode" in vars(cls) and "encode_start" not in vars(cls):
            cls.encode_start = Coder.encode_start  # type: ignore[method-assign] # an inherited one writes other streams

    @abstractmethod
    def encode(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        """Encode symbols to one stream, and return it with the lengths of some of its prefixes.

        symbols: integers of any type, flat, in the order of `tables`.
        tables: the probabilities of the symbols.
        ends: rising numbers of symbols; the first may be 0, the last is `tables.size`.

        Returns (data, lengths). The first `lengths[i]` bytes of data are the fewest that determine the first `ends[i]`
        symbols; the last length is that of data. A code of whole bits, most significant bit first, needs
        ⌈bits of the first `ends[i]` symbols / 8⌉ bytes.

        Raises CoderError for symbols that do not fit the tables.
        """

    def encode_start(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        """Encode the first symbols of a stream of which more may follow.

        Optional: without it, files of low rates take as long as whole files, as `encode` codes all symbols for them. A
        class that overrides `encode` does not inherit it.

        The arguments are those of `encode`.

        Returns (data, lengths). data is a common beginning of all streams whose symbols begin with these, at most 64
        bytes shorter than the longest one. The first `lengths[i]` bytes of data are the fewest that determine the first
        `ends[i]` symbols. Lengths beyond the end of data are left out.

        Raises CoderError as `encode` does.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot encode the start of a stream")

    @abstractmethod
    def decoder(self, data: bytes, *, complete: bool = False) -> Decoder:
        """Return a decoder of a stream.

        data: its first bytes, which `extend` continues.
        complete: whether `data` is the whole stream, so that all of its symbols are determined.
        """

    def decode(self, data: bytes, tables: Tables) -> Integers:
        """Decode all `tables.size` symbols of a whole stream: flat, int64. Raises CoderError."""
        symbols = self.decoder(data, complete=True).decode(tables)
        if len(symbols) < tables.size:
            raise CoderError(f"the stream has {len(symbols)} symbols, not {tables.size}.")
        return symbols


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
