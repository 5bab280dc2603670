"""The progress of a run: a bar on a terminal, plain lines elsewhere, if the program shows any."""

import sys
import time
from collections.abc import Sequence
from typing import Any, cast

from lightning.pytorch import LightningModule, Trainer
from tqdm import tqdm

from omega_train.callbacks.base import RunCallback
from omega_train.callbacks.throughput import Throughput
from omega_train.data.batches import Batch
from omega_train.distributed import rank
from omega_train.log import log, progress_log, shows_progress
from omega_train.task import CodecTask

SECONDS = 10.0  # minimum time between plain lines


class Progress(RunCallback):
    """Shows and logs the steps of a run, in the first process; each process logs warnings about its own pictures.

    Lightning's progress bars count epochs, and outside of a terminal they print nothing or too much.

    throughput: measures the images per second. notes: lines about the dataset, logged when training begins.
    """

    def __init__(self, throughput: Throughput, notes: Sequence[str] = ()) -> None:
        self.throughput, self.notes = throughput, notes
        self.steps = 0
        self._bar: tqdm[Any] | None = None
        self._logged = time.monotonic()
        self._remarks: set[str] = set()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        step, self.steps = trainer.global_step, cast(CodecTask, pl_module).steps
        terminal = sys.stderr is not None and sys.stderr.isatty()
        if trainer.is_global_zero and terminal and shows_progress():
            self._bar = tqdm(total=self.steps, initial=step, unit="step", dynamic_ncols=True)
        for line in (f"step {step} of {self.steps}", *self.notes):
            self.say(line)

    def after_step(self, trainer: Trainer, task: CodecTask, batch: Batch) -> None:
        step, self.steps = trainer.global_step, task.steps
        for remark in batch.remarks:
            if remark not in self._remarks:
                self._remarks.add(remark)
                self._clear()
                log.warning(f"{remark} (warnings so far: {len(self._remarks)})")
        if self._bar is not None:
            self._bar.total = self.steps
            self._bar.update(step - self._bar.n)
            self._bar.set_postfix_str(self._note(task), refresh=False)
        elif time.monotonic() - self._logged > SECONDS:
            self._logged = time.monotonic()
            self.report(step, self._note(task))

    def _note(self, task: CodecTask) -> str:
        speed = self.throughput.images_per_second
        return f"loss {float(task.last['loss']):.4f}, {float(task.last['bpp']):.3f} bpp, {speed:.0f} images/s"

    def report(self, step: int, line: str) -> None:
        """Log a line about a step, in the first process."""
        self.say(f"step {step} of {self.steps}: {line}")

    def say(self, line: str) -> None:
        """Log a line, in the first process."""
        if rank() == 0:
            self._clear()
            progress_log.info(line)

    def _clear(self) -> None:
        """Remove the bar before a line is printed in its place."""
        if self._bar is not None:
            self._bar.clear()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
