"""`save_model`: write a trained codec as a model file."""

import json
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from omega_core.codec.image_codec import ImageCodec
from omega_core.codec.model_file import RELAXATION, Description, ModelFile, name_in_file, write_model
from omega_core.codec.model_parts import parts_of
from omega_core.coding.tables import Arrays
from omega_core.contracts.prior import FrozenPrior, Prior
from omega_core.errors import ComponentError, ModelFileError, OutputError, TrainingError
from omega_core.locations import local_path
from omega_core.plugins.registry import registry, resolve

_PACKAGES = ("omega-core", "torch")
_MIN_BYTES = 4  # minimum size of floating-point numbers that count symbols, in bytes
_COMPARED = 4  # number of images on which a codec and its model file are compared
_ROUNDED = 0.02  # share of symbols that may differ, as products may be rounded in another order


def save_model(
    codec: ImageCodec,
    path: str | PathLike[str],
    images: Tensor | Iterable[Any] = (),
    *,
    coder: str | None = None,
    channels_min: int | None = None,
    half_precision: bool = False,
    text: str | None = None,
) -> str:
    """Write a trained codec as a model file, for `load_model` and the command, and return its fingerprint.

    codec: made by `ImageCodec.from_names` or by `load_codec`; it stays as it is, as a copy of it is written.
    path: path of the `.safetensors` file on this machine; an existing file is replaced.
    images: the training images, in which the prior counts symbols: a batch (B, colors, H, W), or an iterable of
        batches, such as a DataLoader, as for `ImageCodec.encode_symbols`. If a batch is a tuple or a list, its first
        entry is used. Values are from 0 to 1 or, as integers, from 0 to 255. Required for priors that count symbols
        (`Prior.observes`).
    coder: name of the coder of files. Default: that of the loaded model, or `range`; always `raw` without a prior.
    channels_min: the codec was trained for more channels than this; C for a model with one rate. Default: the value
        of the loaded model, or 0.
    half_precision: whether weights are rounded to 16 bits, which halves the file. The prior counts the symbols of the
        rounded codec.
    text: one line about the model. Default: the text of the loaded model, or empty.

    After a relaxed phase, fit the quantizer first: call `codec.quantizer.fit()`, then
    `codec.prior.follow(codec.quantizer.refinement())`. With torch.distributed, every process has to call `save_model`,
    with its share of the images and the same number of batches. All processes write the same file.

    Raises ComponentError for a codec of components without names, one that no longer fits its components or keeps state
    outside of parameters and buffers, for options that JSON does not have, and for an unknown coder; TrainingError if
    the prior needs images and there are none, and for weights that are not finite, or too large for 16 bits;
    OutputError if the file cannot be written; TypeError and ValueError for images of another kind, shape or range;
    ImageError for a size that the architecture does not take.
    """
    if not isinstance(codec, ImageCodec):
        raise TypeError(f"{type(codec).__name__} is not an ImageCodec; if it is a wrapper of one, pass its `.module`")
    path = local_path(path)
    if path.is_dir():
        raise OutputError(f"{path} is a folder: name a .safetensors file.")
    description = describe_codec(codec, coder, channels_min=channels_min, text=text)
    codec.check_fit()
    codec = deepcopy(codec).eval()
    batches = iter([images] if isinstance(images, Tensor) else images)
    with torch.no_grad():
        if half_precision:
            round_weights(codec)
        first: Tensor | None
        if codec.prior is not None and codec.prior.observes:
            first = _count(codec, codec.prior, batches)
        else:
            first = next(map(_checked, batches), None)
        frozen = None if codec.prior is None else codec.prior.freeze()
        arrays = arrays_of(codec, frozen, half_precision=half_precision)
    try:
        parts = parts_of(
            ModelFile(description, "", arrays),
            "the codec does not fit the components that it was made of",
            device=codec.device,
            precision="float32",
        )
    except ModelFileError as problem:
        raise ComponentError(str(problem)) from problem
    if first is not None:
        check_same(codec, parts.codec, first[:_COMPARED])
    return write_model(path, description, arrays)


@torch.no_grad()
def check_same(trained: ImageCodec, loaded: ImageCodec, image: Tensor) -> None:
    """Check that a model has all that was trained: with some images, it gives the same symbols and reconstructions.

    trained: the codec, in evaluation mode. loaded: the codec from its model file.
    image: as for `ImageCodec.encode_symbols`.

    Raises ComponentError if more than rounding differs: a component then keeps state outside of parameters and buffers.
    """
    height, width = image.shape[2:]
    symbols, others = (codec.encode_symbols(image) for codec in (trained, loaded))
    same = float((symbols == others).double().mean()) if symbols.numel() else 1.0
    known = symbols.to(trained.device)
    first, second = (codec.decode_symbols(known, height, width).double() for codec in (trained, loaded))
    error = float((first - second).abs().mean()) if first.numel() else 0.0
    if same < 1 - _ROUNDED or not error <= 1 / 255:
        raise ComponentError(
            f"the model file would differ from the codec: {1 - same:.0%} of the symbols of some images differ, and"
            f" decoded images differ by {255 * error:.1f} levels on average. {type(trained.quantizer).__name__} or"
            f" {type(trained.architecture).__name__} keeps learned state outside of parameters and buffers."
        )


