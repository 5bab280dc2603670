"""Jobs, one or more inputs of a command each, the workers that do them, and their results."""

import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from omega_cli.failures import is_foreign, is_memory, reason_of, stops_all
from omega_cli.logs import Line
from omega_cli.messages import many
from omega_core.errors import OmegaWarning


class Task(Protocol):
    """A job. It may have a method `parts()` that returns smaller jobs, which are tried one by one if a process dies."""

    @property
    def names(self) -> Sequence[str]:
        """The names of the inputs of the job, for messages and for the account of a run."""


TaskType = TypeVar("TaskType", bound=Task)


@dataclass(frozen=True)
class Problem:
    """An error, with all inputs that it affected.

    names: the names of these inputs.
    reason: a sentence.
    """

    names: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return f"{_listed(self.names)}: {self.reason}"


def _listed(names: Sequence[str]) -> str:
    """The first name, and the number of the others."""
    return names[0] + (f" and {many(len(names) - 1, 'other')}" if len(names) > 1 else "")


@dataclass
class Done:
    """The result of a job, or the sum of several results.

    pictures: number of pictures that were processed without an error.
    bytes_in, bytes_out, pixels: the sizes of their inputs and outputs in bytes, and their number of pixels.
    problems: the errors of inputs that failed.
    remarks: warnings.
    made: a result for the caller, such as the blocks of a pack.
    names: the names of the inputs of the job.
    traces: tracebacks of exceptions that indicate a bug.
    exhausted: whether memory ran out; the job may then succeed while no other job runs.
    seconds: the duration of the job.
    logged: log lines of a process that cannot print them.
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
    logged: list[Line] = field(default_factory=list)

    @property
    def line(self) -> str:
        """A line for the log: names, sizes and duration."""
        sizes = f"{self.bytes_in} → {self.bytes_out} bytes, " if self.bytes_out else ""
        return f"{_listed(self.names)}: {sizes}{self.seconds:.2f} s"

    def add(self, other: "Done") -> None:
        """Add the numbers and messages of another result, except `made`, which the caller must combine."""
        self.pictures += other.pictures
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out
        self.pixels += other.pixels
        self.problems += other.problems
        self.remarks += other.remarks
        self.traces += other.traces
        self.logged += other.logged

    def fail(self, names: Sequence[str], problem: BaseException) -> None:
        """Add an error that affects some inputs of the job."""
        self.problems.append(Problem(tuple(names), reason_of(problem)))
        self.exhausted |= is_memory(problem)
        if is_foreign(problem):
            self.traces.append("".join(traceback.format_exception(problem)))


Worker: TypeAlias = Callable[[TaskType], Done]
"""Does a job of `carry_out`. Each other process receives a pickled copy once. Models are loaded with the first job.

An exception is an error of this job only, except for those of `stops_all`, such as a full disk, which end the run. The
process may end without running `atexit` functions.

It may have an attribute `imports` with the names of modules that it needs and that are slow to import. They are
imported before processes are forked, so importing them must not start a thread or use a GPU.
"""


def do_job(worker: Worker[TaskType], job: TaskType) -> Done:
    """Do a job, and collect its errors and warnings."""
    began = time.monotonic()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", OmegaWarning)
        warnings.filterwarnings("ignore", module=r"PIL\.")  # warnings about metadata, which do not help users
        try:
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
