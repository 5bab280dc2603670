"""A search for better symbols than the nearest ones, for a file of one rate: rate-distortion optimization.

    J = D + λ·R    D the squared error of the picture that the synthesis makes, before values are clamped and rounded,
                   R the bits of its known symbols, by the density of latents

Every value of the latent is in a cell (`Quantizer.cells`) and can move into the cell above or below. By the gradient g
of D with respect to the dequantized latent, a move that changes this by δ changes J by about

    g·δ + μ·κ·δ² + λ·ΔR    κ the squared error of the picture for a squared error of 1 in the latent

Each step makes a part of the moves that lower J. The damping μ grows where the steps before lowered J by much less than
that, and shrinks otherwise, as in the method of Levenberg and Marquardt. Only the encoder does this: files are decoded
as others are. Refining the latent of each picture is due to Campos et al. 2019, "Content Adaptive Optimization for
Neural Image Compression" (CVPR Workshops, arXiv 1906.01223), and Yang, Bamler and Mandt 2020, "Improving Inference for
Neural Image Compression" (NeurIPS, arXiv 2006.04240), who move it by gradients instead of cell by cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from omega_core.codec.image_codec import ImageCodec, image_tiles
from omega_core.codec.tiling import Span
from omega_core.coding.tables import MISSING, Symbols
from omega_core.contracts.architecture import LocalArchitecture
from omega_core.images.pictures import Pixels

if TYPE_CHECKING:
    from omega_core.contracts.prior import Prior

_PIXELS = 1 << 19  # of a picture that is searched at once, as gradients take ten times the memory of decoding
_SIDE = 512  # pixels of a side of the tiles of larger ones
_DAMPING = 1.8  # μ at the beginning
_LESS, _MORE = 0.85, 1.5  # factors of μ
_GOOD, _POOR = 0.5, 0.2  # shares of the predicted change, above which μ shrinks, and below which it grows
_PART = 0.7  # of the moves are made in a step: neighbors that move together would correct the same error
_PRICE = 0.8  # of the slope: of .65, .8, 1 and 1.25 this gave the fewest bits at a PSNR, for files of photos
_PROBED = 1 / 64  # of all values move to measure κ
_BEYOND = 1e-3  # of a cell, by which a move goes beyond its end


class SymbolSearch:
    """Searches for better symbols of pictures.

    codec: that codes them; its quantizer has cells.
    prior: has the density of its latents, `interval_bits`.
    """

    def __init__(self, codec: ImageCodec, prior: Prior) -> None:
        self.codec, self.prior = codec, prior

    @torch.inference_mode(False)  # where callers are in it: gradients are needed
    def symbols_of(self, pixels: Pixels, known: Symbols, slope: float, steps: int) -> Symbols:
        """Return better symbols (C, h, w) of a picture for a file that ends where the known ones do.

        pixels: (colors, H, W), uint8.
        known: (C, h, w), the nearest symbols as the file has them, MISSING where it ends before them.
        slope: by how much one bit per pixel more lowers the MSE of the picture there, for pixels from 0 to 1.
        steps: of the search, 1 or more.

        Large pictures are searched in tiles, one after the other. Raises ComponentError if the quantizer has no cells.
        """
        codec = self.codec
        nearest = torch.from_numpy(known)[None]
        found, fineness = nearest.clone(), codec.fineness(nearest).to(codec.device)
        image = torch.from_numpy(pixels)[None]
        price = _PRICE * slope * len(pixels)  # of a bit, in squared error of the picture
        for part in _parts(codec, image):
            there = nearest[:, :, part.down.outer, part.across.outer] != MISSING
            problem = _Problem(codec, self.prior, part, there.to(codec.device), fineness, price)
            symbols = codec.quantizer.symbols(problem.searched(steps))
            inner = symbols[:, :, part.down.within, part.across.within]
            found[:, :, part.down.inner, part.across.inner] = inner.to(found)
        result: Symbols = found[0].numpy()
        return result


@dataclass(frozen=True)
class _Part:
    """A tile of a picture with its halo, or all of it.

    image: (1, colors, H, W), in [0, 1]. down, across: its positions.
    """

    image: Tensor
    down: Span
    across: Span


def _parts(codec: ImageCodec, image: Tensor) -> Iterator[_Part]:
    """Yield a picture (1, colors, H, W) as it is, or in tiles if it is large and the architecture local."""
    height, width = image.shape[2:]
    h, w = codec.latent_size(height, width)
    architecture = codec.architecture
    if height * width <= _PIXELS or not isinstance(architecture, LocalArchitecture):
        yield _Part(_scaled(image, codec), Span(0, 0, h, h), Span(0, 0, w, w))
        return
    halo = max(architecture.analysis_halo, architecture.refine_halo + architecture.render_halo)
    for down, across, rows, columns, margins in image_tiles(architecture, height, width, _SIDE, halo):
        yield _Part(architecture.pad(_scaled(image[:, :, rows, columns], codec), margins), down, across)


def _scaled(image: Tensor, codec: ImageCodec) -> Tensor:
    return image.to(codec.device, torch.float32) / 255


@dataclass(frozen=True)
class _State:
    """Values of the latent, and what the file and the decoder have of them: (1, D, h, w) each.

    latent: the values.
    decoded: what the decoder makes of their symbols.
    center, half: the middle of the cell of each value, and half of its width; 0 and inf where nothing is known.
    bits: of each cell.
    image: what the synthesis makes of `decoded`: (1, colors, H, W).
    error: the squared error of the picture, (), with a gradient to `decoded` unless it is the last.
    """

    latent: Tensor
    decoded: Tensor
    center: Tensor
    half: Tensor
    bits: Tensor
    image: Tensor
    error: Tensor

    def loss(self, price: float) -> float:
        """J. price: of a bit."""
        return float(self.error.detach()) + price * float(self.bits.sum())


@dataclass(frozen=True)
class _Moves:
    """The move down and the move up of each value: (2, D, h, w) each.

    latent: the values after it. changes: what it changes in the dequantized latent; 0 where there is no next cell.
    linear: the predicted change of J, without κ.
    """

    latent: Tensor
    changes: Tensor
    linear: Tensor


class _Problem:
    """The search in a part of a picture. The arguments are those of `SymbolSearch`.

    there: (1, C, h, w), which symbols the file has. price: of a bit.
    """

    def __init__(
        self, codec: ImageCodec, prior: Prior, part: _Part, there: Tensor, fineness: Tensor, price: float
    ) -> None:
        self.codec, self.prior, self.part = codec, prior, part
        self.there, self.fineness, self.price = there, fineness, price
        self.random = torch.Generator().manual_seed(0)
        self.movable = torch.zeros((1, 1, *there.shape[2:]), dtype=torch.bool, device=there.device)
        self.movable[:, :, part.down.within, part.across.within] = True

    def searched(self, steps: int) -> Tensor:
        """The latent (1, D, h, w) after the search, whose J is not above that of the beginning."""
        best = self._state(self.codec.latent_for_files(self.part.image))
        loss, moves = best.loss(self.price), self._moves(best)
        curvature, damping = self._curvature(best, moves), _DAMPING
        for step in range(steps):
            gains = moves.linear + damping * curvature * moves.changes.square()
            gain, way = gains.masked_fill(moves.changes == 0, 0.0).min(dim=0, keepdim=True)
            chosen = (gain < 0) & self.movable & self._drawn(gain, _PART)
            if not chosen.any():
                damping *= _LESS
                continue
            last = step == steps - 1
            state = self._state(torch.where(chosen, moves.latent.gather(0, way), best.latent), last=last)
            reached = state.loss(self.price)
            share = (reached - loss) / float(gain[chosen].sum())
            damping *= _LESS if share > _GOOD else _MORE if share < _POOR else 1.0
            if reached < loss:
                best, loss = state, reached
                if not last:
                    moves = self._moves(best)
        return best.latent

    def _drawn(self, like: Tensor, share: float) -> Tensor:
        return (torch.rand(like.shape, generator=self.random, dtype=torch.float32) < share).to(like.device)

    def _symbols(self, latent: Tensor) -> Tensor:
        """The symbols of values (B, D, h, w) as the file has them."""
        return torch.where(self.there, self.codec.quantizer.symbols(latent), MISSING)

    def _state(self, latent: Tensor, *, last: bool = False) -> _State:
        symbols = self._symbols(latent)
        decoded = self.codec.quantizer.latent(symbols).requires_grad_()
        center, half = _middle(*self.codec.quantizer.cells(symbols))
        bits = self._bits(center, half, center)
        with torch.set_grad_enabled(not last):
            image = self._synthesized(decoded)
            error = (image - self.part.image).square().sum()
        return _State(latent, decoded, center, half, bits, image.detach(), error)

    def _moves(self, state: _State) -> _Moves:
        [gradient] = torch.autograd.grad(state.error, state.decoded)
        reach = (1 + _BEYOND) * state.half
        ways = torch.cat([state.center - reach, state.center + reach])
        latent = torch.where(ways.isfinite(), ways, state.latent)
        symbols = self._symbols(latent)
        center, half = _middle(*self.codec.quantizer.cells(symbols))
        changes = self.codec.quantizer.latent(symbols) - state.decoded.detach()
        changes = torch.where(half.isfinite(), changes, 0.0)  # a cell without an end has no bits that could be counted
        bits = self._bits(center, half, state.center)
        return _Moves(latent, changes, gradient * changes + self.price * (bits - state.bits))

    def _synthesized(self, latent: Tensor) -> Tensor:
        """The picture, float32, of a dequantized latent; gray if the part is."""
        height, width = self.part.image.shape[2:]
        image = self.codec.image_for_files(latent, height, width, self.fineness)
        return image.mean(dim=1, keepdim=True) if self.part.image.shape[1] < image.shape[1] else image

    def _bits(self, centers: Tensor, halves: Tensor, known: Tensor) -> Tensor:
        """The bits (B, D, h, w) of cells; 0 where nothing is known. known: (1, D, h, w), what the decoder has."""
        there = halves.isfinite()
        with torch.no_grad(), self.codec.quickly():
            bits = self.prior.interval_bits(centers, torch.where(there, halves, 1.0), known, self.fineness)
        return torch.where(there, bits, 0.0)

    def _curvature(self, state: _State, moves: _Moves) -> float:
        """κ, measured by moves of a few values up."""
        change = moves.changes[1:] * self._drawn(state.decoded, _PROBED)
        if not change.any():
            return 1.0
        with torch.no_grad():
            apart = self._synthesized(state.decoded + change) - state.image
        return float(apart.square().sum() / change.square().sum())


def _middle(lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """The middle of cells and half of their widths; 0 and inf for those without an end."""
    half = (upper - lower) / 2
    return torch.where(half.isfinite(), lower + half, 0.0), half
