"""The content of `last.ckpt` in a run folder, for other uses than resuming the run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from omega_core.errors import TrainingError


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """Load the checkpoint of a run folder onto the CPU, in one read, because a run in progress may replace the file.

    folder: the run folder. Raises TrainingError if there is no checkpoint, or if it is damaged.
    """
    path = folder / "last.ckpt"
    try:
        read: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        if "state_dict" not in read:
            raise ValueError(path)
    except FileNotFoundError as problem:
        raise TrainingError(
            f"{folder} is not a run folder, or has no checkpoint yet: {path} does not exist."
        ) from problem
    except Exception as problem:  # unpickling damaged bytes raises exceptions of any class
        raise TrainingError(f"{path} is damaged, or not the checkpoint of a run.") from problem
    return read


def weights_of(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights for a model: the state of the task, with the moving average in place of the averaged weights.

    checkpoint: as `read_checkpoint` returns it. Names are those of `CodecTask.state_dict()`.
    """
    averages = [state["average"] for state in checkpoint.get("callbacks", {}).values() if "average" in state]
    return {**checkpoint["state_dict"], **(averages[0] if averages else {})}
