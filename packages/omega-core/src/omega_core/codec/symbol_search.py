"""A search for better symbols than the nearest ones, for a file of one rate: rate-distortion optimization.

    J = D + λ·R    D the squared error of the picture that the synthesis makes, before values are clamped and rounded,
                   R the bits of its known symbols, by the density of latents

Every value of the latent is in a cell (`Quantizer.cells`) and can move into the cell above or below. By the gradient g
of D with respect to the dequantized latent, a move that changes this by δ changes J by about

    g·δ + μ·κ·δ² + λ·ΔR    κ the squared error of the picture for a squared error of 1 in the latent

Several moves at one position often correct the same error, and each is predicted as if it were alone. So a step makes
those moves that lower J, but none that lowers it by much less than the best one at its position. After a step that
lowered J by much less than predicted, the next one makes fewer moves at a position, and the damping μ grows; after one
as predicted it shrinks, as in the method of Levenberg and Marquardt. The last step makes fewer moves the fewer symbols
the file has, as predictions are then worse. With few symbols, moves in both directions are considered and the last step
is checked. With more, a search of one step considers only the moves by which D falls, and the last step is not checked,
which saves a synthesis and makes files of photos no worse.

Only the encoder does this: files are decoded as others are. Refining the latent of each picture is due to Campos et al.
2019, "Content Adaptive Optimization for Neural Image Compression" (CVPR Workshops, arXiv 1906.01223), and Yang, Bamler
and Mandt 2020, "Improving Inference for Neural Image Compression" (NeurIPS, arXiv 2006.04240), who move it by gradients
instead of cell by cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from omega_core.codec.file_codec import stacked
from omega_core.codec.image_codec import ImageCodec, grid_of
from omega_core.codec.tiling import Span, Tile
from omega_core.coding.tables import MISSING, Symbols
from omega_core.contracts.architecture import LocalArchitecture, Margins
from omega_core.images.pictures import Pixels

if TYPE_CHECKING:
    from omega_core.codec.encoding import KnownSymbols
    from omega_core.contracts.prior import Prior
    from omega_core.contracts.quantizer import Quantizer

_PIXELS = 1 << 20  # of a picture that is searched at once, as gradients take ten times the memory of decoding
_SIDE = 768  # pixels of a side of the tiles of larger ones
_POSITIONS = 1 << 12  # that are quantized at once
_DAMPING = 1.4  # μ at the beginning
_LESS, _MORE = 0.85, 1.5  # factors of μ
_GOOD, _POOR = 0.5, 0.2  # shares of the predicted change, above which μ shrinks, and below which it grows
_LEAST, _MOST = 0.4, 0.7  # between which a step's least share is, of what the best move at a position lowers J
_LAST = 0.85, 0.35  # the last step's least share is not below these, at a fineness of 0 and of 1
_COARSE = 0.35  # fineness, of `compact` at about .1 bits per pixel, below which predictions of moves are often wrong
_PRICE = 0.45  # the factor with which files of photos are best: κ times the latent's error is about twice the picture's
_PROBED, _FEWEST_PROBED = 1 / 64, 32  # the share of values that move to measure κ, and the fewest
_AREA = 8  # positions a side of the areas in which it is measured
_USUAL_CURVATURE = 0.6  # κ where nothing can move: photos have .2 to 1.2
_BEYOND = 1e-3  # of a cell, by which a move goes beyond its end


class SymbolSearch:
    """Searches for better symbols of pictures.

    codec: that codes them; its quantizer has cells.
    prior: has the density of its latents, `interval_bits`.
    """

    def __init__(self, codec: ImageCodec, prior: Prior) -> None:
        self.codec, self.prior = codec, prior

    def latent_of(self, pixels: Pixels, *, tile: int | None = None) -> Tensor:
        """Return the latent (1, D, h, w) of a picture, on the processor.

        pixels: (colors, H, W), uint8.
        tile: as for `ImageCodec.encode_symbols`.
        """
        return self.codec.latent_for_files(torch.from_numpy(stacked([pixels])), tile=tile)

    @torch.no_grad()
    def nearest(self, latent: Tensor) -> Symbols:
        """Return the nearest symbols (C, h, w) of a latent (1, D, h, w), in `ImageCodec.symbol_type`."""
        symbols = torch.empty((self.codec.quantizer.channels, *latent.shape[2:]), dtype=self.codec.symbol_type)
        for rows in _rows(*latent.shape[2:]):
            symbols[:, rows] = self.codec.quantizer.symbols(latent[:, :, rows].to(self.codec.device))[0].to(symbols)
        result: Symbols = symbols.numpy()
        return result

    @torch.no_grad()
    @torch.inference_mode(False)  # where callers are in it: gradients are needed
    def symbols_of(self, pixels: Pixels, latent: Tensor, known: KnownSymbols, steps: int) -> Symbols:
        """Return better symbols (C, h, w) of a picture for a file of about the size of that of its nearest symbols.

        pixels: (colors, H, W), uint8.
        latent: (1, D, h, w), its latent: see `latent_of`.
        known: which of its nearest symbols the file has. The additional error of the shorter file, divided by the bits
            that this lacks, is the price of a bit.
        steps: of the search, 1 or more.

        Large pictures are searched in tiles, one after the other. Raises ComponentError if the quantizer has no cells.
        """
        codec, image = self.codec, torch.from_numpy(stacked([pixels]))
        nearest, shorter = (torch.from_numpy(each)[None] for each in (known.symbols, known.before))
        fineness = codec.fineness(nearest).to(codec.device)
        curvature = self._curvature(nearest, image.shape, fineness)
        brought = curvature * (self._error(latent, shorter) - self._error(latent, nearest))
        price = _PRICE * max(brought, 0.0) / max(known.bits, 1.0)
        found = torch.empty((codec.quantizer.channels, *nearest.shape[2:]), dtype=codec.symbol_type)
        for part in _parts(codec, *image.shape[2:]):
            problem = _Problem(codec, self.prior, part, image, latent, nearest, fineness)
            symbols = codec.quantizer.symbols(problem.searched(steps, price, curvature))
            found[:, part.down.inner, part.across.inner] = symbols[0, :, part.down.within, part.across.within].to(found)
        result: Symbols = found.numpy()
        return result

    def _error(self, latent: Tensor, symbols: Tensor) -> float:
        """The squared error of what is known of a latent (1, D, h, w) by symbols (1, C, h, w)."""
        error = 0.0
        for rows in _rows(*latent.shape[2:]):
            decoded = self.codec.quantizer.latent(symbols[:, :, rows].to(self.codec.device, torch.int64))
            difference = decoded.float() - latent[:, :, rows].to(decoded.device, torch.float32)
            error += difference.square().sum(dtype=torch.float64).item()
        return error

    def _curvature(self, symbols: Tensor, shape: Sequence[int], fineness: Tensor) -> float:
        """κ, measured by moves of a few values up, in some areas of a picture.

        symbols: (1, C, h, w), as the file has them. shape: (1, colors, H, W), of the picture.
        """
        codec, (_, colors, height, width) = self.codec, shape
        if isinstance(codec.architecture, LocalArchitecture):  # which takes any other size, too
            down, across = (_areas(length) for length in symbols.shape[2:])
            symbols = torch.cat([symbols[:, :, rows, columns] for rows in down for columns in across])
            height, width = (
                min(side, codec.architecture.stride * length)
                for side, length in zip((height, width), symbols.shape[2:], strict=True)
            )
        symbols = symbols.to(codec.device, torch.int64)
        decoded = codec.quantizer.latent(symbols)
        change = _moves(codec.quantizer, symbols, decoded, torch.ones_like(decoded)).changes
        share = max(_PROBED, _FEWEST_PROBED / max(1, int(change.count_nonzero())))
        drawn = torch.rand(change.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float32) < share
        change = change * drawn.to(change.device)
        if not change.any():
            return _USUAL_CURVATURE
        both = torch.cat([decoded, decoded + change])
        images = _synthesized(codec, both, (len(both), colors, height, width), fineness.expand(len(both)))
        one, other = images.chunk(2)
        return float((other - one).square().sum() / change.float().square().sum())


def _areas(length: int) -> list[slice]:
    """Two pieces of an axis of so many positions, or one of a short axis."""
    if length <= 2 * _AREA:
        return [slice(0, length)]
    return [slice(first, first + _AREA) for first in (length // 4 - _AREA // 2, 3 * length // 4 - _AREA // 2)]


def _rows(height: int, width: int) -> Iterator[slice]:
    """Divide rows of positions into slices of a few thousand positions."""
    at_once = max(1, _POSITIONS // width)
    yield from (slice(first, first + at_once) for first in range(0, height, at_once))


def _parts(codec: ImageCodec, height: int, width: int) -> Iterator[Tile]:
    """Yield one part, the whole picture, or tiles if it is large and the architecture local."""
    h, w = codec.latent_size(height, width)
    architecture = codec.architecture
    if height * width <= _PIXELS or not isinstance(architecture, LocalArchitecture):
        yield Tile(Span(0, 0, h, h), Span(0, 0, w, w), slice(height), slice(width))
        return
    halo = architecture.refine_halo + architecture.render_halo
    yield from grid_of(architecture, height, width).to_analyze(_SIDE, halo)


@dataclass(frozen=True)
class _State:
    """Values of the latent, and what the file and the decoder have of them.

    latent: (1, D, h, w), the values. symbols: (1, C, h, w), theirs, as the file has them.
    decoded: (1, D, h, w), what the decoder makes of the symbols.
    error: the squared error of the picture, (), with a gradient to `decoded` unless it is the last.
    """

    latent: Tensor
    symbols: Tensor
    decoded: Tensor
    error: Tensor


@dataclass(frozen=True)
class _Moves:
    """Moves of each value into the next cell in W directions.

    latent: (W, D, h, w), the values after them.
    changes: (W, D, h, w), what they change in the dequantized latent; 0 where there is no next cell.
    centers, halves: (1 + W, D, h, w), the middles of the cells before and after them, and half of their widths.
    """

    latent: Tensor
    changes: Tensor
    centers: Tensor
    halves: Tensor


def _moves(quantizer: Quantizer, symbols: Tensor, decoded: Tensor, signs: Tensor) -> _Moves:
    """The moves in the directions of signs (W, D, h, w).

    symbols: (1, C, h, w), as the file has them. decoded: (1, D, h, w), what the decoder makes of them.
    """
    center, half = _middle(*quantizer.cells(symbols))
    latent = torch.where(half.isfinite(), center + signs * ((1 + _BEYOND) * half), decoded)
    next_symbols = _known(quantizer, latent, symbols)
    next_center, next_half = _middle(*quantizer.cells(next_symbols))
    has_next = half.isfinite() & next_half.isfinite()  # a cell without an end has no bits to be counted
    changes = torch.where(has_next, quantizer.latent(next_symbols) - decoded, 0.0)
    return _Moves(latent, changes, torch.cat([center, next_center]), torch.cat([half, next_half]))


def _middle(lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """The middle of cells and half of their widths; 0 and inf for those without an end."""
    half = (upper - lower) / 2
    return torch.where(half.isfinite(), lower + half, 0.0), half


def _known(quantizer: Quantizer, latent: Tensor, symbols: Tensor) -> Tensor:
    """The symbols (W, C, h, w) of values (W, D, h, w), MISSING where others (1, C, h, w) are."""
    return torch.where(symbols == MISSING, MISSING, quantizer.symbols(latent))


def _synthesized(codec: ImageCodec, latent: Tensor, shape: Sequence[int], fineness: Tensor) -> Tensor:
    """The images of dequantized latents (B, D, h, w), in float32. shape: of these, (B, colors, H, W)."""
    image = codec.image_for_files(latent, shape[2], shape[3], fineness)
    return image.mean(dim=1, keepdim=True) if shape[1] < image.shape[1] else image


class _Problem:
    """The search in a part of a picture.

    image: (1, colors, H, W), uint8, of the picture.
    latent: (1, D, h, w), its latent.
    symbols: (1, C, h, w), its nearest symbols, MISSING where the file ends before them. fineness: of these.
    """

    def __init__(
        self,
        codec: ImageCodec,
        prior: Prior,
        part: Tile,
        image: Tensor,
        latent: Tensor,
        symbols: Tensor,
        fineness: Tensor,
    ) -> None:
        self.codec, self.prior, self.fineness = codec, prior, fineness
        own = image[:, :, part.rows, part.columns].to(codec.device, torch.float32) / 255
        architecture = codec.architecture
        margins = Margins(*part.around)
        self.image = cast(LocalArchitecture, architecture).pad(own, margins) if any(margins) else own
        own_latent, own_symbols = (each[:, :, part.down.outer, part.across.outer] for each in (latent, symbols))
        self.latent, self.symbols = own_latent.to(codec.device), own_symbols.to(codec.device, torch.int64)
        self.movable = torch.zeros((1, 1, *self.latent.shape[2:]), dtype=torch.bool, device=codec.device)
        self.movable[:, :, part.down.within, part.across.within] = True

    def searched(self, steps: int, price: float, curvature: float) -> Tensor:
        """The latent (1, D, h, w) after the search. price: of a bit. curvature: κ.

        A step that does not lower J, with the bits that its moves were predicted to add, is not taken. The last one is
        not checked, to save a synthesis, unless the file has few symbols.
        """
        best, damping, least = self._state(self.latent, self.symbols), _DAMPING, _LEAST
        is_coarse = bool(self.fineness < _COARSE)
        moves, cost, linear = self._predicted(best, price, both=steps > 1 or is_coarse)
        for step in range(steps):
            is_last = step == steps - 1
            if is_last:
                least = max(least, _LAST[0] + (_LAST[1] - _LAST[0]) * float(self.fineness))
            gains = linear + damping * curvature * moves.changes.square()
            gain, way = torch.where(moves.changes == 0, 0.0, gains).min(dim=0, keepdim=True)
            chosen = (gain < 0) & (gain <= least * gain.amin(dim=1, keepdim=True)) & self.movable
            if not chosen.any():
                damping *= _LESS
                continue
            latent = torch.where(chosen, moves.latent.gather(0, way), best.latent)
            if is_last and not is_coarse:
                return latent
            state = self._state(latent, _known(self.codec.quantizer, latent, self.symbols), gradient=not is_last)
            change = float(state.error.detach() - best.error.detach() + cost.gather(0, way)[chosen].sum())
            share = change / float(gain[chosen].sum())
            damping *= _LESS if share > _GOOD else _MORE if share < _POOR else 1.0
            least = min(max(_LEAST, 1 - share), _MOST)
            if change < 0:
                best = state
                if not is_last:
                    moves, cost, linear = self._predicted(best, price, both=True)
        return best.latent

    def _state(self, latent: Tensor, symbols: Tensor, *, gradient: bool = True) -> _State:
        decoded = self.codec.quantizer.latent(symbols).requires_grad_()
        with torch.set_grad_enabled(gradient):
            image = _synthesized(self.codec, decoded, self.image.shape, self.fineness)
            error = (image - self.image).square().sum()
        return _State(latent, symbols, decoded, error)

    def _predicted(self, state: _State, price: float, *, both: bool) -> tuple[_Moves, Tensor, Tensor]:
        """Moves of all values, the price of the bits that each adds, and the change of J without κ: (W, D, h, w).

        both: whether moves are in both directions, or in that in which D falls.
        """
        [gradient] = torch.autograd.grad(state.error, state.decoded)
        signs = gradient.new_tensor([-1, 1])[:, None, None, None] if both else -gradient.sign()
        moves = _moves(self.codec.quantizer, state.symbols, state.decoded.detach(), signs)
        bits = self._bits(moves.centers, moves.halves)
        before, after = bits[:1], bits[1:]
        cost = price * (after - before)
        return moves, cost, gradient * moves.changes + cost

    def _bits(self, centers: Tensor, halves: Tensor) -> Tensor:
        """The bits (B, D, h, w) of cells, the first of which the decoder knows; 0 where a cell has no end."""
        there = halves.isfinite()
        with self.codec.inference_autocast():
            bits = self.prior.interval_bits(centers, torch.where(there, halves, 1.0), centers[:1], self.fineness)
        return torch.where(there, bits, 0.0)
