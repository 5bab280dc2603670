"""The numbers of a run, as tidy CSV: a row per logged training step, and per channel count validated."""

import csv
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from omega_train.callbacks.throughput import Throughput
from omega_train.distributed import rank
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
LOG_EVERY = 20  # steps of training


class Metrics(Callback):
    """The first process adds rows to a CSV file, and to files of TensorBoard's beside it where that is installed.

    Lightning's `CSVLogger` has one row a step, with a column for each number of each channel count.

    split: "train"; "validation"; or "model", the validation of the model that is left after channels were sorted.
    channels: empty in rows of training, which mix all counts, and in the row of the loss over all counts.
    loss, mse, bpp: in training those of a batch, of several processes that of the first. mse: on normalized
    images. psnr: in dB, mean over images.
    dead_symbols, dead_channels: shares, of symbols that were never chosen in validation and of channels that
    always had the same. temperature: geometric mean over channels, of a quantizer that has temperatures.

    folder: of the run. epoch: how many steps are one.
    """

    def __init__(self, folder: Path, *, epoch: int, throughput: Throughput) -> None:
        self.folder, self.path = folder, folder / "metrics.csv"
        self.epoch, self.throughput = epoch, throughput
        self._board: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin at a step. Rows that come again are dropped: those of later steps, and of the model at the end."""
        if not trainer.is_global_zero:
            return
        step, kept = trainer.global_step, []
        if step and self.path.exists():
            with self.path.open(newline="") as file:
                kept = [row for row in csv.DictReader(file) if int(row["step"]) <= step and row["split"] != "model"]
        with self.path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)
        if find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self.folder / "tensorboard"), purge_step=step + 1)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add a row of training, every so many steps."""
        task, step = cast(CodecTask, pl_module), trainer.global_step
        if step % LOG_EVERY or not trainer.is_global_zero:
            return
        values = {name: float(value) for name, value in task.last.items()}
        temperature = task.quantizer.temperature()
        if temperature is not None:
            values["temperature"] = float(temperature.detach().log().mean().exp())
        values["learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
        values["images_per_second"] = round(self.throughput.images_per_second, 1)
        self._add("train", step, **values)

    def add_validation(self, found: Validation, split: str, step: int) -> None:
        """Add what validation found after a step: a row of all channel counts, and one for each."""
        if rank() > 0:
            return
        add = partial(self._add, split, step)
        add(loss=found.loss, dead_symbols=found.dead_symbols, dead_channels=found.dead_channels)
        for score in found.scores:
            values = {"loss": score.loss, "mse": score.mse, "bpp": score.bpp, "psnr": score.psnr}
            add(channels=score.channels, **values, **{"lambda": score.lambda_})

    def _add(self, split: str, step: int, /, **values: float | int) -> None:
        """Add a row; columns not given stay empty."""
        row = {"step": step, "epoch": (step - 1) // self.epoch, "split": split}
        row |= {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in values.items()}
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS, restval="").writerow(row)
        if self._board is not None:
            place = f"{split}/{values.pop('channels')} channels" if "channels" in values else split
            for name, value in values.items():
                self._board.add_scalar(f"{place}/{name}", value, step)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """As at the end: Lightning calls no `teardown` then."""
        self.teardown(trainer, pl_module, "fit")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write what is not written yet."""
        if self._board is not None:
            self._board.close()
