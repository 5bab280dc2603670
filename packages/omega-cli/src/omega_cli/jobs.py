"""Jobs: what a command does with each of its inputs, the workers that do them, and the results."""

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
    """A job. It may have a method `parts()`: the jobs it is made of, to be tried one by one where a process dies."""

    @property
    def names(self) -> Sequence[str]:
        """The inputs that the job is about, for messages and for the account of a run."""


TaskType = TypeVar("TaskType", bound=Task)


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
    logged: lines of the log, of a process that cannot print them.
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
        self.remarks += other.remarks
        self.traces += other.traces
        self.logged += other.logged

    def fail(self, names: Sequence[str], problem: BaseException) -> None:
        """Add what went wrong with some inputs of the job."""
        self.problems.append(Problem(tuple(names), reason_of(problem)))
        self.exhausted |= is_memory(problem)
        if is_foreign(problem):
            self.traces.append("".join(traceback.format_exception(problem)))


Worker: TypeAlias = Callable[[TaskType], Done]
"""Does a job of `carry_out`. Other processes receive it by pickle, once each; it loads models with its first job.

Any exception is an error of this job alone, except an OutputError because of a full disk and the like, which stops all
jobs. Its process may end without `atexit`.

It may have an attribute `imports`: the names of modules that it needs and that take long to import. They are imported
before processes are forked, so importing them starts no thread and uses no GPU.
"""


def do_job(worker: Worker[TaskType], job: TaskType) -> Done:
    """Do a job, and collect its errors and warnings."""
    began = time.monotonic()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", OmegaWarning)
        warnings.filterwarnings("ignore", module=r"PIL\.")  # about metadata: of no use to users
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
