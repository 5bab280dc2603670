"""The check that the processes of a run have the same data, and that it is resumed with the same."""

import math
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from omega_core.contracts.dataset import Dataset
from omega_core.errors import TrainingError
from omega_train.callbacks.best import BestModel
from omega_train.data.identity import digest, identity
from omega_train.data.picture_files import some
from omega_train.distributed import gathered, rank, world_size
from omega_train.log import log

KINDS = {"train": "training", "validation": "validation"}


class SameData(Callback):
    """Checks that all processes, and a resumed run, have the same pictures: see `identity`.

    The order of samples then stays the same, and validation losses are of the same pictures. Processes with different
    numbers of pictures would wait for each other forever. A resumed run also needs the same shares of folders and
    number of processes.

    dataset: the dataset of the run.
    changed: whether different pictures are logged instead of raising an error. If validation pictures differ, the best
        validation loss is then reset.
    best: the best model of the run.
    """

    def __init__(self, dataset: Dataset, *, changed: bool, best: BestModel) -> None:
        self.changed, self.best = changed, best
        self.parts, self.names, self.counts = {}, {}, {}
        for part, images in (("train", dataset.train), ("validation", dataset.validation)):
            self.parts[part], self.names[part] = identity(images)
            self.counts[part] = len(images)
        self.shares: list[int] = list(getattr(getattr(dataset.train, "mixture", None), "samples", ()))
        self._forget = False

    def state_dict(self) -> dict[str, Any]:
        """The state for a checkpoint: the number of processes, the shares of folders, and digests of the pictures."""
        return {"processes": world_size(), "shares": self.shares, **self.parts}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Compare the data with those of the checkpoint. Raises TrainingError if they differ."""
        if state_dict["processes"] != world_size():
            raise TrainingError(
                f"this run had {state_dict['processes']} processes and has {world_size()} now: resume it with as many"
                " processes as before."
            )
        found = [self._difference(part, state_dict[part].tolist()) for part in self.parts]
        if state_dict["shares"] != self.shares and not any(found):
            found.append("the shares of its folders differ")
        if not any(found):
            return
        differences = "; ".join(each for each in found if each)
        if not self.changed:
            raise TrainingError(
                f"this run had other pictures: {differences}. Resume it with the same data, folders in the same order"
                " and with the same shares; or accept these with --trainer-option changed-data=true; or start another"
                " run."
            )
        self._forget = bool(found[1])
        if rank() == 0:
            log.warning(f"the run continues with other pictures than before: {differences}")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the data of the processes. Raises TrainingError in all of them if those of two differ.

        All callbacks have loaded their state before: the best loss is reset if it was measured on other pictures.
        """
        found = gathered({part: (self.counts[part], digest(self.parts[part].numpy().tobytes())) for part in KINDS})
        for process, theirs in enumerate(found):
            for part, kind in KINDS.items():
                if theirs[part] != found[0][part]:
                    raise TrainingError(
                        f"process {process} of this run found {theirs[part][0]} {kind} pictures and process 0"
                        f" {found[0][part][0]}, or not the same ones: all processes need the same files, in the same"
                        " order, which do not change while they start."
                    )
        if self._forget:
            self.best.loss = math.inf

    def _difference(self, part: str, before: Sequence[int]) -> str:
        """A description of how the pictures of a part differ from those before; "" if they are the same."""
        now = self.parts[part].tolist()
        kind = KINDS[part]
        if len(before) != len(now):
            known = set(before)
            new = [name for name, each in zip(self.names[part], now, strict=True) if each not in known]
            missing = len(set(before) - set(now))
            counts = f"{len(before)} {kind} pictures before, {len(now)} now"
            return f"{counts}, {missing} missing and {len(new)} new" + (f" ({some(new)})" if new else "")
        other = [name for name, one, two in zip(self.names[part], before, now, strict=True) if one != two]
        return f"{len(other)} of {len(now)} {kind} pictures differ ({some(other)})" if other else ""
