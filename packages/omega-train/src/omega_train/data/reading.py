"""Processes that read pictures for one that computes."""

import os
import signal
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from omega_train.cluster import local_processes, stop_signals


def reader(dataset: Dataset[Any], batches: Iterable[Any], workers: int, *, pinned: bool = False) -> Any:
    """A DataLoader that gives each batch as the data set returns it, read by some workers; by none, if 0."""
    return DataLoader(
        dataset,
        batch_sampler=batches,
        collate_fn=_as_it_is,
        num_workers=workers,
        pin_memory=pinned,
        worker_init_fn=_ignore_stop_signals,
    )


def stop_reading(iterator: Iterator[Any]) -> None:
    """End the workers of an iterator: they ignore the signal by which Python would, and it would wait."""
    if hasattr(iterator, "_shutdown_workers"):
        iterator._shutdown_workers()


def reading_workers(device: torch.device) -> int:
    """How many processes read pictures for one that trains on a device: none if it uses all cores itself."""
    if device.type == "cpu":
        return 0
    everyone = os.cpu_count() or 1
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else everyone
    if mine == everyone:  # no one has given each process cores of its own
        mine //= local_processes() or torch.cuda.device_count() or 1
    return max(1, min(8, mine - 1))


def _ignore_stop_signals(_worker: int) -> None:
    """Leave stopping to the process that trains, which ends those that read."""
    for number in stop_signals():
        signal.signal(number, signal.SIG_IGN)


def _as_it_is(batch: Any) -> Any:
    return batch
