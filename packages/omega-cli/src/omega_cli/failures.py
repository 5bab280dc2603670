"""Why one picture of many failed."""

import errno
from collections.abc import Iterator

from omega_core.errors import OmegaError, OutputError, StoreError

_OF_THE_DEVICE = {
    number
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EIO", "ENODEV", "ENXIO", "EMFILE", "ENFILE")
    if (number := getattr(errno, name, None)) is not None
}
# RuntimeError of torch, which has no class of its own for the memory of the CPU
_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "std::bad_alloc")


class Terminated(SystemExit):
    """A signal ends the command: no error of the picture in work."""


def reason_of(problem: BaseException) -> str:
    """Say in one sentence why a picture failed."""
    if is_memory(problem):
        return "not enough memory."
    text = " ".join(str(problem).split())
    if isinstance(problem, OmegaError):
        return text
    if isinstance(problem, OSError):
        return f"{problem.strerror or text}."
    return f"{type(problem).__name__}: {text}".rstrip(": ").rstrip(".") + "."


def is_foreign(problem: BaseException) -> bool:
    """Whether an exception is a mistake in the program rather than in its input or surroundings."""
    return not isinstance(problem, (OmegaError, OSError)) and not is_memory(problem)


def is_memory(problem: BaseException) -> bool:
    """Whether memory ran out: of Python, NumPy, Pillow, torch or the system, also where that was taken for damage."""
    return any(
        isinstance(each, MemoryError)
        or (isinstance(each, OSError) and each.errno == errno.ENOMEM)
        or (isinstance(each, RuntimeError) and any(words in str(each) for words in _OF_MEMORY))
        for each in with_causes(problem)
    )


def stops_all(problem: BaseException) -> bool:
    """Whether a run ends: by a signal, or since nothing can be written any more, as where the disk is full or gone."""
    if isinstance(problem, (Terminated, StoreError)):
        return True
    return isinstance(problem, OutputError) and any(
        isinstance(each, OSError) and each.errno in _OF_THE_DEVICE for each in with_causes(problem)
    )


def with_causes(problem: BaseException) -> Iterator[BaseException]:
    """Yield an exception, and those that it comes from, the last one first."""
    each: BaseException | None = problem
    for _ in range(10):
        if each is None:
            return
        yield each
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
