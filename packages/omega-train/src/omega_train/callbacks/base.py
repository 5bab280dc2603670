"""The base class of the callbacks of a run."""

from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from omega_train.data.batches import Batch
from omega_train.task import CodecTask


class RunCallback(Callback):
    """A callback with a method for the end of a step; its `teardown` is also called after exceptions."""

    def after_step(self, trainer: Trainer, task: CodecTask, batch: Batch) -> None:
        """Act after a training step.

        trainer: its `global_step` is the number of completed steps, including this one.
        task: the task that is trained. batch: the batch of the step.
        """

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.after_step(trainer, cast(CodecTask, pl_module), batch)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.teardown(trainer, pl_module, "fit")  # Lightning does not call `teardown` after an exception
