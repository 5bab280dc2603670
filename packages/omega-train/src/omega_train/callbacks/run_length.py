"""The number of steps after which a run ends."""

from typing import cast

from lightning.pytorch import LightningModule, Trainer
from torch.optim.lr_scheduler import LambdaLR

from omega_train.callbacks.base import RunCallback
from omega_train.data.batches import Batch
from omega_train.optimizers import follow_schedule
from omega_train.task import CodecTask
from omega_train.time_limit import TimeLimit


class RunLength(RunCallback):
    """Stops training after `CodecTask.steps` steps.

    time_limit: plans the number of steps of a run with a time limit; None if the number is fixed.
    """

    def __init__(self, time_limit: TimeLimit | None = None) -> None:
        self.time_limit = time_limit

    def planned(self, task: CodecTask, step: int) -> int:
        """The number of steps that this process plans after step `step`. It has to be called once after each step."""
        return task.steps if self.time_limit is None else self.time_limit.steps(step)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set schedules to the length of this run, which may differ from the checkpoint's; stop if no step is left."""
        task = cast(CodecTask, pl_module)
        if self.time_limit is not None:
            self.time_limit.agree(trainer.strategy.root_device)
            task.steps = self.time_limit.start(trainer.global_step)
        for config in trainer.lr_scheduler_configs:
            follow_schedule(cast(LambdaLR, config.scheduler))
        trainer.should_stop = trainer.global_step >= task.steps

    def after_step(self, trainer: Trainer, task: CodecTask, batch: Batch) -> None:
        trainer.should_stop = trainer.global_step >= task.steps
