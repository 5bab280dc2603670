"""Re-initialization of unused symbols."""

from lightning.pytorch import Trainer

from omega_train.callbacks.base import RunCallback
from omega_train.callbacks.progress import Progress
from omega_train.data.batches import Batch
from omega_train.phases import Phase
from omega_train.task import CodecTask


class DeadSymbols(RunCallback):
    """Re-initializes unused symbols near frequently used ones, at regular intervals in the joint phase.

    every: the interval in steps.
    """

    def __init__(self, every: int, progress: Progress) -> None:
        self.every, self.progress = every, progress

    def after_step(self, trainer: Trainer, task: CodecTask, batch: Batch) -> None:
        step = trainer.global_step
        if step % self.every == 0 and task.phase(step) is Phase.JOINT:
            self.progress.report(step, f"{task.reset_dead_symbols(step)} symbols reset")
