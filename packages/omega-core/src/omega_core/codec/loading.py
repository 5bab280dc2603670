"""Loading models, and `compress` and `decompress` with a model by name, path or fingerprint."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from os import PathLike
from typing import Any, Literal, Unpack, cast, overload

import numpy as np
import torch
from PIL import Image
from torch import nn

from omega_core.codec.devices import device_of
from omega_core.codec.file_codec import FileCodec
from omega_core.codec.image_codec import ImageCodec
from omega_core.codec.model import CompressOptions, Model
from omega_core.codec.model_file import Description, read_model
from omega_core.codec.model_names import model_path
from omega_core.coding.tables import NoPrior
from omega_core.contracts.architecture import Architecture
from omega_core.contracts.prior import FrozenPrior
from omega_core.contracts.quantizer import Quantizer
from omega_core.errors import ComponentError, ModelFileError, WrongModelError
from omega_core.file_io import Source, bytes_of
from omega_core.format.binary import Stream
from omega_core.format.header import Header
from omega_core.format.streaming import StreamingFile
from omega_core.images.pictures import MAX_PIXELS, Picture
from omega_core.images.reading import Batch, FileOrArray, PictureLike
from omega_core.names import printable
from omega_core.places import Url
from omega_core.plugins.registry import build, registry, resolve

DEFAULT_MODEL = "compact"
AnyModel = Model | str | PathLike[str] | Url | None
"""A loaded model, its name, path or URL; None for a default or, in decoding, for the model of the file."""

Precision = Literal["float64", "float32", "bfloat16", "float16"]
_LONGEST = 400  # characters of a reason from torch or a component
Arrays = dict[str, np.ndarray[Any, Any]]

_log = logging.getLogger(__name__)


def load_model(
    name_or_path: str | PathLike[str] | Url,
    *,
    device: str | torch.device = "cpu",
    precision: Precision | None = None,
    max_pixels: int = MAX_PIXELS,
    max_memory: int | None = None,
) -> Model:
    """Load a model.

    name_or_path: the path or URL of a `.safetensors` file, as `omega train` writes it, or the name of a bundled model;
        with `#` and the beginning of a fingerprint at its end, only the model with this fingerprint.
    device: to compute on, such as "cuda"; "auto" for a GPU if there is one.
    precision: of the transforms; that of the architecture if None. Symbols decode to the same in any precision and on
        any device; pixels of float32 and float64 differ by one level at most.
    max_pixels: the most pixels of a picture.
    max_memory: the most bytes that decoding a file may take: see `Model`.

    Raises DeviceError if the device is not available, ModelFileError if the file is not a model, has another
    fingerprint, is damaged or does not fit the installed components, ComponentError if one of its components is not
    installed, and MissingExtraError for a URL without the library of its store.
    """
    began, place, path = time.monotonic(), device_of(device), model_path(name_or_path)
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
    model = Model(
        FileCodec(ImageCodec(architecture, quantizer).to(place), prior),
        file.description,
        file.fingerprint,
        max_pixels=max_pixels,
        max_memory=max_memory,
    )
    _log.info("%s: %s on %s, loaded in %.2f s", printable(str(path)), model, place, time.monotonic() - began)
    return model


def default_model() -> str:
    """Return the name of the default model of `compress`. Raises ModelFileError if it is not installed."""
    if not registry().models(DEFAULT_MODEL):
        raise ModelFileError(
            f"the default model {DEFAULT_MODEL} is not installed. Name another model, or the .safetensors file of one."
        )
    return DEFAULT_MODEL


def load_model_by_fingerprint(
    prefix: bytes,
    *,
    device: str | torch.device = "cpu",
    max_pixels: int = MAX_PIXELS,
    max_memory: int | None = None,
) -> Model:
    """Load the bundled model of a file.

    prefix: the first 4 bytes of the model's fingerprint, from the header of the file.
    device, max_pixels, max_memory: as for `load_model`.

    Raises WrongModelError if no bundled model has the fingerprint, DeviceError if the device is not available.
    """
    found = registry().find_model_by_fingerprint(prefix)
    if found is None:
        raise WrongModelError(
            f"this file was made with the model {prefix.hex()}, which is not installed."
            " Give the model that it was made with.",
            made_with=prefix.hex(),
        )
    return load_model(found.path(), device=device, max_pixels=max_pixels, max_memory=max_memory)


def _filled(kind: str, description: Description, arrays: Arrays) -> nn.Module:
    """A component with the arrays of a model file, for use without gradients."""
    state = {name: torch.from_numpy(np.require(array, requirements="W")) for name, array in arrays.items()}
    module = _without_memory(kind, description)
    if module is not None:
        module.load_state_dict(state, assign=True)
    if module is None or any(tensor.is_meta for tensor in [*module.parameters(), *module.buffers()]):
        module = _made(kind, description)
        module.load_state_dict(state)
    return module.requires_grad_(False).eval()


def _without_memory(kind: str, description: Description) -> nn.Module | None:
    """A component on the device "meta", which takes no memory, as a forged description may ask for any amount.

    None for a component that cannot be made there, as its constructor computes with its parameters.
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


