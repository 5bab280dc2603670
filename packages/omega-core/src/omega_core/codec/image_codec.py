"""From pixels to symbols to a stream, and back.

    pixels ─analysis→ latent ─quantizer→ symbols ─coder(tables)→ stream
    pixels ←synthesis─ latent ←quantizer─ symbols ←coder(tables)─ stream

Shapes: D latent channels, C symbol channels of which the first n are coded, h×w positions. A stream holds
the symbols of one or several pictures, in the order that `omega_core.coding.order` tells.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from omega_core.codec.tiling import tiles
from omega_core.coding.order import Step, in_order, steps
from omega_core.coding.tables import FrozenPrior, Integers, Tables
from omega_core.contracts.architecture import Architecture, LocalArchitecture, Margins
from omega_core.contracts.coder import Coder, Decoder
from omega_core.contracts.quantizer import Quantizer
from omega_core.errors import CoderError, ImageError, ModelFileError
from omega_core.images.pictures import Pixels


@dataclass(frozen=True)
class Codec:
    """The parts that code a picture, in evaluation mode."""

    architecture: Architecture
    quantizer: Quantizer
    prior: FrozenPrior

    @property
    def colors(self) -> int:
        """Of the pictures that the architecture takes: 1 or 3."""
        return self.architecture.colors

    def check(self, pixels: Pixels) -> tuple[int, int]:
        """(h, w) of the symbols of pixels. Raises ImageError if the architecture does not take them."""
        if len(pixels) > self.colors:
            raise ImageError(f"the picture is {_color(len(pixels))}, the model is for {_color(self.colors)}.")
        return self.architecture.latent_size(pixels.shape[1], pixels.shape[2])

    @torch.inference_mode()
    def symbols(self, pixels: Pixels, *, tile: int | None = None) -> Integers:
        """Pixels (colors, H, W) to symbols (C, h, w). Gray pixels are taken as RGB where the model wants RGB.

        tile: the side in pixels of the tiles to work in, for a `LocalArchitecture`; None for all at once.

        Raises ImageError if the architecture takes others.
        """
        h, w = self.check(pixels)
        height, width = pixels.shape[1:]
        if tile is None:
            return self._symbols(self._image(pixels))
        architecture = _local(self.architecture)
        symbols = np.zeros((self.quantizer.channels, h, w), np.int64)
        margins = architecture.margins(height, width)
        for down, across in tiles(h, w, _positions(tile, architecture), architecture.analysis_halo):
            rows, above, below = _inside(down.first, down.last, architecture.stride, margins.top, height)
            columns, left, right = _inside(across.first, across.last, architecture.stride, margins.left, width)
            image = architecture.pad(self._image(pixels[:, rows, columns]), Margins(above, below, left, right))
            symbols[:, down.inner, across.inner] = self._symbols(image)[:, down.within, across.within]
        return symbols

    def _image(self, pixels: Pixels) -> Tensor:
        """Pixels as what the architecture takes: (1, colors, H, W), in [0, 1]."""
        image = torch.from_numpy(pixels.copy()).to(_parameter(self.architecture)) / 255
        return image.expand(self.colors, -1, -1)[None].contiguous(memory_format=torch.channels_last)

    def _symbols(self, image: Tensor) -> Integers:
        symbols = self.quantizer.symbols(self.architecture.analysis(image).to(_parameter(self.quantizer)))
        return symbols[0].cpu().numpy().astype(np.int64, copy=False)

    @torch.inference_mode()
    def pixels(
        self, symbols: Integers, height: int, width: int, *, tile: int | None = None, colors: int | None = None
    ) -> Pixels:
        """The first n channels of symbols (n, h, w) to pixels (colors, height, width).

        tile: the side in pixels of the tiles to work in, for a `LocalArchitecture`; None for all at once.
        colors: 1 for gray, also of an architecture for RGB; the architecture's own if None.
        """
        colors = colors or self.colors
        if tile is None:
            image = self.architecture.restore(self._latent(symbols), height, width, self._fineness(symbols))[0]
            return _eight_bits(image, colors)
        return self._pixels_in_tiles(_local(self.architecture), symbols, height, width, tile, colors)

    def _pixels_in_tiles(
        self, architecture: LocalArchitecture, symbols: Integers, height: int, width: int, tile: int, colors: int
    ) -> Pixels:
        h, w = symbols.shape[1:]
        step, stride = _positions(tile, architecture), architecture.stride
        features, fineness = None, self._fineness(symbols)
        for down, across in tiles(h, w, step, architecture.refine_halo):
            refined = architecture.refined(self._latent(symbols[:, down.outer, across.outer]), fineness)
            if features is None:
                features = refined.new_empty((1, refined.shape[1], h, w))
            features[:, :, down.inner, across.inner] = refined[:, :, down.within, across.within]
        assert features is not None  # noqa: S101 (there is at least one tile)
        pixels = np.empty((colors, height, width), np.uint8)
        margins = architecture.margins(height, width)
        for down, across in tiles(h, w, step, architecture.render_halo):
            image = architecture.render(features[:, :, down.outer, across.outer])[0]
            rows, above, _ = _inside(down.start, down.stop, stride, margins.top, height)
            columns, left, _ = _inside(across.start, across.stop, stride, margins.left, width)
            top, first = above + (down.start - down.first) * stride, left + (across.start - across.first) * stride
            own = image[:, top : top + rows.stop - rows.start, first : first + columns.stop - columns.start]
            pixels[:, rows, columns] = _eight_bits(own, colors)
        return pixels

    def _latent(self, symbols: Integers) -> Tensor:
        """Symbols (n, h, w) to what the synthesis takes: (1, D, h, w)."""
        kept = torch.from_numpy(np.ascontiguousarray(symbols))[None].to(_parameter(self.quantizer).device)
        return self.quantizer.latent(kept).to(_parameter(self.architecture))

    def _fineness(self, symbols: Integers) -> Tensor:
        """How finely the first n channels (n, h, w) describe a latent: (1,)."""
        kept = torch.tensor([len(symbols)], device=_parameter(self.quantizer).device)
        return self.quantizer.fineness(kept).to(_parameter(self.architecture))

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
        pictures = self.undecoded(channels, sizes)
        self.decode_channels(coder.decoder(stream), pictures, range(channels))
        return pictures

    def undecoded(self, channels: int, sizes: Sequence[tuple[int, int]]) -> list[Integers]:
        """Symbols (channels, h, w) of pictures of `sizes` (h, w), for `decode_channels` to fill.

        Raises CoderError for more channels than there are.
        """
        if channels > self.quantizer.channels:
            raise CoderError(f"the file has {channels} channels, its model only {self.quantizer.channels}.")
        return [np.zeros((channels, *size), np.int64) for size in sizes]

    def decode_channels(self, decoder: Decoder, pictures: Sequence[Integers], channels: range) -> None:
        """Decode `channels` of some pictures into their symbols (n, h, w), where all earlier channels have to be.

        Raises CoderError.
        """
        for step in self._steps(pictures, channels):
            self._check_alphabet(step.tables)
            step.put_into(pictures, decoder.decode(step.tables))

    def _steps(self, pictures: Sequence[Integers], channels: range) -> Iterator[Step]:
        with _fitting():
            yield from steps(self.prior, pictures, channels)

    def _check_alphabet(self, tables: Tables) -> None:
        if tables.cumulative is not None and tables.alphabet != self.quantizer.alphabet:
            raise ModelFileError("the model's prior and quantizer do not fit each other: get or train it again.")


@contextmanager
def _fitting() -> Iterator[None]:
    """Raise ModelFileError where a prior says that it does not fit."""
    try:
        yield
    except ValueError as problem:
        raise ModelFileError(f"the model's prior does not fit: {problem}.") from problem


def _inside(first: int, last: int, stride: int, margin: int, length: int) -> tuple[slice, int, int]:
    """The pixels of positions [first, last) of a padded axis that are there, and how many before and after are not."""
    start, stop = first * stride - margin, last * stride - margin
    there = slice(max(0, start), min(length, stop))
    return there, there.start - start, stop - there.stop


def _positions(tile: int, architecture: LocalArchitecture) -> int:
    return max(1, tile // architecture.stride)


def _local(architecture: Architecture) -> LocalArchitecture:
    if not isinstance(architecture, LocalArchitecture):
        raise ModelFileError("this model cannot work in tiles, as its file asks for: get or make the file again.")
    return architecture


def _eight_bits(image: Tensor, colors: int) -> Pixels:
    """An image (colors, H, W) in [0, 1] as 8-bit values, rounded; its mean over colors where it is to be gray."""
    image = image.clamp(0, 1)
    if colors < len(image):
        image = image.mean(dim=0, keepdim=True)
    return (image * 255).round().to(torch.uint8).cpu().numpy()


def _parameter(module: nn.Module) -> torch.Tensor:
    """Any parameter of a module, which shows its device and precision; float32 on the CPU where it has none."""
    return next(module.parameters(), torch.empty(0))


def _color(colors: int) -> str:
    return "gray" if colors == 1 else "RGB"
