"""The cores of this process, its rank among those that torchrun, srun or Lightning launched, and its signal handlers.

Rank and number of processes are read from the environment. No process group of torch is needed; if there is one, it has
its own ranks.
"""

import math
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

Item = TypeVar("Item")

_AGAIN_AFTER = 0.01  # seconds
_CONTROL_GROUP = Path("/sys/fs/cgroup")  # of this process, if it runs in a container
_QUOTAS = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))  # files of control groups 2 and 1


def bound_cores() -> int:
    """Return the number of cores that this process is bound to; without an affinity mask, those of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_cores() -> int:
    """Return the number of cores that this process may use: in a container, its quota of CPU time may allow fewer."""
    return thread_limit() or bound_cores()


def thread_limit() -> int:
    """Return the number of threads that the CPU quota of a container allows; 0 if it allows one for each bound core.

    Libraries start a thread for each core to which the process is bound. A container with a quota of two of 64 cores
    then stops them most of the time.
    """
    for names in _QUOTAS:
        try:
            quota, period = " ".join((_CONTROL_GROUP / name).read_text("ascii") for name in names).split()
        except (OSError, ValueError):
            continue
        if quota.isdecimal():  # otherwise "max" or "-1"
            cores = math.ceil(int(quota) / int(period))
            return cores if cores < bound_cores() else 0
    return 0


def launch_size() -> int:
    """Return the number of processes that were launched together; 1 for a process that was started alone."""
    return max(1, _number("WORLD_SIZE", "SLURM_STEP_NUM_TASKS", default=1))


def launch_rank() -> int:
    """Return the index of this process among those launched together, from 0."""
    if launch_size() == 1:
        return 0
    # in an interactive SLURM job, SLURM_PROCID belongs to the job, not to a process that torchrun starts in it
    variables = ("RANK", "LOCAL_RANK") if _number("WORLD_SIZE", default=0) else ("SLURM_PROCID",)
    return _number(*variables, default=0)


def share(items: Sequence[Item]) -> Sequence[Item]:
    """Return the items for this process: every item goes to exactly one process."""
    return items[launch_rank() :: launch_size()]


@contextmanager
def kept_signal_handlers() -> Iterator[None]:
    """A context that restores signal handlers at its end, as libraries leave their own installed.

    It restores those of SIGINT and SIGTERM, and everything that `raise_from_handler` changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, *((signal.SIGALRM,) if hasattr(signal, "SIGALRM") else ()))
    before = {number: signal.getsignal(number) for number in numbers}
    hook = sys.unraisablehook
    try:
        yield
    finally:
        if sys.unraisablehook is not hook and hasattr(signal, "SIGALRM"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = hook
        _restore(before)


@contextmanager
def deferred_signals(numbers: Iterable[int]) -> Iterator[None]:
    """A context in which signals are only recorded. Their handlers run at its end, and may raise an exception there.

    Masking signals is not enough: a thread of a library may receive them, and Python runs handlers in the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    before = {number: signal.signal(number, lambda each, _frame: arrived.append(each)) for number in numbers}
    try:
        yield
    finally:
        _restore(before)
        for number in arrived:
            signal.raise_signal(number)


def raise_from_handler(problem: BaseException) -> NoReturn:
    """Raise an exception from a signal handler. On systems with SIGALRM, raise it again as long as Python drops it.

    Python drops exceptions in callbacks of weak references and in finalizers, and a signal may arrive while one of
    them runs. problem: not a subclass of Exception, which the interrupted code might handle.
    """
    show = sys.unraisablehook

    def raise_later(dropped: "sys.UnraisableHookArgs") -> None:  # Python drops what the hook itself raises, too
        if dropped.exc_value is problem:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_AFTER)
        else:
            show(dropped)

    def raise_again(_number: int, _frame: FrameType | None) -> None:
        raise problem

    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, raise_again)
        sys.unraisablehook = raise_later
    raise problem


def _restore(handlers: Mapping[int, Any]) -> None:
    for number, handler in handlers.items():
        if handler is not None:  # None for a handler of a C library, which Python cannot set
            signal.signal(number, handler)


def _number(*variables: str, default: int) -> int:
    """Return the value of the first of these environment variables that is a number; `default` if none is.

    srun sets SLURM_STEP_NUM_TASKS. SLURM_NTASKS is not used: a batch script runs once, but SLURM_NTASKS may be greater
    than 1 there.
    """
    for variable in variables:
        value = os.environ.get(variable, "")
        if value.isdecimal():
            return int(value)
    return default
