"""From a trained task to a model file."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from omega_core.codec.model_file import Arrays, Choice, Description, write_model
from omega_core.contracts.dataset import Images
from omega_core.errors import TrainingError
from omega_core.plugins.registry import registry
from omega_train.channel_order import sort_channels
from omega_train.distributed import rank
from omega_train.fit_quantizer import fit_quantizer
from omega_train.log import log
from omega_train.task import CodecTask
from omega_train.validation import recount

RELAXATION = "relaxation."
"""The prefix of names in the state that only training and the search for better symbols need; in a model file, it
precedes the name of the part."""
_PACKAGES = ("omega-core", "omega-quant", "omega-entropy", "omega-train", "torch")


def export(task: CodecTask, path: Path) -> str:
    """Write the model file of a task and return its fingerprint.

    task: the trained task. path: the path of the model file.

    Raises OutputError, and TrainingError for weights that exceed half precision.
    """
    arrays: Arrays = {}
    for name, tensor in task.codec.state_dict().items():
        part, _, rest = name.partition(".")
        relaxed = rest.startswith(RELAXATION)
        if part == "prior" and not relaxed:
            continue
        kept = _without_subnormals(tensor.detach().cpu())
        kept = (_halved(kept) if task.recipe.half_precision else kept).contiguous()
        arrays[f"{RELAXATION}{part}.{rest.removeprefix(RELAXATION)}" if relaxed else name] = kept.numpy()
    if task.prior is not None:
        arrays |= {f"prior.{name}": array for name, array in task.prior.freeze().arrays().items()}
    return write_model(path, describe(task), arrays)


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
        raise TrainingError("some weights are too large for 16 bits: train without half-precision.")
    return half


def save(task: CodecTask, path: Path, images: Images, workers: int = 0) -> Path:
    """Complete a trained task and write its model; for trainers other than `lightning`.

    The quantizer is fitted if it was not, the prior is counted, and channels are sorted if the recipe asks for it.

    task: the trained task.
    path: the path of the model file.
    images: the training images.
    workers: the number of processes that read the images; 0 reads them in this process.

    Returns the path. Raises OutputError, and TrainingError for weights that exceed half precision.
    """
    complete(task, path, images, workers)
    return path


def complete(task: CodecTask, path: Path, images: Images, workers: int = 0, most: int | None = None) -> str:
    """Complete a trained task as `save` does, in all processes, of which the first writes the model.

    most: the most images that the prior is counted over; None for all. Other arguments: see `save`.

    Returns what was done with the channels, as text for the log, or "". Raises what `save` raises.
    """
    fitted = "" if task.fitted else fit_quantizer(task, images, workers)
    if rank() == 0:
        log.info(f"the prior is counted over {min(len(images), most or len(images))} pictures")
    if task.recipe.half_precision:  # tables have to fit the symbols of the rounded weights
        for tensor in (*task.architecture.state_dict().values(), *task.quantizer.state_dict().values()):
            tensor.copy_(_halved(tensor))
    recount(task, images, workers, most)
    channels = task.quantizer.channels
    sorted_by_gain = sort_channels(task, images, workers) if task.recipe.sort_channels else ""
    if task.quantizer.channels < channels:  # dropped channels change the symbols of later stages
        recount(task, images, workers, most)
    if rank() == 0:
        log.info(f"model {export(task, path)[:8]} written to {path}")
    return "; ".join(said for said in (fitted, sorted_by_gain) if said)


def describe(task: CodecTask) -> Description:
    """The description in the model file of a task: its components, sizes, recipe and the versions of packages."""
    recipe = task.recipe

    def choice(kind: str) -> Choice:
        options = dict(getattr(recipe, f"{kind}_options"))
        return Choice(name=registry().find(kind, getattr(recipe, kind)).qualified_name, options=options)

    prior = None if task.prior is None else choice("prior")
    architecture, quantizer = choice("architecture"), choice("quantizer")
    coder = registry().find("coder", task.coder).qualified_name
    names = [architecture.name, quantizer.name, coder, *([prior.name] if prior else [])]
    return Description(
        architecture=architecture,
        quantizer=quantizer,
        prior=prior,
        coder=coder,
        latent_channels=recipe.latent_channels,
        channels=task.quantizer.channels,
        alphabet=recipe.alphabet,
        channels_min=min(recipe.channels_min, task.quantizer.channels),
        text=recipe.description,
        recipe=_plain(asdict(recipe)),
        versions=_versions([*_PACKAGES, *(name.partition("/")[0] for name in names)]),
    )


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", {})}


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
