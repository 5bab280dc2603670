"""Standard input, output and error, some of which may be closed when the command starts."""

import errno
import io
import os
import sys
from contextlib import suppress

from omega_cli.failures import with_causes


def prepare() -> None:
    """Reserve the descriptors of closed streams, and replace characters that an encoding lacks by `?`.

    Otherwise the next file that is opened could get the descriptor of standard error, and libraries would write their
    messages into it. Text that cannot be written to standard error is discarded. If they are closed, `sys.stdin` and
    `sys.stdout` stay None.
    """
    for number in range(3):
        with suppress(OSError):
            os.fstat(number)
            continue
        empty = os.open(os.devnull, os.O_RDWR)
        if empty != number:
            os.dup2(empty, number, inheritable=True)
            os.close(empty)
        else:
            os.set_inheritable(number, True)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 (open until the command ends)
    elif sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        encoding = sys.stderr.encoding
        sys.stderr = _StandardError(sys.stderr.detach(), encoding, line_buffering=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # redirected on Windows, the encoding would be that of the system, which lacks most characters
            utf8 = sys.platform == "win32" and not stream.isatty() and "PYTHONIOENCODING" not in os.environ
            stream.reconfigure(encoding="utf-8" if utf8 else None, errors="replace")


class _StandardError(io.TextIOWrapper):
    """Standard error that ignores errors, such as a full disk or a closed pipe."""

    def write(self, text: str, /) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def is_broken_pipe(problem: BaseException) -> bool:
    """Whether an error is caused by a pipe that its reader has closed."""
    return any(isinstance(each, OSError) and _is_of_pipe(each) for each in with_causes(problem))


def _is_of_pipe(problem: OSError) -> bool:
    if sys.platform == "win32" and problem.errno == errno.EINVAL:  # errors of libraries have a number of Windows, too
        return problem.filename is None and getattr(problem, "winerror", None) is None
    return problem.errno == errno.EPIPE


def discard_output() -> None:
    """Discard the buffered data of standard output, which would raise an error when Python exits."""
    with suppress(OSError, ValueError, AttributeError):
        empty = os.open(os.devnull, os.O_WRONLY)
        os.dup2(empty, sys.stdout.fileno())
        os.close(empty)
