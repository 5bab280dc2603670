"""Many jobs, in this process or in several, with progress; one that fails does not stop the others.

What starts processes is imported where it is used, as most commands start none.
"""

import logging
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from types import FrameType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from omega_cli.failures import is_foreign, is_memory, reason_of, stops_all
from omega_cli.logs import Shown, print_logs, shown
from omega_cli.messages import many, say, say_error, say_warning
from omega_cli.progress import Progress
from omega_core.errors import OmegaError, OmegaWarning
from omega_core.names import printable

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

_log = logging.getLogger(__name__)

_GRACE = 3.0  # seconds that a worker has to remove partial output
_KILLED = "its process was killed, perhaps because memory ran out."


class Task(Protocol):
    """A job. It may have a method `parts()`: the jobs it is made of, to be tried one by one where a process dies."""

    @property
    def names(self) -> Sequence[str]:
        """The inputs that the job is about, for messages and for the account of a run."""


TaskType = TypeVar("TaskType", bound=Task)
TaskType_contra = TypeVar("TaskType_contra", bound=Task, contravariant=True)


@dataclass(frozen=True)
class Problem:
    """What went wrong, once for all inputs to which it happened.

    names: of these inputs.
    reason: a sentence.
    """

    names: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return f"{_listed(self.names)}: {self.reason}"


def _listed(names: Sequence[str]) -> str:
    """The first name, and how many others there are."""
    return names[0] + (f" and {many(len(names) - 1, 'other')}" if len(names) > 1 else "")


@dataclass
class Done:
    """The result of a job, or the sum of several results.

    pictures: number of pictures that were processed without an error.
    bytes_in, bytes_out, pixels: sizes of their inputs and outputs, and their pixels.
    problems: the errors of inputs that failed.
    remarks: warnings.
    made: a result that is passed to the caller, such as the blocks of a pack.
    names: the inputs that the job was about.
    traces: where exceptions come from that are mistakes in the program.
    exhausted: whether memory ran out, so that the job may succeed while no other one runs.
    seconds: the time that the job took.
    """

    pictures: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    pixels: int = 0
    problems: list[Problem] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    made: Any = None
    names: tuple[str, ...] = ()
    traces: list[str] = field(default_factory=list)
    exhausted: bool = False
    seconds: float = 0.0

    @property
    def line(self) -> str:
        """What was done, for the log."""
        sizes = f"{self.bytes_in} → {self.bytes_out} bytes, " if self.bytes_out else ""
        return f"{_listed(self.names)}: {sizes}{self.seconds:.2f} s"

    def add(self, other: "Done") -> None:
        """Add the numbers and messages of another result; `made` is left to the caller."""
        self.pictures += other.pictures
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out
        self.pixels += other.pixels
        self.problems += other.problems

    def fail(self, names: Sequence[str], problem: BaseException) -> None:
        """Add what went wrong with some inputs of the job."""
        self.problems.append(Problem(tuple(names), reason_of(problem)))
        self.exhausted |= is_memory(problem)
        if is_foreign(problem):
            self.traces.append("".join(traceback.format_exception(problem)))


class Worker(Protocol[TaskType_contra]):
    """Does the jobs of `carry_out`. Other processes receive it by pickle, before `start`."""

    def start(self) -> None:
        """Load models and other data, once in each process."""

    def __call__(self, job: TaskType_contra, /) -> Done:
        """Do a job.

        Any exception is an error of this job alone, except an OutputError because of a full disk and the like, which
        stops all jobs.
        """


def carry_out(
    worker: Worker[TaskType], jobs: Sequence[TaskType], processes: int, unit: str, *, quiet: bool = False
) -> Iterator[Done]:
    """Do all jobs and yield the result of each: in the order of the jobs if one process does them.

    Problems and remarks are printed to standard error, each remark once. A job that runs out of memory in one of
    several processes, or whose process is killed, is done again after all others, while no other one runs.

    worker: does the jobs; it is pickled for each process.
    jobs: the arguments of its calls.
    processes: how many processes share the jobs; 1 is this process.
    unit: the noun for progress, such as "picture".
    quiet: whether to show no progress.

    Raises OutputError if no results can be written any more.
    """
    said: set[str] = set()
    with Progress(len(jobs), unit, quiet=quiet) as progress:
        for done in _here(worker, jobs) if processes == 1 else _elsewhere(worker, jobs, processes):
            for problem in done.problems:
                say_error(str(problem))
            for trace in done.traces if "--debug" in sys.argv else ():
                say(trace, err=True)
            for remark in done.remarks:
                if remark not in said:
                    say_warning(remark)
                    said.add(remark)
            if done.pictures:
                _log.info(printable(done.line))
            progress.advance()
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


