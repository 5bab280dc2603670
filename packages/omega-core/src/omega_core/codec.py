"""From pixels to symbols to a stream, and back.

    pixels ─analysis→ latent ─quantizer→ symbols ─coder(tables)→ stream
    pixels ←synthesis─ latent ←quantizer─ symbols ←coder(tables)─ stream

Shapes: D latent channels, C symbol channels of which the first n are coded, h×w positions.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from omega_core.contracts.architecture import Architecture
from omega_core.contracts.coder import Coder
from omega_core.contracts.prior import FrozenPrior
from omega_core.contracts.quantizer import Quantizer
from omega_core.errors import CoderError, ImageError, ModelFileError
from omega_core.images import Pixels
from omega_core.tables import Integers, Tables, concatenate


@dataclass(frozen=True)
class Codec:
    """The parts that code a picture, in evaluation mode."""

    architecture: Architecture
    quantizer: Quantizer
    prior: FrozenPrior

    @torch.inference_mode()
    def symbols(self, pixels: Pixels) -> Integers:
        """Pixels (colours, H, W) to symbols (C, h, w). Raises ImageError if the architecture takes others."""
        if len(pixels) != self.architecture.colours:
            raise ImageError(f"the picture is {_colour(len(pixels))}, the model is for {_colour(self.colours)}.")
        self.architecture.latent_size(*pixels.shape[1:])
        image = torch.from_numpy(pixels.copy()).to(_parameter(self.architecture)) / 255
        latent = self.architecture.analysis(image[None])
        symbols = self.quantizer.symbols(latent.to(_parameter(self.quantizer)))
        return symbols[0].cpu().numpy().astype(np.int64, copy=False)

    @torch.inference_mode()
    def pixels(self, symbols: Integers, height: int, width: int) -> Pixels:
        """The first n channels of symbols (n, h, w) to pixels (colours, height, width)."""
        kept = torch.from_numpy(np.ascontiguousarray(symbols))[None].to(_parameter(self.quantizer).device)
        latent = self.quantizer.latent(kept).to(_parameter(self.architecture))
        image = self.architecture.synthesis(latent, height, width)[0]
        return (image.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()

    @property
    def colours(self) -> int:
        return self.architecture.colours

    def tables(self, symbols: Integers) -> Tables:
        """The tables for all of symbols (n, h, w), asked for as a decoder would."""
        channels, *size = symbols.shape
        parts: list[Tables] = []
        done = 0
        while done < channels:
            parts.append(self._tables(done, channels, (size[0], size[1]), symbols))
            done += parts[-1].channels
        return concatenate(parts)

    def _tables(self, done: int, channels: int, size: tuple[int, int], symbols: Integers) -> Tables:
        tables = self.prior.tables(range(done, channels), size, symbols[:done])
        fits = tables.cumulative is None or tables.alphabet == self.quantizer.alphabet
        if not 1 <= tables.channels <= channels - done or not fits:
            raise ModelFileError("the model's prior and quantizer do not fit each other: get or train it again.")
        return tables

    def encode(self, symbols: Integers, coder: Coder, cuts: list[int]) -> tuple[bytes, list[int]]:
        """Symbols (C, h, w) to one stream, and its length at each of the cuts, given in channels."""
        positions = symbols.shape[1] * symbols.shape[2]
        return coder.encode(symbols.reshape(-1), self.tables(symbols), [n * positions for n in cuts])

    def decode(self, stream: bytes, coder: Coder, channels: int, size: tuple[int, int]) -> Integers:
        """A stream, or what a cut left of it, to symbols (channels, h, w). Raises CoderError."""
        if channels > self.quantizer.channels:
            raise CoderError(f"the file has {channels} channels, its model only {self.quantizer.channels}.")
        decoder = coder.decoder(stream)
        symbols = np.zeros((channels, *size), np.int64)
        done = 0
        while done < channels:
            tables = self._tables(done, channels, size, symbols)
            symbols[done : done + tables.channels] = decoder.decode(tables).reshape(-1, *size)
            done += tables.channels
        return symbols


def _parameter(module: nn.Module) -> torch.Tensor:
    """Any parameter of a module, which shows its device and precision; float32 on the CPU where it has none."""
    return next(module.parameters(), torch.empty(0))


def _colour(colours: int) -> str:
    return "grey" if colours == 1 else "RGB"
