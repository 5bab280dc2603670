"""From a model file to a model."""

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from PIL import Image
from torch import nn

from omega_core.codec.devices import device_of
from omega_core.codec.file_codec import FileCodec
from omega_core.codec.image_codec import ImageCodec
from omega_core.codec.model import Model
from omega_core.codec.model_file import Description, read_model
from omega_core.coding.tables import NoPrior
from omega_core.contracts.architecture import Architecture
from omega_core.contracts.prior import FrozenPrior
from omega_core.contracts.quantizer import Quantizer
from omega_core.errors import ComponentError, ModelFileError, WrongModelError
from omega_core.format.binary import Stream
from omega_core.format.header import Header
from omega_core.format.streaming import StreamingFile
from omega_core.images.pictures import MAX_PIXELS
from omega_core.plugins.registry import build, registry, resolve

Precision = Literal["float64", "float32", "bfloat16", "float16"]
_LONGEST = 400  # characters of a reason that is not ours
Arrays = dict[str, np.ndarray[Any, Any]]


def load_model(
    name_or_path: str | PathLike[str],
    *,
    device: str | torch.device = "cpu",
    precision: Precision | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Model:
    """A model from a `.safetensors` file that `omega train` wrote, or a bundled one by its name.

    device: where it computes, as torch names it, such as "cuda"; "auto" for a GPU if there is one.
    precision: in what the transforms compute, where it is not to be what the architecture says. Symbols are
        the same from a file in any, on any device; pixels of float32 and float64 differ by one level at the most.
    max_pixels: pictures with more are refused.

    Raises DeviceError for a device that is not there, ModelFileError if it is no model, is damaged or does not fit
    the installed components, and ComponentError if one of its components is not installed.
    """
    place, path = device_of(device), model_path(name_or_path)
    file = read_model(path)
    arrays = _by_part(file.arrays)
    try:
        architecture = cast(Architecture, _filled("architecture", file.description, arrays.get("architecture", {})))
        quantizer = cast(Quantizer, _filled("quantizer", file.description, arrays.get("quantizer", {})))
        architecture.to(architecture.precision if precision is None else getattr(torch, precision))
        quantizer.to(torch.float32 if precision is None else getattr(torch, precision))
        prior: FrozenPrior = NoPrior()
        if file.description.prior is not None:
            prior = resolve("prior", file.description.prior.name).thaw(arrays.get("prior", {}))
    except (RuntimeError, ValueError, KeyError, TypeError, IndexError, OverflowError, MemoryError) as problem:
        reason = " ".join((str(problem).strip() or type(problem).__name__).split())
        if len(reason) > _LONGEST:
            reason = f"{reason[:_LONGEST]} …"
        raise ModelFileError(
            f"the model {path} does not fit its components, which may have changed since: {reason}"
        ) from problem
    return Model(
        FileCodec(ImageCodec(architecture, quantizer).to(place), prior),
        file.description,
        file.fingerprint,
        max_pixels=max_pixels,
    )


def model_path(name_or_path: str | PathLike[str]) -> Path:
    """The file of a model: a path as it is, a bundled one by its bare or qualified name. Raises ModelFileError."""
    path = Path(name_or_path)
    if path.suffix == ".safetensors" or path.exists():
        return path
    try:
        return registry().find_model(str(name_or_path)).path()
    except ModelFileError as problem:
        raise ModelFileError(f"{problem} Or name a .safetensors file that `omega train` wrote.") from problem


def model_of(mark: bytes, *, device: str | torch.device = "cpu", max_pixels: int = MAX_PIXELS) -> Model:
    """The bundled model whose fingerprint begins with the 4 bytes that a file has of it.

    device, max_pixels: as `load_model` has them.

    Raises WrongModelError if there is none, DeviceError for a device that is not there.
    """
    found = registry().model_of(mark)
    if found is None:
        raise WrongModelError(
            f"this file was made with the model {mark.hex()}, which is not among those that are"
            " installed. Give the model that it was made with."
        )
    return load_model(found.path(), device=device, max_pixels=max_pixels)


def _filled(kind: str, description: Description, arrays: Arrays) -> nn.Module:
    """A component with the numbers of a model file, for use without gradients."""
    state = {name: torch.from_numpy(np.require(array, requirements="W")) for name, array in arrays.items()}
    module = _without_memory(kind, description)
    if module is not None:
        module.load_state_dict(state, assign=True)
    if module is None or any(tensor.is_meta for tensor in [*module.parameters(), *module.buffers()]):
        module = _made(kind, description)
        module.load_state_dict(state)
    return module.requires_grad_(False).eval()


def _without_memory(kind: str, description: Description) -> nn.Module | None:
    """A component that has taken no memory yet, of which a forged description may ask any amount.

    None for one that cannot be made so: it computes with its numbers, or has some that are in no file.
    """
    try:
        with torch.device("meta"):
            return _made(kind, description)
    except ComponentError as problem:
        if "meta" in str(problem.__cause__):
            return None
        raise


def _made(kind: str, description: Description) -> nn.Module:
    choice = getattr(description, kind)
    sizes: dict[str, int] = {"latent_channels": description.latent_channels}
    if kind == "quantizer":
        sizes |= {"channels": description.channels, "alphabet": description.alphabet}
    return cast(nn.Module, build(kind, choice.name, choice.options, **sizes))


def _by_part(arrays: Arrays) -> dict[str, Arrays]:
    parts: dict[str, Arrays] = {}
    for name, array in arrays.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = array
    return parts


def decompress(data: bytes, model: Model | str | PathLike[str] | None = None) -> Image.Image:
    """The picture in an `.omega` file.

    model: that it was made with, by name or path, too; a bundled one is found by its fingerprint if none is given.

    Raises OmegaError.
    """
    return _loaded(model, Header.parse(data).fingerprint).decompress(data)


def decode_progressively(
    stream: Stream | bytes, model: Model | str | PathLike[str] | None = None
) -> Iterator[Image.Image]:
    """A better picture whenever another cut of an `.omega` file has arrived: see `Model.decompress_progressively`.

    model: as `decompress` has it.
    """
    arriving = StreamingFile(stream)
    yield from _loaded(model, arriving.header.fingerprint).decompress_progressively(arriving)


def _loaded(model: Model | str | PathLike[str] | None, mark: bytes) -> Model:
    if model is None:
        return model_of(mark)
    return model if isinstance(model, Model) else load_model(model)
