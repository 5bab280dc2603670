"""The numbers of a run, as tidy CSV: a row per logged training step, and per channel count validated."""

import csv
from pathlib import Path

COLUMNS = ("step", "epoch", "split", "channels", "lambda", "loss", "mse", "bpp", "psnr", "images_per_second")


class Metrics:
    """A CSV file that rows are added to.

    split: "train" or "validation". channels: empty in rows of training, which mix all counts, and in the
    row of the loss over all counts. mse: on normalised images. psnr: in dB, mean over images.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self, step: int) -> None:
        """Begin at a step: rows of later steps, from a run that was stopped, are dropped."""
        kept = []
        if step and self.path.exists():
            with self.path.open(newline="") as file:
                kept = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        with self.path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(kept)

    def add(self, **values: float | int | str) -> None:
        """Add a row; columns not given stay empty."""
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS, restval="").writerow(
                {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in values.items()}
            )
