"""The check that a run is resumed with its own data."""

import warnings
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback

from omega_core.contracts.dataset import Dataset, Images
from omega_core.errors import OmegaWarning, TrainingError
from omega_train.distributed import world_size

SAMPLED = 32  # the most pictures of each part that are compared
_TOLERANCE = 0.5  # of means of 8-bit pixels, as decoders differ a little


class SameData(Callback):
    """Refuses to resume a run with other pictures, or another number of pictures or processes.

    So the order of samples stays the same. dataset: the data set of the run.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.means = {"train": _means(dataset.train), "validation": _means(dataset.validation)}

    def state_dict(self) -> dict[str, Any]:
        """The state for a checkpoint: the counts, and means of some pictures."""
        return {"counts": self._counts(), "means": self.means}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Compare with the checkpoint that is resumed. Raises TrainingError if the data differ."""
        for what, now in self._counts().items():
            before = state_dict["counts"][what]
            if before != now:
                raise TrainingError(
                    f"this run had {what.format(before)} and has {now} now: resume it with as many processes and"
                    " pictures as before."
                )
        if any(_differ(state_dict["means"][part], means) for part, means in self.means.items()):
            raise TrainingError(
                "this run had other pictures: resume it with the same data, folders in the same order and with the same"
                " shares, or begin another run."
            )

    def _counts(self) -> dict[str, int]:
        return {
            "{} pictures to train with": len(self.dataset.train),
            "{} pictures to validate with": len(self.dataset.validation),
            "{} processes": world_size(),
        }


def _means(images: Images) -> list[float]:
    """The means of some pictures, which do not depend on their paths, and hardly on the decoder."""
    count = min(SAMPLED, len(images))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OmegaWarning)  # the warnings come when training reads the pictures
        return [float(images.load(i * len(images) // SAMPLED, 0).mean()) for i in range(count)]


def _differ(before: Sequence[float], now: Sequence[float]) -> bool:
    return any(abs(one - other) > _TOLERANCE for one, other in zip(before, now, strict=True))
