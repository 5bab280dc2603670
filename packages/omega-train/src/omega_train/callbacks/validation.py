"""Validation in the course of training."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from omega_core.contracts.dataset import Images
from omega_train.callbacks.best import BestModel
from omega_train.callbacks.finite import check_finite
from omega_train.callbacks.metrics import Metrics
from omega_train.callbacks.progress import Progress
from omega_train.callbacks.throughput import Throughput
from omega_train.data.batches import Batch
from omega_train.export import export
from omega_train.task import CodecTask
from omega_train.validation import Score, validate


class Validator(Callback):
    """Scores the model every so many steps and after the last one, and writes it to a file if it is the best so far.

    model: the path of that file.
    images: what it scores with. every: steps. workers: processes that read the images.
    averaged: within what it returns, the task has the weights that are scored.
    """

    def __init__(
        self,
        model: Path,
        images: Images,
        *,
        every: int,
        workers: int,
        averaged: Callable[[], AbstractContextManager[None]],
        best: BestModel,
        metrics: Metrics,
        progress: Progress,
        throughput: Throughput,
    ) -> None:
        self.model, self.images, self.every, self.workers = model, images, every, workers
        self.averaged, self.best = averaged, best
        self.metrics, self.progress, self.throughput = metrics, progress, throughput

    def is_due(self, task: CodecTask, step: int) -> bool:
        """Whether it validates where so many steps are done."""
        return step % self.every == 0 or step >= task.steps

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Validate where it is due. Raises TrainingError for a loss that is not a number, OutputError for the file."""
        task, step = cast(CodecTask, pl_module), trainer.global_step
        if not self.is_due(task, step):
            return
        with self.averaged():
            found = validate(task, self.images, self.workers)
            check_finite(found.loss, f"the validation after step {step}", batch)
            better = self.best.offer(task, found.loss)
            self.metrics.add_validation(found, "validation", step)
            mark = " (best)" if better else ""
            self.progress.report(step, f"validation loss {found.loss:.5f}{mark}; {curve(found.scores)}")
            if better and task.fitted and trainer.is_global_zero:
                export(task, self.model)
        self.throughput.pause()


def curve(scores: Sequence[Score]) -> str:
    """PSNR and rate at four channel counts at the most, for people."""
    shown = [scores[round(i * (len(scores) - 1) / 3)] for i in range(4)] if len(scores) > 4 else scores
    return ", ".join(f"{s.psnr:.2f} dB at {s.bpp:.3f} bpp ({s.channels})" for s in shown)
