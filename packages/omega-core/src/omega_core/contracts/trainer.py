"""Trainers: from a recipe to a model file."""

from pathlib import Path
from typing import Any, Protocol


class Trainer(Protocol):
    """Trains the model of a recipe.

    Made as `Class(recipe=…, data=folder or None, **options)`, with an `omega_train.Recipe` and options about the
    machine, such as its accelerator. `data` goes to the dataset unchanged: for datasets with `several_folders` it may
    be a mapping of folders to shares. The constructor raises OmegaError for a recipe that cannot be trained.

    `omega train` passes `--accelerator`, `--devices`, `--nodes`, `--precision`, `--workers` and `--init` as options of
    these names if they are set, and `--compile` as `compiled=True`. A trainer has the options that it supports; others
    are refused. Progress is logged with `logging.getLogger("omega_train.progress")`, which the command prints and keeps
    in `train.log`.

    `--resume` and `omega export` need the file `last.ckpt` in the run folder, which `torch.load(weights_only=True)`
    reads; a trainer that cannot resume writes none.
    """

    def __init__(self, *, recipe: Any, data: Path | None) -> None: ...

    def train(self, folder: Path, *, resume: bool = False) -> Path:
        """Train into a run folder and return the path of the best model.

        folder: the folder for checkpoint, metrics, log and model; made if missing.
        resume: continue from the checkpoint in the folder.

        `recipe.toml` is in the folder already. Raises TrainingError if the run cannot continue.
        """
