"""The speed of training in images per second."""

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from omega_train.callbacks.base import RunCallback
from omega_train.data.batches import Batch
from omega_train.task import CodecTask
from omega_train.time_limit import UNTIMED


class Throughput(RunCallback):
    """Measures the speed of all processes together since the last pause, without the slow first steps.

    images_per_second: the speed after the last step; 0 before the first.
    """

    def __init__(self) -> None:
        self.images_per_second = 0.0
        self._begun = 0
        self._since: tuple[int, float] | None = None

    def pause(self) -> None:
        """Stop measuring until the next step begins."""
        self._since = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begun, self._since = trainer.global_step, (trainer.global_step, time.perf_counter())

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._since is None:
            self._since = trainer.global_step, time.perf_counter()

    def after_step(self, trainer: Trainer, task: CodecTask, batch: Batch) -> None:
        assert self._since is not None  # noqa: S101 (set before each step)
        step, began = self._since
        images = (trainer.global_step - step) * task.recipe.batch_size * trainer.world_size
        self.images_per_second = images / (time.perf_counter() - began)
        if trainer.global_step == self._begun + UNTIMED:
            self.pause()
