"""8-bit pictures to symbols, symbols to a stream, and back.

    pixels ─PixelCodec→ symbols ─coder(tables)→ stream
    pixels ←PixelCodec─ symbols ←coder(tables)─ stream

A stream holds the symbols of one or several pictures, in the order that `omega_core.coding.order` tells. The first
bytes of it determine some of them; the others are missing.
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

    codec: what transforms them: an `ImageCodec` in evaluation mode, on any device, or another runtime.
    prior: the frozen prior of its symbols.
    """

    codec: PixelCodec
    prior: FrozenPrior

    def check(self, pixels: Pixels) -> None:
        """Raise ImageError for a picture of a size that the architecture does not take, or RGB if it takes gray only.

        pixels: (colors, H, W).
        """
        if len(pixels) > self.codec.colors:
            raise ImageError(f"the picture is {_color(len(pixels))}, the model is for {_color(self.codec.colors)}.")
        self.codec.latent_size(pixels.shape[1], pixels.shape[2])

    def symbols(self, pixels: Pixels, *, tile: int | None = None) -> Symbols:
        """Encode the pixels (colors, H, W) of one picture to symbols (C, h, w): see `symbols_of_all`."""
        [symbols] = self.symbols_of_all([pixels], tile=tile)
        return symbols

    def symbols_of_all(self, pictures: Sequence[Pixels], *, tile: int | None = None) -> list[Symbols]:
        """Encode pictures to the symbols (C, h, w) of each, in the `symbol_type` of their alphabet, those of one size
        in batches.

        pictures: pixels (colors, H, W) of each; gray ones become RGB for a model for RGB.
        tile: the side, in pixels, of the tiles of a `LocalArchitecture`; None for whole pictures.

        Raises ImageError as `check` does.
        """
        for pixels in pictures:
            self.check(pixels)
        found: dict[int, Symbols] = {}
        for places in _batches([pixels.shape for pixels in pictures]):
            pixels = stacked([pictures[place] for place in places])
            found |= zip(places, self.codec.symbols_of(pixels, tile=tile), strict=True)
        return [found[place] for place in range(len(pictures))]

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
        """Decode the symbols of pictures to the pixels (colors, H, W) of each, uint8. Those of one size go in batches.

        pictures: symbols (C, h, w) of each, with MISSING for those that are missing.
        sizes: (H, W) of each.
        tile: the side, in pixels, of the tiles of a `LocalArchitecture`; None for whole pictures.
        colors: 1 for the mean of the colors of an architecture for RGB; that of the architecture if None.
        """
        found: dict[int, Pixels] = {}
        for places in _batches(sizes):
            symbols = stacked([pictures[place] for place in places])
            pixels = self.codec.pixels_of(symbols, *sizes[places[0]], tile=tile, colors=colors)
            found |= zip(places, pixels, strict=True)
        return [found[place] for place in range(len(pictures))]

    def coded(self, pictures: Sequence[Symbols], enough: Enough | None = None) -> "CodedSymbols":
        """Return the symbols (C, h, w) of pictures in the order of coding.

        enough: how much of them is wanted; all if None.

        Raises ModelFileError if the prior does not fit.
        """
        arrays = SymbolArrays.of(pictures)
        with _fitting():
            places, tables = in_order(self.prior, arrays, enough)
        self._check_alphabet(tables)
        return CodedSymbols(arrays, places, tables)

    def decode(self, stream: bytes, coder: Coder, sizes: Sequence[tuple[int, int]], *, complete: bool) -> list[Symbols]:
        """Decode a stream to the symbols (C, h, w) of each picture; those that it does not determine are MISSING.

        stream: all of it, or its first bytes.
        coder: that it was encoded with.
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
            raise ModelFileError("the model's prior and quantizer do not fit each other: get or train it again.")


@dataclass(frozen=True)
class CodedSymbols:
    """The symbols of pictures in the order of coding, all of them or the first.

    arrays: the symbols of each picture.
    places: of the symbols that are coded in `arrays.flat`, in the order of coding.
    tables: of these symbols, in that order.
    """

    arrays: SymbolArrays
    places: Symbols
    tables: Tables

    @property
    def complete(self) -> bool:
        """Whether all symbols of the pictures are coded."""
        return len(self.places) == self.arrays.flat.size

    @cached_property
    def symbols(self) -> Symbols:
        """The symbols, flat, in the order of coding."""
        return taken(self.arrays.flat, self.places)

    def bits_until(self) -> NDArray[np.float64]:
        """Return −Σ log2 p of the first symbols up to each, in bits, in the order of coding."""
        bits = self.tables.bits_of_each(self.symbols)
        return np.cumsum(bits, out=bits)

    def end_of(self, count: int) -> int:
        """Return how many symbols `count` channels of all pictures have.

        The first so many in the order of coding are the symbols of the first channels, if the prior codes one channel
        after the other. If it does not, they are of more channels, of which some are not complete.
        """
        return int(count) * sum(picture.size // len(picture) for picture in self.arrays.pictures)

    def encode(self, coder: Coder, ends: Sequence[int]) -> tuple[bytes, list[int]]:
        """Encode the symbols to one stream, and return it with the fewest bytes that determine some of the first.

        coder: to encode with.
        ends: rising numbers of symbols; the last is that of all that are coded.

        If not all symbols of the pictures are coded, the stream is the beginning of theirs, and the ends that it does
        not determine have no number: see `Coder.encode_start`.
        """
        encode = coder.encode if self.complete else coder.encode_start
        return encode(self.symbols, self.tables, list(ends))

    def first(self, count: int) -> list[Symbols]:
        """Return the symbols (C, h, w) of each picture; only the first `count` in the order of coding are known."""
        sizes = [picture.shape[1:] for picture in self.arrays.pictures]
        arrays = SymbolArrays(len(self.arrays.pictures[0]), sizes, self.arrays.flat.dtype)
        arrays.flat[self.places[:count]] = self.symbols[:count]
        return arrays.pictures


class SymbolDecoder:
    """Decodes a stream while its bytes arrive, each symbol once.

    files: the codec.
    coder: of the stream.
    sizes: (h, w) of the symbols of each picture.
    """

    def __init__(self, files: FileCodec, coder: Coder, sizes: Sequence[tuple[int, int]]) -> None:
        self._arrays = SymbolArrays(files.codec.channels, sizes, symbol_type(files.codec.alphabet))
        self._steps = files.steps(self._arrays)
        self._coder, self._decoder = coder, coder.decoder(b"")
        self._step: CodingStep | None = None
        self._done = 0  # symbols of the step
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
            places, tables = self._step.places[self._done :], self._step.tables
            found = self._decoder.decode(tables.part(self._done) if self._done else tables)
            self._arrays.flat[places[: len(found)]] = found
            self._done += len(found)
            self.count += len(found)
            if len(found) < len(places):
                if complete:
                    raise CoderError(f"the stream is damaged: it has {self.count} symbols only.")
                return
            self._step = None


def stacked(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Stack arrays of one shape; a single one is not copied if torch takes it as it is."""
    flags = arrays[0].flags
    return arrays[0][None] if len(arrays) == 1 and flags.c_contiguous and flags.writeable else np.stack(arrays)


@contextmanager
def _fitting() -> Iterator[None]:
    """Raise ModelFileError where a prior says that it does not fit."""
    try:
        yield
    except ValueError as problem:
        raise ModelFileError(f"the model's prior does not fit: {problem}.") from problem


def _batches(sizes: Sequence[tuple[int, ...]]) -> Iterator[list[int]]:
    """The places of pictures of one size (…, H, W) that are transformed together, up to BATCH_PIXELS pixels."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for place, size in enumerate(sizes):
        alike.setdefault(size, []).append(place)
    for size, places in alike.items():
        most = max(1, BATCH_PIXELS // (size[-2] * size[-1]))
        for first in range(0, len(places), most):
            yield places[first : first + most]


def _color(colors: int) -> str:
    return "gray" if colors == 1 else "RGB"
