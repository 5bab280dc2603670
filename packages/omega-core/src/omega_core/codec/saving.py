"""From a trained codec to a model file."""

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
from omega_core.places import local_path
from omega_core.plugins.registry import registry, resolve

_PACKAGES = ("omega-core", "torch")
_LEAST_BYTES = 4  # of numbers that count symbols
_COMPARED = 4  # images that a codec and its model are compared by
_ROUNDED = 0.02  # of symbols that may differ, as where products are rounded in another order


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
    path: of the `.safetensors` file on this machine, which may be there already.
    images: the training images, over which the prior counts symbols: a batch (B, colors, H, W), or an iterable of
        batches, such as a DataLoader, as for `ImageCodec.encode_symbols`. Of a batch that is a tuple or a list, the
        first entry counts. Values are from 0 to 1 or, as integers, from 0 to 255. Needed for priors that observe
        (`Prior.observes`).
    coder: of files, by its name; that of the model that was loaded, else `range`. Codecs without a prior take `raw`.
    channels_min: it was trained for more channels than these: C for a model of one rate. That of the model that was
        loaded, else 0.
    half_precision: whether weights are rounded to 16 bits, which halves the file. The prior counts the symbols of the
        rounded codec.
    text: one line about the model; that of the model that was loaded, else empty.

    After a relaxed phase, the quantizer has to be fitted before: `codec.quantizer.fit()`, and
    `codec.prior.follow(codec.quantizer.refinement())`. In several processes of torch.distributed, all of them call it,
    each with its share of the images and as many batches, and write the same file.

    Raises ComponentError for a codec of components without names, or that does not fit those any more or keeps state in
    no parameter or buffer, for options that JSON does not have, and for an unknown coder; TrainingError without images
    where the prior needs some, and for weights that are not finite, or too large for 16 bits; OutputError if the file
    cannot be written; TypeError and ValueError for images of another kind, shape or range; ImageError for a size that
    the architecture does not take.
    """
    if not isinstance(codec, ImageCodec):
        raise TypeError(f"{type(codec).__name__} is no ImageCodec, which a wrapper has as `.module`")
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
    """Check that a model has all that was trained: some images have the symbols and reconstructions of the codec.

    trained: the codec, in evaluation mode. loaded: that of its model file.
    image: as for `ImageCodec.encode_symbols`.

    Raises ComponentError if more than rounding differs: a component then keeps something in no parameter or buffer.
    """
    height, width = image.shape[2:]
    symbols, others = (codec.encode_symbols(image) for codec in (trained, loaded))
    same = float((symbols == others).double().mean()) if symbols.numel() else 1.0
    known = symbols.to(trained.device)
    first, second = (codec.decode_symbols(known, height, width).double() for codec in (trained, loaded))
    error = float((first - second).abs().mean()) if first.numel() else 0.0
    if same < 1 - _ROUNDED or not error <= 1 / 255:
        raise ComponentError(
            f"the model would not be what was trained: {1 - same:.0%} of the symbols of some images differ, and decoded"
            f" images by {255 * error:.1f} levels on average. {type(trained.quantizer).__name__} or"
            f" {type(trained.architecture).__name__} keeps a part of what it has learned in no parameter or buffer."
        )


def _count(codec: ImageCodec, prior: Prior, batches: Iterable[Any]) -> Tensor:
    """Have the prior of a codec count the symbols of images, and return those of the first batch with some.

    Raises TrainingError without images, ComponentError if the prior is one for other symbols.
    """
    for tensor in (*prior.parameters(), *prior.buffers()):  # 16 bits would not hold the counts
        if tensor.is_floating_point() and tensor.dtype.itemsize < _LEAST_BYTES:
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
        raise TrainingError("the prior of this codec counts the symbols of training images: give some.")
    return first


def _checked(batch: Any) -> Tensor:
    """The images of a batch. Raises TypeError for a batch of another kind, ValueError for values out of range."""
    image = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
    if not isinstance(image, Tensor):
        raise TypeError(f"a batch of images is {type(image).__name__}; it is a tensor (B, colors, H, W)")
    if image.ndim != 4:
        raise ValueError(f"images of shape {tuple(image.shape)}; this codec takes (B, colors, H, W)")
    if image.is_complex() or image.dtype == torch.bool:
        raise ValueError(f"images of {image.dtype}; they are of floating-point numbers or of integers")
    most = 1 if image.is_floating_point() else 255
    if image.numel() and not 0 <= float(image.min()) <= float(image.max()) <= most:
        raise ValueError("images have values from 0 to 1, as integers from 0 to 255")
    return image


@torch.no_grad()
def round_weights(codec: ImageCodec) -> None:
    """Round the weights of architecture and quantizer to 16 bits, in place. Raises TrainingError if they are too large.

    The tables of a prior have to fit the symbols of the weights that a file has.
    """
    for tensor in (*codec.architecture.state_dict().values(), *codec.quantizer.state_dict().values()):
        tensor.copy_(_halved(tensor))


def arrays_of(codec: ImageCodec, frozen: FrozenPrior | None, *, half_precision: bool) -> Arrays:
    """Return the arrays of the model file of a codec.

    frozen: its prior in integers; None without one.
    half_precision: whether weights are stored in 16 bits, to which those of architecture and quantizer were rounded.

    Raises TrainingError for weights that are not finite, or too large for 16 bits.
    """
    arrays: Arrays = {}
    for name, tensor in codec.state_dict().items():
        stored = name_in_file(name)
        # of the prior, `frozen` takes the place of what training needs; modules beside the three parts are others'
        if stored.startswith(("architecture.", "quantizer.", RELAXATION)):
            kept = _finite(stored, tensor.detach().cpu())
            arrays[stored] = (_halved(kept) if half_precision else kept).contiguous().numpy()
    if frozen is not None:
        arrays |= {f"prior.{name}": array for name, array in frozen.arrays().items()}
    return arrays


def _finite(name: str, tensor: Tensor) -> Tensor:
    """A tensor of a type that NumPy has, with 0 for subnormal numbers. Raises TrainingError if some are not finite.

    Weight decay makes subnormal numbers of unused weights, and processors multiply them slowly.
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
    packages: distributions whose versions it names, beside those of the components.

    Raises ComponentError as `save_model` does.
    """
    made_of = codec.made_of
    if made_of is None:
        raise ComponentError("only a codec that ImageCodec.from_names made of components by name can be saved.")
    coder = "raw" if codec.prior is None else coder or made_of.coder
    resolve("coder", coder)  # is it installed, with what it needs?
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
        raise ComponentError(f"the model cannot be described so: {problem}.") from problem


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
