"""What several processes that train together do with what each of them has."""

from collections.abc import Sequence

import torch
from torch import Tensor, distributed


def summed(values: Tensor) -> Tensor:
    """The sum over all processes; the values themselves where there is one."""
    if together():
        distributed.all_reduce(values)
    return values


def together() -> bool:
    """Whether several processes train together, and have met."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def rank() -> int:
    """Which of them this is."""
    return distributed.get_rank() if together() else 0


def world_size() -> int:
    """How many there are."""
    return distributed.get_world_size() if together() else 1


def most(values: Sequence[float], device: torch.device) -> list[float]:
    """The greatest of all processes' values, for each of several."""
    if not together():
        return list(values)
    shared = torch.tensor(values, device=device)
    distributed.all_reduce(shared, distributed.ReduceOp.MAX)
    found: list[float] = shared.tolist()
    return found


def part() -> None:
    """Take leave of the others, once all are done: who is left when the first one ends may be aborted."""
    if together():
        distributed.barrier()
        distributed.destroy_process_group()
