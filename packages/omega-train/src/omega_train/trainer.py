"""Training with PyTorch Lightning."""

import logging
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy

from omega_core.contracts.dataset import Dataset as OmegaDataset
from omega_core.errors import DataError, TrainingError
from omega_core.plugins.registry import build
from omega_core.processes import kept_signal_handlers, launch_size
from omega_train.callbacks.all_callbacks import run_callbacks
from omega_train.callbacks.signals import StoppedAtOnce
from omega_train.data.batches import steps_per_epoch
from omega_train.data.loader import TrainingData
from omega_train.data.reader_processes import reading_workers
from omega_train.distributed import leave, shutdown
from omega_train.job_environment import is_started_by_srun, local_processes
from omega_train.log import log, progress_log
from omega_train.phases import Phases
from omega_train.recipe import Recipe
from omega_train.task import CodecTask
from omega_train.time_limit import TimeLimit
from omega_train.warm_start import warm_start

_DATA_ERROR = f"{DataError.__module__}.{DataError.__qualname__}"
_ADVICE = {
    "DataLoader worker": "a process that reads pictures was killed, perhaps because memory ran out; start fewer"
    " --workers.",
    "(closed|reset) by peer|remote process exited": "another process of this run has ended: see its error.",
    "DefaultCPUAllocator": "there is too little memory for this; set a smaller batch-size.",
}
"""What a RuntimeError of torch means, by a pattern of its message."""


