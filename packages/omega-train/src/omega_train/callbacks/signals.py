"""Signals that stop a run, after a checkpoint; a SLURM job is requeued."""

import signal
import threading
import time
from types import FrameType
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from omega_core.errors import TrainingError
from omega_core.processes import raise_from_handler
from omega_train.callbacks.base import RunCallback
from omega_train.data.batches import Batch
from omega_train.distributed import all_reduce_max, rank
from omega_train.job_environment import requeue, stop_signals
from omega_train.task import CodecTask

_REPEATED = 2.0
"""Seconds within which a second SIGTERM counts as the first one. A SIGTERM to all processes of a job arrives twice:
directly, and passed on by torchrun."""


class Interrupted(TrainingError):
    """A signal stopped the run. status: the exit status of the command, 128 plus the number of the signal."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.status = 128 + signal_number


class StoppedAtOnce(BaseException):
    """A signal handler raises this; `LightningTrainer.train` raises the Interrupted that it contains.

    It is not an Exception, because the interrupted code could handle one as its own, for example as a damaged picture.
    """

    def __init__(self, interrupted: Interrupted) -> None:
        super().__init__(str(interrupted))
        self.interrupted = interrupted


class StopSignals(RunCallback):
    """Raises Interrupted when the run receives a signal: after the current step, once its checkpoint is written.

    A second signal, or one while the model is being finished, stops the run at once.

    received: the number of the signal that this process received, or 0.
    agreed: the number of a signal that any process received, or 0; set by `Agreement`.
    """

    def __init__(self) -> None:
        self.received = self.agreed = 0
        self._since = 0.0
        self._finishing = False
        self._handlers: dict[int, Any] = {}

    def listen(self) -> None:
        """Replace the signal handlers, which Lightning sets just before training starts."""
        if threading.current_thread() is threading.main_thread():
            for number in stop_signals():
                self._handlers[number] = signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._finishing and number == getattr(signal, "SIGUSR1", None) and rank() > 0:
            return  # the first process requeues the job, which ends this one
        if number == self.received == signal.SIGTERM and time.monotonic() < self._since + _REPEATED:
            return
        if self.received or self._finishing:
            self._stop_at_once(number, requeue(number) if self._finishing and rank() == 0 else "")
        self.received, self._since = number, time.monotonic()

    def _stop_at_once(self, number: int, again: str) -> None:
        """Raise StoppedAtOnce. again: a sentence about the requeued job, or ""."""
        for ours in self._handlers:
            signal.signal(ours, signal.SIG_IGN)
        name = signal.Signals(number).name
        message = f"stopped at once by {name}; --resume continues from the last checkpoint, if any.{again}"
        raise_from_handler(StoppedAtOnce(Interrupted(message, number)))

    def after_step(self, trainer: Trainer, task: CodecTask, batch: Batch) -> None:
        step = trainer.global_step
        if not self.agreed or step >= task.steps:
            return
        again = requeue(self.agreed) if trainer.is_global_zero else ""
        trainer.strategy.barrier()  # a process that ends before the job is requeued may end the first process, too
        name = signal.Signals(self.agreed).name
        raise Interrupted(
            f"stopped by {name} at step {step} of {task.steps}; --resume continues from there.{again}", self.agreed
        )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let signals stop the run at once from now on, because the checkpoint of the last step is written."""
        [number] = all_reduce_max([self.received], trainer.strategy.root_device)
        self._finishing = True
        number = number or self.received
        if number:  # of any process: the others would wait for it
            again = requeue(int(number)) if trainer.is_global_zero else ""
            trainer.strategy.barrier()  # see `after_step`
            self._stop_at_once(int(number), again)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Restore the signal handlers."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
