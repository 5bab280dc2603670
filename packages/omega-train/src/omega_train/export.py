"""From a trained task to a model file."""

from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from omega_core.contracts.dataset import Images
from omega_core.modelfile import Arrays, Choice, Description, read_model, write_model
from omega_core.registry import registry
from omega_train.task import CodecTask
from omega_train.validation import recount

_PACKAGES = ("omega-core", "omega-quant", "omega-entropy", "omega-train", "torch")


def export(task: CodecTask, path: Path) -> str:
    """Write the model as it is and return its fingerprint. Raises OutputError."""
    arrays: Arrays = {}
    for part in ("architecture", "quantizer"):
        for name, tensor in getattr(task, part).state_dict().items():
            arrays[f"{part}.{name}"] = tensor.detach().cpu().numpy()
    if task.prior is not None:
        arrays |= {f"prior.{name}": array for name, array in task.prior.freeze().arrays().items()}
    return write_model(path, describe(task), arrays)


def finish(task: CodecTask, path: Path, images: Images) -> None:
    """Give a task the weights of the model at `path`, count its prior over the training images, and write it again."""
    if task.prior is None or not task.prior.observes:
        return
    arrays = read_model(path).arrays
    for part in ("architecture", "quantizer"):
        module: torch.nn.Module = getattr(task, part)
        module.load_state_dict({name: torch.from_numpy(arrays[f"{part}.{name}"]) for name in module.state_dict()})
    recount(task, images)
    export(task, path)


def describe(task: CodecTask) -> Description:
    """What a model file says about a task's components and recipe."""
    recipe = task.recipe

    def choice(kind: str) -> Choice:
        options = dict(getattr(recipe, f"{kind}_options"))
        return Choice(name=registry().find(kind, getattr(recipe, kind)).qualified_name, options=options)

    return Description(
        architecture=choice("architecture"),
        quantizer=choice("quantizer"),
        prior=None if task.prior is None else choice("prior"),
        coder=registry().find("coder", task.coder).qualified_name,
        latent_channels=recipe.latent_channels,
        channels=recipe.channels,
        alphabet=recipe.symbols,
        channels_min=recipe.channels_min,
        text=recipe.description,
        recipe=_plain(asdict(recipe)),
        versions=_versions(),
    )


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", {})}


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
