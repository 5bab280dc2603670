"""The numbers of a run, as tidy CSV: a row per logged training step, and per channel count validated."""

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import Any

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
_NUMBERING = ("step", "epoch", "split", "channels")


class Metrics:
    """A CSV file that rows are added to, and TensorBoard's files beside it where TensorBoard is installed.

    split: "train"; "validation"; or "model", the validation of the model that is left after channels were sorted.
    channels: empty in rows of training, which mix all counts, and in the row of the loss over all counts.
    loss, mse, bpp: in training those of a batch, of several processes that of the first. mse: on normalized
    images. psnr: in dB, mean over images.
    dead_symbols, dead_channels: shares, of symbols that were never chosen in validation and of channels that
    always had the same. temperature: geometric mean over channels, of a quantizer that has temperatures.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "metrics.csv"
        self.board: Any = None

    def start(self, step: int) -> None:
        """Begin at a step: rows of later steps, from a run that was stopped, are dropped."""
        kept = []
        if step and self.path.exists():
            with self.path.open(newline="") as file:
                kept = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        with self.path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)
        if find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(self.folder / "tensorboard"), purge_step=step + 1)

    def add(self, **values: float | int | str) -> None:
        """Add a row; columns not given stay empty."""
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS, restval="").writerow(
                {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in values.items()}
            )
        if self.board is not None:
            place = f"{values['split']}/{values['channels']} channels" if "channels" in values else values["split"]
            for name, value in values.items():
                if name not in _NUMBERING:
                    self.board.add_scalar(f"{place}/{name}", value, values["step"])

    def stop(self) -> None:
        """Write what is not written yet."""
        if self.board is not None:
            self.board.close()
