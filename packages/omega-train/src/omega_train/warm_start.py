"""Initialization of a task with the weights of a model or another run."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from omega_core.codec.model_file import ModelFile, name_in_codec, read_model
from omega_core.codec.model_names import model_path
from omega_core.errors import ModelFileError, TrainingError
from omega_core.plugins.registry import resolve
from omega_train.checkpoint_reading import read_checkpoint, weights_of
from omega_train.task import CodecTask

_CODEC = "codec."  # the prefix of names in the state of a task
_PRIOR = "prior."
_SHOWN = 3


def warm_start(task: CodecTask, source: str | PathLike[str]) -> str:
    """Load all arrays of a model or a run that fit a task by name and shape; return text for the log.

    task: changed in place; arrays are converted to its precision.
    source: a model file, the name of a bundled model, or a run folder, of which the last checkpoint is used: its moving
        average if there is one, otherwise its weights.

    If possible, the prior starts from the frozen tables of a model: see `Prior.begin_with`.

    Raises ModelFileError or TrainingError if the source is neither a model nor a run, or if no array fits.
    """
    file = None if Path(source).is_dir() else read_model(model_path(source))
    given = _of_run(Path(source)) if file is None else _of_model(file)
    own = task.codec.state_dict()
    fitting = {name: tensor for name, tensor in given.items() if name in own and own[name].shape == tensor.shape}
    if not fitting:
        raise TrainingError(f"no array of {source} fits this recipe by name and shape: leave out --init.")
    task.codec.load_state_dict(fitting, strict=False)
    prior_taken = file is not None and _begin_prior(task, file, source)
    others = [
        f"{name} {tuple(given[name].shape)} here {tuple(own[name].shape)}"
        for name in given
        if name in own and name not in fitting
    ]
    unknown = [f"{name} {tuple(given[name].shape)}" for name in given if name not in own]
    parts = [f"init: {len(fitting)} of {len(given)} arrays of {Path(source).name} loaded"]
    parts += [f"left out because their shapes differ: {_listed(others)}"] if others else []
    parts += [f"left out because this recipe has no such names: {_listed(unknown)}"] if unknown else []
    parts += ["the prior starts from its tables"] if prior_taken else []
    fresh = [name for name in own if name not in fitting and not (prior_taken and name.startswith(_PRIOR))]
    parts += [f"not initialized from it: {_listed(fresh)}"] if fresh else []
    if task.prior is not None and file is not None and not prior_taken:
        parts.append("the prior starts from scratch: files are larger until it is trained")
    return "; ".join(parts)


def _of_run(folder: Path) -> dict[str, Tensor]:
    """The weights of a run, with names as in `ImageCodec.state_dict()`."""
    found = weights_of(read_checkpoint(folder))
    return {name.removeprefix(_CODEC): tensor for name, tensor in found.items() if name.startswith(_CODEC)}


def _of_model(file: ModelFile) -> dict[str, Tensor]:
    """The weights of a model file without its frozen prior, with names as in `ImageCodec.state_dict()`."""
    taken = {name: torch.from_numpy(array) for name, array in file.arrays.items() if not name.startswith(_PRIOR)}
    return {name_in_codec(name): tensor for name, tensor in taken.items()}


def _begin_prior(task: CodecTask, file: ModelFile, source: str | PathLike[str]) -> bool:
    """Start the prior of a task from the frozen one of a model file; return whether this is possible.

    source: the path or name of the file, for the error. Raises ModelFileError if the frozen prior is damaged.
    """
    choice = file.description.prior
    if task.prior is None or choice is None or resolve("prior", choice.name) is not type(task.prior):
        return False
    arrays = {name.removeprefix(_PRIOR): each for name, each in file.arrays.items() if name.startswith(_PRIOR)}
    task.prior.follow(task.quantizer.refinement())  # the refinement of the loaded weights
    try:
        return task.prior.begin_with(task.prior.thaw(arrays))
    except (KeyError, ValueError) as problem:
        raise ModelFileError(f"the prior of {source} is damaged: {problem}.") from problem


def _listed(names: Sequence[str]) -> str:
    """The first names, and the number of the others."""
    more = f", … (+{len(names) - _SHOWN})" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
