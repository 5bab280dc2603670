"""Processes: which of those that torchrun, srun or Lightning launched this is, and its signal handlers.

Rank and number are from the environment. No process group of torch is needed; once there is one, it has ranks of its
own.
"""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


def launch_size() -> int:
    """Return the number of processes that were launched together; 1 for a process that was started alone."""
    return max(1, _number("WORLD_SIZE", "SLURM_STEP_NUM_TASKS", default=1))


def launch_rank() -> int:
    """Return the index of this process among those launched together, from 0."""
    if launch_size() == 1:
        return 0
    # in an interactive SLURM job SLURM_PROCID is that of the job, not of a process that torchrun starts in it
    variables = ("RANK", "LOCAL_RANK") if _number("WORLD_SIZE", default=0) else ("SLURM_PROCID",)
    return _number(*variables, default=0)


def share(items: Sequence[Item]) -> Sequence[Item]:
    """Return the items for this process: every item goes to exactly one process."""
    return items[launch_rank() :: launch_size()]


@contextmanager
def kept_signal_handlers() -> Iterator[None]:
    """A context after which SIGINT and SIGTERM have the handlers that they had before: libraries leave their own."""
    numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _number(*variables: str, default: int) -> int:
    """Return the first of some environment variables that is a number.

    srun sets SLURM_STEP_NUM_TASKS. SLURM_NTASKS is not used: a batch script runs once, but SLURM_NTASKS may be greater
    than 1 there.
    """
    for variable in variables:
        value = os.environ.get(variable, "")
        if value.isdecimal():
            return int(value)
    return default
