"""The parts of a model file, loaded with torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from torch import nn

from omega_core.codec.description import Choice, Description
from omega_core.codec.devices import device_of
from omega_core.codec.image_codec import ImageCodec
from omega_core.codec.model_file import RELAXATION, ModelFile, name_in_codec, read_model
from omega_core.codec.model_names import model_path
from omega_core.codec.onnx.loading import is_exported
from omega_core.codec.symbol_search import SymbolSearch
from omega_core.coding.tables import MISSING, Arrays, NoPrior
from omega_core.contracts.architecture import Architecture
from omega_core.contracts.prior import FrozenPrior, Prior
from omega_core.contracts.quantizer import Quantizer
from omega_core.errors import ComponentError, DeviceError, ModelFileError, OmegaError
from omega_core.locations import Url
from omega_core.plugins.registry import build, resolve

Precision = Literal["float64", "float32", "bfloat16", "float16"]
_LONGEST = 400  # maximum length of a reason from torch or a component, in characters


@dataclass(frozen=True)
class ModelParts:
    """The parts that a `Model` is made of.

    codec: architecture and quantizer, for use without gradients.
    prior: the frozen prior.
    description, fingerprint: as in the model file.
    relaxation: the arrays that the relaxed phase trained. Only the search for better symbols needs them.
    """

    codec: ImageCodec
    prior: FrozenPrior
    description: Description
    fingerprint: str
    relaxation: Arrays

    @torch.inference_mode(False)
    def search(self) -> SymbolSearch:
        """Return a search for better symbols, which uses the density of latents of the relaxed phase.

        Raises ComponentError if the model has no density, or its quantizer no cells; ModelFileError if the density does
        not fit the prior.
        """
        of_prior = {name: array for name, array in self.relaxation.items() if name.startswith("prior.")}
        if self.description.prior is None or not of_prior:
            raise ComponentError(
                "this model has no density of latents, which the search for better symbols needs: use effort 0, or"
                " train the model with a relaxed phase."
            )
        codec = self.codec
        codec.quantizer.cells(torch.full((1, codec.channels, 1, 1), MISSING, device=codec.device))
        with _fitting("the density of latents in this model does not fit its prior"):
            prior = self._new_prior()
            prior.relax(self.description.latent_channels)
            density = nn.Module() if prior.relaxation is None else prior.relaxation
            state = {name.removeprefix("prior."): torch.from_numpy(array) for name, array in of_prior.items()}
            density.load_state_dict(state)
        density.requires_grad_(False).eval().to(codec.device, torch.float32)
        return SymbolSearch(codec, prior)

    def _new_prior(self) -> Prior:
        """A new prior, on the device "meta" if it can be made there: only its density will be used."""
        choice, quantizer = cast(Choice, self.description.prior), self.codec.quantizer
        sizes: dict[str, Any] = {"channels": quantizer.channels, "alphabet": quantizer.alphabet}
        sizes |= {"lowest": quantizer.lowest, "latent_size": None}
        make = partial(build, "prior", choice.name, choice.options, **sizes)
        made = _without_memory(make)
        return cast(Prior, make() if made is None else made)


def load_parts(path: Path, *, device: str | torch.device = "cpu", precision: Precision | None = None) -> ModelParts:
    """Load the parts of a `.safetensors` file. Arguments and errors are those of `load_model`."""
    chosen = device_of(device)
    if precision is not None and precision not in get_args(Precision):
        raise OmegaError(f"there is no precision {precision!r}; use one of {', '.join(get_args(Precision))}.")
    if chosen.type == "mps" and precision == "float64":
        raise DeviceError("the device mps has no float64: use float32, or another device.")
    complaint = f"the model {path} does not fit its components, which may have changed since"
    return parts_of(read_model(path), complaint, device=chosen, precision=precision)


@torch.inference_mode(False)  # callers may be in inference mode, but the search for better symbols needs gradients
def parts_of(file: ModelFile, complaint: str, *, device: torch.device, precision: Precision | None) -> ModelParts:
    """Return the parts of a model. device, precision: as for `load_model`.

    Raises ComponentError, and ModelFileError if its arrays do not fit its components; `complaint` begins its message.
    """
    arrays = _by_part(file.arrays)
    with _fitting(complaint):
        architecture = cast(Architecture, _filled("architecture", file.description, arrays.get("architecture", {})))
        quantizer = cast(Quantizer, _filled("quantizer", file.description, arrays.get("quantizer", {})))
        standard = torch.float32 if device.type == "mps" else architecture.precision
        architecture.to(standard if precision is None else getattr(torch, precision))
        quantizer.to(torch.float32 if precision is None else getattr(torch, precision))
        prior: FrozenPrior = NoPrior()
        if file.description.prior is not None:
            prior = resolve("prior", file.description.prior.name).thaw(arrays.get("prior", {}))
    codec = ImageCodec(architecture, quantizer).to(device)
    return ModelParts(codec, prior, file.description, file.fingerprint, arrays.get("relaxation", {}))


@torch.inference_mode(False)  # parameters that are made in inference mode cannot be trained
def load_codec(name_or_path: str | PathLike[str] | Url, *, device: str | torch.device = "cpu") -> ImageCodec:
    """Load a model as a codec to train further, in training mode and float32.

    name_or_path, device: as for `load_model`, without exported (ONNX) models.

    A model file has the prior in integers only. A prior with `Prior.begin_with`, such as `context`, begins with these
    tables. Other priors begin from scratch: their bits are wrong until they have observed symbols or learned. To
    interrupt a training, save the `state_dict` of the codec instead. For a model that went through a relaxed phase,
    `ImageCodec.relax` has been called; a density of latents that the file lacks begins from scratch.

    Raises what `load_model` raises.
    """
    path, chosen = model_path(name_or_path), device_of(device)
    if is_exported(path):
        raise ModelFileError(f"{path} is for onnxruntime, which does not train: name a .safetensors model.")
    parts = load_parts(path, precision="float32")  # checks that the arrays fit the components
    description, state = parts.description, parts.codec.state_dict()
    prior = description.prior or Choice(name="")  # a model without a prior has a quantizer that needs none
    codec = ImageCodec.from_names(
        description.architecture.name,
        description.quantizer.name,
        prior.name,
        latent_channels=description.latent_channels,
        channels=description.channels,
        alphabet=description.alphabet,
        architecture_options=description.architecture.options,
        quantizer_options=description.quantizer.options,
        prior_options=prior.options,
    )
    codec.made_of = description
    if parts.relaxation:
        codec.relax()
        state |= {name_in_codec(RELAXATION + name): torch.from_numpy(a) for name, a in parts.relaxation.items()}
    with _fitting(f"the model {path} does not fit its components, which may have changed since"):
        missing = codec.load_state_dict(state, strict=False).missing_keys
        lacking = [name for name in missing if not name.startswith("prior.")]
        if lacking:
            raise ValueError(f"it lacks {lacking[0]}")
        if codec.prior is not None:
            codec.prior.follow(codec.quantizer.refinement())
            codec.prior.begin_with(parts.prior)
    return codec.to(chosen, torch.float32)


@contextmanager
def _fitting(complaint: str) -> Iterator[None]:
    """Raise ModelFileError if arrays do not fit components. complaint: the beginning of its message."""
    try:
        yield
    except (RuntimeError, ValueError, KeyError, TypeError, IndexError, OverflowError, MemoryError) as problem:
        reason = " ".join((str(problem).strip() or type(problem).__name__).split())
        if len(reason) > _LONGEST:
            reason = f"{reason[:_LONGEST]} …"
        raise ModelFileError(f"{complaint}: {reason}") from problem


def _filled(kind: str, description: Description, arrays: Arrays) -> nn.Module:
    """A component with the arrays of a model file, for use without gradients.

    Raises ValueError for values that are not finite, and for integers instead of real numbers or the reverse.
    """
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} has values that are not finite")
    state = {name: torch.from_numpy(np.require(array, requirements="W")) for name, array in arrays.items()}
    module = _without_memory(lambda: _made(kind, description))
    if module is not None:
        for name, own in module.state_dict().items():
            if name in state and own.is_floating_point() != state[name].is_floating_point():
                raise ValueError(f"{name} is of {state[name].dtype}, not of {own.dtype}")
        module.load_state_dict(state, assign=True)
    if module is None or any(tensor.is_meta for tensor in [*module.parameters(), *module.buffers()]):
        module = _made(kind, description)
        module.load_state_dict(state)
    return module.requires_grad_(False).eval()


def _without_memory(make: Callable[[], nn.Module]) -> nn.Module | None:
    """Make a component on the device "meta", without memory, as the sizes in a forged description may be huge.

    Returns None if it cannot be made there, because its constructor computes with its parameters.
    """
    try:
        with torch.device("meta"):
            return make()
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
