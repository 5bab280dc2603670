"""Collective operations over the process group of Lightning.

Without a group, before training or with one process, they act as for a group of one. `omega_core.processes` has the
rank of a process before there is a group.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributed


def is_distributed() -> bool:
    """Whether there is a process group of more than one process."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def rank() -> int:
    """The index of this process in the group, from 0."""
    return distributed.get_rank() if is_distributed() else 0


def world_size() -> int:
    """The number of processes in the group."""
    return distributed.get_world_size() if is_distributed() else 1


def all_reduce_sum(values: Tensor) -> Tensor:
    """Sum a tensor over all processes, in place, and return it. All processes have to call this."""
    if is_distributed():
        distributed.all_reduce(values)
    return values


def all_reduce_max(values: Sequence[float], device: torch.device) -> list[float]:
    """The maximum over all processes of each value. All processes have to call this.

    values: the same number of values in each process. device: the device of the process, on which they are reduced.
    """
    if not is_distributed():
        return list(values)
    shared = torch.tensor(values, device=device)
    distributed.all_reduce(shared, distributed.ReduceOp.MAX)
    found: list[float] = shared.tolist()
    return found


def gathered(value: Any) -> list[Any]:
    """The values of all processes, in the order of their ranks. All processes have to call this.

    value: an object that can be pickled.
    """
    if not is_distributed():
        return [value]
    values: list[Any] = [None] * world_size()
    distributed.all_gather_object(values, value)
    return values


def shutdown() -> None:
    """Leave the group once all processes are done: the end of the first process may abort the others."""
    if is_distributed():
        distributed.barrier()
        leave()


def leave() -> None:
    """Leave the group without waiting, after an error. Other processes that wait for this one raise an error, too."""
    if is_distributed():
        distributed.destroy_process_group()
