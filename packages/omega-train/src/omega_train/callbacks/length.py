"""The length of a run: it ends at its last step, and schedules with it."""

from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim.lr_scheduler import LambdaLR

from omega_train.optimizers import follow_schedule
from omega_train.task import CodecTask
from omega_train.time_limit import TimeLimit


class RunLength(Callback):
    """Stops training after `CodecTask.steps` steps.

    time_limit: plans the number of steps where a run has so much time; None where it has so many steps.
    """

    def __init__(self, time_limit: TimeLimit | None = None) -> None:
        self.time_limit = time_limit

    def planned(self, task: CodecTask, step: int) -> int:
        """How many steps this process plans for, where so many are done; to be asked once after each step."""
        return task.steps if self.time_limit is None else self.time_limit.steps(step)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give schedules the length of this run, which may not be that of the checkpoint; stop if nothing is left."""
        task = cast(CodecTask, pl_module)
        if self.time_limit is not None:
            task.steps = self.time_limit.start(trainer.global_step)
        for config in trainer.lr_scheduler_configs:
            follow_schedule(cast(LambdaLR, config.scheduler))
        trainer.should_stop = trainer.global_step >= task.steps

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop after the last step."""
        trainer.should_stop = trainer.global_step >= cast(CodecTask, pl_module).steps
