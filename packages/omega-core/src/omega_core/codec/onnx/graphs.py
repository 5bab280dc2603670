"""ONNX graphs of the transforms of a codec, made by torch.export and torch.onnx for onnxruntime on any system."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx_ir as ir
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from onnxscript import optimizer
from torch import Tensor, nn
from torch.export import Dim

from omega_core.codec.image_codec import ImageCodec
from omega_core.contracts.architecture import LocalArchitecture
from omega_core.errors import ModelFileError

OPSET = 18
"""The version of the operators. onnxruntime-web also has all of them, for both WebAssembly and WebGPU."""
_BATCH = 2  # pictures of an example
_ANY_BATCH = Dim("batch", min=1)
_FEW = 64  # weights with fewer numbers are not worth a conversion
_MAX_FOLDED = 1 << 26  # maximum size of a precomputed constant, in numbers


class Analysis(nn.Module):
    """Transforms whole blocks of levels (B, colors, H, W), float32 from 0 to 255, to symbols (B, C, h, w), int32."""

    def __init__(self, codec: ImageCodec) -> None:
        super().__init__()
        self.architecture, self.quantizer = codec.architecture, codec.quantizer

    def forward(self, levels: Tensor) -> Tensor:
        return self.quantizer.symbols(self.architecture.analysis(levels / 255)).to(torch.int32)


class Synthesis(nn.Module):
    """Transforms symbols (B, C, h, w), int32, −1 if missing, to whole blocks of levels (B, colors, H, W), float32.

    Levels are clamped to 0 to 255, and not rounded. The second input is `known`, (B,), float32: the number of symbols
    that a picture has, divided by its positions. It determines the fineness for the synthesis.
    """

    def __init__(self, codec: ImageCodec) -> None:
        super().__init__()
        self.architecture, self.quantizer = codec.architecture, codec.quantizer

    def forward(self, symbols: Tensor, known: Tensor) -> Tensor:
        latent = self.quantizer.latent(symbols)
        fineness = self.quantizer.fineness(known).to(latent.dtype)
        if isinstance(self.architecture, LocalArchitecture):
            image = self.architecture.render(self.architecture.refine_with_fineness(latent, fineness))
        else:
            height, width = self.architecture.image_size or (0, 0)
            image = self.architecture.synthesis_with_fineness(latent, height, width, fineness)
        return image.clamp(0, 1) * 255


def analysis_graph(codec: ImageCodec) -> bytes:
    """Return the `Analysis` of a codec in float32 as an ONNX file. Raises ModelFileError if it cannot be exported."""
    h, w, sides = _latent(codec)
    height, width = codec.image_size or (h * _stride(codec), w * _stride(codec))
    levels = torch.zeros(_BATCH, codec.colors, height, width)
    dims = {axis: _stride(codec) * side for axis, side in sides.items()}
    return _graph("analysis", Analysis(codec), {"levels": levels}, {"levels": {0: _ANY_BATCH, **dims}}, "symbols")


def synthesis_graph(codec: ImageCodec) -> bytes:
    """Return the `Synthesis` of a codec in float32 as an ONNX file. Raises ModelFileError as `analysis_graph` does."""
    h, w, sides = _latent(codec)
    symbols = torch.zeros(_BATCH, codec.channels, h, w, dtype=torch.int32)
    given = {"symbols": symbols, "known": torch.full((_BATCH,), float(codec.channels))}
    dims = {"symbols": {0: _ANY_BATCH, **sides}, "known": {0: _ANY_BATCH}}
    return _graph("synthesis", Synthesis(codec), given, dims, "levels")


def _latent(codec: ImageCodec) -> tuple[int, int, dict[int, Dim]]:
    """The size (h, w) of the latent of an example, and its axes of any size."""
    if not isinstance(codec.architecture, LocalArchitecture):
        return (*codec.latent_size(*(codec.image_size or (0, 0))), {})
    least = codec.architecture.smallest
    return least + 2, least + 3, {2: Dim("h", min=least), 3: Dim("w", min=least)}


def _stride(codec: ImageCodec) -> int:
    return codec.architecture.stride if isinstance(codec.architecture, LocalArchitecture) else 1


def _graph(
    name: str, module: nn.Module, given: dict[str, Tensor], dims: dict[str, dict[int, Dim]], output: str
) -> bytes:
    """A module as an ONNX file.

    name: the name of the module, for errors.
    given: an example of its inputs, by name.
    dims: the axes of any size of each input, by name.
    output: the name of the output.
    """
    try:
        with _quietly(), torch.no_grad():
            program = torch.export.export(module.eval(), (), given, dynamic_shapes=dims)
            exported = torch.onnx.export(
                program,
                dynamo=True,
                dynamic_shapes=dims,  # gives names to the axes
                input_names=list(given),
                optimize=False,  # see `_compact`
                opset_version=OPSET,
                output_names=[output],
                verbose=False,
            )
            assert exported is not None  # noqa: S101 (it is None only if a file is written)
            return _compact(exported.model)
    except Exception as problem:  # torch raises many types, and those of modules
        lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
        # for a fixed size, the first line does not contain the reason
        reason = next((line for line in lines if "specialized" in line), lines[0] if lines else type(problem).__name__)
        graph = "dequantization and synthesis" if name == "synthesis" else name
        raise ModelFileError(f"the {graph} of this model cannot be exported: {reason}") from problem


def _compact(model: ir.Model) -> bytes:
    """The bytes of a graph in which everything that depends on weights alone is precomputed.

    Weights that 16 bits hold exactly are stored in 16 bits, and converted when a session begins.
    """
    optimizer.optimize_ir(model, input_size_limit=_MAX_FOLDED, output_size_limit=_MAX_FOLDED)
    ClearMetadataAndDocStringPass()(model)  # metadata contains paths of Python files on this machine
    graph = model.graph
    for name, value in list(graph.initializers.items()):
        numbers = None if value.const_value is None else value.const_value.numpy()
        if numbers is None or numbers.dtype != np.float32 or numbers.size < _FEW:
            continue
        with np.errstate(over="ignore"):
            half = numbers.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), numbers):
            continue
        stored = ir.Value(name=f"{name}_half", const_value=ir.tensor(half, name=f"{name}_half"))
        converted = ir.node("Cast", [stored], {"to": ir.DataType.FLOAT})
        converted.outputs[0].name = f"{name}_single"
        value.replace_all_uses_with(converted.outputs[0])
        del graph.initializers[name]
        graph.register_initializer(stored)
        graph.insert_before(graph[0], converted)
    data: bytes = ir.to_proto(model).SerializeToString()
    return data


@contextmanager
def _quietly() -> Iterator[None]:
    """Suppress messages of torch about its own code and about libraries that are not installed."""
    logs = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [log.level for log in logs]
    try:
        for log in logs:
            log.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
