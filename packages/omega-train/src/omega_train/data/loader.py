"""Loading the training batches of a process."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, cast

import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch.utils.data import DataLoader

from omega_core.contracts.dataset import Dataset
from omega_train.data.arrays import ArrayImages
from omega_train.data.batches import Batch, BatchedImages, HeldImages, HeldPhotos, StepSampler
from omega_train.data.photos import FolderImages
from omega_train.data.reader_processes import reader, start_reading, stop_reading
from omega_train.recipe import Recipe

_SHARE_OF_GPU = 0.25  # maximum share of the free memory that photos take; training needs the rest


class TrainingData(LightningDataModule):
    """The batches from the current step of a run on. workers: the number of processes that read pictures."""

    def __init__(self, dataset: Dataset, recipe: Recipe, workers: int) -> None:
        super().__init__()
        self.dataset, self.recipe, self.workers = dataset, recipe, workers
        self.reading: list[Any] = []

    def train_dataloader(self) -> Iterable[Batch]:
        trainer = cast(Trainer, self.trainer)
        device = trainer.strategy.root_device
        sampler = StepSampler(
            size=len(self.dataset.train),
            batch=self.recipe.batch_size,
            seed=self.recipe.seed,
            first=trainer.global_step,
            process=trainer.global_rank,
            processes=trainer.world_size,
        )
        images = self.dataset.train
        if isinstance(images, ArrayImages):
            return HeldImages(images.pixels, sampler, device)
        if isinstance(images, FolderImages) and images.are_slices() and _has_room(device, images):
            return HeldPhotos(images, self.recipe.seed, sampler, device)
        pictures = BatchedImages(images, self.recipe.seed)
        loader = reader(pictures, sampler, self.workers, pinned=device.type == "cuda")
        return _Kept(loader, self.reading)

    def close(self) -> None:
        """End the reading processes."""
        stop_reading(self.reading)


def batches_of(dataset: Dataset, recipe: Recipe, steps: int, first: int = 0) -> Iterator[Batch]:
    """The training batches of a single process; for trainers other than `lightning`.

    dataset: the dataset with the training images.
    recipe: its batch size and seed determine the batches.
    steps: the number of batches.
    first: the step of the first batch.

    Raises RecipeError if a batch is larger than the dataset, DataError if no picture can be read.
    """
    sampler = StepSampler(size=len(dataset.train), batch=recipe.batch_size, seed=recipe.seed, first=first)
    pictures = BatchedImages(dataset.train, recipe.seed)
    for keys in islice(sampler, steps):
        yield pictures.__getitems__(keys)


def _has_room(device: torch.device, images: FolderImages) -> bool:
    """Whether the held pictures fit into the share of a GPU's free memory that photos may take."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return sum(pixels.nbytes for pixels in images.held.values()) <= _SHARE_OF_GPU * free


class _Kept:
    """A DataLoader that appends its iterators to a list, so that they can be stopped after an exception.

    Lightning stops those of a plain DataLoader, but not if a callback raises a second exception, as after a signal.
    """

    def __init__(self, loader: DataLoader[Batch], reading: list[Any]) -> None:
        self.loader, self.reading = loader, reading

    def __iter__(self) -> Iterator[Batch]:
        return start_reading(self.loader, self.reading)
