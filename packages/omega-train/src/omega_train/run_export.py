"""Export of a model from the last checkpoint of a run, during the run or after it."""

from os import PathLike
from pathlib import Path

import torch

from omega_core.contracts.dataset import Dataset
from omega_core.errors import OutputError, TrainingError
from omega_core.file_io import is_written
from omega_core.locations import local_path
from omega_core.plugins.registry import build
from omega_train.checkpoint_reading import read_checkpoint, weights_of
from omega_train.data.folder_shares import Data, several
from omega_train.model_writing import complete
from omega_train.recipe import load_recipe
from omega_train.run import check_data, without_subnormals
from omega_train.task import CodecTask


def export_run(
    folder: str | PathLike[str],
    output: str | PathLike[str],
    *,
    data: Data | None = None,
    overwrite: bool = False,
    device: str = "cpu",
    workers: int = 0,
) -> Path:
    """Write the model of a run's last checkpoint, completed as at the end of a run, and return its path.

    The weights are the moving average if there is one. The prior is counted over the training pictures, limited by the
    trainer's option `counted`. Channels are sorted if the recipe has `sort_channels`. The run folder is only read.

    folder: the run folder. output: the path of the model file, outside of the run folder.
    data: the folders of the pictures, as for `train`.
    overwrite: whether an existing file may be replaced.
    device: the torch device of the computation. "cpu" does not slow down a run on a GPU.
    workers: the number of processes that read pictures; 0 reads them in this process.

    Raises TrainingError if the folder has no checkpoint or the device does not exist, OutputError if the model cannot
    be written, DataError or RecipeError if the pictures or the recipe cannot be read.
    """
    folder, output = local_path(folder), local_path(output)
    if folder.resolve() in output.resolve().parents:
        raise OutputError(f"{output} is in the run folder, to which the run itself writes: choose another --output.")
    if output.is_dir() or (is_written(output) and not overwrite):
        raise OutputError(f"{output} already exists: name another --output, or replace a file with --overwrite.")
    checkpoint, pictures = read_checkpoint(folder), several(data)
    recipe = load_recipe(str(folder / "recipe.toml"))
    check_data(recipe, pictures)
    with without_subnormals():
        dataset: Dataset = build("dataset", recipe.dataset, recipe.dataset_options, data=pictures, seed=recipe.seed)
        task = CodecTask(recipe)
        try:
            task.load_state_dict(weights_of(checkpoint))
            task.to(device)
        except (RuntimeError, AssertionError, TypeError) as problem:  # no such device, or one without float64
            reason = str(problem).splitlines()[0]
            raise TrainingError(f"cannot make a model of {folder} on the device {device}: {reason}") from problem
        with torch.no_grad():
            most = recipe.trainer_options.get("counted")
            complete(task, output, dataset.train, workers, most if isinstance(most, int) else None)
            return output
