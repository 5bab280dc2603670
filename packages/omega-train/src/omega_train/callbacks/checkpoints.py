"""Checkpoints, from which runs are resumed."""

import time
from pathlib import Path

from lightning.pytorch import LightningModule, Trainer

from omega_core.errors import OutputError
from omega_core.file_io import replacing
from omega_train.callbacks.base import RunCallback
from omega_train.callbacks.signals import StopSignals
from omega_train.callbacks.validation import Validator
from omega_train.data.batches import Batch
from omega_train.log import log
from omega_train.task import CodecTask


class Checkpoints(RunCallback):
    """Saves a run after each validation, before a signal stops it, and after `save_minutes` without a checkpoint.

    The file atomically replaces the previous one, and all processes save at the same steps. Lightning's
    `ModelCheckpoint` does neither. Raises OutputError if the file cannot be written.

    path: the path of the file.
    save_minutes: the maximum number of minutes between checkpoints.
    validator: determines the steps with a validation. signals: determines whether a signal stops the run.
    due: whether `save_minutes` have passed in any process; set by `Agreement`.
    """

    def __init__(self, path: Path, *, save_minutes: float, validator: Validator, signals: StopSignals) -> None:
        self.path, self.seconds = path, 60 * save_minutes
        self.validator, self.signals = validator, signals
        self.due, self._saved = False, time.monotonic()

    def overdue(self) -> bool:
        """Whether `save_minutes` have passed in this process."""
        return time.monotonic() - self._saved > self.seconds

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._saved = time.monotonic()

    def after_step(self, trainer: Trainer, task: CodecTask, batch: Batch) -> None:
        validated = self.validator.is_due(task, trainer.global_step)
        if validated or self.due or self.signals.agreed:
            self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Write a checkpoint; all processes have to call this. Raises OutputError."""
        try:
            if trainer.is_global_zero:
                with replacing(self.path) as temporary:
                    trainer.save_checkpoint(temporary)
                log.info(f"step {trainer.global_step}: checkpoint")
            else:
                trainer.save_checkpoint(self.path)
        except RuntimeError as problem:  # torch raises this for a full disk
            raise OutputError(f"cannot write {self.path}: {problem}.") from problem
        self.due, self._saved = False, time.monotonic()
