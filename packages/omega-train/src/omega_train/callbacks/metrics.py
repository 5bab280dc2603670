"""The metrics of a run as tidy CSV: a row for each logged training step, and for each channel count in validation."""

import csv
import io
import math
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer

from omega_core.errors import OutputError
from omega_core.file_io import write_whole
from omega_train.callbacks.base import RunCallback
from omega_train.callbacks.throughput import Throughput
from omega_train.data.batches import Batch
from omega_train.distributed import all_reduce_sum, rank, world_size
from omega_train.log import log
from omega_train.task import CodecTask
from omega_train.validation import Validation

COLUMNS = (
    "step",
    "epoch",
    "split",
    "channels",
    "lambda",
    "loss",
    "mse",
    "bpp",
    "psnr",
    "dead_symbols",
    "dead_channels",
    "temperature",
    "learning_rate",
    "images_per_second",
)
LOG_EVERY = 20  # number of training steps between logged rows


class Metrics(RunCallback):
    """The first process adds rows to metrics.csv, and to the files of TensorBoard if it is installed.

    Lightning's `CSVLogger` would write one row per step, with a column for each metric of each channel count. Raises
    OutputError if the file cannot be written.

    Columns:
    split: "train"; "validation"; or "model", the validation of the final model after its channels were sorted.
    channels: empty in rows of training, which mix all counts, and in the validation row over all counts.
    loss, mse, bpp: in training, the means over the batch of all processes. mse: on normalized images.
    psnr: in dB, mean over images.
    dead_symbols, dead_channels: the share of symbols that validation never chose, and of channels that use one symbol.
    temperature: the geometric mean over channels, if the quantizer has temperatures.

    folder: the run folder. epoch: the number of steps in an epoch. throughput: measures the images per second.
    """

    def __init__(self, folder: Path, *, epoch: int, throughput: Throughput) -> None:
        self.folder, self.path = folder, folder / "metrics.csv"
        self.epoch, self.throughput = epoch, throughput
        self._board: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the file. Rows that this run will write again, of later steps and of the final model, are dropped."""
        if not trainer.is_global_zero:
            return
        step, kept = trainer.global_step, list[dict[str, str]]()
        if step and self.path.exists():
            whole, newline, _ = self.path.read_text("utf-8").rpartition("\n")  # a killed run may leave part of a line
            rows = csv.DictReader(io.StringIO(whole + newline))
            kept = [row for row in rows if _step(row) <= step and row["split"] != "model"]
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
        write_whole(self.path, text.getvalue().encode())
        if find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            try:
                self._board = SummaryWriter(str(self.folder / "tensorboard"), purge_step=step + 1)
            except (OSError, UnicodeError) as problem:  # UnicodeError if the folder name is not UTF-8
                log.warning(f"no metrics are written for TensorBoard: {problem}")

    def after_step(self, trainer: Trainer, task: CodecTask, batch: Batch) -> None:
        step = trainer.global_step
        if step % LOG_EVERY:
            return
        means = all_reduce_sum(torch.stack(list(task.last.values()))) / world_size()
        if not trainer.is_global_zero:
            return
        values = dict(zip(task.last, means.tolist(), strict=True))
        temperature = task.quantizer.temperature()
        if temperature is not None:
            values["temperature"] = float(temperature.detach().log().mean().exp())
        values["learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
        values["images_per_second"] = round(self.throughput.images_per_second, 1)
        self._add("train", step, **values)

    def add_validation(self, found: Validation, split: str, step: int) -> None:
        """Add the result of a validation: a row for the loss over all channel counts, and one for each count.

        split: the value of the column `split`. step: the number of completed steps.
        """
        if rank() > 0:
            return
        add = partial(self._add, split, step)
        add(loss=found.loss, dead_symbols=found.dead_symbols, dead_channels=found.dead_channels)
        for score in found.scores:
            values = {"loss": score.loss, "mse": score.mse, "bpp": score.bpp, "psnr": score.psnr}
            add(channels=score.channels, **values, **{"lambda": score.lambda_})

    def _add(self, split: str, step: int, /, **values: float | int) -> None:
        """Add a row; other columns stay empty."""
        row = {"step": step, "epoch": (step - 1) // self.epoch, "split": split}
        row |= {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in values.items()}
        try:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n").writerow(row)
        except OSError as problem:
            raise OutputError(f"cannot write {self.path}: {problem.strerror}.") from problem
        if self._board is not None:
            group = f"{split}/{values.pop('channels')} channels" if "channels" in values else split
            for name, value in values.items():
                self._board.add_scalar(f"{group}/{name}", value, step)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._board is not None:
            self._board.close()


def _step(row: dict[str, str]) -> float:
    """The step of a row; infinite for a row of another origin, which is dropped."""
    text = row.get("step") or ""
    return int(text) if text.isdecimal() else math.inf
