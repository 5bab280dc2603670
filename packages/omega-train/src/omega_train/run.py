"""Runs: training a recipe into a folder with these files.

model.safetensors   the best model so far; the final counts of its prior are missing until the end of the run
last.ckpt           the checkpoint that `resume` continues from
metrics.csv         see `omega_train.callbacks.metrics`
recipe.toml         the recipe with all overrides
train.log           the log
.lock               see `omega_train.run_folder`
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from omega_core.contracts.trainer import Trainer
from omega_core.errors import DataError, OutputError, TrainingError
from omega_core.file_io import write_whole
from omega_core.locations import local_path
from omega_core.plugins.registry import build, resolve
from omega_core.processes import launch_rank
from omega_train.data.folder_shares import Data, is_url, several
from omega_train.log import Log, progress_log
from omega_train.recipe import Recipe, is_same, load_recipe
from omega_train.run_folder import check_content, claimed

_MAY_CHANGE = ("name", "description", "epochs", "steps", "validate_every", "trainer_options")
_OF_READING = ("memory", "skip_unreadable")
"""Options of datasets that affect reading, not the choice of pictures, which `SameData` checks by their content."""


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

    recipe: the settings. folder: the run folder, which is created if it does not exist.
    data: the folder of the pictures, for datasets that need one; or several folders, for datasets that take
        several: a mapping of folders to their relative shares of the samples, or a sequence of folders. URLs for data
        sets that take them.
    resume: whether to continue the run in the folder.
    init: a model file, the name of a bundled model, or the folder of another run: the new run starts from its
        weights that fit by name and shape.
    machine: options of the trainer, such as accelerator and precision; they replace those of the recipe.

    Raises OmegaError for errors that the user can correct, such as TrainingError if the folder already holds a run,
    holds no run to resume, or is used by another process.
    """
    folder, pictures = local_path(folder), several(data)
    check_data(recipe, pictures)
    if init is not None:
        if resume:
            raise TrainingError("a resumed run already has weights: leave out --init or --resume.")
        machine["init"] = str(init)
    options = {**recipe.trainer_options, **machine}
    if resume:
        options.pop("init", None)  # the checkpoint has these weights already
    first = launch_rank() == 0  # the process that writes
    if not first:
        check_content(folder, resume=resume)  # all processes raise: the others would wait for the first
    with claimed(folder, resume=resume) if first else nullcontext(), without_subnormals():
        stretched = _check_resumable(recipe, folder) if resume else ""
        trainer: Trainer = build("trainer", recipe.trainer, options, recipe=recipe, data=pictures)
        if first:
            write_whole(folder / "recipe.toml", recipe.to_toml().encode())
        try:
            lines = Log(folder / "train.log") if first else nullcontext()
        except OSError as problem:
            raise OutputError(f"cannot write into {folder}: {problem.strerror}.") from problem
        with lines:
            if stretched and first:
                progress_log.info(stretched)
            model = trainer.train(folder, resume=resume)
            if not isinstance(model, Path):
                raise TrainingError(f"the trainer {recipe.trainer} returned {model!r}, not the path of a model.")
            return model


@contextmanager
def without_subnormals() -> Iterator[None]:
    """A context in which the CPU treats subnormal numbers as 0, in this thread and in those that torch starts in it.

    Weight decay makes unused weights subnormal. A CPU multiplies such numbers up to 200 times more slowly, and a run
    takes several times as long.
    """
    flushed_before = not bool(torch.tensor(2.0**-140) * 0.5)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed_before)


def check_data(recipe: Recipe, pictures: Path | str | Mapping[Path | str, float] | None) -> None:
    """Raise DataError if the dataset of a recipe does not take several folders, or URLs."""
    dataset = resolve("dataset", recipe.dataset)
    if isinstance(pictures, Mapping) and not getattr(dataset, "several_folders", False):
        raise DataError(f"the dataset {recipe.dataset} takes one folder of data, not {len(pictures)}.")
    url = next(filter(is_url, pictures if isinstance(pictures, Mapping) else [pictures or ""]), None)
    if url and not getattr(dataset, "takes_urls", False):
        raise DataError(f"the dataset {recipe.dataset} takes folders, not URLs such as {url}: use --dataset shards.")


def _compared(setting: str, recipe: Recipe) -> Any:
    """The value of a setting, without the options that may change when a run is resumed."""
    value = getattr(recipe, setting)
    return {k: v for k, v in value.items() if k not in _OF_READING} if setting == "dataset_options" else value


def _check_resumable(recipe: Recipe, folder: Path) -> str:
    """Raise TrainingError if a run cannot be resumed; return a line for the log, or ""."""
    try:
        torch.load(folder / "last.ckpt", weights_only=True, map_location="meta")
    except Exception as problem:  # unpickling damaged bytes raises exceptions of any class
        raise TrainingError(f"{folder}/last.ckpt is damaged and cannot be resumed. Name another --output.") from problem
    before = load_recipe(str(folder / "recipe.toml"))
    changed = [
        f"{entry.name.replace('_', '-')} ({getattr(before, entry.name)} before, {getattr(recipe, entry.name)} now)"
        for entry in fields(Recipe)
        if entry.name not in _MAY_CHANGE
        and not is_same(entry.name, *(_compared(entry.name, each) for each in (before, recipe)))
    ]
    if changed:
        raise TrainingError(
            f"the run in {folder} has another recipe: {', '.join(changed)}. Resume it with its own,"
            f" {folder / 'recipe.toml'}, or name another --output."
        )
    if (before.epochs, before.steps) != (recipe.epochs, recipe.steps):
        return "the run has another length now; learning rates follow its schedule from this step on"
    return ""
