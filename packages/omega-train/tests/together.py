"""One of several processes that train small recipes together; started by the tests, under torchrun or alone.

Arguments: the folder of the runs, the batch of each process, the number of steps, the names of the runs with commas
between them (keys of `VARIANTS`), the step at which the second process kills itself in the run `killed`, or -1, and
what devices to ask for. A run that is there already is resumed. Writes the gradient of the first step to `gradient.pt`
in each run folder, and the pictures that each process saw to `seen-RANK.pt`. The second process has one more picture in
the run `other-pictures`; the error of that is logged.
"""

import logging
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from omega_core.errors import TrainingError
from omega_core.processes import launch_rank
from omega_train import optimizers, train, validation
from omega_train.callbacks import metrics
from omega_train.data.batches import Batch
from omega_train.recipe import Recipe
from omega_train.task import CodecTask

INIT_PROCESS_GROUP = distributed.init_process_group
TRAINING_STEP = CodecTask.training_step
STAGES = {"start": "scalar", "rank": 1, "stages": [2, 4, 4], "finer": 2.0, "dead_zone": True}
OMEGA = {"reset_dead_every": 4, "sort_channels": True, "decoder_share": 0.25, "ema": 0.9}
RELAXED = {"relaxed_share": 0.5, "decoder_share": 0.25, "lambda_min": 0.8, "ema": 0.9}
VARIANTS: dict[str, dict[str, Any]] = {
    "omega": OMEGA,
    "integer": {"quantizer": "integer", "prior": "factorized", "latent_channels": 3, "prior_share": 0.25},
    "muon": {**OMEGA, "optimizer": "muon", "architecture_options": {"width": 64}},
    "phases": {
        **RELAXED, "channels": 10, "alphabet": 16, "quantizer_options": {**STAGES, "relaxed_steps": [0.5, 0.05]}
    },
    "other-pictures": {},
    "killed": OMEGA,
}  # fmt: skip


def main() -> None:
    """Train each run."""
    folder, batch, steps, names, killed, devices = sys.argv[1:]
    logging.basicConfig(format="%(message)s")
    logging.getLogger("omega_train").setLevel(logging.INFO)
    optimizers.quick_precision = lambda _: torch.float32  # bfloat16 would magnify differences in last digits
    torch.set_num_threads(1)
    metrics.LOG_EVERY = 2
    validation.BATCH_PIXELS = 11 * 28 * 28  # several rounds, and with two processes not as many in both
    for number, name in enumerate(names.split(",")):
        if number:
            distributed.init_process_group = partial(init_with_own_store, Path(folder, f"store-{number}"))
        try:
            train_one(Path(folder, name), int(batch), int(steps), VARIANTS[name], int(killed), devices)
        except TrainingError as problem:
            if name != "other-pictures":
                raise
            logging.getLogger("omega_train").error(problem)


def init_with_own_store(path: Path, *arguments: Any, **settings: Any) -> None:
    """Make a process group that finds its processes by a file: the store of torchrun has the addresses of the first."""
    store = distributed.FileStore(str(path), settings["world_size"])
    INIT_PROCESS_GROUP(*arguments, store=store, **settings)


def train_one(folder: Path, batch_size: int, steps: int, settings: dict[str, Any], killed: int, devices: str) -> None:
    """Train one run, and keep what was seen."""
    seen: list[tuple[int, list[int]]] = []

    def training_step(task: CodecTask, batch: Batch, index: int) -> torch.Tensor:
        if folder.name == "killed" and batch.step == killed and launch_rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        seen.append((batch.step, batch.samples.tolist()))
        return TRAINING_STEP(task, batch, index)

    def on_before_optimizer_step(task: CodecTask, optimizer: torch.optim.Optimizer) -> None:
        path = folder / "gradient.pt"
        if launch_rank() == 0 and not path.exists():
            torch.save({name: p.grad for name, p in task.codec.named_parameters() if p.grad is not None}, path)

    CodecTask.training_step = training_step
    CodecTask.on_before_optimizer_step = on_before_optimizer_step
    common = {"channels": 3, "alphabet": 8, "channels_min": 0, "lambda_max": 0.999, "latent_channels": 4}
    recipe = Recipe(
        name="together",
        dataset="glyphs",
        batch_size=batch_size,
        steps=steps,
        **{**common, **settings},
        dataset_options={"training": 81 + (launch_rank() if folder.name == "other-pictures" else 0), "validation": 21},
    )
    resume = (folder / "last.ckpt").exists()
    train(recipe, folder, resume=resume, accelerator="cpu", devices=devices)
    torch.save(seen, folder / f"seen-{launch_rank()}.pt")


if __name__ == "__main__":
    main()
