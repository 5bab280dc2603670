"""`export_onnx`: write a model as files for onnxruntime, and check them against torch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import nn

from omega_core.codec.image_codec import ImageCodec
from omega_core.codec.model_names import model_path
from omega_core.codec.model_parts import ModelParts, load_parts
from omega_core.codec.onnx.coding_file import Blocks, CodingFile, Graph, OneSize
from omega_core.codec.onnx.loading import CODING
from omega_core.codec.onnx.session_codec import OnnxCodec
from omega_core.coding.specified_priors import SPECIFIED
from omega_core.coding.tables import MAX_ALPHABET, MISSING
from omega_core.contracts import implements
from omega_core.contracts.architecture import Architecture, LocalArchitecture, Margins
from omega_core.errors import ModelFileError
from omega_core.extras import EXPORT, require
from omega_core.file_io import whole_folder, write_whole
from omega_core.images.pictures import Pixels
from omega_core.locations import local_path

ANALYSIS, SYNTHESIS = "analysis.onnx", "synthesis.onnx"
MAX_LEVELS, MEAN_LEVELS = 2, 0.1
"""Accepted differences between pixels decoded by onnxruntime and torch, maximum and mean, in levels from 0 to 255."""
MAX_SYMBOLS = 0.001
"""Accepted share of symbols that differ. Some do if a value lies on the border of two symbols, as between devices."""
_SIDES = (83, 300)  # height and width of the picture for the check: several tiles and incomplete blocks
_TILE = 256
_SHARES = (0.0, 0.02, 0.2, 0.6, 1.0)  # shares of its symbols that are not missing


@dataclass(frozen=True)
class ExportedModel:
    """An exported model, and how it differs from the model in torch in float64.

    folder: the folder with the files.
    sizes: the sizes of the files, in bytes, by name.
    most, mean: the maximum and the mean difference of decoded pixels, in levels from 0 to 255, with different shares of
        the symbols missing.
    symbols: the share of symbols of the analysis that differ.
    """

    folder: Path
    sizes: dict[str, int]
    most: int
    mean: float
    symbols: float


def export_onnx(name_or_path: str | PathLike[str], folder: str | PathLike[str]) -> ExportedModel:
    """Write a model as files for onnxruntime, as ONNX.md specifies them, and check them against torch.

    name_or_path: a bundled model, or a `.safetensors` file.
    folder: the folder for the files, new or empty.

    Raises ModelFileError for a model that cannot be loaded or exported, or whose exported files differ from it,
    MissingExtraError without the extra `onnx-export`, TargetExistsError if the folder is not empty, and OutputError
    if it cannot be written.
    """
    require("the export of a model", *EXPORT)
    from omega_core.codec.onnx.graphs import analysis_graph, synthesis_graph

    target, path = local_path(folder), model_path(name_or_path)
    with whole_folder(target) as unfinished:
        parts, exact = load_parts(path, precision="float32"), load_parts(path, precision="float64")
        _check_symbols(parts)
        sizes = _sizes(parts.codec.architecture)
        graphs = {ANALYSIS: analysis_graph(parts.codec), SYNTHESIS: synthesis_graph(parts.codec)}
        contents = CodingFile(
            fingerprint=parts.fingerprint,
            description=parts.description,
            colors=parts.codec.colors,
            sizes=sizes,
            transformed=parts.codec.decoding_memory().transformed,
            analysis=Graph.of(ANALYSIS, graphs[ANALYSIS]),
            synthesis=Graph.of(SYNTHESIS, graphs[SYNTHESIS]),
            prior=parts.prior.arrays(),
        )
        exported = OnnxCodec(contents, graphs.__getitem__)
        most, mean, symbols = _differences(exported, exact.codec)
        if most > MAX_LEVELS or mean > MEAN_LEVELS or symbols > MAX_SYMBOLS:
            raise ModelFileError(
                f"the exported model differs from torch's by up to {most} levels, {mean:.3f} on average, and in"
                f" {symbols:.2%} of its symbols, more than {MAX_LEVELS}, {MEAN_LEVELS} and {MAX_SYMBOLS:.1%}."
            )
        files = {**graphs, CODING: contents.to_bytes()}
        for name, data in files.items():
            write_whole(unfinished / name, data)
    return ExportedModel(target, {name: len(data) for name, data in files.items()}, most, mean, symbols)


def _check_symbols(parts: ModelParts) -> None:
    """Raise ModelFileError for symbols and tables that the exported files cannot have."""
    if parts.codec.alphabet > MAX_ALPHABET:
        raise ModelFileError(f"a quantizer with {parts.codec.alphabet} different symbols cannot be exported.")
    if type(parts.prior) not in SPECIFIED:
        raise ModelFileError(f"{type(parts.prior).__name__} cannot be exported: FORMAT.md does not specify this prior.")


def _sizes(architecture: Architecture) -> Blocks | OneSize:
    """The sizes of pictures that an architecture takes. Raises ModelFileError if `coding.bin` cannot hold them."""
    cannot = f"the architecture {type(architecture).__name__} cannot be exported"
    if architecture.image_size is not None:
        return OneSize(image=architecture.image_size, latent=architecture.latent_size(*architecture.image_size))
    if not isinstance(architecture, LocalArchitecture):
        raise ModelFileError(f"{cannot}: it takes pictures of several sizes, and has no blocks (LocalArchitecture).")
    for method in ("latent_size", "margins", "synthesis"):
        if implements(architecture, LocalArchitecture, method):
            raise ModelFileError(f"{cannot}: it has a method {method} of its own.")
    return Blocks(
        stride=architecture.stride,
        smallest=architecture.smallest,
        analysis_halo=architecture.analysis_halo,
        synthesis_halo=architecture.refine_halo + architecture.render_halo,
        padding=_padding(architecture, cannot),
    )


def _padding(architecture: LocalArchitecture, cannot: str) -> tuple[float, ...] | None:
    """The color, from 0 to 255, that an architecture pads pictures with; None if it repeats their edges.

    Raises ModelFileError if it does neither.
    """
    image = torch.rand(2, architecture.colors, 3, 4, generator=torch.Generator().manual_seed(0))
    padded = architecture.pad(image, Margins(top=1, bottom=2, left=3, right=4))
    if torch.allclose(padded, nn.functional.pad(image, (3, 4, 1, 2), mode="replicate")):
        return None
    color = padded[0, :, 0, 0]
    filled = color[None, :, None, None].expand_as(padded).clone()
    filled[:, :, 1:-2, 3:-4] = image
    if not torch.allclose(padded, filled):
        raise ModelFileError(f"{cannot}: it pads neither with a color nor by repeating edges.")
    return tuple((255 * color).tolist())


@torch.inference_mode()
def _differences(exported: OnnxCodec, exact: ImageCodec) -> tuple[int, float, float]:
    """How an exported codec differs from torch's: `most`, `mean` and `symbols` of `ExportedModel`."""
    height, width = exact.image_size or _SIDES
    pixels = _painted(exact.colors, height, width)
    tiles = (None, _TILE) if exact.takes_tiles else (None,)
    symbols = exact.symbols_of(pixels)
    others = np.mean([(exported.symbols_of(pixels, tile=tile) != symbols).mean() for tile in tiles])
    differences = []
    for share, tile in product(_SHARES, tiles):
        some = symbols.copy()
        some.reshape(-1)[int(share * some.size) :] = MISSING
        levels = [codec.pixels_of(some, height, width, tile=tile).astype(int) for codec in (exported, exact)]
        differences.append(np.abs(levels[0] - levels[1]))
    return int(np.max(differences)), float(np.mean(differences)), float(others)


def _painted(colors: int, height: int, width: int) -> Pixels:
    """A picture (1, colors, height, width) with ramps, edges and noise."""
    rows, columns = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).integers(0, 24, (colors, height, width))
    bands = [rows * (2 - band) + columns * (1 + band) + (columns // 9 + rows // 7) % 2 * 50 for band in range(colors)]
    painted: Pixels = ((np.stack(bands) + noise) % 256).astype(np.uint8)[None]
    return painted
