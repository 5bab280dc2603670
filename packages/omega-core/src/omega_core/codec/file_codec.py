"""8-bit pictures to symbols, symbols to a stream, and back.

    pixels ─PixelCodec→ symbols ─coder(tables)→ stream
    pixels ←PixelCodec─ symbols ←coder(tables)─ stream

A stream holds the symbols of one or several pictures, in the order that `omega_core.coding.order` defines. The first
bytes of a stream determine some of the symbols; the others are missing.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omega_core.codec.pixel_codec import BATCH_PIXELS, PixelCodec
from omega_core.coding.order import CodingStep, Enough, SymbolArrays, coding_steps, in_order, taken
from omega_core.coding.tables import FrozenPrior, Symbols, Tables, symbol_type
from omega_core.contracts.coder import Coder
from omega_core.errors import CoderError, ImageError, ModelFileError
from omega_core.images.pictures import Pixels


@dataclass(frozen=True)
class FileCodec:
    """Codes pictures for files.

    codec: the codec that transforms them: an `ImageCodec` in evaluation mode, on any device, or another runtime.
    prior: the frozen prior of its symbols.
    """

    codec: PixelCodec
    prior: FrozenPrior

    def check(self, pixels: Pixels) -> None:
        """Raise ImageError for a picture of a size that the architecture does not take, or RGB if it takes gray only.

        pixels: (colors, H, W).
        """
        if len(pixels) > self.codec.colors:
            advice = 'convert it with `.convert("L")`, or use a model for color'
            raise ImageError(f"the picture is RGB, the model is for gray: {advice}.")
        self.codec.latent_size(pixels.shape[1], pixels.shape[2])

    def symbols(self, pixels: Pixels, *, tile: int | None = None) -> Symbols:
        """Encode the pixels (colors, H, W) of one picture to symbols (C, h, w): see `symbols_of_all`."""
        [symbols] = self.symbols_of_all([pixels], tile=tile)
        return symbols

    def symbols_of_all(self, pictures: Sequence[Pixels], *, tile: int | None = None) -> list[Symbols]:
        """Encode pictures to symbols (C, h, w) of each, in batches of one size and the `symbol_type` of the alphabet.

        pictures: pixels (colors, H, W) of each; gray ones become RGB for a model for RGB.
        tile: the side, in pixels, of the tiles of a `LocalArchitecture`; None for whole pictures.

        Raises ImageError as `check` does.
        """
        for pixels in pictures:
            self.check(pixels)
        found: dict[int, Symbols] = {}
        for indices in _batches([pixels.shape for pixels in pictures]):
            pixels = stacked([pictures[index] for index in indices])
            found |= zip(indices, self.codec.symbols_of(pixels, tile=tile), strict=True)
        return [found[index] for index in range(len(pictures))]

    def pixels(
        self, symbols: Symbols, height: int, width: int, *, tile: int | None = None, colors: int | None = None
    ) -> Pixels:
        """Decode symbols (C, h, w) of one picture to pixels (colors, height, width): see `pixels_of_all`."""
        [pixels] = self.pixels_of_all([symbols], [(height, width)], tile=tile, colors=colors)
        return pixels

    def pixels_of_all(
        self,
        pictures: Sequence[Symbols],
        sizes: Sequence[tuple[int, int]],
        *,
        tile: int | None = None,
        colors: int | None = None,
    ) -> list[Pixels]:
        """Decode the symbols of pictures to the pixels (colors, H, W) of each, uint8, in batches of one size.

        pictures: symbols (C, h, w) of each; some may be MISSING.
        sizes: (H, W) of each.
        tile: the side, in pixels, of the tiles of a `LocalArchitecture`; None for whole pictures.
        colors: 1 to average the colors of an architecture for RGB. Default: `colors` of the architecture.
        """
        found: dict[int, Pixels] = {}
        for indices in _batches(sizes):
            symbols = stacked([pictures[index] for index in indices])
            pixels = self.codec.pixels_of(symbols, *sizes[indices[0]], tile=tile, colors=colors)
            found |= zip(indices, pixels, strict=True)
        return [found[index] for index in range(len(pictures))]

    def coded(self, pictures: Sequence[Symbols], enough: Enough | None = None) -> "CodedSymbols":
        """Return the symbols (C, h, w) of pictures in the order of coding.

        enough: how much of them is needed. Default: all.

        Raises ModelFileError if the prior does not fit.
        """
        arrays = SymbolArrays.of(pictures)
        with _fitting():
            indices, tables = in_order(self.prior, arrays, enough)
        self._check_alphabet(tables)
        return CodedSymbols(arrays, indices, tables)

    def decode(self, stream: bytes, coder: Coder, sizes: Sequence[tuple[int, int]], *, complete: bool) -> list[Symbols]:
        """Decode a stream to the symbols (C, h, w) of each picture; those that it does not determine are MISSING.

        stream: all of it, or its first bytes.
        coder: the coder that it was encoded with.
        sizes: (h, w) of the symbols of each picture.
        complete: whether it is the whole stream.

        Raises CoderError for damaged bytes.
        """
        decoder = SymbolDecoder(self, coder, sizes)
        decoder.decode(stream, complete=complete)
        return decoder.pictures

    def steps(self, arrays: SymbolArrays) -> Iterator[CodingStep]:
        """Yield the steps in which symbols are coded. Raises ModelFileError if the prior does not fit."""
        with _fitting():
            for step in coding_steps(self.prior, arrays):
                self._check_alphabet(step.tables)
                yield step

    def _check_alphabet(self, tables: Tables) -> None:
        if tables.cumulative is not None and tables.alphabet != self.codec.alphabet:
            raise ModelFileError("the model's prior and quantizer do not fit each other: get or train the model again.")


@dataclass(frozen=True)
class CodedSymbols:
    """The symbols of pictures in the order of coding, all of them or only the first.

    arrays: the symbols of each picture.
    indices: the indices in `arrays.flat` of the symbols that are coded, in the order of coding.
    tables: the tables of these symbols, in the same order.
    """

    arrays: SymbolArrays
    indices: Symbols
    tables: Tables

    @property
    def complete(self) -> bool:
        """Whether all symbols of the pictures are coded."""
        return len(self.indices) == self.arrays.flat.size

    @cached_property
    def symbols(self) -> Symbols:
        """The symbols, flat, in the order of coding."""
        return taken(self.arrays.flat, self.indices)

    def bits_until(self) -> NDArray[np.float64]:
        """Return the bits, −Σ log2 p, of all symbols up to and including each one, in the order of coding."""
        bits = self.tables.bits_of_each(self.symbols)
        return np.cumsum(bits, out=bits)

    def end_of(self, count: int) -> int:
        """Return how many symbols `count` channels of all pictures have.

        If the prior codes one channel after the other, this many symbols at the beginning are those of the first
        channels. Otherwise, they belong to more channels, some of which are not complete.
        """
        return int(count) * sum(picture.size // len(picture) for picture in self.arrays.pictures)

    def encode(self, coder: Coder, ends: Sequence[int]) -> tuple[bytes, list[int]]:
        """Encode the symbols to one stream. Return it with the fewest bytes that determine the first `ends` symbols.

        coder: the coder to encode with.
        ends: rising numbers of symbols; the last is the number of all coded symbols.

        If not all symbols of the pictures are coded, the stream is the beginning of the whole stream, and ends that it
        does not determine have no number of bytes: see `Coder.encode_start`.
        """
        encode = coder.encode if self.complete else coder.encode_start
        return encode(self.symbols, self.tables, list(ends))

    def first(self, count: int) -> list[Symbols]:
        """Return the symbols (C, h, w) of each picture: the first `count` in the order of coding, others MISSING."""
        sizes = [picture.shape[1:] for picture in self.arrays.pictures]
        arrays = SymbolArrays(len(self.arrays.pictures[0]), sizes, self.arrays.flat.dtype)
        arrays.flat[self.indices[:count]] = self.symbols[:count]
        return arrays.pictures


class SymbolDecoder:
    """Decodes a stream while its bytes arrive, each symbol once.

    file_codec: the codec.
    coder: the coder of the stream.
    sizes: (h, w) of the symbols of each picture.
    """

    def __init__(self, file_codec: FileCodec, coder: Coder, sizes: Sequence[tuple[int, int]]) -> None:
        self._arrays = SymbolArrays(file_codec.codec.channels, sizes, symbol_type(file_codec.codec.alphabet))
        self._steps = file_codec.steps(self._arrays)
        self._coder, self._decoder = coder, coder.decoder(b"")
        self._step: CodingStep | None = None
        self._done = 0  # decoded symbols of the step
        self.count = 0
        """The number of symbols that are decoded."""

    @property
    def pictures(self) -> list[Symbols]:
        """The symbols (C, h, w) of each picture, with MISSING for those that are not decoded."""
        return self._arrays.pictures

    def decode(self, data: bytes, *, complete: bool = False) -> None:
        """Decode the symbols that further bytes determine.

        data: the next bytes of the stream.
        complete: whether they are the whole stream, from its beginning.

        Raises CoderError for damaged bytes, or for a whole stream that lacks symbols.
        """
        if complete:
            self._decoder = self._coder.decoder(data, complete=True)
        else:
            self._decoder.extend(data)
        while True:
            if self._step is None:
                self._step, self._done = next(self._steps, None), 0
                if self._step is None:
                    return
            indices, tables = self._step.indices[self._done :], self._step.tables
            found = self._decoder.decode(tables.part(self._done) if self._done else tables)
            self._arrays.flat[indices[: len(found)]] = found
            self._done += len(found)
            self.count += len(found)
            if len(found) < len(indices):
                if complete:
                    raise CoderError(f"the stream is damaged: it has only {self.count} symbols.")
                return
            self._step = None


def stacked(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Stack arrays of one shape; a single one is not copied if torch accepts it as it is."""
    flags = arrays[0].flags
    return arrays[0][None] if len(arrays) == 1 and flags.c_contiguous and flags.writeable else np.stack(arrays)


@contextmanager
def _fitting() -> Iterator[None]:
    """Raise ModelFileError if a prior raises ValueError because it does not fit."""
    try:
        yield
    except ValueError as problem:
        raise ModelFileError(f"the model's prior does not fit: {problem}.") from problem


def _batches(sizes: Sequence[tuple[int, ...]]) -> Iterator[list[int]]:
    """The indices of pictures of one size (…, H, W) that are transformed together, up to BATCH_PIXELS pixels."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for index, size in enumerate(sizes):
        alike.setdefault(size, []).append(index)
    for size, indices in alike.items():
        most = max(1, BATCH_PIXELS // (size[-2] * size[-1]))
        for first in range(0, len(indices), most):
            yield indices[first : first + most]
