"""One of several processes that train a small recipe together; started by the tests, under torchrun or alone.

Arguments: the run folder, the batch of each process, the number of steps, a quantizer, or `muon` for Ω with that
optimizer, the step at which the second process kills itself, or -1, and what devices to ask for. A run that is there
already is resumed. Writes the gradient of the first step to `gradient.pt` in the run folder, and the pictures that each
process saw to `seen-RANK.pt`.
"""

import os
import signal
import sys
from pathlib import Path

import torch

from omega_core.processes import launch_rank
from omega_train import optimizers, train, validation
from omega_train.callbacks import metrics
from omega_train.data.batches import Batch
from omega_train.recipe import Recipe
from omega_train.task import CodecTask


def main() -> None:
    """Train, and keep what was seen."""
    folder, batch, steps, quantizer, killed, devices = sys.argv[1:]
    seen: list[tuple[int, list[int]]] = []
    original = CodecTask.training_step

    def training_step(task: CodecTask, batch: Batch, index: int) -> torch.Tensor:
        if batch.step == int(killed) and launch_rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        seen.append((batch.step, batch.samples.tolist()))
        return original(task, batch, index)

    def on_before_optimizer_step(task: CodecTask, optimizer: torch.optim.Optimizer) -> None:
        path = Path(folder) / "gradient.pt"
        if launch_rank() == 0 and not path.exists():
            torch.save({name: p.grad for name, p in task.codec.named_parameters() if p.grad is not None}, path)

    optimizers.quick_precision = lambda _: (
        torch.float32
    )  # rounding to bfloat16 would magnify differences in last digits
    CodecTask.training_step = training_step
    CodecTask.on_before_optimizer_step = on_before_optimizer_step
    integer = {"quantizer": "integer", "prior": "factorized", "latent_channels": 3}
    omega = {"reset_dead_every": 4, "sort_channels": True, "decoder_share": 0.25, "ema": 0.9}
    stages = {"start": "scalar", "rank": 1, "stages": [2, 4, 4], "finer": 2.0, "dead_zone": True}
    relaxed = {"relaxed_share": 0.5, "decoder_share": 0.25, "lambda_min": 0.8, "ema": 0.9}
    phases = {**relaxed, "channels": 10, "alphabet": 16, "quantizer_options": stages | {"relaxed_steps": [0.5, 0.05]}}
    muon = {"optimizer": "muon", "architecture_options": {"width": 64}}
    recipe = Recipe(
        name="together",
        dataset="glyphs",
        batch_size=int(batch),
        steps=int(steps),
        **(
            {"channels": 3, "alphabet": 8, "channels_min": 0, "lambda_max": 0.999, "latent_channels": 4}
            | {"integer": integer, "omega": omega, "muon": omega | muon, "phases": phases}[quantizer]
        ),
        dataset_options={"training": 81, "validation": 21},
    )
    torch.set_num_threads(1)
    metrics.LOG_EVERY = 2
    validation.BATCH_PIXELS = 11 * 28 * 28  # several rounds, and with two processes not as many in both
    resume = (Path(folder) / "last.ckpt").exists()
    train(recipe, Path(folder), resume=resume, accelerator="cpu", devices=devices)
    torch.save(seen, Path(folder) / f"seen-{launch_rank()}.pt")


if __name__ == "__main__":
    main()
