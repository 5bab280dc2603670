"""Standard input, output and error, of which a command may have been started without some."""

import errno
import io
import os
import sys
from contextlib import suppress

from omega_cli.failures import with_causes


def prepare() -> None:
    """Take the descriptors of closed streams, and write what an encoding does not have as `?`.

    The next file that is opened would otherwise get the descriptor of standard error, and messages of libraries
    would be written into it. What standard error cannot take is discarded; `sys.stdin` and `sys.stdout` stay None.
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
            stream.reconfigure(errors="replace")


class _StandardError(io.TextIOWrapper):
    """Standard error, which is no reason to stop if it is full or its reader has gone."""

    def write(self, text: str, /) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def is_broken_pipe(problem: BaseException) -> bool:
    """Whether an error comes from a pipe whose reader has gone."""
    return any(isinstance(each, OSError) and each.errno == errno.EPIPE for each in with_causes(problem))


def discard_output() -> None:
    """Discard what standard output still has to write, which would be an error at the end of Python."""
    with suppress(OSError, ValueError, AttributeError):
        empty = os.open(os.devnull, os.O_WRONLY)
        os.dup2(empty, sys.stdout.fileno())
        os.close(empty)
