"""`OnnxCodec`: the transforms of an exported model, computed by onnxruntime on the CPU."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omega_core.codec.memory import DecodingMemory
from omega_core.codec.onnx.coding_file import Blocks, CodingFile, Graph, OneSize
from omega_core.codec.tiling import Grid, positions
from omega_core.coding.tables import MISSING, Symbols, symbol_type
from omega_core.errors import ImageError, ModelFileError, NotEnoughMemoryError
from omega_core.images.pictures import Pixels
from omega_core.processes import thread_limit

Floats = NDArray[np.float32]
_MAX_THREADS = 1 << 10  # more than any machine has, and small enough for an integer of onnxruntime
_ONLY_ERRORS = 3  # log level of onnxruntime


class OnnxCodec:
    """Turns pictures into symbols and back: a `PixelCodec`.

    contents: the contents of `coding.bin`.
    read: returns the content of an ONNX file by its name. Each file is read when it is first needed; decoding needs
        only the synthesis.
    """

    def __init__(self, contents: CodingFile, read: Callable[[str], bytes]) -> None:
        self._contents, self._read = contents, read
        self.colors, self._sizes = contents.colors, contents.sizes
        self.channels, self.alphabet = contents.description.channels, contents.description.alphabet
        self.takes_tiles = isinstance(contents.sizes, Blocks)
        self.image_size = contents.sizes.image if isinstance(contents.sizes, OneSize) else None

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """See `PixelCodec`."""
        sizes = self._sizes
        if isinstance(sizes, Blocks):
            h, w = (max(sizes.smallest, -(-side // sizes.stride)) for side in (height, width))
            return h, w
        if (height, width) != sizes.image:
            taken = f"{sizes.image[1]}×{sizes.image[0]}"
            raise ImageError(f"this model takes pictures of {taken} pixels, not {width}×{height}.")
        return sizes.latent

    def symbols_of(self, pixels: Pixels, *, tile: int | None = None) -> Symbols:
        """See `PixelCodec`."""
        height, width = pixels.shape[2:]
        h, w = self.latent_size(height, width)
        if isinstance(self._sizes, OneSize) and tile is None:
            return self._analyzed(pixels).astype(symbol_type(self.alphabet))
        blocks = self._blocks()
        symbols = np.empty((len(pixels), self.channels, h, w), symbol_type(self.alphabet))
        for down, across, rows, columns, around in self._grid(height, width).to_analyze(tile, blocks.analysis_halo):
            part = _padded(pixels[:, :, rows, columns], around, blocks.padding)
            symbols[:, :, down.inner, across.inner] = self._analyzed(part)[:, :, down.within, across.within]
        return symbols

    def pixels_of(
        self, symbols: Symbols, height: int, width: int, *, tile: int | None = None, colors: int | None = None
    ) -> Pixels:
        """See `PixelCodec`."""
        h, w = symbols.shape[2:]
        known = ((symbols != MISSING).sum(axis=(1, 2, 3)) / (h * w)).astype(np.float32)
        count = colors or self.colors
        if isinstance(self._sizes, OneSize) and tile is None:
            return _eight_bits(self._synthesized(symbols, known), count)
        pixels = np.empty((len(symbols), count, height, width), np.uint8)
        for part in self._grid(height, width).to_render(tile, self._blocks().synthesis_halo):
            levels = self._synthesized(symbols[:, :, part.down.outer, part.across.outer], known)
            pixels[:, :, part.rows, part.columns] = _eight_bits(levels[:, :, *part.within], count)
        return pixels

    def positions_at_once(self, tile: int) -> int:
        """See `PixelCodec`. Raises ModelFileError for a model of one size."""
        blocks = self._blocks()
        return (positions(tile, blocks.stride) + 2 * blocks.synthesis_halo) ** 2

    def decoding_memory(self) -> DecodingMemory:
        """See `PixelCodec`."""
        return DecodingMemory(self, self._contents.transformed, 0.0)

    def _blocks(self) -> Blocks:
        """The blocks of a model that can work in tiles. Raises ModelFileError for others."""
        if not isinstance(self._sizes, Blocks):
            raise ModelFileError("this model cannot work in tiles, but the file has them: get or make the file again.")
        return self._sizes

    def _grid(self, height: int, width: int) -> Grid:
        """The blocks of a picture, which is centered in them. Raises ModelFileError as `_blocks` does."""
        stride, (h, w) = self._blocks().stride, self.latent_size(height, width)
        return Grid(stride, (height, width), (h, w), ((h * stride - height) // 2, (w * stride - width) // 2))

    def _analyzed(self, pixels: NDArray[Any]) -> NDArray[np.int32]:
        """The symbols of whole blocks of pixels (B, 1 or colors, H, W), from 0 to 255."""
        levels = np.broadcast_to(pixels, (len(pixels), self.colors, *pixels.shape[2:])).astype(np.float32)
        symbols: NDArray[np.int32] = _run(self._analysis, levels=levels)
        return symbols

    def _synthesized(self, symbols: Symbols, known: Floats) -> Floats:
        """The levels (B, colors, H, W) of whole blocks, from 0 to 255, of symbols (B, C, h, w).

        known: (B,), the number of symbols that each picture has, divided by its positions.
        """
        levels: Floats = _run(self._synthesis, symbols=symbols.astype(np.int32), known=known)
        return levels

    @cached_property
    def _analysis(self) -> Any:
        return self._session(self._contents.analysis)

    @cached_property
    def _synthesis(self) -> Any:
        return self._session(self._contents.synthesis)

    def _session(self, graph: Graph) -> Any:
        content = self._read(graph.name)
        graph.check(content)
        return session_of(content)


def session_of(content: bytes) -> Any:
    """Return a session of onnxruntime for an ONNX file. Raises ModelFileError for a file that it cannot read.

    It uses OMP_NUM_THREADS threads, or one per available core if the variable is not set; they do not spin while they
    wait.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ONLY_ERRORS
    threads = os.environ.get("OMP_NUM_THREADS", "")
    options.intra_op_num_threads = min(int(threads), _MAX_THREADS) if threads.isdecimal() else thread_limit()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # onnxruntime raises several classes without a common base
        raise _unusable(problem) from problem