def _count(codec: ImageCodec, prior: Prior, batches: Iterable[Any]) -> Tensor:
    """Let the prior of a codec count the symbols of images, and return the images of the first batch that has any.

    Raises TrainingError without images, ComponentError if the prior does not fit the symbols.
    """
    for tensor in (*prior.parameters(), *prior.buffers()):  # 16-bit numbers cannot hold the counts
        if tensor.is_floating_point() and tensor.dtype.itemsize < _MIN_BYTES:
            tensor.data = tensor.data.float()
    prior.recount()
    first: Tensor | None = None
    for image in map(_checked, batches):
        codec.latent_size(*image.shape[2:])
        symbols = codec.encode_symbols(image.to(codec.device))
        kept = torch.full((len(image),), codec.channels, device=symbols.device)
        try:
            prior.observe(symbols, kept)
        except (RuntimeError, IndexError) as problem:
            raise ComponentError(f"the prior does not fit the symbols of the quantizer: {problem}") from problem
        first = image if first is None and len(image) else first
    if first is None:
        raise TrainingError("this prior needs training images to count symbols: `save_model(codec, path, images)`.")
    return first


def _checked(batch: Any) -> Tensor:
    """The images of a batch. Raises TypeError for a batch of another kind, ValueError for values out of range."""
    image = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
    if not isinstance(image, Tensor):
        raise TypeError(f"a batch of images has to be a tensor (B, colors, H, W), not {type(image).__name__}")
    if image.ndim != 4:
        raise ValueError(f"images of shape {tuple(image.shape)}; this codec takes (B, colors, H, W)")
    if image.is_complex() or image.dtype == torch.bool:
        raise ValueError(f"images have to be floating-point numbers or integers, not {image.dtype}")
    most = 1 if image.is_floating_point() else 255
    if image.numel() and not 0 <= float(image.min()) <= float(image.max()) <= most:
        raise ValueError("images have values from 0 to 1 or, as integers, from 0 to 255")
    return image


@torch.no_grad()
def round_weights(codec: ImageCodec) -> None:
    """Round the weights of architecture and quantizer to 16 bits, in place. Raises TrainingError if they are too large.

    The prior counts symbols after this, because its tables have to fit the symbols of the rounded weights.
    """
    for tensor in (*codec.architecture.state_dict().values(), *codec.quantizer.state_dict().values()):
        tensor.copy_(_halved(tensor))


def arrays_of(codec: ImageCodec, frozen: FrozenPrior | None, *, half_precision: bool) -> Arrays:
    """Return the arrays of the model file of a codec.

    frozen: its frozen prior; None without a prior.
    half_precision: whether weights are stored in 16 bits, to which those of architecture and quantizer were rounded.

    Raises TrainingError for weights that are not finite, or too large for 16 bits.
    """
    arrays: Arrays = {}
    for name, tensor in codec.state_dict().items():
        stored = name_in_file(name)
        # `frozen` replaces the state of the prior; other modules do not belong to the codec
        if stored.startswith(("architecture.", "quantizer.", RELAXATION)):
            kept = _finite(stored, tensor.detach().cpu())
            arrays[stored] = (_halved(kept) if half_precision else kept).contiguous().numpy()
    if frozen is not None:
        arrays |= {f"prior.{name}": array for name, array in frozen.arrays().items()}
    return arrays


def _finite(name: str, tensor: Tensor) -> Tensor:
    """A tensor in a dtype that NumPy has, with 0 for subnormal numbers. Raises TrainingError if some are not finite.

    Weight decay makes unused weights subnormal, and CPUs multiply subnormal numbers slowly.
    """
    if not tensor.is_floating_point():
        return tensor
    if not tensor.isfinite().all():
        raise TrainingError(f"{name} has values that are not finite: training has failed.")
    tensor = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    return tensor.masked_fill(tensor.abs() < torch.finfo(tensor.dtype).tiny, 0)


def _halved(tensor: Tensor) -> Tensor:
    """Convert floating-point numbers to 16 bits. Raises TrainingError for numbers that are too large."""
    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    if not half.isfinite().all():
        raise TrainingError("some weights are too large for 16 bits: leave out half precision.")
    return half


def describe_codec(
    codec: ImageCodec,
    coder: str | None,
    *,
    channels_min: int | None = None,
    text: str | None = None,
    packages: Sequence[str] = (),
) -> Description:
    """Describe the model file of a codec.

    coder, channels_min, text: as for `save_model`.
    packages: distributions whose versions it contains, besides those of the components.

    Raises ComponentError as `save_model` does.
    """
    made_of = codec.made_of
    if made_of is None:
        raise ComponentError("only a codec that ImageCodec.from_names made of components by name can be saved.")
    coder = "raw" if codec.prior is None else coder or made_of.coder
    resolve("coder", coder)  # raises if the coder, or a library that it needs, is not installed
    named = registry().find("coder", coder).qualified_name
    choices = [made_of.architecture, made_of.quantizer, *([made_of.prior] if made_of.prior else [])]
    names = [choice.name.partition("/")[0] for choice in choices] + [named.partition("/")[0]]
    found = replace(
        made_of,
        coder=named,
        channels=codec.channels,
        channels_min=min(made_of.channels_min if channels_min is None else channels_min, codec.channels),
        text=made_of.text if text is None else text,
        card="",
        recipe={},
        versions=_versions([*_PACKAGES, *packages, *names]),
    )
    try:
        return Description.from_json(json.dumps(asdict(found), allow_nan=False))
    except (TypeError, ValueError) as problem:
        raise ComponentError(f"the description of the model is invalid: {problem}.") from problem


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
