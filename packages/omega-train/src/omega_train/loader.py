"""From a data set to the batches that a process trains on."""

import os
import signal
from collections.abc import Iterable, Iterator
from typing import Any, cast

import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch.utils.data import DataLoader

from omega_core.contracts.dataset import Dataset
from omega_train.cluster import local_processes, stop_signals
from omega_train.data.arrays import ArrayImages
from omega_train.recipe import Recipe
from omega_train.sampling import Batch, BatchedImages, HeldImages, StepSampler


class TrainingData(LightningDataModule):
    """The batches from the step on that a run is at."""

    def __init__(self, dataset: Dataset, recipe: Recipe, workers: int | None) -> None:
        super().__init__()
        self.dataset, self.recipe, self.workers = dataset, recipe, workers
        self.reading: list[Any] = []

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Without waiting for it, where the batch is in pinned memory."""
        return batch.to(device, non_blocking=True)

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
        if isinstance(self.dataset.train, ArrayImages):
            return HeldImages(self.dataset.train.pixels, sampler, device)
        loader = DataLoader(
            BatchedImages(self.dataset.train, self.recipe.seed),
            batch_sampler=sampler,
            collate_fn=_as_it_is,
            num_workers=reading_workers(device) if self.workers is None else self.workers,
            pin_memory=device.type == "cuda",
            worker_init_fn=_deaf_to_signals,
        )
        return _Kept(loader, self.reading)

    def close(self) -> None:
        """End the processes that read: they are deaf to the signal by which Python would, and it would wait."""
        for iterator in self.reading:
            if hasattr(iterator, "_shutdown_workers"):
                iterator._shutdown_workers()
        self.reading.clear()


class _Kept:
    """A DataLoader whose iterators are kept, as what failed may hold on to them."""

    def __init__(self, loader: DataLoader[Batch], reading: list[Any]) -> None:
        self.loader, self.reading = loader, reading

    def __iter__(self) -> Iterator[Batch]:
        iterator = iter(self.loader)
        self.reading.append(iterator)
        return iterator


def reading_workers(device: torch.device) -> int:
    """How many processes read pictures for one that trains on a device: none if it uses all cores itself."""
    if device.type == "cpu":
        return 0
    everyone = os.cpu_count() or 1
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else everyone
    if mine == everyone:  # no one has given each process cores of its own
        mine //= local_processes() or torch.cuda.device_count() or 1
    return max(1, min(8, mine - 1))


def _deaf_to_signals(_worker: int) -> None:
    """What asks a run to stop reaches all its processes; those that read end when it does."""
    for number in stop_signals():
        signal.signal(number, signal.SIG_IGN)


def _as_it_is(batch: Any) -> Any:
    return batch
