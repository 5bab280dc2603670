"""From 8-bit pictures to symbols to a stream, and back.

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
from omega_core.contracts.coder import Coder
from omega_core.errors import CoderError, ImageError, ModelFileError
from omega_core.images.pictures import Pixels


@dataclass(frozen=True)
class FileCodec:
    """What codes pictures for files.

    codec: in evaluation mode, on any device.
    prior: the frozen probabilities of its symbols.
    """

    codec: ImageCodec
    prior: FrozenPrior

    def check(self, pixels: Pixels) -> tuple[int, int]:
        """(h, w) of the symbols of pixels. Raises ImageError if the architecture does not take them."""
        if len(pixels) > self.codec.colors:
            raise ImageError(f"the picture is {_color(len(pixels))}, the model is for {_color(self.codec.colors)}.")
        return self.codec.architecture.latent_size(pixels.shape[1], pixels.shape[2])

    @torch.inference_mode()
    def symbols(self, pixels: Pixels, *, tile: int | None = None) -> Integers:
        """Pixels (colors, H, W) to symbols (C, h, w). Gray pixels are taken as RGB where the model wants RGB.

        tile: the side in pixels of the tiles to work in, for a `LocalArchitecture`; None for all at once.

        Raises ImageError if the architecture takes others.
        """
        self.check(pixels)
        symbols: Integers = self.codec.encode_symbols(torch.from_numpy(pixels.copy())[None], tile=tile)[0].numpy()
        return symbols

    @torch.inference_mode()
    def pixels(
        self, symbols: Integers, height: int, width: int, *, tile: int | None = None, colors: int | None = None
    ) -> Pixels:
        """The first n channels of symbols (n, h, w) to pixels (colors, height, width).

        tile: the side in pixels of the tiles to work in, for a `LocalArchitecture`; None for all at once.
        colors: 1 for gray, also of an architecture for RGB; the architecture's own if None.
        """
        given = torch.from_numpy(np.ascontiguousarray(symbols))[None]
        pixels: Pixels = self.codec.decode_pixels(given, height, width, tile=tile, colors=colors)[0].numpy()
        return pixels

    def in_order(self, pictures: Sequence[Integers]) -> tuple[Integers, Tables]:
        """All symbols (n, h, w) of some pictures in the order of coding, and their tables, as a decoder asks for them.

        Raises ModelFileError.
        """
        with _fitting():
            symbols, tables = in_order(self.prior, pictures)
        self._check_alphabet(tables)
        return symbols, tables

    def encode(self, pictures: Sequence[Integers], coder: Coder, cuts: list[int]) -> tuple[bytes, list[int]]:
        """Symbols (C, h, w) of some pictures to one stream, and its length at each of the cuts, given in channels."""
        symbols, tables = self.in_order(pictures)
        small = np.int32 if tables.alphabet <= 1 << 31 else np.int64
        return coder.encode(symbols.astype(small), tables, [n * tables.positions for n in cuts])

    def decode(self, stream: bytes, coder: Coder, channels: int, sizes: Sequence[tuple[int, int]]) -> list[Integers]:
        """A stream, or what a cut left of it, to the symbols (channels, h, w) of pictures of `sizes` (h, w).

        Raises CoderError.
        """
        if channels > self.codec.quantizer.channels:
            raise CoderError(f"the file has {channels} channels, its model only {self.codec.quantizer.channels}.")
        decoder = coder.decoder(stream)
        pictures = [np.zeros((channels, *size), np.int64) for size in sizes]
        for step in self._steps(pictures):
            self._check_alphabet(step.tables)
            step.put_into(pictures, decoder.decode(step.tables))
        return pictures

    def _steps(self, pictures: Sequence[Integers]) -> Iterator[Step]:
        with _fitting():
            yield from steps(self.prior, pictures)

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


def _color(colors: int) -> str:
    return "gray" if colors == 1 else "RGB"