def _here(worker: Worker[TaskType], jobs: Iterable[TaskType]) -> Iterator[Done]:
    worker.start()
    for job in jobs:
        yield _do(worker, job)


def _do(worker: Worker[TaskType], job: TaskType, start: Callable[[], None] = lambda: None) -> Done:
    """Do a job, and collect its errors and warnings. start: is called before, and its errors are those of the job."""
    began = time.monotonic()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", OmegaWarning)
        warnings.filterwarnings("ignore", module=r"PIL\.")  # about metadata: of no use to users
        try:
            start()
            done = worker(job)
        except (Exception, SystemExit) as problem:
            if stops_all(problem):
                raise
            done = Done()
            done.fail(job.names, problem)
    done.names, done.seconds = tuple(job.names), time.monotonic() - began
    for each in caught:
        text = str(each.message)
        done.remarks.append(text if issubclass(each.category, OmegaWarning) else f"{each.category.__name__}: {text}")
    return done


class _Process(Generic[TaskType]):
    """A process that does one job after the other, and another one in its place when it is killed."""

    def __init__(self, worker: Worker[TaskType], threads: int) -> None:
        self._arguments = worker, threads, shown()
        self._executor: ProcessPoolExecutor | None = None

    def submit(self, job: TaskType) -> "Future[Done]":
        """Start a job. The future raises BrokenProcessPool if the process dies before the end of it."""
        from concurrent.futures import ProcessPoolExecutor
        from concurrent.futures.process import BrokenProcessPool
        from multiprocessing import get_context

        with _no_interrupts():  # nor in the process that starts here: Ctrl-C is its parent's
            if self._executor is None:
                self._executor = ProcessPoolExecutor(1, get_context("spawn"), _begin, self._arguments)
            try:
                return self._executor.submit(_do_next, job)
            except BrokenProcessPool:  # killed after its last job
                self.end()
                return self.submit(job)

    def end(self) -> None:
        """End the process; the next job starts another one."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
            self._executor = None


def _elsewhere(worker: Worker[TaskType], jobs: Iterable[TaskType], processes: int) -> Iterator[Done]:
    """Yield results from several processes, in the order in which the jobs end."""
    from concurrent.futures import FIRST_COMPLETED, wait
    from multiprocessing import active_children

    left, again = iter(jobs), list[TaskType]()
    free = [_Process(worker, max(1, _cores() // processes)) for _ in range(processes)]
    busy: dict[Future[Done], tuple[_Process[TaskType], TaskType]] = {}
    try:
        while True:
            for process, job in zip(list(free), islice(left, len(free)), strict=False):
                free.remove(process)
                busy[process.submit(job)] = process, job
            if not busy:
                break
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                process, job = busy.pop(future)
                free.append(process)
                done = _result(process, future)
                if done is None or done.exhausted:
                    again.append(job)
                else:
                    yield done
        for process in free[1:]:
            process.end()
        yield from _one_by_one(free[0], again)
    except BaseException:  # do not wait for jobs that are still running
        for child in active_children():
            child.terminate()
        raise
    finally:
        for process in [*free, *(process for process, _ in busy.values())]:
            process.end()


def _one_by_one(process: _Process[TaskType], jobs: Iterable[TaskType]) -> Iterator[Done]:
    """Do jobs while no other one runs, in the end those that a job is made of."""
    process.end()  # to begin with all memory
    for job in jobs:
        done = _result(process, process.submit(job))
        if done is None:
            parts: list[TaskType] = getattr(job, "parts", list)()
            done = Done(names=tuple(job.names), problems=[] if parts else [Problem(tuple(job.names), _KILLED)])
            for part in _one_by_one(process, parts):
                done.add(part)
                done.made = [*(done.made or []), *(part.made or [])]
        elif done.exhausted:
            process.end()
        yield done


def _result(process: _Process[TaskType], future: "Future[Done]") -> Done | None:
    """The result of a job; None if its process was killed."""
    from concurrent.futures.process import BrokenProcessPool

    try:
        return future.result()
    except BrokenProcessPool:
        process.end()
        return None


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
_started = False
_busy = False


def _begin(worker: Worker[Any], threads: int, chosen: Shown) -> None:
    """Initialize a worker process, which ends when its parent dies or sends SIGTERM, after removing partial output."""
    global _worker, _started
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    print_logs(chosen)
    if "torch" not in sys.modules:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    _worker, _started = worker, False


def _end_with_parent() -> None:
    from multiprocessing import parent_process

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


def _start() -> None:
    """Load what the worker of this process needs, before its first job: a failure is then one of that job."""
    global _started
    if not _started:
        _worker.start()
        _started = True


def _do_next(job: Any) -> Done:
    global _busy
    _busy = True
    try:
        return _do(_worker, job, _start)
    except _Stopped:
        os._exit(1)
    finally:
        _busy = False


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
