"""One run: a recipe, a folder, and what is in it afterwards.

model.safetensors   the best model so far
last.ckpt           what `resume` goes on from
metrics.csv         see `omega_train.callbacks.metrics`
recipe.toml         the recipe with all overrides
train.log           what was said
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from omega_core.contracts.trainer import Trainer
from omega_core.errors import DataError, OutputError, TrainingError
from omega_core.files import write_whole
from omega_core.plugins.registry import build, resolve
from omega_core.processes import launch_rank
from omega_train.data.shares import Data, several
from omega_train.log import Log, log
from omega_train.recipe import Recipe, load_recipe

_MAY_CHANGE = ("name", "description", "epochs", "steps", "validate_every", "trainer_options")


def train(
    recipe: Recipe,
    folder: Path,
    *,
    data: Data | None = None,
    resume: bool = False,
    init: Path | str | None = None,
    **machine: Any,
) -> Path:
    """Train a recipe into a folder and return the path of the best model.

    data: the folder of the pictures, for data sets that need one. Several, for those that take several: a
        mapping of each to its share of the samples, relative to the others, or a sequence of folders.
    resume: go on with the run that is in the folder.
    init: a model file, the name of a bundled model, or the folder of another run: a new run begins with what it
        learned, as far as that fits by name and shape.
    machine: options of the trainer, such as accelerator and precision, beside those of the recipe.

    Raises OmegaError where something is wrong that the user can mend; TrainingError if the folder holds
    another run already, or none to resume.
    """
    folder, pictures = Path(folder), several(data)
    if isinstance(pictures, dict) and not getattr(resolve("dataset", recipe.dataset), "several_folders", False):
        raise DataError(f"the dataset {recipe.dataset} takes one folder of data, not {len(pictures)}.")
    stretched = ""
    if init is not None:
        if resume:
            raise TrainingError("a run that is resumed has weights already: leave out --init, or --resume.")
        machine["init"] = str(init)
    if resume:
        stretched = _check_resumable(recipe, folder)
    else:
        _check_unused(folder)
    options = {**recipe.trainer_options, **machine}
    if resume:
        options.pop("init", None)  # of a recipe: its checkpoint has all that was taken from there
    with without_subnormals():
        trainer: Trainer = build("trainer", recipe.trainer, options, recipe=recipe, data=pictures)
        first = launch_rank() == 0  # of several, it writes
        if first:
            write_whole(folder / "recipe.toml", recipe.to_toml().encode())
        try:
            lines = Log(folder / "train.log" if first else None)
        except OSError as problem:
            raise OutputError(f"cannot write into {folder}: {problem.strerror}.") from problem
        with lines:
            if stretched and first:
                log.info(stretched)
            return trainer.train(folder, resume=resume)


@contextmanager
def without_subnormals() -> Iterator[None]:
    """Let the processor take numbers below 1e-38 for 0, on this thread and on those that torch starts meanwhile.

    Weights that nothing uses shrink without end under weight decay. Once they are that small, a processor
    multiplies them up to 200 times more slowly, and a run takes several times as long.
    """
    flushed_before = not bool(torch.tensor(2.0**-140) * 0.5)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed_before)


def _check_unused(folder: Path) -> None:
    if (folder / "last.ckpt").exists():
        raise TrainingError(f"{folder} already holds a run. Continue it with --resume, or name another --output.")
    if (folder / "model.safetensors").exists():
        raise TrainingError(f"{folder} already holds a model. Name another --output.")


def _check_resumable(recipe: Recipe, folder: Path) -> str:
    """Raise TrainingError if a run cannot be resumed; return what else its user should know."""
    if not (folder / "last.ckpt").exists():
        raise TrainingError(f"there is no run to resume in {folder}: it has no last.ckpt.")
    try:
        torch.load(folder / "last.ckpt", weights_only=True, map_location="meta")
    except Exception as problem:  # whatever damaged bytes make of unpickling
        raise TrainingError(f"{folder}/last.ckpt is damaged and cannot be resumed. Name another --output.") from problem
    before = load_recipe(str(folder / "recipe.toml"))
    changed = [
        f"{entry.name.replace('_', '-')} ({getattr(before, entry.name)} before, {getattr(recipe, entry.name)} now)"
        for entry in fields(Recipe)
        if entry.name not in _MAY_CHANGE and getattr(before, entry.name) != getattr(recipe, entry.name)
    ]
    if changed:
        raise TrainingError(f"the run in {folder} has another recipe: {', '.join(changed)}. Name another --output.")
    if (before.epochs, before.steps) != (recipe.epochs, recipe.steps):
        return "the run has another length now: what depends on it, as learning rates may, follows it from here on"
    return ""
