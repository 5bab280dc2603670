"""A search for better symbols than the nearest ones, for a file of one rate: rate-distortion optimization.

    J = D + λ·R    D the squared error of the picture that the synthesis makes, before values are clamped and rounded,
                   R the bits of its known symbols, by the density of latents

Every value of the latent is in a cell (`Quantizer.cells`) and can move into the cell above or below. By the gradient g
of D with respect to the dequantized latent, a move that changes this by δ changes J by about

    g·δ + μ·κ·δ² + λ·ΔR    κ the squared error of the picture for a squared error of 1 in the latent

Several moves at one position often correct the same error, and each is predicted as if it were alone. So a step makes
those moves that lower J, but none that lowers it by much less than the best one at its position. After a step that
lowered J by much less than predicted, the next one makes fewer moves at a position, and the damping μ grows; after one
as predicted it shrinks, as in the method of Levenberg and Marquardt.

Only the encoder does this: files are decoded as others are. Refining the latent of each picture is due to Campos et al.
2019, "Content Adaptive Optimization for Neural Image Compression" (CVPR Workshops, arXiv 1906.01223), and Yang, Bamler
and Mandt 2020, "Improving Inference for Neural Image Compression" (NeurIPS, arXiv 2006.04240), who move it by gradients
instead of cell by cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from omega_core.codec.image_codec import ImageCodec, image_tiles
from omega_core.codec.tiling import Span
from omega_core.coding.tables import MISSING, Symbols
from omega_core.contracts.architecture import LocalArchitecture, Margins
from omega_core.images.pictures import Pixels

if TYPE_CHECKING:
    from omega_core.contracts.prior import Prior

_PIXELS = 1 << 20  # of a picture that is searched at once, as gradients take ten times the memory of decoding
_SIDE = 768  # pixels of a side of the tiles of larger ones
_DAMPING = 1.4  # μ at the beginning
_LESS, _MORE = 0.85, 1.5  # factors of μ
_GOOD, _POOR = 0.5, 0.2  # shares of the predicted change, above which μ shrinks, and below which it grows
_LEAST, _MOST = 0.4, 0.8  # between which a step's least share is, of what the best move at a position lowers J
_PRICE = 0.8  # of what a bit brings: .7 to 1 give as many bits at a PSNR, for files of photos
_PROBED, _FEWEST_PROBED = 1 / 64, 32  # the share of values that move to measure κ, and the fewest
_MIDDLE = 12  # positions a side in which it is measured
_BEYOND = 1e-3  # of a cell, by which a move goes beyond its end


class SymbolSearch:
    """Searches for better symbols of pictures.

    codec: that codes them; its quantizer has cells.
    prior: has the density of its latents, `interval_bits`.
    """

    def __init__(self, codec: ImageCodec, prior: Prior) -> None:
        self.codec, self.prior = codec, prior

    @torch.inference_mode(False)  # where callers are in it: gradients are needed
    def symbols_of(self, pixels: Pixels, known: Symbols, before: Symbols, bits: float, steps: int) -> Symbols:
        """Return better symbols (C, h, w) of a picture for a file that ends where the known ones do.

        pixels: (colors, H, W), uint8.
        known: (C, h, w), the nearest symbols as the file has them, MISSING where it ends before them.
        before: (C, h, w), those of a file that is a little shorter.
        bits: how many bits less that file has. Its additional error for each of them is the price of a bit.
        steps: of the search, 1 or more.

        Large pictures are searched in tiles, one after the other. Raises ComponentError if the quantizer has no cells.
        """
        codec, image = self.codec, torch.from_numpy(pixels)[None]
        nearest, shorter = torch.from_numpy(known)[None], torch.from_numpy(before)[None]
        fineness, coarser = (codec.fineness(each).to(codec.device) for each in (nearest, shorter))
        parts = _parts(codec, *pixels.shape[1:])
        problems = [_Problem(codec, self.prior, part, image, nearest, fineness) for part in parts]
        alone, brought = len(problems) == 1, 0.0
        for problem in problems:
            reached = problem.start.error.item() if alone else problem.error_of(nearest, fineness)
            brought += problem.error_of(shorter, coarser) - reached
            if not alone:
                problem.forget()
        price = _PRICE * max(brought, 0.0) / max(bits, 1.0)
        found = nearest.clone()
        for problem in problems:
            symbols, part = codec.quantizer.symbols(problem.searched(steps, price)), problem.part
            inner = symbols[:, :, part.down.within, part.across.within]
            found[:, :, part.down.inner, part.across.inner] = inner.to(found)
            problem.forget()
        result: Symbols = found[0].numpy()
        return result


@dataclass(frozen=True)
class _Part:
    """A tile of a picture with its halo, or all of it.

    down, across: its positions. rows, columns: its pixels, without margins. margins: what is added to these, of tiles.
    """

    down: Span
    across: Span
    rows: slice
    columns: slice
    margins: Margins | None = None


def _parts(codec: ImageCodec, height: int, width: int) -> Iterator[_Part]:
    """Yield one part, the whole picture, or tiles if it is large and the architecture local."""
    h, w = codec.latent_size(height, width)
    architecture = codec.architecture
    if height * width <= _PIXELS or not isinstance(architecture, LocalArchitecture):
        yield _Part(Span(0, 0, h, h), Span(0, 0, w, w), slice(height), slice(width))
        return
    halo = max(architecture.analysis_halo, architecture.refine_halo + architecture.render_halo)
    for tile in image_tiles(architecture, height, width, _SIDE, halo):
        yield _Part(*tile)


@dataclass(frozen=True)
class _State:
    """Values of the latent, and what the file and the decoder have of them.

    latent: (1, D, h, w), the values. symbols: (1, C, h, w), theirs.
    decoded: (1, D, h, w), what the decoder makes of the symbols.
    error: the squared error of the picture, (), with a gradient to `decoded` unless it is the last.
    """

    latent: Tensor
    symbols: Tensor
    decoded: Tensor
    error: Tensor


@dataclass(frozen=True)
class _Moves:
    """The move down and the move up of each value: (2, D, h, w) each.

    latent: the values after it. changes: what it changes in the dequantized latent; 0 where there is no next cell.
    cost: the price of the bits that it adds.
    linear: the predicted change of J, without κ.
    """

    latent: Tensor
    changes: Tensor
    cost: Tensor
    linear: Tensor


class _Problem:
    """The search in a part of a picture. Arrays are made when they are needed.

    image: (1, colors, H, W), uint8, of the picture.
    nearest: (1, C, h, w), its symbols, MISSING where the file ends before them. fineness: of these.
    """

    def __init__(
        self, codec: ImageCodec, prior: Prior, part: _Part, image: Tensor, nearest: Tensor, fineness: Tensor
    ) -> None:
        self.codec, self.prior, self.part = codec, prior, part
        self._whole, self._nearest = image, nearest
        self.fineness = fineness

    @cached_property
    def image(self) -> Tensor:
        """(1, colors, H, W), in [0, 1], with margins."""
        part, architecture = self.part, self.codec.architecture
        own = self._whole[:, :, part.rows, part.columns].to(self.codec.device, torch.float32) / 255
        return own if part.margins is None else cast(LocalArchitecture, architecture).pad(own, part.margins)

    @cached_property
    def there(self) -> Tensor:
        """(1, C, h, w), which symbols the file has."""
        return (self._outer(self._nearest) != MISSING).to(self.codec.device)

    @cached_property
    def start(self) -> _State:
        """Before the search."""
        return self._state(self.codec.latent_for_files(self.image))

    def forget(self) -> None:
        """Free the memory of the arrays."""
        for name in ("image", "there", "start"):
            self.__dict__.pop(name, None)

    def _outer(self, whole: Tensor) -> Tensor:
        return whole[:, :, self.part.down.outer, self.part.across.outer]

    def error_of(self, symbols: Tensor, fineness: Tensor) -> float:
        """The squared error of the part, without its halo, with these symbols of the picture (1, C, h, w)."""
        own = self._outer(symbols).to(self.codec.device, torch.int64)
        with torch.no_grad():
            image = self._synthesized(self.codec.quantizer.latent(own), self.image.shape[2:], fineness)
        return self._inner(image - self.image).square().sum().item()

    def _inner(self, image: Tensor) -> Tensor:
        """The pixels of an image of the part without those of its halo and of its margins."""
        part, margins = self.part, self.part.margins
        if margins is None:
            return image
        (height, width), stride = image.shape[2:], cast(LocalArchitecture, self.codec.architecture).stride
        down, across = part.down.within, part.across.within
        rows = slice(max(down.start * stride, margins.top), min(down.stop * stride, height - margins.bottom))
        columns = slice(max(across.start * stride, margins.left), min(across.stop * stride, width - margins.right))
        return image[:, :, rows, columns]

    def searched(self, steps: int, price: float) -> Tensor:
        """The latent (1, D, h, w) after the search. price: of a bit.

        A step that does not lower J, with the bits that its moves were predicted to add, is not taken.
        """
        best = self.start
        del self.start  # of which the search frees the memory when it has moved on
        movable = torch.zeros((1, 1, *best.latent.shape[2:]), dtype=torch.bool, device=best.latent.device)
        movable[:, :, self.part.down.within, self.part.across.within] = True
        moves = self._moves(best, price)
        curvature, damping, least = self._curvature(best, moves), _DAMPING, _LEAST
        for step in range(steps):
            gains = moves.linear + damping * curvature * moves.changes.square()
            gain, way = gains.masked_fill(moves.changes == 0, 0.0).min(dim=0, keepdim=True)
            of_best = gain.amin(dim=1, keepdim=True)
            chosen = (gain < 0) & (gain <= least * of_best) & movable
            if not chosen.any():
                damping *= _LESS
                continue
            last = step == steps - 1
            state = self._state(torch.where(chosen, moves.latent.gather(0, way), best.latent), last=last)
            change = float(state.error.detach() - best.error.detach() + moves.cost.gather(0, way)[chosen].sum())
            share = change / float(gain[chosen].sum())
            damping *= _LESS if share > _GOOD else _MORE if share < _POOR else 1.0
            least = min(max(_LEAST, 1 - share), _MOST)
            if change < 0:
                best = state
                if not last:
                    moves = self._moves(best, price)
        return best.latent

    def _symbols(self, latent: Tensor) -> Tensor:
        """The symbols of values (B, D, h, w) as the file has them."""
        return torch.where(self.there, self.codec.quantizer.symbols(latent), MISSING)

    def _state(self, latent: Tensor, *, last: bool = False) -> _State:
        symbols = self._symbols(latent)
        decoded = self.codec.quantizer.latent(symbols).requires_grad_()
        with torch.set_grad_enabled(not last):
            error = (self._synthesized(decoded, self.image.shape[2:], self.fineness) - self.image).square().sum()
        return _State(latent, symbols, decoded, error)

    def _moves(self, state: _State, price: float) -> _Moves:
        [gradient] = torch.autograd.grad(state.error, state.decoded)
        center, half = _middle(*self.codec.quantizer.cells(state.symbols))
        reach = (1 + _BEYOND) * half
        ways = torch.cat([center - reach, center + reach])
        latent = torch.where(ways.isfinite(), ways, state.latent)
        symbols = self._symbols(latent)
        next_center, next_half = _middle(*self.codec.quantizer.cells(symbols))
        changes = self.codec.quantizer.latent(symbols) - state.decoded.detach()
        changes = torch.where(next_half.isfinite(), changes, 0.0)  # a cell without an end has no bits to be counted
        here, *there = self._bits(torch.cat([center, next_center]), torch.cat([half, next_half]), center)
        cost = price * (torch.stack(there) - here)
        return _Moves(latent, changes, cost, gradient * changes + cost)

    def _synthesized(self, latent: Tensor, size: Sequence[int], fineness: Tensor) -> Tensor:
        """The pictures (B, colors, H, W), float32, of dequantized latents; gray if the part is. size: (H, W)."""
        image = self.codec.image_for_files(latent, size[0], size[1], fineness)
        return image.mean(dim=1, keepdim=True) if self.image.shape[1] < image.shape[1] else image

    def _bits(self, centers: Tensor, halves: Tensor, known: Tensor) -> Tensor:
        """The bits (B, D, h, w) of cells; 0 where nothing is known. known: (1, D, h, w), what the decoder has."""
        there = halves.isfinite()
        with torch.no_grad(), self.codec.quickly():
            bits = self.prior.interval_bits(centers, torch.where(there, halves, 1.0), known, self.fineness)
        return torch.where(there, bits, 0.0)

    def _curvature(self, state: _State, moves: _Moves) -> float:
        """κ, measured by moves of a few values up, in the middle of the part."""
        decoded, change, size = state.decoded.detach(), moves.changes[1:], self.image.shape[2:]
        if isinstance(self.codec.architecture, LocalArchitecture):  # which takes any other size, too
            first = [(each - min(each, _MIDDLE)) // 2 for each in decoded.shape[2:]]
            rows, columns = (slice(each, each + _MIDDLE) for each in first)
            decoded, change = decoded[:, :, rows, columns], change[:, :, rows, columns]
            size = torch.Size(min(side, _MIDDLE * self.codec.architecture.stride) for side in size)
        share = max(_PROBED, _FEWEST_PROBED / max(1, int(change.count_nonzero())))
        drawn = torch.rand(change.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float32) < share
        change = change * drawn.to(change.device)
        if not change.any():
            return 1.0
        with torch.no_grad():
            one, other = self._synthesized(torch.cat([decoded, decoded + change]), size, self.fineness.expand(2))
        return float((other - one).square().sum() / change.square().sum())


def _middle(lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """The middle of cells and half of their widths; 0 and inf for those without an end."""
    half = (upper - lower) / 2
    return torch.where(half.isfinite(), lower + half, 0.0), half
