"""What `last.ckpt` in a run folder holds, for those who do not resume the run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from omega_core.errors import TrainingError


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """All of it, on the CPU, read once: a run that goes on meanwhile puts another file in its place.

    Raises TrainingError where there is none, or one that is damaged.
    """
    path = folder / "last.ckpt"
    try:
        read: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        if "state_dict" not in read:
            raise ValueError(path)
    except FileNotFoundError as problem:
        raise TrainingError(f"{folder} is no run folder, or has no checkpoint yet: there is no {path}.") from problem
    except Exception as problem:  # whatever damaged bytes make of unpickling
        raise TrainingError(f"{path} is damaged, or no checkpoint of a run.") from problem
    return read


def weights_of(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state of the task, named as in `CodecTask.state_dict()`, with the moving average of weights if there is one.

    That is what models are made of.
    """
    averages = [state["average"] for state in checkpoint.get("callbacks", {}).values() if "average" in state]
    return {**checkpoint["state_dict"], **(averages[0] if averages else {})}
