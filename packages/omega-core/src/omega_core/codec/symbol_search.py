"""A search for better symbols than the nearest ones, for a file of a given rate: rate-distortion optimization.

    J = D + λ·R    D: the squared error of the picture after synthesis, before values are clamped and rounded
                   R: the bits of its known symbols, by the density of latents

Every value of the latent is in a cell (`Quantizer.cells`) and can move into the cell above or below. Let g be the
gradient of D with respect to the dequantized latent. A move that changes the dequantized latent by δ changes J by about

    g·δ + μ·κ·δ² + λ·ΔR    κ: the squared error of the picture for a squared error of 1 in the latent

Several moves at one position often correct the same error, but each is predicted as if it were alone. So a step makes
only moves that lower J, and only those whose gain is not much smaller than the best gain at their position. If a step
lowers J by much less than predicted, the next step makes fewer moves at a position, and the damping μ grows. If the
prediction was good, μ shrinks, as in the method of Levenberg and Marquardt. The last step makes fewer moves if the file
has fewer symbols, because predictions are worse then. With few symbols, moves in both directions are considered and the
last step is checked. With more symbols, a search of one step considers only moves in the direction in which D falls,
and the last step is not checked. This saves a synthesis and makes files of photos no worse.

The search concerns only the encoder; decoding is unchanged. Refining the latent of each picture is due to Campos et al.
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

_PIXELS_AT_ONCE = 1 << 20  # pixels of a picture that is searched without tiles: gradients take 10× the decoding memory
_TILE_SIDE = 768  # side of the tiles of larger pictures, in pixels
_POSITIONS_AT_ONCE = 1 << 12  # positions that are quantized at once
_FIRST_DAMPING = 1.4  # μ in the first step
_DAMPING_SHRINK, _DAMPING_GROW = 0.85, 1.5  # factors of μ after good and poor predictions
_GOOD_PREDICTION, _POOR_PREDICTION = 0.5, 0.2  # actual / predicted decrease of J: above, μ shrinks; below, it grows
_MIN_GAIN_RATIO, _MAX_GAIN_RATIO = 0.4, 0.7  # bounds of the least gain of a move / the best gain at its position
_LAST_STEP_GAIN_RATIO = 0.85, 0.35  # lower bounds of this ratio in the last step, at a fineness of 0 and of 1
_COARSE_FINENESS = 0.35  # below it (`compact` at about 0.1 bits per pixel), predictions of moves are often wrong
_PRICE_FACTOR = 0.45  # best for photos, as κ times the latent's error is about twice the picture's error
_PROBED_SHARE, _MIN_PROBED = 1 / 64, 32  # share and minimum number of the values that move to measure κ
_AREA_SIDE = 8  # side of the areas in which κ is measured, in positions
_DEFAULT_CURVATURE = 0.6  # κ if no value can move; photos have 0.2 to 1.2
_OVERSHOOT = 1e-3  # distance of a moved value from the end of the cell that it left, in half cell widths


class SymbolSearch:
    """Searches for better symbols of pictures.

    codec: the codec of the pictures; its quantizer has cells.
    prior: a prior with the density of the latents, `interval_bits`.
    """

    def __init__(self, codec: ImageCodec, prior: Prior) -> None:
        self.codec, self.prior = codec, prior

    def latent_of(self, pixels: Pixels, *, tile: int | None = None) -> Tensor:
        """Return the latent (1, D, h, w) of a picture, on the CPU.

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
    @torch.inference_mode(False)  # callers may be in inference mode, but gradients are needed
    def symbols_of(self, pixels: Pixels, latent: Tensor, known: KnownSymbols, steps: int) -> Symbols:
        """Return better symbols (C, h, w) of a picture, for a file of about the same size as with its nearest symbols.

        pixels: (colors, H, W), uint8.
        latent: (1, D, h, w), its latent: see `latent_of`.
        known: the nearest symbols that the file has, and those of a shorter file. The additional error of the shorter
            file, divided by the bits that it lacks, gives the price λ of a bit.
        steps: the number of steps, 1 or more.

        Large pictures are searched in tiles, one after the other. Raises ComponentError if the quantizer has no cells.
        """
        codec, image = self.codec, torch.from_numpy(stacked([pixels]))
        nearest, shorter = (torch.from_numpy(each)[None] for each in (known.symbols, known.before))
        fineness = codec.fineness(nearest).to(codec.device)
        curvature = self._curvature(nearest, image.shape, fineness)
        brought = curvature * (self._error(latent, shorter) - self._error(latent, nearest))
        price = _PRICE_FACTOR * max(brought, 0.0) / max(known.bits, 1.0)
        found = torch.empty((codec.quantizer.channels, *nearest.shape[2:]), dtype=codec.symbol_type)
        for part in _parts(codec, *image.shape[2:]):
            problem = _Problem(codec, self.prior, part, image, latent, nearest, fineness)
            symbols = codec.quantizer.symbols(problem.searched(steps, price, curvature))
            found[:, part.down.inner, part.across.inner] = symbols[0, :, part.down.within, part.across.within].to(found)
        result: Symbols = found.numpy()
        return result

    def _error(self, latent: Tensor, symbols: Tensor) -> float:
        """The squared error between a latent (1, D, h, w) and dequantized symbols (1, C, h, w)."""
        error = 0.0
        for rows in _rows(*latent.shape[2:]):
            decoded = self.codec.quantizer.latent(symbols[:, :, rows].to(self.codec.device, torch.int64))
            difference = decoded.float() - latent[:, :, rows].to(decoded.device, torch.float32)
            squares = difference.square()
            if squares.device.type == "mps":  # which has no float64
                squares = squares.cpu()
            error += squares.sum(dtype=torch.float64).item()
        return error

    def _curvature(self, symbols: Tensor, shape: Sequence[int], fineness: Tensor) -> float:
        """κ, measured by moving a few values up by one cell, in some areas of a picture.

        symbols: (1, C, h, w), as the file has them. shape: (1, colors, H, W) of the picture.
        """
        codec, (_, colors, height, width) = self.codec, shape
        if isinstance(codec.architecture, LocalArchitecture):  # it takes pictures of any size
            down, across = (_areas(length) for length in symbols.shape[2:])
            symbols = torch.cat([symbols[:, :, rows, columns] for rows in down for columns in across])
            height, width = (
                min(side, codec.architecture.stride * length)
                for side, length in zip((height, width), symbols.shape[2:], strict=True)
            )
        symbols = symbols.to(codec.device, torch.int64)
        decoded = codec.quantizer.latent(symbols)
        change = _moves(codec.quantizer, symbols, decoded, torch.ones_like(decoded)).changes
        share = max(_PROBED_SHARE, _MIN_PROBED / max(1, int(change.count_nonzero())))
        drawn = torch.rand(change.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float32) < share
        change = change * drawn.to(change.device)
        if not change.any():
            return _DEFAULT_CURVATURE
        both = torch.cat([decoded, decoded + change])
        images = _synthesized(codec, both, (len(both), colors, height, width), fineness.expand(len(both)))
        one, other = images.chunk(2)
        return float((other - one).square().sum() / change.float().square().sum())


