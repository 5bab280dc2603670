"""From a trained codec to a model file."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from omega_core.codec.image_codec import ImageCodec
from omega_core.codec.model_file import Arrays, Description, name_in_file, write_model
from omega_core.contracts.prior import FrozenPrior, Prior
from omega_core.errors import ComponentError, TrainingError
from omega_core.plugins.registry import registry

_PACKAGES = ("omega-core", "torch")


def save_model(
    codec: ImageCodec,
    path: str | PathLike[str],
    images: Tensor | Iterable[Tensor] = (),
    *,
    coder: str = "range",
    channels_min: int = 0,
    half_precision: bool = False,
    text: str = "",
) -> str:
    """Write a trained codec as a model file, for `load_model` and the command, and return its fingerprint.

    codec: made by `ImageCodec.from_names`, or by `load_codec`; it stays as it is.
    path: of the `.safetensors` file, which may be there already.
    images: the training images, over which the prior counts symbols: a batch or batches (B, colors, H, W), as for
        `ImageCodec.encode_symbols`. Needed for priors that observe (`Prior.observes`).
    coder: of files, by its name; codecs without a prior take `raw`.
    channels_min: it was trained for more channels than these; C for a model of one rate.
    half_precision: whether weights are rounded to 16 bits, which halves the file. The prior counts the symbols of the
        rounded codec.
    text: one line about the model.

    In several processes of torch.distributed, all of them call it, each with its share of the images and as many
    batches, and write the same file.

    Raises ComponentError for a codec of components without names, or of options that JSON does not have, and for an
    unknown coder; TrainingError without images where the prior needs some, and for weights that are too large for 16
    bits; OutputError if the file cannot be written.
    """
    description = describe_codec(codec, coder, channels_min=channels_min, text=text)
    batches = [images] if isinstance(images, Tensor) else images
    was_training = codec.training
    codec.eval()
    try:
        with _rounded(codec) if half_precision else torch.no_grad():
            frozen = None if codec.prior is None else _counted(codec, codec.prior, batches).freeze()
            return write_codec(codec, frozen, Path(path), description, half_precision=half_precision)
    finally:
        codec.train(was_training)


def _counted(codec: ImageCodec, prior: Prior, batches: Iterable[Tensor]) -> Prior:
    """A copy of the prior of a codec that counted the symbols of images; the prior itself if it does not count.

    Raises TrainingError without images.
    """
    if not prior.observes:
        return prior
    counted, some = deepcopy(prior), False
    counted.recount()
    for image in batches:
        symbols = codec.encode_symbols(image.to(codec.device))
        counted.observe(symbols, torch.full((len(image),), codec.channels, device=symbols.device))
        some = some or len(image) > 0
    if not some:
        raise TrainingError("the prior of this codec counts the symbols of training images: give some.")
    return counted


@contextmanager
def _rounded(codec: ImageCodec) -> Iterator[None]:
    """Have the weights of a codec rounded to 16 bits within the context. Raises TrainingError if they are too large."""
    tensors = coding_state(codec)
    before = [tensor.clone() for tensor in tensors]
    with torch.no_grad():
        try:
            round_weights(codec)
            yield
        finally:
            for tensor, old in zip(tensors, before, strict=True):
                tensor.copy_(old)


def coding_state(codec: ImageCodec) -> list[Tensor]:
    """The tensors of architecture and quantizer, which decide on symbols and pixels."""
    return [*codec.architecture.state_dict().values(), *codec.quantizer.state_dict().values()]


@torch.no_grad()
def round_weights(codec: ImageCodec) -> None:
    """Round the weights of architecture and quantizer to 16 bits, in place. Raises TrainingError if they are too large.

    The tables of a prior have to fit the symbols of the weights that a file has.
    """
    for tensor, half in [(tensor, _halved(tensor)) for tensor in coding_state(codec)]:
        tensor.copy_(half)


def write_codec(
    codec: ImageCodec, frozen: FrozenPrior | None, path: Path, description: Description, *, half_precision: bool
) -> str:
    """Write the model file of a codec and return its fingerprint.

    frozen: its prior in integers; None without one.
    half_precision: whether weights are stored in 16 bits, to which those of architecture and quantizer were rounded.

    Raises OutputError, and TrainingError for weights that are too large for 16 bits.
    """
    arrays: Arrays = {}
    for name, tensor in codec.state_dict().items():
        stored = name_in_file(name)
        if stored.startswith("prior."):  # of training; `frozen` takes its place
            continue
        kept = _without_subnormals(tensor.detach().cpu())
        arrays[stored] = (_halved(kept) if half_precision else kept).contiguous().numpy()
    if frozen is not None:
        arrays |= {f"prior.{name}": array for name, array in frozen.arrays().items()}
    return write_model(path, description, arrays)


def _without_subnormals(tensor: Tensor) -> Tensor:
    """Set subnormal numbers to 0: weight decay makes them of unused weights, and processors multiply them slowly."""
    if not tensor.is_floating_point():
        return tensor
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
    codec: ImageCodec, coder: str, *, channels_min: int = 0, text: str = "", packages: Sequence[str] = ()
) -> Description:
    """Describe the model file of a codec.

    coder, channels_min, text: as for `save_model`.
    packages: distributions whose versions it names, beside those of the components.

    Raises ComponentError as `save_model` does.
    """
    made_of = codec.components
    if made_of is None:
        raise ComponentError("only a codec that ImageCodec.from_names made of components by name can be saved.")
    named = registry().find("coder", coder if codec.prior is not None else "raw").qualified_name
    choices = [made_of.architecture, made_of.quantizer, *([made_of.prior] if made_of.prior else [])]
    for choice in choices:
        try:
            json.dumps(choice.options, allow_nan=False)
        except (TypeError, ValueError) as problem:
            raise ComponentError(
                f"the options of {choice.name} cannot be stored in a model file ({problem}): take numbers, texts,"
                " lists and dictionaries."
            ) from problem
    names = [choice.name.partition("/")[0] for choice in choices] + [named.partition("/")[0]]
    return Description(
        architecture=made_of.architecture,
        quantizer=made_of.quantizer,
        prior=made_of.prior,
        coder=named,
        latent_channels=codec.architecture.latent_channels,
        channels=codec.channels,
        alphabet=made_of.alphabet,
        channels_min=min(channels_min, codec.channels),
        text=text,
        versions=_versions([*_PACKAGES, *packages, *names]),
    )


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
