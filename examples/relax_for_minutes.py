"""Train the relaxed phase of a recipe for some minutes on one device, and write a model for `omega train --init`.

usage: python examples/relax_for_minutes.py RECIPE --data PHOTOS [--data MORE=0.5] --minutes 12 --output FOLDER
                                            [--init MODEL_OR_RUN] [--compile] [--batch-size N] [--seed N]
                                            [--after SECONDS] [--counted N]

The minutes include writing the files; --after is their part for the work after the last step. The number of steps is
planned from their speed, and the schedule of the learning rate ends with the last one. All steps are relaxed. The model
has a fitted quantizer and the state of the relaxed phase, so that another run can continue with either:

    omega train RECIPE --init FOLDER/model.safetensors

Crops are taken without scaling, so that a GPU holds the photos and cuts the crops itself. Precision is bf16-mixed if
the device has instructions for it. The folder has these files:

model.safetensors   the model; its prior is counted over at most --counted pictures
metrics.csv         the metrics of the steps (`omega_train.callbacks.metrics`)
train.log           the log
speed.json          crops, crops per second without the first steps, and device, precision and versions
"""

import argparse
import csv
import json
import logging
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from omega_core.errors import OmegaError
from omega_train import Recipe, load_recipe, train
from omega_train.data.folder_shares import folder_and_share
from omega_train.optimizers import quick_precision

GPU_SHARE = 0.2  # share of the free memory that photos take; the trainer allows up to a quarter
MAX_BYTES = 16 << 20  # the size of a model above which a warning is printed


def relaxed(name: str, device: torch.device, batch_size: int | None, seed: int | None) -> Recipe:
    """The recipe with relaxed steps alone, on photos that fit into the memory of the device."""
    options: dict[str, Any] = {"scale-share": 0.0}
    if device.type == "cuda":
        options["memory"] = GPU_SHARE * torch.cuda.mem_get_info(device)[0] / 2**30
    shares = {"relaxed-share": 1.0, "decoder-share": 0.0, "prior-share": 0.0}
    return load_recipe(name, {**shares, "batch-size": batch_size, "seed": seed, "dataset-options": options})


def measured(run: Path, batch_size: int, seconds: float) -> dict[str, float | int]:
    """Steps, crops and crops per second of a run, from its metrics."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    steps = max(int(row["step"]) for row in rows)
    speeds = [float(row["images_per_second"]) for row in rows if row["images_per_second"]]
    speed = statistics.median(speeds) if speeds else steps * batch_size / seconds
    return {"steps": steps, "crops": steps * batch_size, "crops_per_second": round(speed, 2)}


def main() -> None:
    """Train, and write the files."""
    began = time.monotonic()
    logging.basicConfig(format="%(message)s")
    logging.getLogger("omega_train").setLevel(logging.INFO)  # progress, on standard error
    parser = argparse.ArgumentParser(description="Train the relaxed phase of a recipe for some minutes.")
    parser.add_argument("recipe", help="a shipped recipe, or a TOML file")
    parser.add_argument("--data", action="append", required=True, metavar="PATH[=SHARE]")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--init", help="begin with the fitting weights of a model or a run")
    parser.add_argument("--compile", action="store_true", help="speed up training with torch.compile")
    for name in ("batch-size", "seed"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument(
        "--after", type=float, help="seconds for the work after the last step. Default: 60, or a fifth of all if less"
    )
    parser.add_argument("--counted", type=int, default=128, help="maximum number of pictures to count the prior over")
    asked = parser.parse_args()
    seconds = 60 * asked.minutes
    after = min(60.0, seconds / 5) if asked.after is None else asked.after
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = "bf16-mixed" if quick_precision(device) is torch.bfloat16 else "32-true"
    asked.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:  # the checkpoint in it is several times as large as the model
        run = Path(temporary) / "run"
        recipe = relaxed(asked.recipe, device, asked.batch_size, asked.seed)
        train(
            recipe,
            run,
            data=[folder_and_share(text) for text in asked.data],
            init=asked.init,
            accelerator="gpu" if device.type == "cuda" else "cpu",
            devices="1",
            precision=precision,
            compiled=asked.compile,
            minutes=(seconds - after - (time.monotonic() - began)) / 60,
            counted=asked.counted,
        )
        for name in ("model.safetensors", "metrics.csv", "train.log"):
            shutil.copy(run / name, asked.output)
        found = measured(run, recipe.batch_size, seconds - after)
    size = (asked.output / "model.safetensors").stat().st_size
    speed = {
        **found,
        "crop": recipe.dataset_options.get("crop"),
        "batch_size": recipe.batch_size,
        "recipe": asked.recipe,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "precision": precision,
        "compiled": asked.compile,
        "torch": torch.__version__,
        "seconds": round(time.monotonic() - began, 1),
        "seconds_after_the_last_step": round(time.monotonic() - began - seconds + after, 1),
        "model_bytes": size,
    }
    (asked.output / "speed.json").write_text(json.dumps(speed, indent=2) + "\n")
    print(json.dumps(speed))
    if size > MAX_BYTES:
        print(f"the model has {size / 2**20:.0f} MiB, more than {MAX_BYTES >> 20} MiB", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except OmegaError as problem:
        sys.exit(f"Error: {problem}")