def _areas(length: int) -> list[slice]:
    """Two short slices of an axis of `length` positions, or all of a short axis."""
    if length <= 2 * _AREA_SIDE:
        return [slice(0, length)]
    middles = length // 4, 3 * length // 4
    return [slice(middle - _AREA_SIDE // 2, middle + _AREA_SIDE // 2) for middle in middles]


def _rows(height: int, width: int) -> Iterator[slice]:
    """Divide rows of positions into slices of a few thousand positions."""
    at_once = max(1, _POSITIONS_AT_ONCE // width)
    yield from (slice(first, first + at_once) for first in range(0, height, at_once))


def _parts(codec: ImageCodec, height: int, width: int) -> Iterator[Tile]:
    """Yield the whole picture as one part, or its tiles if it is large and the architecture is local."""
    h, w = codec.latent_size(height, width)
    architecture = codec.architecture
    if height * width <= _PIXELS_AT_ONCE or not isinstance(architecture, LocalArchitecture):
        yield Tile(Span(0, 0, h, h), Span(0, 0, w, w), slice(height), slice(width))
        return
    halo = architecture.refine_halo + architecture.render_halo
    yield from grid_of(architecture, height, width).to_analyze(_TILE_SIDE, halo)


@dataclass(frozen=True)
class _State:
    """Values of the latent, their symbols in the file, and the latent that a decoder has.

    latent: (1, D, h, w), the values. symbols: (1, C, h, w), their symbols, as the file has them.
    decoded: (1, D, h, w), the dequantized symbols.
    error: the squared error of the picture, (), with a gradient to `decoded` except after the last step.
    """

    latent: Tensor
    symbols: Tensor
    decoded: Tensor
    error: Tensor


@dataclass(frozen=True)
class _Moves:
    """Moves of each value into the next cell in W directions.

    latent: (W, D, h, w), the values after the moves.
    changes: (W, D, h, w), the changes of the dequantized latent; 0 where there is no next cell.
    centers, halves: (1 + W, D, h, w), the centers and half widths of the cells, first before and then after the moves.
    """

    latent: Tensor
    changes: Tensor
    centers: Tensor
    halves: Tensor


def _moves(quantizer: Quantizer, symbols: Tensor, decoded: Tensor, signs: Tensor) -> _Moves:
    """The moves in the directions of signs (W, D, h, w).

    symbols: (1, C, h, w), as the file has them. decoded: (1, D, h, w), the dequantized symbols.
    """
    center, half = _middle(*quantizer.cells(symbols))
    latent = torch.where(half.isfinite(), center + signs * ((1 + _OVERSHOOT) * half), decoded)
    next_symbols = _known(quantizer, latent, symbols)
    next_center, next_half = _middle(*quantizer.cells(next_symbols))
    has_next = half.isfinite() & next_half.isfinite()  # the bits of an unbounded cell are not defined
    changes = torch.where(has_next, quantizer.latent(next_symbols) - decoded, 0.0)
    return _Moves(latent, changes, torch.cat([center, next_center]), torch.cat([half, next_half]))


def _middle(lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """The centers and half widths of cells; 0 and inf for unbounded cells."""
    half = (upper - lower) / 2
    return torch.where(half.isfinite(), lower + half, 0.0), half


def _known(quantizer: Quantizer, latent: Tensor, symbols: Tensor) -> Tensor:
    """The symbols (W, C, h, w) of values (W, D, h, w), MISSING where `symbols` (1, C, h, w) are."""
    return torch.where(symbols == MISSING, MISSING, quantizer.symbols(latent))


def _synthesized(codec: ImageCodec, latent: Tensor, shape: Sequence[int], fineness: Tensor) -> Tensor:
    """The images of dequantized latents (B, D, h, w), in float32. shape: (B, colors, H, W) of the images."""
    image = codec.image_for_files(latent, shape[2], shape[3], fineness)
    return image.mean(dim=1, keepdim=True) if shape[1] < image.shape[1] else image


class _Problem:
    """The search in a part of a picture.

    image: (1, colors, H, W), uint8, the whole picture.
    latent: (1, D, h, w), its latent.
    symbols: (1, C, h, w), its nearest symbols, MISSING where the file ends before them. fineness: their fineness.
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
        """The latent (1, D, h, w) after the search. price: λ, of a bit. curvature: κ.

        A step that does not lower J, computed with the predicted bits of its moves, is not taken. To save a synthesis,
        the last step is not checked unless the file has few symbols.
        """
        best, damping, least = self._state(self.latent, self.symbols), _FIRST_DAMPING, _MIN_GAIN_RATIO
        is_coarse = bool(self.fineness < _COARSE_FINENESS)
        moves, cost, linear = self._predicted(best, price, both=steps > 1 or is_coarse)
        for step in range(steps):
            is_last = step == steps - 1
            if is_last:
                coarsest, finest = _LAST_STEP_GAIN_RATIO
                least = max(least, coarsest + (finest - coarsest) * float(self.fineness))
            gains = linear + damping * curvature * moves.changes.square()
            gain, way = torch.where(moves.changes == 0, 0.0, gains).min(dim=0, keepdim=True)
            chosen = (gain < 0) & (gain <= least * gain.amin(dim=1, keepdim=True)) & self.movable
            if not chosen.any():
                damping *= _DAMPING_SHRINK
                continue
            latent = torch.where(chosen, moves.latent.gather(0, way), best.latent)
            if is_last and not is_coarse:
                return latent
            state = self._state(latent, _known(self.codec.quantizer, latent, self.symbols), gradient=not is_last)
            change = float(state.error.detach() - best.error.detach() + cost.gather(0, way)[chosen].sum())
            share = change / float(gain[chosen].sum())
            if share > _GOOD_PREDICTION:
                damping *= _DAMPING_SHRINK
            elif share < _POOR_PREDICTION:
                damping *= _DAMPING_GROW
            least = min(max(_MIN_GAIN_RATIO, 1 - share), _MAX_GAIN_RATIO)
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
        """Moves of all values, the price of the bits that each adds, and the change of J without the term of κ.

        All are (W, D, h, w). both: True for moves in both directions, False for the direction in which D falls.
        """
        [gradient] = torch.autograd.grad(state.error, state.decoded)
        signs = gradient.new_tensor([-1, 1])[:, None, None, None] if both else -gradient.sign()
        moves = _moves(self.codec.quantizer, state.symbols, state.decoded.detach(), signs)
        bits = self._bits(moves.centers, moves.halves)
        before, after = bits[:1], bits[1:]
        cost = price * (after - before)
        return moves, cost, gradient * moves.changes + cost

    def _bits(self, centers: Tensor, halves: Tensor) -> Tensor:
        """The bits (B, D, h, w) of cells, the first of which are those of the file; 0 for unbounded cells."""
        there = halves.isfinite()
        with self.codec.inference_autocast():
            bits = self.prior.interval_bits(centers, torch.where(there, halves, 1.0), centers[:1], self.fineness)
        return torch.where(there, bits, 0.0)
