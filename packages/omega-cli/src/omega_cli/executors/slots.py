"""Slots: room for one job at a time, whoever does it."""

import traceback
from typing import TYPE_CHECKING, Protocol

from omega_cli.jobs import Done, Task
from omega_core.errors import OmegaError

if TYPE_CHECKING:
    from concurrent.futures import Future


class Slot(Protocol):
    """Room for one job at a time: a process of this machine, or some of the capacity of a cluster."""

    def submit(self, job: Task) -> "Future[Done]":
        """Start a job."""

    def result(self, future: "Future[Done]") -> Done | None:
        """The result of a job that has ended; None if its process was killed.

        Raises OutputError if no results can be written any more, and ClusterError if the cluster cannot do jobs.
        """

    def end(self) -> None:
        """End the process, if it is this slot's alone; the next job starts another one."""


class ClusterError(OmegaError):
    """A cluster cannot be reached, or cannot do the jobs."""


class LostClusterError(ClusterError):
    """A cluster cannot be reached any more; what is done is done."""

    status = 1


def cannot_do(kind: str, problem: BaseException) -> ClusterError:
    """The error for what went wrong in a process of a cluster outside of jobs, such as a module that is not there."""
    while problem.__cause__ is not None:
        problem = problem.__cause__
    last = traceback.format_exception_only(problem)[-1].strip().splitlines()[-1]  # of Ray, a traceback comes before
    return ClusterError(f"the workers of {kind} cannot do this: {last}. They need the same packages as this machine.")
