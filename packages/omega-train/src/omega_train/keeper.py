"""Watches over a run: validates, keeps the best model, and saves what resuming needs."""

import math
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from omega_core.contracts.dataset import Images
from omega_core.errors import OutputError, TrainingError
from omega_core.files import replacing
from omega_train.export import export
from omega_train.metrics import Metrics
from omega_train.progress import Progress
from omega_train.sampling import Batch
from omega_train.task import CodecTask
from omega_train.validation import Score, validate

LOG_EVERY = 20


class Interrupted(TrainingError):
    """A signal asked the run to stop, and it saved first. status: the exit status of a command so stopped."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.status = 128 + signal_number


class Keeper(Callback):
    """All that happens besides the steps themselves, in a fixed order after each of them.

    steps: how many there are, epoch of them an epoch. every: steps from one validation to the next.
    """

    def __init__(self, folder: Path, images: Images, *, steps: int, epoch: int, every: int) -> None:
        self.folder, self.images = folder, images
        self.steps, self.epoch, self.every = steps, epoch, every
        self.metrics, self.progress = Metrics(folder / "metrics.csv"), Progress(steps)
        self.best = math.inf
        self.asked_to_stop = 0
        self.handlers: dict[int, Any] = {}
        self.since = (0, 0.0)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.best = state_dict["best"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over signals; stop at once if there is nothing left to do."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.handlers[number] = signal.signal(number, self._on_signal)
        if trainer.is_global_zero:
            self.metrics.start(trainer.global_step)
            self.progress.start(trainer.global_step)
        self.since = (trainer.global_step, time.monotonic())
        trainer.should_stop = trainer.global_step >= self.steps

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.asked_to_stop:  # a second time: at once
            for ours in self.handlers:
                signal.signal(ours, signal.SIG_IGN)
            name = signal.Signals(number).name
            raise Interrupted(f"stopped at once by {name}; --resume goes on from the last checkpoint, if any.", number)
        self.asked_to_stop = number

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Log, validate, save and stop, as the step that is done asks for."""
        task, step = cast(CodecTask, pl_module), trainer.global_step
        self._log_step(trainer, task, step, batch)
        last = step >= self.steps
        if step % self.every == 0 or last:
            self._validate(trainer, task, step)
            self._save(trainer)
            self.since = (step, time.monotonic())
        if last:
            trainer.should_stop = True
        elif number := self._stop_signal(trainer):
            self._save(trainer)
            name = signal.Signals(number).name
            raise Interrupted(f"stopped by {name} at step {step} of {self.steps}; --resume goes on from there.", number)

    def _log_step(self, trainer: Trainer, task: CodecTask, step: int, batch: Batch) -> None:
        values = {name: float(value) for name, value in task.last.items()}
        if not math.isfinite(values["loss"]):
            raise TrainingError(
                f"the loss is {values['loss']} at step {step}, samples {batch.samples[:4].tolist()} and others of"
                " that batch. Try a lower learning-rate; the last good checkpoint is kept."
            )
        if not trainer.is_global_zero:
            return
        images = (step - self.since[0]) * task.recipe.batch_size * trainer.world_size
        speed = images / (time.monotonic() - self.since[1])
        self.progress.step(step, f"loss {values['loss']:.4f}, {values['bpp']:.3f} bpp, {speed:.0f} images/s")
        if step % LOG_EVERY == 0:
            epoch = (step - 1) // self.epoch
            self.metrics.add(step=step, epoch=epoch, split="train", images_per_second=round(speed, 1), **values)

    def _validate(self, trainer: Trainer, task: CodecTask, step: int) -> None:
        loss, scores = validate(task, self.images)
        better = loss < self.best
        self.best = min(loss, self.best)
        if not trainer.is_global_zero:
            return
        self.metrics.add(step=step, epoch=(step - 1) // self.epoch, split="validation", loss=loss)
        for score in scores:
            self._log_score(step, score)
        self.progress.say(
            f"step {step} of {self.steps}: validation loss {loss:.5f}{' (best)' * better}; {_curve(scores)}"
        )
        if better:
            export(task, self.folder / "model.safetensors")

    def _log_score(self, step: int, score: Score) -> None:
        self.metrics.add(
            step=step,
            epoch=(step - 1) // self.epoch,
            split="validation",
            channels=score.channels,
            loss=score.loss,
            mse=score.mse,
            bpp=score.bpp,
            psnr=score.psnr,
            **{"lambda": score.weight},
        )

    def _save(self, trainer: Trainer) -> None:
        path = self.folder / "last.ckpt"
        try:
            if trainer.is_global_zero:
                with replacing(path) as temporary:
                    trainer.save_checkpoint(temporary)
            else:
                trainer.save_checkpoint(path)
        except RuntimeError as problem:  # how torch reports a full disk
            raise OutputError(f"cannot write {path}: {problem}.") from problem

    def _stop_signal(self, trainer: Trainer) -> int:
        """The signal that any of the processes was sent, or 0."""
        if trainer.world_size == 1:
            return self.asked_to_stop
        numbers = trainer.strategy.reduce(torch.tensor(float(self.asked_to_stop)), reduce_op="max")
        return int(numbers)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give signals and the terminal back."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers.clear()
        self.progress.stop()


def _curve(scores: list[Score]) -> str:
    """PSNR and rate at four channel counts at the most."""
    shown = [scores[round(i * (len(scores) - 1) / 3)] for i in range(4)] if len(scores) > 4 else scores
    return ", ".join(f"{s.psnr:.2f} dB at {s.bpp:.3f} bpp ({s.channels})" for s in shown)
