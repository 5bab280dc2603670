"""8-bit pictures to symbols, symbols to a stream, and back.

    pixels ─ImageCodec→ symbols ─coder(tables)→ stream
    pixels ←ImageCodec─ symbols ←coder(tables)─ stream

A stream holds the symbols of one or several pictures, in the order that `omega_core.coding.order` tells.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from omega_core.codec.image_codec import ImageCodec
from omega_core.coding.order import Step, in_order, steps
from omega_core.coding.tables import FrozenPrior, Integers, Tables
from omega_core.contracts.coder import Coder, Decoder
from omega_core.errors import CoderError, ImageError, ModelFileError
from omega_core.images.pictures import Pixels

BATCH_PIXELS = 1 << 20
"""The most pixels of pictures that go through the transforms as one batch: as many as a tile of a large picture has. In
float32, pixels may differ by one level from those of a picture that is transformed alone."""


@dataclass(frozen=True)
class FileCodec:
    """Codes pictures for files.

    codec: in evaluation mode, on any device.
    prior: the frozen prior of its symbols.
    """

    codec: ImageCodec
    prior: FrozenPrior

    def check(self, pixels: Pixels) -> tuple[int, int]:
        """Return (h, w) of the symbols of a picture.

        pixels: (colors, H, W).

        Raises ImageError for a size that the architecture does not take, or for RGB if it takes gray only.
        """
        if len(pixels) > self.codec.colors:
            raise ImageError(f"the picture is {_color(len(pixels))}, the model is for {_color(self.codec.colors)}.")
        return self.codec.architecture.latent_size(pixels.shape[1], pixels.shape[2])

    def symbols(self, pixels: Pixels, *, tile: int | None = None) -> Integers:
        """Encode the pixels (colors, H, W) of one picture to symbols (C, h, w): see `symbols_of_all`."""
        [symbols] = self.symbols_of_all([pixels], tile=tile)
        return symbols

    @torch.inference_mode()
    def symbols_of_all(self, pictures: Sequence[Pixels], *, tile: int | None = None) -> list[Integers]:
        """Encode pictures to the symbols (C, h, w) of each. Pictures of one size are encoded in batches.

        pictures: pixels (colors, H, W) of each; gray ones become RGB for a model for RGB.
        tile: the side, in pixels, of the tiles of a `LocalArchitecture`; None for whole pictures.

        Raises ImageError as `check` does.
        """
        for pixels in pictures:
            self.check(pixels)
        found: dict[int, Integers] = {}
        for places in _batches([pixels.shape for pixels in pictures]):
            image = torch.from_numpy(np.stack([pictures[place] for place in places]))
            found |= zip(places, self.codec.encode_symbols(image, tile=tile).numpy(), strict=True)
        return [found[place] for place in range(len(pictures))]

    def pixels(
        self, symbols: Integers, height: int, width: int, *, tile: int | None = None, colors: int | None = None
    ) -> Pixels:
        """Decode symbols (n, h, w) of one picture to pixels (colors, height, width): see `pixels_of_all`."""
        [pixels] = self.pixels_of_all([symbols], [(height, width)], tile=tile, colors=colors)
        return pixels

    @torch.inference_mode()
    def pixels_of_all(
        self,
        pictures: Sequence[Integers],
        sizes: Sequence[tuple[int, int]],
        *,
        tile: int | None = None,
        colors: int | None = None,
    ) -> list[Pixels]:
        """Decode the symbols of pictures to the pixels (colors, H, W) of each, uint8. Those of one size go in batches.

        pictures: symbols (n, h, w) of each; n, the number of leading channels, may differ.
        sizes: (H, W) of each.
        tile: the side, in pixels, of the tiles of a `LocalArchitecture`; None for whole pictures.
        colors: 1 for the mean of the colors of an architecture for RGB; that of the architecture if None.
        """
        found: dict[int, Pixels] = {}
        for places in _batches(sizes):
            kept = [len(pictures[place]) for place in places]
            symbols = np.zeros((len(places), max(kept), *pictures[places[0]].shape[1:]), np.int64)
            for row, place in enumerate(places):
                symbols[row, : kept[row]] = pictures[place]
            pixels = self.codec.decode_pixels(
                torch.from_numpy(symbols), *sizes[places[0]], kept=_unless_all(kept), tile=tile, colors=colors
            )
            found |= zip(places, pixels.numpy(), strict=True)
        return [found[place] for place in range(len(pictures))]

    def in_order(self, pictures: Sequence[Integers]) -> tuple[Integers, Tables]:
        """Return the symbols (n, h, w) of pictures in the order of coding, flat, and their tables.

        Raises ModelFileError if the prior does not fit.
        """
        with _fitting():
            symbols, tables = in_order(self.prior, pictures)
        self._check_alphabet(tables)
        return symbols, tables

    def encode(self, pictures: Sequence[Integers], coder: Coder, cuts: list[int]) -> tuple[bytes, list[int]]:
        """Encode the symbols of pictures to one stream, and return it with its length at each cut.

        pictures: symbols (C, h, w) of each.
        coder: to encode with.
        cuts: rising numbers of channels; the last is C.
        """
        symbols, tables = self.in_order(pictures)
        small = np.int32 if tables.alphabet <= 1 << 31 else np.int64
        return coder.encode(symbols.astype(small), tables, [n * tables.positions for n in cuts])

    def decode(self, stream: bytes, coder: Coder, channels: int, sizes: Sequence[tuple[int, int]]) -> list[Integers]:
        """Decode a stream to the symbols (channels, h, w) of each picture.

        stream: all of it, or its bytes up to a cut.
        coder: that it was encoded with.
        channels: the number of channels in it.
        sizes: (h, w) of the symbols of each picture.

        Raises CoderError for damaged bytes, or for more channels than the codec has.
        """
        pictures = self.undecoded(channels, sizes)
        self.decode_channels(coder.decoder(stream), pictures, range(channels))
        return pictures

    def undecoded(self, channels: int, sizes: Sequence[tuple[int, int]]) -> list[Integers]:
        """Return zeros (channels, h, w) for each of `sizes` (h, w), which `decode_channels` fills with symbols.

        Raises CoderError for more channels than the codec has.
        """
        if channels > self.codec.quantizer.channels:
            raise CoderError(f"the file has {channels} channels, its model only {self.codec.quantizer.channels}.")
        return [np.zeros((channels, *size), np.int64) for size in sizes]

    def decode_channels(self, decoder: Decoder, pictures: Sequence[Integers], channels: range) -> None:
        """Decode channels of pictures in place.

        decoder: of their stream, of which the earlier channels are decoded.
        pictures: symbols (n, h, w) of each, with the earlier channels filled in.
        channels: to decode.

        Raises CoderError for damaged bytes.
        """
        for step in self._steps(pictures, channels):
            self._check_alphabet(step.tables)
            step.put_into(pictures, decoder.decode(step.tables))

    def _steps(self, pictures: Sequence[Integers], channels: range) -> Iterator[Step]:
        with _fitting():
            yield from steps(self.prior, pictures, channels)

    def _check_alphabet(self, tables: Tables) -> None:
        if tables.cumulative is not None and tables.alphabet != self.codec.quantizer.alphabet:
            raise ModelFileError("the model's prior and quantizer do not fit each other: get or train it again.")


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


def _unless_all(kept: Sequence[int]) -> torch.Tensor | None:
    """The number of channels of each picture, as a tensor; None if all have the same."""
    return None if min(kept) == max(kept) else torch.tensor(kept)


def _color(colors: int) -> str:
    return "gray" if colors == 1 else "RGB"
