"""Symbols that nothing chooses are moved."""

from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from omega_train.callbacks.progress import Progress
from omega_train.phases import Phase
from omega_train.task import CodecTask


class DeadSymbols(Callback):
    """Moves symbols that nothing chose next to some that are often chosen, every so many steps of the soft phase.

    every: steps.
    """

    def __init__(self, every: int, progress: Progress) -> None:
        self.every, self.progress = every, progress

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move them, after a step at which it is time."""
        task, step = cast(CodecTask, pl_module), trainer.global_step
        if step % self.every == 0 and task.phase(step) is Phase.SOFT:
            self.progress.report(step, f"{task.reset_dead_symbols(step)} symbols reset")
