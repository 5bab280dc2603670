"""Checkpoints, which resuming goes on from."""

import math
import time
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from omega_core.errors import OutputError
from omega_core.files import replacing
from omega_train.callbacks.signals import StopSignals
from omega_train.callbacks.validation import Validator
from omega_train.task import CodecTask


class Checkpoints(Callback):
    """Saves a run after each validation, before a signal stops it, and wherever some minutes have passed since.

    The file appears whole or not at all, in place of the one before; all processes save at the same steps. Lightning's
    `ModelCheckpoint` does neither.

    path: of the file. save_minutes: after so many since it last saved, it saves at the next step.
    due: whether so many have passed for any of the processes, as all know.
    """

    def __init__(
        self, path: Path, *, save_minutes: float = math.inf, validator: Validator, signals: StopSignals
    ) -> None:
        self.path, self.seconds = path, 60 * save_minutes
        self.validator, self.signals = validator, signals
        self.due, self._saved = False, time.monotonic()

    def overdue(self) -> bool:
        """Whether the minutes have passed for this process."""
        return time.monotonic() - self._saved > self.seconds

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count minutes from here on."""
        self._saved = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where it is due. Raises OutputError."""
        validated = self.validator.is_due(cast(CodecTask, pl_module), trainer.global_step)
        if validated or self.due or self.signals.agreed:
            self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Save the run as it is. Raises OutputError."""
        try:
            if trainer.is_global_zero:
                with replacing(self.path) as temporary:
                    trainer.save_checkpoint(temporary)
            else:
                trainer.save_checkpoint(self.path)
        except RuntimeError as problem:  # how torch reports a full disk
            raise OutputError(f"cannot write {self.path}: {problem}.") from problem
        self.due, self._saved = False, time.monotonic()
