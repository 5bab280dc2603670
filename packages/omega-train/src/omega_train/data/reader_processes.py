"""Processes that read pictures for a training process."""

import os
import signal
from collections.abc import Iterable, Iterator
from multiprocessing import active_children
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from omega_core.processes import available_cores, bound_cores, deferred_signals
from omega_train.job_environment import stop_signals


def reader(dataset: Dataset[Any], batches: Iterable[Any], workers: int, *, pinned: bool = False) -> Any:
    """A DataLoader that yields batches as the dataset returns them.

    dataset: a dataset with `__getitems__`. batches: the keys of each batch. workers: the number of reading processes;
    0 reads in this process. pinned: whether batches are copied into pinned memory.
    """
    return DataLoader(
        dataset,
        batch_sampler=batches,
        collate_fn=_as_it_is,
        num_workers=workers,
        pin_memory=pinned,
        worker_init_fn=_ignore_stop_signals,
    )


def start_reading(loader: DataLoader[Any], started: list[Any]) -> Iterator[Any]:
    """Start the workers of a DataLoader.

    started: a list to which the iterator is appended before a signal can raise an exception. `stop_reading` has to be
        called on it: otherwise Python would wait forever at exit, because workers ignore its signal.
    """
    before = active_children()
    with deferred_signals(stop_signals()):
        try:
            iterator = iter(loader)
        except BaseException:  # for example, there is no memory for another process
            for child in active_children():
                if child not in before:
                    child.kill()
            raise
        started.append(iterator)
    return iterator


def stop_reading(started: list[Any]) -> None:
    """Stop the workers of iterators from `start_reading`, and empty the list of these.

    Workers ignore the signal with which Python would stop them.
    """
    for iterator in started:
        if hasattr(iterator, "_shutdown_workers"):
            iterator._shutdown_workers()
    started.clear()


def reading_workers(device: torch.device, processes: int) -> int:
    """The default number of reading processes for training on a device: 0 for the CPU, whose cores training uses.

    processes: the number of training processes on this machine, which share its cores.
    """
    if device.type == "cpu":
        return 0
    mine = available_cores()
    if bound_cores() == os.cpu_count():  # otherwise, srun gave each process cores of its own
        mine //= processes
    return max(1, min(8, mine - 1))


def _ignore_stop_signals(_worker: int) -> None:
    """Ignore stop signals: the training process ends its reading processes."""
    for number in stop_signals():
        signal.signal(number, signal.SIG_IGN)


def _as_it_is(batch: Any) -> Any:
    return batch
