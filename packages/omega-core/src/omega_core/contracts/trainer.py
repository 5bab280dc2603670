"""From a recipe to a model file."""

from pathlib import Path
from typing import Any, Protocol


class Trainer(Protocol):
    """Trains what a recipe describes.

    Made as `Class(recipe=…, data=folder or None, **options)`, where the recipe is an `omega_train.Recipe`
    and the options are those of the machine; making it raises OmegaError if it could not be trained. The data
    set is given `data` as it is: where that takes several folders, it may be a mapping of them to their shares.
    """

    def __init__(self, *, recipe: Any, data: Path | None) -> None: ...

    def train(self, folder: Path, *, resume: bool = False) -> Path:
        """Train into a run folder, or go on with the run in it, and return the path of the best model.

        Raises TrainingError if it cannot go on.
        """
