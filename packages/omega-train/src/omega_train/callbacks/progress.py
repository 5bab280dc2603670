"""What a person sees of a run: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Sequence
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from tqdm import tqdm

from omega_train.callbacks.throughput import Throughput
from omega_train.data.batches import Batch
from omega_train.distributed import rank
from omega_train.log import log
from omega_train.task import CodecTask

SECONDS = 10.0  # between plain lines


class Progress(Callback):
    """Follows the steps of a run. The first process speaks for all, but each of what was wrong with its pictures.

    Lightning's progress bars count epochs, and are silent outside of a terminal or fill it.

    notes: what is worth a line when training begins.
    """

    def __init__(self, throughput: Throughput, notes: Sequence[str] = ()) -> None:
        self.throughput, self.notes = throughput, notes
        self.steps = 0
        self._bar: tqdm[Any] | None = None
        self._spoke = time.monotonic()
        self._remarks: set[str] = set()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show that training begins, or goes on, at a step."""
        step, self.steps = trainer.global_step, cast(CodecTask, pl_module).steps
        if trainer.is_global_zero and sys.stderr.isatty():
            self._bar = tqdm(total=self.steps, initial=step, unit="step", dynamic_ncols=True)
        for line in (f"step {step} of {self.steps}", *self.notes):
            self.say(line)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Show that a step is done, and how it went."""
        task, step = cast(CodecTask, pl_module), trainer.global_step
        self.steps = task.steps
        for remark in batch.remarks:
            if remark not in self._remarks:
                self._remarks.add(remark)
                self._line(f"{remark} ({len(self._remarks)} such so far)")
        speed = self.throughput.images_per_second
        note = f"loss {float(task.last['loss']):.4f}, {float(task.last['bpp']):.3f} bpp, {speed:.0f} images/s"
        if self._bar is not None:
            self._bar.total = self.steps
            self._bar.update(step - self._bar.n)
            self._bar.set_postfix_str(note, refresh=False)
        elif time.monotonic() - self._spoke > SECONDS:
            self._spoke = time.monotonic()
            self.report(step, note)

    def report(self, step: int, line: str) -> None:
        """Say what happened at a step."""
        self.say(f"step {step} of {self.steps}: {line}")

    def say(self, line: str) -> None:
        """Say something that is the same in all processes, on a line of its own."""
        if rank() == 0:
            self._line(line)

    def _line(self, line: str) -> None:
        if self._bar is not None:
            self._bar.clear()
        log.info(line)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """As at the end: Lightning calls no `teardown` then."""
        self.teardown(trainer, pl_module, "fit")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