def _run(session: Any, **given: NDArray[Any]) -> Any:
    """The output of a graph. Raises NotEnoughMemoryError, or ModelFileError if it cannot be computed."""
    try:
        [found] = session.run(None, given)
    except Exception as problem:
        if "alloc" in str(problem):
            raise NotEnoughMemoryError("there is not enough memory to transform the picture.") from problem
        raise _unusable(problem) from problem
    return found


def _unusable(problem: Exception) -> ModelFileError:
    return ModelFileError(f"onnxruntime cannot use the model: {' '.join(str(problem).split())}")


def _padded(pixels: Pixels, around: tuple[int, int, int, int], color: tuple[float, ...] | None) -> NDArray[Any]:
    """Pixels (B, colors, H, W), padded by `around` as in `Tile`, with a color or with repeated edges."""
    above, below, before, after = around
    if color is None:
        return np.pad(pixels, ((0, 0), (0, 0), (above, below), (before, after)), mode="edge")
    batch, _, height, width = pixels.shape
    padded = np.empty((batch, len(color), above + height + below, before + width + after), np.float32)
    padded[:] = np.array(color)[:, None, None]
    padded[:, :, above : above + height, before : before + width] = pixels
    return padded


def _eight_bits(levels: Floats, colors: int) -> Pixels:
    """Round levels (B, colors, H, W) from 0 to 255, after averaging the colors for a gray picture."""
    if colors < levels.shape[1]:
        levels = levels.mean(axis=1, keepdims=True)
    return np.rint(levels).astype(np.uint8)
