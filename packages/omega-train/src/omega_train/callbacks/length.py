"""The length of a run: it ends at its last step, and schedules with it."""

from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim.lr_scheduler import LambdaLR

from omega_train.optimizers import follow_schedule
from omega_train.pace import Pace
from omega_train.task import CodecTask


class RunLength(Callback):
    """Stops training after `CodecTask.steps` steps.

    pace: what says how many they are, where that depends on time; None where they are given.
    """

    def __init__(self, pace: Pace | None = None) -> None:
        self.pace = pace

    def planned(self, task: CodecTask, step: int) -> int:
        """How many steps this process plans for, where so many are done; to be asked once after each step."""
        return task.steps if self.pace is None else self.pace.steps(step)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give schedules the length of this run, which may not be that of the checkpoint; stop if nothing is left."""
        task = cast(CodecTask, pl_module)
        if self.pace is not None:
            task.steps = self.pace.start(trainer.global_step)
        for config in trainer.lr_scheduler_configs:
            follow_schedule(cast(LambdaLR, config.scheduler))
        trainer.should_stop = trainer.global_step >= task.steps

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop after the last step."""
        trainer.should_stop = trainer.global_step >= cast(CodecTask, pl_module).steps
