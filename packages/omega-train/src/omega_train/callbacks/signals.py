"""Signals that stop a run: it saves first, and a job of SLURM goes back into the queue."""

import signal
import threading
from types import FrameType
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from omega_core.errors import TrainingError
from omega_train.cluster import requeue, stop_signals
from omega_train.distributed import rank
from omega_train.task import CodecTask


class Interrupted(TrainingError):
    """A signal asked the run to stop, and it saved first. status: the exit status of a command so stopped."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.status = 128 + signal_number


class StopSignals(Callback):
    """Ends a run that was sent a signal by raising Interrupted: after the step that is being done, once it is saved.

    A second signal, or one while the model is being finished, ends it at once.

    received: the number of the signal that this process was sent, or 0.
    agreed: of one that any process was sent, as all know, or 0.
    """

    def __init__(self) -> None:
        self.received = self.agreed = 0
        self._finishing = False
        self._handlers: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over signals from Lightning, which has just taken them over itself."""
        if threading.current_thread() is threading.main_thread():
            for number in stop_signals():
                self._handlers[number] = signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._finishing and number == getattr(signal, "SIGUSR1", None) and rank() > 0:
            return  # the first process puts the job back into the queue, which ends this one
        if self.received or self._finishing:
            self._stop_at_once(number)
        self.received = number

    def _stop_at_once(self, number: int) -> None:
        for ours in self._handlers:
            signal.signal(ours, signal.SIG_IGN)
        name = signal.Signals(number).name
        again = requeue(number) if self._finishing and rank() == 0 else ""
        raise Interrupted(
            f"stopped at once by {name}; --resume goes on from the last checkpoint, if any.{again}", number
        )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop if a signal has asked for it, unless that was the last step."""
        step, steps = trainer.global_step, cast(CodecTask, pl_module).steps
        if not self.agreed or step >= steps:
            return
        again = requeue(self.agreed) if trainer.is_global_zero else ""
        trainer.strategy.barrier()  # who ends before the job is back in the queue may end the first process too
        name = signal.Signals(self.agreed).name
        raise Interrupted(
            f"stopped by {name} at step {step} of {steps}; --resume goes on from there.{again}", self.agreed
        )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """All steps are saved: from here on signals end the run at once."""
        self._finishing = True
        if self.received:
            self._stop_at_once(self.received)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """As at the end: Lightning calls no `teardown` then."""
        self.teardown(trainer, pl_module, "fit")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give signals back."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