class LightningTrainer:
    """Trains a recipe on the CPU or on GPUs.

    recipe: the recipe to train.
    data: the folder of the pictures, or several with their shares of the samples, for datasets that take them.
    accelerator, devices, nodes, precision: arguments of Lightning's Trainer. torchrun and srun start the processes and
        thereby determine devices and nodes.
    compiled: whether torch.compile compiles transforms and quantizer, which takes a minute or more.
    workers: the number of processes that read pictures. Default: up to 8 per GPU, 0 on the CPU.
    save_minutes: the maximum number of minutes between checkpoints; one is also written after each validation.
    init: the path or name of a model, or a run folder: a new run starts from those of its weights that fit.
    minutes: the time until the last step is done, including reading and compilation. It replaces the steps or epochs of
        the recipe: the number of steps is planned from the measured speed. Only for recipes of one phase, whose steps
        take equally long. Default: no limit.
    counted: the maximum number of pictures, evenly spaced, over which the final prior is counted. Default: all.
    changed_data: whether a run may be resumed with different pictures, for example after one was lost.

    Raises DataError, RecipeError, ComponentError or TrainingError if the recipe cannot be trained.
    """

    def __init__(
        self,
        *,
        recipe: Recipe,
        data: Path | str | Mapping[Path | str, float] | None = None,
        accelerator: str = "auto",
        devices: str = "auto",
        nodes: int = 1,
        precision: str = "32-true",
        compiled: bool = False,
        workers: int | None = None,
        save_minutes: float = 10.0,
        init: str | None = None,
        minutes: float | None = None,
        counted: int | None = None,
        changed_data: bool = False,
    ) -> None:
        began = time.monotonic()
        if workers is not None and workers < 0:
            raise TrainingError(f"workers have to be 0 or more, not {workers}.")
        if not save_minutes > 0:
            raise TrainingError(f"save-minutes has to be above 0, not {save_minutes}.")
        if counted is not None and counted < 1:
            raise TrainingError(f"counted has to be at least 1, not {counted}.")
        if minutes is not None and not minutes > 0:
            raise TrainingError(f"minutes have to be above 0, not {minutes}.")
        if minutes is not None and any(0 < share < 1 for share in recipe.phase_shares):
            raise TrainingError(
                "minutes cannot be planned, because steps of different phases take different times: set the shares of"
                " phases to 0 or 1, or give steps instead."
            )
        self.time_limit = None if minutes is None else TimeLimit(began + 60 * minutes)
        self.counted, self.changed_data = counted, changed_data
        self.recipe, self.workers, self.compiled, self.save_minutes = recipe, workers, compiled, save_minutes
        torch.manual_seed(recipe.seed)
        self.task = CodecTask(recipe)
        self.started = "" if init is None else warm_start(self.task, init)
        self.trainer = lightning_trainer(
            recipe, accelerator=accelerator, devices=devices, nodes=nodes, precision=precision
        )
        self.dataset: OmegaDataset = build(
            "dataset", recipe.dataset, recipe.dataset_options, data=data, seed=recipe.seed
        )
        self._check_pictures()
        batch = recipe.batch_size * self.trainer.num_devices * self.trainer.num_nodes
        self.epoch = steps_per_epoch(len(self.dataset.train), batch)

    def _check_pictures(self) -> None:
        """Raise DataError or ImageError if the architecture does not accept the pictures."""
        if not len(self.dataset.train) or not len(self.dataset.validation):
            raise DataError(f"the dataset {self.recipe.dataset} has no training or no validation pictures.")
        self.dataset.validation.load(0, 0)  # an error now, rather than at the first validation
        colors, height, width = self.dataset.train.load(0, 0).shape
        if colors != self.task.architecture.colors:
            wanted = self.task.architecture.colors
            raise DataError(f"the pictures have {colors} colors, but the architecture takes {wanted}.")
        self.task.architecture.latent_size(height, width)

    def train(self, folder: Path, *, resume: bool = False) -> Path:
        """Train into a run folder and return the path of the best model.

        folder: the run folder. resume: whether to continue from its checkpoint.

        Raises TrainingError if training fails, and Interrupted, after a checkpoint, if a signal stopped the run.
        """
        recipe = self.recipe
        steps = recipe.steps or self.epoch * (recipe.epochs or 0)
        self.task.steps = steps
        Phases.of(recipe, steps)
        if self.started and not resume and self.trainer.is_global_zero:
            progress_log.info(self.started)
        if self.compiled:
            self.task.codec.compile_parts()
        device, processes = self.trainer.strategy.root_device, self.trainer.num_devices
        workers = reading_workers(device, processes) if self.workers is None else self.workers
        self.trainer.callbacks = run_callbacks(  # type: ignore[attr-defined]
            self.task,
            self.dataset,
            folder,
            epoch=self.epoch,
            workers=workers,
            save_minutes=self.save_minutes,
            time_limit=self.time_limit,
            counted=self.counted,
            changed_data=self.changed_data,
        )
        if self.trainer.is_global_zero:
            log.info(self._setting(workers))
        data = TrainingData(self.dataset, recipe, workers)
        checkpoint = folder / "last.ckpt" if resume else None
        try:
            with _without_advice(), kept_signal_handlers(), _short_errors(), closing(data):
                self.trainer.fit(self.task, datamodule=data, ckpt_path=checkpoint, weights_only=True)
                shutdown()
        except BaseException as problem:
            self._end_other_processes()
            if isinstance(problem, StoppedAtOnce):
                raise problem.interrupted from None
            raise
        model = folder / "model.safetensors"
        if not model.exists():
            raise TrainingError(f"the run is already at step {self.trainer.global_step}; give it more steps or epochs.")
        return model

    def _end_other_processes(self) -> None:
        """Kill the processes that Lightning started, which would wait for this one, and leave the process group."""
        processes: list[subprocess.Popen[bytes]] = getattr(self.trainer.strategy.launcher, "procs", [])
        children = list(processes)
        processes.clear()  # Lightning would otherwise kill this process, too, because they failed
        for child in children:
            child.kill()
            child.wait()
        leave()

    def _setting(self, workers: int) -> str:
        """A line for the log about the setup of the run. workers: the number of processes that read pictures."""
        processes = self.trainer.num_devices * self.trainer.num_nodes
        pictures = f"{len(self.dataset.train)} training pictures and {len(self.dataset.validation)} for validation"
        return (
            f"{pictures}; {processes} × {self.trainer.strategy.root_device.type} in {self.trainer.precision};"
            f" {workers} reading processes each"
        )


