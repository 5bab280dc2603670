"""The state that the processes of a run share after each step."""

import math

from lightning.pytorch import LightningModule, Trainer

from omega_core.errors import TrainingError
from omega_train.callbacks.base import RunCallback
from omega_train.callbacks.checkpoints import Checkpoints
from omega_train.callbacks.run_length import RunLength
from omega_train.callbacks.signals import StopSignals
from omega_train.callbacks.validation import check_finite
from omega_train.data.batches import Batch
from omega_train.distributed import all_reduce_max
from omega_train.task import CodecTask


class Agreement(RunCallback):
    """Shares signals, non-finite losses, overdue checkpoints and the planned number of steps, with one all-reduce.

    If a process acted alone, the others would wait for it forever. The other callbacks act later in the same step.
    Raises TrainingError in all processes if the loss of one is not finite.
    """

    def __init__(self, length: RunLength, checkpoints: Checkpoints, signals: StopSignals) -> None:
        self.length, self.checkpoints, self.signals = length, checkpoints, signals

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen to signals, before the log reports the start of training."""
        self.signals.listen()

    def after_step(self, trainer: Trainer, task: CodecTask, batch: Batch) -> None:
        step, loss = trainer.global_step, float(task.last["loss"])
        signal, non_finite, overdue, steps = all_reduce_max(
            [
                self.signals.received,
                not math.isfinite(loss),
                self.checkpoints.overdue(),
                self.length.planned(task, step),
            ],
            trainer.strategy.root_device,
        )
        if non_finite:
            check_finite(loss, f"step {step}", batch)
            raise TrainingError(f"the loss of another process is not finite at step {step}.")
        self.signals.agreed, self.checkpoints.due, task.steps = int(signal), bool(overdue), int(steps)
