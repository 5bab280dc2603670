"""Watches over a run: validates, keeps the best model, and saves what resuming needs."""

import math
import signal
import threading
import time
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from omega_core.contracts.dataset import Dataset, Images
from omega_core.errors import OmegaWarning, OutputError, TrainingError
from omega_core.files import replacing
from omega_train.averaging import Average
from omega_train.cluster import requeue, stop_signals
from omega_train.distributed import all_reduce_max, rank, world_size
from omega_train.export import complete, export, finish
from omega_train.fitting import fit
from omega_train.metrics import Metrics
from omega_train.optimizers import follow_schedule
from omega_train.pace import UNTIMED, Pace
from omega_train.phases import Phase
from omega_train.progress import Progress
from omega_train.recipe import Recipe
from omega_train.sampling import Batch
from omega_train.task import CodecTask
from omega_train.validation import Score, Validation, validate

LOG_EVERY = 20
GLIMPSED = 32


class Interrupted(TrainingError):
    """A signal asked the run to stop, and it saved first. status: the exit status of a command so stopped."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.status = 128 + signal_number


class Keeper(Callback):
    """All that happens besides the steps themselves, in a fixed order after each of them.

    dataset: whose validation pictures it scores with.
    steps: how many there are, epoch of them an epoch. every: steps from one validation to the next.
    workers: processes that read what it scores and counts.
    save_minutes: after so many since it last saved, it saves at the next step, too.
    pace: where there is one, it says how many steps there are.
    counted: pictures at the most that the prior of the finished model is counted over; all if None.
    """

    def __init__(
        self,
        folder: Path,
        dataset: Dataset,
        *,
        recipe: Recipe,
        steps: int,
        epoch: int,
        workers: int = 0,
        save_minutes: float = math.inf,
        pace: Pace | None = None,
        counted: int | None = None,
    ) -> None:
        self.folder, self.dataset, self.recipe = folder, dataset, recipe
        self.workers, self.save_seconds = workers, 60 * save_minutes
        self.saved = time.monotonic()
        self.pace, self.counted, self.begun = pace, counted, 0
        self.steps, self.epoch, self.every = steps, epoch, recipe.validate_every or epoch
        self.metrics, self.progress = Metrics(folder), Progress(steps)
        self.average = Average(recipe.ema) if recipe.ema else None
        self.best = math.inf
        self.best_prior: dict[str, Tensor] = {}
        self.hard = False  # as the last step was: a run that was resumed may have become shorter or longer
        self.finishing = False
        self.asked_to_stop = 0
        self.handlers: dict[int, Any] = {}
        self.since = (0, 0.0)
        self.remarks: set[str] = set()
        self.glimpse = {"train": _glimpse(dataset.train), "validation": _glimpse(dataset.validation)}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        state = {"best": self.best, "best_prior": self.best_prior, "hard": self.hard}
        state |= {"material": self._material(), "glimpse": self.glimpse}
        return state | ({"average": self.average.state_dict()} if self.average else {})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        for what, now in self._material().items():
            before = state_dict["material"][what]
            if before != now:
                raise TrainingError(
                    f"this run had {what.format(before)} and has {now} now: resume it with as many processes and"
                    " pictures as before."
                )
        glimpse = state_dict.get("glimpse", self.glimpse)
        if any(_differ(glimpse[part], means) for part, means in self.glimpse.items()):
            raise TrainingError(
                "this run had other pictures: resume it with the same data, folders in the same order and with the same"
                " shares, or begin another run."
            )
        self.best, self.best_prior = state_dict["best"], state_dict["best_prior"]
        self.hard = state_dict.get("hard", False)
        if self.average:
            self.average.load_state_dict(state_dict["average"])

    def _material(self) -> dict[str, int]:
        """What has to stay the same for each sample to stay where it is in the course of training."""
        return {
            "{} pictures to train with": len(self.dataset.train),
            "{} pictures to validate with": len(self.dataset.validation),
            "{} processes": world_size(),
        }

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over signals; stop at once if there is nothing left to do."""
        if threading.current_thread() is threading.main_thread():
            for number in stop_signals():
                self.handlers[number] = signal.signal(number, self._on_signal)
        if trainer.is_global_zero:
            self.metrics.start(trainer.global_step)
            self.progress.start(trainer.global_step)
            for note in self.dataset.notes:
                self.progress.say(note)
        self.begun = trainer.global_step
        if self.pace is not None:
            self._expect(cast(CodecTask, pl_module), self.pace.start(self.begun))
        self.since = (self.begun, time.monotonic())
        self.saved = time.monotonic()
        for config in trainer.lr_scheduler_configs:
            follow_schedule(cast(LambdaLR, config.scheduler))
        trainer.should_stop = trainer.global_step >= self.steps

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.finishing and number == getattr(signal, "SIGUSR1", None) and rank() > 0:
            return  # the first process puts the job back into the queue, which ends this one
        if self.asked_to_stop or self.finishing:  # a second time, or when all steps are saved: at once
            for ours in self.handlers:
                signal.signal(ours, signal.SIG_IGN)
            name = signal.Signals(number).name
            again = requeue(number) if self.finishing and rank() == 0 else ""
            raise Interrupted(
                f"stopped at once by {name}; --resume goes on from the last checkpoint, if any.{again}", number
            )
        self.asked_to_stop = number

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """With another phase, go on from the average: its symbols are what files will hold."""
        task, step = cast(CodecTask, pl_module), trainer.global_step
        phase = task.phase(step)
        hard, relaxed_before = phase is Phase.HARD, phase is not Phase.RELAXED and not task.fitted
        if self.average and self.average.steps and (relaxed_before or (hard and not self.hard)):
            self.average.replace(task)
        self.hard = hard
        if relaxed_before:
            said = fit(task, self.dataset.train, self.workers)
            if self.average:
                self.average.restart()
            self.best = math.inf  # of another quantizer
            if trainer.is_global_zero:
                self.progress.say(f"step {step} of {self.steps}: {said}")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Log, wake symbols, validate, save and stop, as the step that is done asks for."""
        task, step = cast(CodecTask, pl_module), trainer.global_step
        number, due = self._check_together(trainer, task, step, batch)
        self._log_step(trainer, task, step, batch)
        if step == self.begun + UNTIMED:
            self.since = (step, time.monotonic())
        if self.average:
            self.average.follow(task)
        if self.recipe.wake_every and step % self.recipe.wake_every == 0 and task.phase(step) is Phase.SOFT:
            woken = task.wake(step)
            if trainer.is_global_zero:
                self.progress.say(f"step {step} of {self.steps}: {woken} symbols woken")
        last = step >= self.steps
        if step % self.every == 0 or last:
            with self.average.instead(task) if self.average else nullcontext():
                self._validate(trainer, task, step, batch)
            self._save(trainer)
            self.since = (step, time.monotonic())
        elif due and not number:
            self._save(trainer)
        if last:
            trainer.should_stop = True
        elif number:
            self._save(trainer)
            name = signal.Signals(number).name
            again = requeue(number) if trainer.is_global_zero else ""
            trainer.strategy.barrier()  # who ends before the job is back in the queue may end the first process too
            raise Interrupted(
                f"stopped by {name} at step {step} of {self.steps}; --resume goes on from there.{again}", number
            )

    def _check_together(self, trainer: Trainer, task: CodecTask, step: int, batch: Batch) -> tuple[int, bool]:
        """The signal that any of the processes was sent, or 0; and whether it is time to save.

        Takes over how many steps there are, where that depends on time. What only one of them noticed would leave the
        others waiting for it. Raises TrainingError in all if the loss of one is not a number.
        """
        loss = float(task.last["loss"])
        due = time.monotonic() - self.saved > self.save_seconds
        steps = self.steps if self.pace is None else self.pace.steps(step)
        told = [self.asked_to_stop, not math.isfinite(loss), due, steps]
        number, broken, due_now, steps_of_all = all_reduce_max(told, trainer.strategy.root_device)
        if broken:
            _check_finite(loss, step, batch)
            raise TrainingError(f"the loss of another process is not a number at step {step}.")
        if self.pace is not None:
            self._expect(task, int(steps_of_all))
        return int(number), bool(due_now)

    def _expect(self, task: CodecTask, steps: int) -> None:
        """There are so many steps in all: schedules follow."""
        self.steps = task.steps = steps
        self.progress.expect(steps)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Finish the best model, where training came to its end; of a run that was relaxed to its end, the last one."""
        model, task = self.folder / "model.safetensors", cast(CodecTask, pl_module)
        if trainer.global_step < self.steps or (task.fitted and not model.exists()):
            return
        self.finishing = True
        if self.asked_to_stop:
            self._on_signal(self.asked_to_stop, None)
        if task.fitted:
            said = finish(task, model, self.dataset.train, self.best_prior, self.workers, self.counted)
        else:
            if self.average and self.average.steps:
                self.average.replace(task)
            said = complete(task, model, self.dataset.train, self.workers, self.counted)
        if said:
            found = validate(task, self.dataset.validation, self.workers)
            if trainer.is_global_zero:
                self._record(found, "model", trainer.global_step)
                self.progress.say(f"{said}; validation loss {found.loss:.5f}; {_curve(found.scores)}")

    def _log_step(self, trainer: Trainer, task: CodecTask, step: int, batch: Batch) -> None:
        for remark in batch.remarks:
            if remark not in self.remarks:
                self.remarks.add(remark)
                self.progress.say(f"{remark} ({len(self.remarks)} such so far)")
        if not trainer.is_global_zero:
            return
        values = {name: float(value) for name, value in task.last.items()}
        images = (step - self.since[0]) * task.recipe.batch_size * trainer.world_size
        speed = images / (time.monotonic() - self.since[1])
        self.progress.step(step, f"loss {values['loss']:.4f}, {values['bpp']:.3f} bpp, {speed:.0f} images/s")
        if step % LOG_EVERY == 0:
            temperature = task.quantizer.temperature()
            if temperature is not None:
                values["temperature"] = float(temperature.detach().log().mean().exp())
            values["learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
            values["images_per_second"] = round(speed, 1)
            self.metrics.add(step=step, epoch=(step - 1) // self.epoch, split="train", **values)

    def _validate(self, trainer: Trainer, task: CodecTask, step: int, batch: Batch) -> None:
        found = validate(task, self.dataset.validation, self.workers)
        _check_finite(found.loss, step, batch, "the validation after ")
        better = found.loss < self.best
        if better:
            self.best = found.loss
            state = {} if task.prior is None else task.prior.state_dict()
            self.best_prior = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
        if not trainer.is_global_zero:
            return
        self._record(found, "validation", step)
        self.progress.say(
            f"step {step} of {self.steps}: validation loss {found.loss:.5f}{' (best)' * better}; {_curve(found.scores)}"
        )
        if better and task.fitted:
            export(task, self.folder / "model.safetensors")

    def _record(self, found: Validation, split: str, step: int) -> None:
        add = partial(self.metrics.add, step=step, epoch=(step - 1) // self.epoch, split=split)
        add(loss=found.loss, dead_symbols=found.dead_symbols, dead_channels=found.dead_channels)
        for score in found.scores:
            values = {"loss": score.loss, "mse": score.mse, "bpp": score.bpp, "psnr": score.psnr}
            add(channels=score.channels, **values, **{"lambda": score.weight})

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
        self.saved = time.monotonic()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """As at the end: Lightning calls no `teardown` then."""
        self.teardown(trainer, pl_module, "fit")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give signals and the terminal back."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers.clear()
        self.progress.stop()
        self.metrics.stop()


def _glimpse(images: Images) -> list[float]:
    """What pictures are told from others by, wherever they are and whatever decodes them: the means of some samples."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OmegaWarning)  # they are said when the pictures are needed
        return [float(images.load(i * len(images) // GLIMPSED, 0).mean()) for i in range(min(GLIMPSED, len(images)))]


def _differ(before: Sequence[float], now: Sequence[float]) -> bool:
    """Whether the means of samples differ by more than decoders do."""
    return any(abs(one - other) > 0.5 for one, other in zip(before, now, strict=True))


def _check_finite(loss: float, step: int, batch: Batch, where: str = "") -> None:
    """Raise TrainingError for a loss that is not a number, before anything is saved."""
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss is {loss} at {where}step {step}, samples {batch.samples.tolist()}. Try a lower learning-rate, or"
            " gradient-clip; the last good checkpoint is kept."
        )


def _curve(scores: Sequence[Score]) -> str:
    """PSNR and rate at four channel counts at the most."""
    shown = [scores[round(i * (len(scores) - 1) / 3)] for i in range(4)] if len(scores) > 4 else scores
    return ", ".join(f"{s.psnr:.2f} dB at {s.bpp:.3f} bpp ({s.channels})" for s in shown)
