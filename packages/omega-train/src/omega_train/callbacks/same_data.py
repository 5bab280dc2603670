"""The check that a run is resumed with its own data."""

import math
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from omega_core.contracts.dataset import Dataset
from omega_core.errors import TrainingError
from omega_train.callbacks.best import BestModel
from omega_train.data.identity import identity
from omega_train.data.picture_files import some
from omega_train.distributed import rank, world_size
from omega_train.log import log


class SameData(Callback):
    """Refuses to resume a run with other pictures, shares of folders or numbers of processes: see `identity`.

    So the order of samples stays the same, and losses in validation are compared with those of the same pictures.

    dataset: the data set of the run.
    changed: whether other pictures are a line in the log instead of an error. The best loss in validation is then
        forgotten if they are validation pictures.
    best: the best model of the run.
    """

    def __init__(self, dataset: Dataset, *, changed: bool, best: BestModel) -> None:
        self.changed, self.best = changed, best
        self.parts, self.names = {}, {}
        for part, images in (("train", dataset.train), ("validation", dataset.validation)):
            self.parts[part], self.names[part] = identity(images)
        self.shares: list[int] = list(getattr(getattr(dataset.train, "mixture", None), "samples", ()))
        self._forget = False

    def state_dict(self) -> dict[str, Any]:
        """The state for a checkpoint: the number of processes, and what identifies the pictures."""
        return {"processes": world_size(), "shares": self.shares, **self.parts}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Compare with the checkpoint that is resumed. Raises TrainingError if the data differ."""
        if state_dict["processes"] != world_size():
            raise TrainingError(
                f"this run had {state_dict['processes']} processes and has {world_size()} now: resume it with as many"
                " processes as before."
            )
        found = [self._difference(part, state_dict[part].tolist()) for part in self.parts]
        if state_dict["shares"] != self.shares and not any(found):
            found.append("the shares of its folders are others")
        if not any(found):
            return
        said = "; ".join(each for each in found if each)
        if not self.changed:
            raise TrainingError(
                f"this run had other pictures: {said}. Resume it with the same data, folders in the same order and with"
                " the same shares; or go on with these by --trainer-option changed-data=true; or begin another run."
            )
        self._forget = bool(found[1])
        if rank() == 0:
            log.warning(f"the run goes on with other pictures than before: {said}")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the best loss, which was of other pictures, after all callbacks have loaded their state."""
        if self._forget:
            self.best.loss = math.inf

    def _difference(self, part: str, before: Sequence[int]) -> str:
        """How the pictures of a part differ from those before, in words; "" if they are the same."""
        now = self.parts[part].tolist()
        kind = {"train": "training", "validation": "validation"}[part]
        if len(before) != len(now):
            known = set(before)
            new = [name for name, each in zip(self.names[part], now, strict=True) if each not in known]
            missing = len(set(before) - set(now))
            counts = f"{len(before)} {kind} pictures before, {len(now)} now"
            return f"{counts}, {missing} missing and {len(new)} new" + (f" ({some(new)})" if new else "")
        other = [name for name, one, two in zip(self.names[part], before, now, strict=True) if one != two]
        return f"{len(other)} of {len(now)} {kind} pictures differ ({some(other)})" if other else ""
