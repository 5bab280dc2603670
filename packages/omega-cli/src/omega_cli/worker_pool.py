"""Many jobs, in this process or in several, with progress; one that fails does not stop the others."""

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import active_children, get_context, parent_process
from types import FrameType
from typing import Any, Protocol, TypeVar, cast

import typer

from omega_cli.input_files import many
from omega_core.errors import OmegaError, OmegaWarning, OutputError, TargetError

_GRACE = 3.0  # seconds that a worker has to remove partial output
JobType = TypeVar("JobType", contravariant=True)


@dataclass
class Done:
    """The result of a job, or the sum of several results.

    pictures: number of pictures that were processed without an error.
    bytes_in, bytes_out, pixels: sizes of their inputs and outputs, and their pixels.
    problems: one error message for each job that failed.
    remarks: warnings.
    made: a result that is passed to the caller, such as the blocks of a pack.
    """

    pictures: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    pixels: int = 0
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    made: Any = None

    def add(self, other: "Done") -> None:
        """Add the numbers and messages of another result; `made` is left to the caller."""
        self.pictures += other.pictures
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out
        self.pixels += other.pixels
        self.problems += other.problems


class Worker(Protocol[JobType]):
    """Does the jobs of `carry_out`. Other processes receive it by pickle, before `start`."""

    def start(self) -> None:
        """Load models and other data, once in each process."""

    def __call__(self, job: JobType, /) -> Done:
        """Do a job.

        Raises OmegaError if this job failed, and OutputError other than TargetError, which stops all jobs, if results
        cannot be written.
        """


def carry_out(
    worker: Worker[JobType], jobs: Sequence[JobType], processes: int, unit: str, *, quiet: bool = False
) -> Iterator[Done]:
    """Do all jobs and yield the result of each: in the order of the jobs if one process does them.

    Problems and remarks are printed to standard error, each remark once.

    worker: does the jobs; it is pickled for each process.
    jobs: the arguments of its calls.
    processes: how many processes share the jobs; 1 is this process.
    unit: the noun of the progress bar, such as "picture".
    quiet: whether to show no progress bar; without a terminal there is none anyway.

    Raises OutputError if results cannot be written, and OmegaError if a process died.
    """
    from tqdm import tqdm

    said: set[str] = set()
    with tqdm(total=len(jobs), unit=unit, disable=quiet or None) as bar:
        for done in _here(worker, jobs) if processes == 1 else _elsewhere(worker, jobs, processes):
            for problem in done.problems:
                typer.echo(f"error: {problem}", err=True)
            for remark in done.remarks:
                if remark not in said:
                    typer.echo(f"warning: {remark}", err=True)
                    said.add(remark)
            bar.update()
            yield done


def process_count(asked: int | None, jobs: int) -> int:
    """The number of processes to use, at least 1 and at most `jobs`.

    asked: the number that the user gave, or None for one process per 256 jobs, at most one per core.
    jobs: the number of jobs.

    Raises OmegaError if `asked` is below 1.
    """
    if asked is not None and asked < 1:
        raise OmegaError(f"--workers has to be at least 1, not {asked}.")
    return max(1, min(jobs, asked if asked is not None else min(_cores(), jobs // 256)))


def _here(worker: Worker[JobType], jobs: Iterable[JobType]) -> Iterator[Done]:
    worker.start()
    for job in jobs:
        yield _do(worker, job)


def _do(worker: Worker[JobType], job: JobType) -> Done:
    """Do a job, and collect its errors and warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", OmegaWarning)
        try:
            done = worker(job)
        except (OmegaError, MemoryError) as problem:
            if isinstance(problem, OutputError) and not isinstance(problem, TargetError):
                raise
            source = getattr(job, "source", "")
            done = Done(problems=[f"{source}: {str(problem) or 'not enough memory.'}"])
    for each in caught:
        text = str(each.message)
        done.remarks.append(text if issubclass(each.category, OmegaWarning) else f"{each.category.__name__}: {text}")
    return done


def _elsewhere(worker: Worker[JobType], jobs: Iterable[JobType], processes: int) -> Iterator[Done]:
    """Yield results from several processes, in the order in which the jobs end."""
    left = iter(jobs)
    threads = max(1, _cores() // processes)
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin, (worker, threads))
    waiting: set[Future[Done]] = set()
    try:
        while True:
            with _no_interrupts():  # nor in the processes that start here: Ctrl-C is their parent's
                for job in islice(left, 4 * processes - len(waiting)):
                    waiting.add(pool.submit(_do_next, job))
            if not waiting:
                return
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    except BrokenProcessPool as problem:
        raise OmegaError("a worker process died, perhaps because memory ran out; use fewer --workers.") from problem
    except BaseException:  # do not wait for jobs that are still running
        for process in active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Block SIGINT within the context, on systems that can."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_worker: Any = None
_busy = False


def _begin(worker: Worker[Any], threads: int) -> None:
    """Initialize a worker process, which ends when its parent dies or sends SIGTERM, after removing partial output."""
    global _worker
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    if "torch" not in sys.modules:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    worker.start()
    _worker = worker


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is None:
        return
    parent.join()
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(cast(int, threading.main_thread().ident), signal.SIGTERM)
        time.sleep(_GRACE)
    os._exit(1)


class _Stopped(BaseException):
    """The parent process has sent SIGTERM."""


def _stop(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second signal must not interrupt the removal of partial output
    if not _busy:
        os._exit(1)
    raise _Stopped


def _do_next(job: Any) -> Done:
    global _busy
    _busy = True
    try:
        return _do(_worker, job)
    except _Stopped:
        os._exit(1)
    finally:
        _busy = False


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def summary(total: Done, skipped: int, *, rate: bool) -> str:
    """One line about all jobs.

    total: the sum of their results.
    skipped: number of pictures whose output existed.
    rate: whether to show sizes and bits per pixel.
    """
    parts = [many(total.pictures, "picture")]
    if rate and total.pixels:
        parts.append(f"{total.bytes_in} → {total.bytes_out} bytes")
        parts.append(f"{8 * total.bytes_out / total.pixels:.4f} bpp")
    if skipped:
        parts.append(f"{skipped} skipped")
    if total.problems:
        parts.append(f"{len(total.problems)} failed")
    return ", ".join(parts)
