"""The rank and number of processes that torchrun, srun or Lightning launched, from the environment.

No process group of torch is needed; once there is one, it has ranks of its own.
"""

import os
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def launch_size() -> int:
    """How many processes were launched together; 1 if this was started alone."""
    return max(1, _number("WORLD_SIZE", "SLURM_STEP_NUM_TASKS", default=1))


def launch_rank() -> int:
    """The number of this process among those launched together, from 0 on."""
    if launch_size() == 1:
        return 0
    # an interactive job of SLURM has a number too, which is not that of what others start in it
    variables = ("RANK", "LOCAL_RANK") if _number("WORLD_SIZE", default=0) else ("SLURM_PROCID",)
    return _number(*variables, default=0)


def share(items: Sequence[Item]) -> Sequence[Item]:
    """The items that fall to this process: each goes to exactly one."""
    return items[launch_rank() :: launch_size()]


def _number(*variables: str, default: int) -> int:
    """The first of some environment variables that is a number.

    SLURM_STEP_NUM_TASKS is only there for what srun starts: in the batch script itself, which runs once,
    SLURM_NTASKS may be greater than 1.
    """
    for variable in variables:
        value = os.environ.get(variable, "")
        if value.isdecimal():
            return int(value)
    return default
