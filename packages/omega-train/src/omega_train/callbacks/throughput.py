"""How many images a run trains on in a second."""

import time
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from omega_train.task import CodecTask
from omega_train.time_limit import UNTIMED


class Throughput(Callback):
    """Measures all processes together, since the last pause; the first steps, which take longer, apart.

    images_per_second: as measured when the last step was done.
    """

    def __init__(self) -> None:
        self.images_per_second = 0.0
        self._begun = 0
        self._since: tuple[int, float] | None = None

    def pause(self) -> None:
        """What happens until the next step does not count."""
        self._since = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Training begins, or goes on, at a step."""
        self._begun, self._since = trainer.global_step, (trainer.global_step, time.monotonic())

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Measure from here on after a pause."""
        if self._since is None:
            self._since = trainer.global_step, time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure up to here."""
        assert self._since is not None  # noqa: S101 (set before each step)
        step, began = self._since
        images = (trainer.global_step - step) * cast(CodecTask, pl_module).recipe.batch_size * trainer.world_size
        self.images_per_second = images / (time.monotonic() - began)
        if trainer.global_step == self._begun + UNTIMED:
            self.pause()