def lightning_trainer(recipe: Recipe, *, accelerator: str, devices: str, nodes: int, precision: str) -> Trainer:
    """Lightning's Trainer for a recipe; arguments: see `LightningTrainer`. Raises TrainingError if they are invalid."""
    if precision.startswith(("bf16-true", "16-true", "transformer-engine")):
        raise TrainingError(
            f"distances and rates need float32, which the precision {precision} excludes: use bf16-mixed."
        )
    local = local_processes()
    if local is not None:
        if devices not in ("auto", str(local)) or nodes not in (1, launch_size() // local):
            raise TrainingError(
                f"{launch_size()} processes were started, {local} on each machine: leave out --devices and --nodes,"
                " which differ from that."
            )
        devices, nodes = str(local), launch_size() // local
    elif nodes > 1:
        raise TrainingError(f"{nodes} machines need torchrun or srun, which start the processes on each machine.")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if accelerator == "auto" and torch.backends.mps.is_available():
        accelerator = "cpu"  # Apple's GPUs have no float64, which priors need
    if sys.platform == "win32" and devices == "auto":
        devices = "1"  # several GPUs need NCCL, which torch has on Linux only
    settings: dict[str, Any] = {
        "accelerator": accelerator,
        "devices": devices,
        "num_nodes": nodes,
        "precision": precision,
        "gradient_clip_val": recipe.gradient_clip,
        "max_epochs": -1,  # a run ends after its steps: see `omega_train.callbacks.run_length`
        "limit_val_batches": 0,
        "use_distributed_sampler": False,
        **dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False),
    }
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", ".*not supported.*")  # otherwise Lightning would use another precision
            if local is not None and is_started_by_srun():  # Lightning would not recognize it in an interactive job
                settings["plugins"] = [SLURMEnvironment(auto_requeue=False)]
            trainer = Trainer(**settings)
        if trainer.num_devices * trainer.num_nodes > 1:
            # some parameters have no gradients: the analysis in the decoder phase, transforms in the prior phase, the
            # quantizer's own in the relaxed phase, and those of components that use them only in some steps
            strategy = DDPStrategy(find_unused_parameters=True)
            trainer = Trainer(**settings, strategy=strategy)
    except (MisconfigurationException, ValueError, RuntimeError, TypeError, UserWarning) as problem:
        raise TrainingError(f"cannot train with these settings: {str(problem).splitlines()[0]}") from problem
    if launch_size() not in (1, trainer.world_size):
        raise TrainingError(
            f"{launch_size()} processes were started, but not as torchrun or srun start them: each would train alone."
        )
    if trainer.strategy.root_device.type == "mps":
        raise TrainingError("Apple's GPUs have no float64, which priors need: use --accelerator cpu.")
    return trainer


@contextmanager
def _short_errors() -> Iterator[None]:
    """Turn errors of torch about memory, reading processes and torch.compile into one-line errors."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as problem:
        raise TrainingError("the device has too little memory for this; set a smaller batch-size.") from problem
    except DataError as problem:  # reading processes put their traceback into the message
        raise DataError(str(problem).strip().splitlines()[-1].removeprefix(f"{_DATA_ERROR}: ")) from problem
    except Exception as problem:  # the classes differ between versions of torch
        for pattern, advice in _ADVICE.items():
            if isinstance(problem, RuntimeError) and re.search(pattern, str(problem)):
                raise TrainingError(advice) from problem
        if not type(problem).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        reason = " ".join(str(problem).split())[:300]
        raise TrainingError(f"torch.compile does not work here; leave out --compile. {reason}") from problem


@contextmanager
def _without_advice() -> Iterator[None]:
    """Ignore warnings of Lightning and torch that users cannot act on."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view")  # 1×1 weights, channels last
        warnings.filterwarnings("ignore", "find_unused_parameters=True was specified")  # in some steps, there are some
        warnings.filterwarnings("ignore", r"The \.grad attribute of a Tensor that is not a leaf")  # torch.compile
        warnings.filterwarnings("ignore", r".*isinstance\(treespec, LeafSpec\)` is deprecated.*")
        yield