@overload
def compress(
    picture: torch.Tensor, model: AnyModel = None, **options: Unpack[CompressOptions]
) -> bytes | list[bytes]: ...


@overload
def compress(
    picture: list[Any] | tuple[Any, ...], model: AnyModel = None, **options: Unpack[CompressOptions]
) -> list[bytes]: ...


@overload
def compress(picture: FileOrArray | Picture, model: AnyModel = None, **options: Unpack[CompressOptions]) -> bytes: ...


def compress(
    picture: PictureLike | Picture | Batch, model: AnyModel = None, **options: Unpack[CompressOptions]
) -> bytes | list[bytes]:
    """Compress a picture to the bytes of an `.omega` file, or several pictures to a list of files.

    picture: one picture, or several, in any of the forms that `Model.compress` takes: a path or URL, bytes, an open
        file, a Pillow image, an array, a tensor, a batch.
    model: a loaded model, which saves loading it for each call, or its name, path or URL; the default of
        `omega compress` if None.
    options: channels, fraction, bpp, max_bytes or psnr, and coder, as `Model.compress` takes them.

    Raises ModelFileError for the model, and as `Model.compress` does.
    """
    if not isinstance(model, Model):
        model = load_model(default_model() if model is None else model)
    files: bytes | list[bytes] = model.compress(cast(Any, picture), **options)
    return files


def decompress(source: Source, model: AnyModel = None) -> Image.Image:
    """Decompress an `.omega` file to a Pillow image.

    source: the bytes of the file, its path or URL, or an open binary file.
    model: that the file was made with, loaded, by name, path or URL; if None, the bundled model with the fingerprint in
        the file.

    Raises WrongModelError if no bundled model fits, ModelFileError for the model, and as `Model.decompress` does.
    """
    return decompress_picture(source, model).to_pillow()


def decompress_picture(source: Source, model: AnyModel = None) -> Picture:
    """Decompress as `decompress` does, to a `Picture` with `pixels`, `to_array()` and `to_tensor()`."""
    data = bytes_of(source)
    return model_for(model, Header.parse(data).fingerprint).decompress_picture(data)


def decode_progressively(stream: Stream | bytes, model: AnyModel = None) -> Iterator[Image.Image]:
    """Yield better pictures of an `.omega` file while it arrives: see `Model.decompress_progressively`.

    stream: the source of the file.
    model: as for `decompress`.
    """
    arriving = StreamingFile(stream)
    yield from model_for(model, arriving.header.fingerprint).decompress_progressively(arriving)


def model_for(model: AnyModel, prefix: bytes) -> Model:
    """Return the model to decode a file with.

    model: a loaded model, its name, path or URL; None for the bundled model with the fingerprint.
    prefix: the first 4 bytes of the fingerprint, from the header of the file.

    Raises ModelFileError for a model that cannot be loaded, WrongModelError if no bundled model has the fingerprint.
    """
    if model is None:
        return load_model_by_fingerprint(prefix)
    return model if isinstance(model, Model) else load_model(model)
