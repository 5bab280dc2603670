"""What the processes of a run agree on after each step."""

import math
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from omega_core.errors import TrainingError
from omega_train.callbacks.checkpoints import Checkpoints
from omega_train.callbacks.finite import check_finite
from omega_train.callbacks.length import RunLength
from omega_train.callbacks.signals import StopSignals
from omega_train.data.batches import Batch
from omega_train.distributed import all_reduce_max
from omega_train.task import CodecTask


class Agreement(Callback):
    """Tells all processes of signals, of losses that are no numbers, of time to save, and of the run's length.

    That takes one all-reduce. What only one of them knew would leave the others waiting for it. The callbacks that are
    told act on it later in the same step.
    """

    def __init__(self, length: RunLength, checkpoints: Checkpoints, signals: StopSignals) -> None:
        self.length, self.checkpoints, self.signals = length, checkpoints, signals

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Agree. Raises TrainingError in all processes if the loss of one is not a number."""
        task, step = cast(CodecTask, pl_module), trainer.global_step
        loss = float(task.last["loss"])
        own = [
            *(self.signals.received, not math.isfinite(loss)),
            *(self.checkpoints.overdue(), self.length.planned(task, step)),
        ]
        signal, broken, overdue, steps = all_reduce_max(own, trainer.strategy.root_device)
        if broken:
            check_finite(loss, f"step {step}", batch)
            raise TrainingError(f"the loss of another process is not a number at step {step}.")
        self.signals.agreed, self.checkpoints.due, task.steps = int(signal), bool(overdue), int(steps)
