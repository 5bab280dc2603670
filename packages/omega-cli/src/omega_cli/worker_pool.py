"""Runs many jobs in this process, in several processes or on a cluster. A failure does not stop the other jobs.

Modules that start processes are imported where they are used, because most commands start none.
"""

import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from omega_cli.executors.cluster import Cluster
from omega_cli.executors.slots import LostClusterError, Slot
from omega_cli.jobs import Done, Problem, Task, TaskType, Worker, do_job
from omega_cli.logs import log_again
from omega_cli.messages import many, say, say_error, say_warning
from omega_cli.progress import Progress
from omega_core.names import printable
from omega_core.processes import available_cores

if TYPE_CHECKING:
    from concurrent.futures import Future

_log = logging.getLogger(__name__)

_KILLED = "its process was killed, perhaps because memory ran out."


def carry_out(
    worker: Worker[TaskType],
    jobs: Sequence[TaskType],
    processes: int,
    unit: str,
    *,
    quiet: bool = False,
    cluster: Cluster | None = None,
) -> Iterator[Done]:
    """Do all jobs and yield their results. A single process yields them in the order of the jobs.

    Problems and remarks are printed to standard error, each remark once. If a job runs out of memory in one of several
    processes, or its process is killed, it is repeated after all others, while no other job runs.

    worker: does the jobs; it is pickled for each process.
    jobs: the arguments of its calls.
    processes: the number of processes; 1 is this process.
    unit: the noun for progress, such as "picture".
    quiet: whether to hide progress.
    cluster: the cluster that does the jobs; None for local processes.

    Raises OutputError if no more results can be written, and ClusterError if the cluster cannot do the jobs.
    """
    shown_remarks: set[str] = set()
    with Progress(len(jobs), unit, quiet=quiet) as progress:
        try:
            for done in _results(worker, jobs, processes, cluster):
                log_again(done.logged)
                for problem in done.problems:
                    say_error(str(problem))
                for trace in done.traces if "--debug" in sys.argv else ():
                    say(trace, err=True)
                for remark in done.remarks:
                    if remark not in shown_remarks:
                        say_warning(remark)
                        shown_remarks.add(remark)
                if done.pictures:
                    _log.info(printable(done.line))
                progress.advance()
                yield done
        except LostClusterError as lost:
            after = f"after {progress.done} of {many(len(jobs), unit)}"
            hope = "start again with --skip-existing, which keeps finished files."
            raise LostClusterError(f"{lost}, {after}; {hope}") from lost


def process_count(asked: int | None, jobs: int, worth: int | None = None) -> int:
    """The number of processes to use, at least 1 and at most `jobs`.

    asked: the number given by the user; None for `worth`, but at most one per core.
    jobs: the number of jobs.
    worth: the number of processes that save more time than their start takes; one per 256 jobs if None.
    """
    worth = jobs // 256 if worth is None else worth
    return max(1, min(jobs, asked if asked is not None else min(available_cores(), worth)))


def _results(
    worker: Worker[TaskType], jobs: Sequence[TaskType], processes: int, cluster: Cluster | None
) -> Iterator[Done]:
    if cluster is not None and jobs:
        with cluster.slots(worker, len(jobs)) as slots:
            yield from _elsewhere(slots, jobs)
    elif processes > 1 and jobs:
        from omega_cli.executors.local import local_slots

        with local_slots(worker, processes, max(1, available_cores() // processes)) as slots:
            yield from _elsewhere(slots, jobs)
    else:
        for job in jobs:
            yield do_job(worker, job)


_INTERRUPTIBLE = 0.5 if sys.platform == "win32" else None
"""The longest wait in seconds: Ctrl-C does not interrupt a wait on Windows."""


def _elsewhere(slots: Sequence[Slot], jobs: Iterable[Task]) -> Iterator[Done]:
    """Yield results from several slots, in the order of completion."""
    from concurrent.futures import FIRST_COMPLETED, wait

    left, again = iter(jobs), list[Task]()
    free = list(slots)
    busy: dict[Future[Done], tuple[Slot, Task]] = {}
    while True:
        for slot, job in zip(list(free), islice(left, len(free)), strict=False):
            free.remove(slot)
            busy[slot.submit(job)] = slot, job
        if not busy:
            break
        for slot in free:  # no job is left for them: in a cluster, others may wait for their CPU
            slot.end()
        for future in wait(busy, _INTERRUPTIBLE, FIRST_COMPLETED).done:
            slot, job = busy.pop(future)
            free.append(slot)
            done = slot.result(future)
            if done is None or done.exhausted:
                again.append(job)
            else:
                yield done
    for slot in free[1:]:
        slot.end()
    yield from _one_by_one(free[0], again)


def _one_by_one(slot: Slot, jobs: Iterable[Task]) -> Iterator[Done]:
    """Do jobs one at a time. If a process dies again, do the parts of its job."""
    slot.end()  # the next job starts in a new process, with all memory
    for job in jobs:
        done = slot.result(slot.submit(job))
        if done is None:
            parts: list[Task] = getattr(job, "parts", list)()
            done = Done(names=tuple(job.names), problems=[] if parts else [Problem(tuple(job.names), _KILLED)])
            for part in _one_by_one(slot, parts):
                done.add(part)
                done.made = [*(done.made or []), *(part.made or [])]
        elif done.exhausted:
            slot.end()
        yield done
