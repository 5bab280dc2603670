"""Validation during training."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from lightning.pytorch import Trainer

from omega_core.contracts.dataset import Images
from omega_core.errors import TrainingError
from omega_train.callbacks.base import RunCallback
from omega_train.callbacks.best import BestModel
from omega_train.callbacks.metrics import Metrics
from omega_train.callbacks.progress import Progress
from omega_train.callbacks.throughput import Throughput
from omega_train.data.batches import Batch
from omega_train.model_writing import export
from omega_train.task import CodecTask
from omega_train.validation import Score, validate


class Validator(RunCallback):
    """Validates every `every` steps and after the last step. Raises TrainingError for a loss that is not finite.

    images: the validation images. workers: the number of processes that read them.
    averaged: returns a context in which the task has the weights to validate.
    better: whether the last step had a validation with the lowest loss so far.
    """

    def __init__(
        self,
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
        self.images, self.every, self.workers = images, every, workers
        self.averaged, self.best = averaged, best
        self.metrics, self.progress, self.throughput = metrics, progress, throughput
        self.better = False

    def is_due(self, task: CodecTask, step: int) -> bool:
        """Whether a task is validated after `step` steps."""
        return step % self.every == 0 or step >= task.steps

    def after_step(self, trainer: Trainer, task: CodecTask, batch: Batch) -> None:
        step, self.better = trainer.global_step, False
        if not self.is_due(task, step):
            return
        with self.averaged():
            found = validate(task, self.images, self.workers)
            check_finite(found.loss, f"the validation after step {step}", batch)
            self.better = self.best.offer(task, found.loss)
            self.metrics.add_validation(found, "validation", step)
            mark = " (best)" if self.better else ""
            self.progress.report(step, f"validation loss {found.loss:.5f}{mark}; {curve(found.scores)}")
        self.throughput.pause()


class BestModelFile(RunCallback):
    """Writes the model after each validation with the lowest loss so far. Raises OutputError.

    The model is written after the checkpoint. If the run is killed in between, the resumed run writes this model at its
    end. A folder with a model but without a checkpoint could neither be resumed nor used for another run.

    path: the path of the model file. validator: its `better` triggers writing; its `averaged` applies the weights.
    """

    def __init__(self, path: Path, validator: Validator) -> None:
        self.path, self.validator = path, validator

    def after_step(self, trainer: Trainer, task: CodecTask, batch: Batch) -> None:
        if self.validator.better and task.fitted and trainer.is_global_zero:
            with self.validator.averaged():
                export(task, self.path)


def curve(scores: Sequence[Score]) -> str:
    """PSNR and rate at up to four channel counts, as text for the log."""
    shown = [scores[round(i * (len(scores) - 1) / 3)] for i in range(4)] if len(scores) > 4 else scores
    return ", ".join(f"{s.psnr:.2f} dB at {s.bpp:.3f} bpp ({s.channels})" for s in shown)


def check_finite(loss: float, where: str, batch: Batch) -> None:
    """Raise TrainingError if a loss is not finite, before anything is saved.

    where: the step, for the message. batch: the batch of the step.
    """
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss is {loss} at {where}, samples {batch.samples.tolist()}. Try a lower learning-rate, or"
            " gradient-clip; the last good checkpoint is kept."
        )
