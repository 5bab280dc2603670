"""A run is resumed with the data that it began with."""

import warnings
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback

from omega_core.contracts.dataset import Dataset, Images
from omega_core.errors import OmegaWarning, TrainingError
from omega_train.distributed import world_size

SAMPLED = 32  # pictures of each part that are compared
_TOLERANCE = 0.5  # of means of 8-bit pixels, by which decoders differ


class SameData(Callback):
    """Refuses to resume a run with other pictures, or with another number of them or of processes.

    Each sample then stays where it is in the course of training.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.means = {"train": _means(dataset.train), "validation": _means(dataset.validation)}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the counts, and means of some pictures."""
        return {"counts": self._counts(), "means": self.means}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Compare with the state of the run that is resumed. Raises TrainingError where that had others."""
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
    """The means of some pictures, which tell them from others, wherever they are and whatever decodes them."""
    count = min(SAMPLED, len(images))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OmegaWarning)  # they are said when the pictures are needed
        return [float(images.load(i * len(images) // SAMPLED, 0).mean()) for i in range(count)]


def _differ(before: Sequence[float], now: Sequence[float]) -> bool:
    return any(abs(one - other) > _TOLERANCE for one, other in zip(before, now, strict=True))
