"""Slots, each of which runs one job at a time, locally or on a cluster."""

import traceback
from typing import TYPE_CHECKING, Protocol

from omega_cli.jobs import Done, Task
from omega_core.errors import OmegaError

if TYPE_CHECKING:
    from concurrent.futures import Future


class Slot(Protocol):
    """Runs one job at a time: a local process, or a part of the capacity of a cluster."""

    def submit(self, job: Task) -> "Future[Done]":
        """Start a job."""

    def result(self, future: "Future[Done]") -> Done | None:
        """The result of a job that has ended; None if its process was killed.

        Raises OutputError if no more results can be written, and ClusterError if the cluster cannot do jobs.
        """

    def end(self) -> None:
        """End the process, if the slot owns one. The next job starts another process."""


class ClusterError(OmegaError):
    """A cluster cannot be reached, or cannot do the jobs."""


class LostClusterError(ClusterError):
    """The connection to a cluster is lost. Finished jobs stay done."""

    status = 1


def cannot_do(kind: str, problem: BaseException) -> ClusterError:
    """The error for a failure in a process of a cluster outside of a job, such as a missing module."""
    while problem.__cause__ is not None:
        problem = problem.__cause__
    last = traceback.format_exception_only(problem)[-1].strip().splitlines()[-1]  # Ray puts a traceback before it
    return ClusterError(f"the workers of {kind} cannot do this: {last}. They need the same packages as this machine.")
