"""Collective operations of the processes that train together, those of Lightning's process group.

Where there is no group, before training or where one process trains alone, they are those of a group of one. Which of
several processes this is before there is a group, the launcher says: see `omega_core.processes`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, distributed


def is_distributed() -> bool:
    """Whether there is a process group, of more than one process."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def rank() -> int:
    """The number of this process in the group, from 0 on."""
    return distributed.get_rank() if is_distributed() else 0


def world_size() -> int:
    """How many processes the group has."""
    return distributed.get_world_size() if is_distributed() else 1


def all_reduce_sum(values: Tensor) -> Tensor:
    """Sum a tensor over all processes, in place, and return it. All processes have to call this."""
    if is_distributed():
        distributed.all_reduce(values)
    return values


def all_reduce_max(values: Sequence[float], device: torch.device) -> list[float]:
    """The greatest of all processes' values, for each of several. All processes have to call this.

    device: through whose memory they go, that on which the process trains.
    """
    if not is_distributed():
        return list(values)
    shared = torch.tensor(values, device=device)
    distributed.all_reduce(shared, distributed.ReduceOp.MAX)
    found: list[float] = shared.tolist()
    return found


def shutdown() -> None:
    """Leave the group once all processes are done: those left when the first one ends may be aborted."""
    if is_distributed():
        distributed.barrier()
        distributed.destroy_process_group()
