"""Classification of exceptions: reasons for the user, and which errors end a run."""

import errno
from collections.abc import Iterator

from omega_core.errors import OmegaError, OutputError, StoreError

_OF_THE_DEVICE = {
    number
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EIO", "ENODEV", "ENXIO", "EMFILE", "ENFILE")
    if (number := getattr(errno, name, None)) is not None
}
# messages of RuntimeErrors of torch, which has no exception class for CPU memory
_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "std::bad_alloc")


class Terminated(BaseException):
    """A signal ends the command. status: the exit status, 128 plus the number of the signal.

    It is not a SystemExit, because the import of a plugin may raise one.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def reason_of(problem: BaseException) -> str:
    """The reason why a picture failed, as one sentence."""
    if is_memory(problem):
        return "not enough memory."
    text = " ".join(str(problem).split())
    if isinstance(problem, OmegaError):
        return text
    if isinstance(problem, OSError):
        return f"{problem.strerror or text}."
    return f"{type(problem).__name__}: {text}".rstrip(": ").rstrip(".") + "."


def is_foreign(problem: BaseException) -> bool:
    """Whether an exception indicates a bug, rather than invalid input or a problem of the environment."""
    return not isinstance(problem, (OmegaError, OSError)) and not is_memory(problem)


def is_memory(problem: BaseException) -> bool:
    """Whether memory ran out in Python, NumPy, Pillow, torch or the system, even if another error was raised for it."""
    return any(
        isinstance(each, MemoryError)
        or (isinstance(each, OSError) and each.errno == errno.ENOMEM)
        or (isinstance(each, RuntimeError) and any(words in str(each) for words in _OF_MEMORY))
        for each in with_causes(problem)
    )


def stops_all(problem: BaseException) -> bool:
    """Whether an exception ends the run, because nothing can be written any more, as on a full disk."""
    return isinstance(problem, StoreError) or (
        isinstance(problem, OutputError)
        and any(isinstance(each, OSError) and each.errno in _OF_THE_DEVICE for each in with_causes(problem))
    )


def with_causes(problem: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its chain of causes, the most recent one first."""
    each: BaseException | None = problem
    for _ in range(10):
        if each is None:
            return
        yield each
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
