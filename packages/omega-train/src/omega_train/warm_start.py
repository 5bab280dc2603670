"""Training that begins with what another run learned."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from omega_core.codec.loading import model_path
from omega_core.codec.model_file import read_model
from omega_core.errors import TrainingError
from omega_train.checkpoint import read_checkpoint, weights_of
from omega_train.export import RELAXATION
from omega_train.task import CodecTask

_CODEC = "codec."  # what names in the state of a task begin with
_SHOWN = 3


def collect(source: str | PathLike[str]) -> dict[str, Tensor]:
    """What a model or a run has learned, named as in `ImageCodec.state_dict()`.

    source: a model file, the name of a bundled model, or a run folder, of whose last checkpoint it is the moving
        average if there is one, and else the weights.

    A model has only frozen tables of its prior, which no training goes on from: they are left out. What it has under
    "relaxation.prior." is the state of the `relaxation` of its prior, and so for its other parts.

    Raises ModelFileError or TrainingError where there is neither.
    """
    if Path(source).is_dir():
        found = weights_of(read_checkpoint(Path(source)))
        return {name.removeprefix(_CODEC): tensor for name, tensor in found.items() if name.startswith(_CODEC)}
    arrays = read_model(model_path(source)).arrays
    taken = {name: torch.from_numpy(array) for name, array in arrays.items() if not name.startswith("prior.")}
    return {_in_codec(name): tensor for name, tensor in taken.items()}


def _in_codec(name: str) -> str:
    """The name of an array of a model in the state of a codec."""
    if not name.startswith(RELAXATION):
        return name
    part, _, rest = name.removeprefix(RELAXATION).partition(".")
    return f"{part}.{RELAXATION}{rest}"


def warm_start(task: CodecTask, source: str | PathLike[str]) -> str:
    """Give a task all arrays of a model or a run that fit it by name and shape; return what was done, for people.

    Numbers are converted to the precision of the task. Raises ModelFileError or TrainingError for a source that is
    neither a model nor a run, or that fits nowhere.
    """
    given = collect(source)
    own = task.codec.state_dict()
    fitting = {name: tensor for name, tensor in given.items() if name in own and own[name].shape == tensor.shape}
    if not fitting:
        raise TrainingError(f"nothing in {source} fits the parts of this recipe by name and shape: begin without it.")
    task.codec.load_state_dict(fitting, strict=False)
    others = [
        f"{name} {tuple(given[name].shape)} here {tuple(own[name].shape)}"
        for name in given
        if name in own and name not in fitting
    ]
    unknown = [f"{name} {tuple(given[name].shape)}" for name in given if name not in own]
    said = [f"init: {len(fitting)} of {len(given)} arrays of {Path(source).name} taken"]
    said += [f"left out, as their shapes differ: {_listed(others)}"] if others else []
    said += [f"left out, as this recipe has none of the name: {_listed(unknown)}"] if unknown else []
    fresh = [name for name in own if name not in fitting]
    said += [f"begin as without it: {_listed(fresh)}"] if fresh else []
    return "; ".join(said)


def _listed(names: Sequence[str]) -> str:
    """Some of them, and how many more there are."""
    more = f", … (+{len(names) - _SHOWN})" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
