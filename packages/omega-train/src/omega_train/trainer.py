"""Training with PyTorch Lightning."""

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, Trainer
from torch.utils.data import DataLoader

from omega_core.contracts.dataset import Dataset as OmegaDataset
from omega_core.errors import DataError, RecipeError, TrainingError
from omega_core.registry import build
from omega_train.export import finish
from omega_train.keeper import Keeper
from omega_train.recipe import Recipe
from omega_train.sampling import Batch, BatchedImages, StepSampler
from omega_train.task import CodecTask


class LightningTrainer:
    """Trains a recipe on the CPU or on GPUs.

    data: the folder of the pictures, for data sets that need one.
    accelerator, devices, nodes, precision: as Lightning's Trainer takes them.

    Raises DataError, RecipeError, ComponentError or TrainingError if it could not be trained.
    """

    def __init__(
        self,
        *,
        recipe: Recipe,
        data: Path | None = None,
        accelerator: str = "auto",
        devices: str = "auto",
        nodes: int = 1,
        precision: str = "32-true",
    ) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.seed)
        self.task = CodecTask(recipe)
        self.trainer = _trainer(accelerator=accelerator, devices=devices, num_nodes=nodes, precision=precision)
        self.dataset: OmegaDataset = build(
            "dataset", recipe.dataset, recipe.dataset_options, data=data, seed=recipe.seed
        )
        self._check_pictures()
        batch = recipe.batch_size * self.trainer.world_size
        self.epoch = len(self.dataset.train) // batch
        if self.epoch == 0:
            raise RecipeError(
                f"a batch of {batch} pictures is more than the {len(self.dataset.train)} there are to train with;"
                " set a smaller batch-size."
            )

    def _check_pictures(self) -> None:
        """Raise DataError if the pictures are none that the architecture takes."""
        if not len(self.dataset.train) or not len(self.dataset.validation):
            raise DataError(f"the dataset {self.recipe.dataset} has no pictures to train or to validate with.")
        colours, height, width = self.dataset.train.load(0, 0).shape
        if colours != self.task.architecture.colours:
            wanted = self.task.architecture.colours
            raise DataError(f"the pictures have {colours} colours, the architecture takes {wanted}.")
        self.task.architecture.latent_size(height, width)

    def train(self, folder: Path, *, resume: bool = False) -> Path:
        """Train into a run folder and return the path of the best model.

        Raises TrainingError if it cannot go on, Interrupted after it saved where a signal asked it to stop.
        """
        recipe = self.recipe
        keeper = Keeper(
            folder,
            self.dataset.validation,
            steps=recipe.steps or self.epoch * (recipe.epochs or 0),
            epoch=self.epoch,
            every=recipe.validate_every or self.epoch,
        )
        self.trainer.callbacks.append(keeper)  # type: ignore[attr-defined]
        with _unworried(), _signals_given_back():
            self.trainer.fit(
                self.task,
                datamodule=_TrainingData(self.dataset, recipe),
                ckpt_path=folder / "last.ckpt" if resume else None,
                weights_only=True,
            )
        model = folder / "model.safetensors"
        if not model.exists():
            raise TrainingError(f"the run is at step {self.trainer.global_step} already; give it more steps or epochs.")
        if self.trainer.is_global_zero:
            finish(self.task, model, self.dataset.train)
        return model


def _trainer(**machine: Any) -> Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    try:
        return Trainer(
            **machine,
            max_epochs=-1,  # a run ends when the keeper says so
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
            use_distributed_sampler=False,
        )
    except (MisconfigurationException, ValueError, RuntimeError, TypeError) as problem:
        raise TrainingError(f"this machine cannot train so: {str(problem).splitlines()[0]}") from problem


class _TrainingData(LightningDataModule):
    """The batches from the step on that a run is at."""

    def __init__(self, dataset: OmegaDataset, recipe: Recipe) -> None:
        super().__init__()
        self.dataset, self.recipe = dataset, recipe

    def train_dataloader(self) -> DataLoader[Batch]:
        trainer = cast(Trainer, self.trainer)
        sampler = StepSampler(
            size=len(self.dataset.train),
            batch=self.recipe.batch_size,
            seed=self.recipe.seed,
            first=trainer.global_step,
            process=trainer.global_rank,
            processes=trainer.world_size,
        )
        images = BatchedImages(self.dataset.train, self.recipe.seed)
        return DataLoader(images, batch_sampler=sampler, collate_fn=_as_it_is)


def _as_it_is(batch: Any) -> Any:
    return batch


@contextmanager
def _signals_given_back() -> Iterator[None]:
    """Restore what signals did before Lightning came: it leaves a SIGTERM that does nothing."""
    numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _unworried() -> Iterator[None]:
    """Without the advice that Lightning gives to those who do not know it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", r".*isinstance\(treespec, LeafSpec\)` is deprecated.*")
        yield
