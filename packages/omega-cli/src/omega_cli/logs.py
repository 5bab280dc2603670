"""Prints the logs of the packages to standard error: warnings, progress and, with --verbose, all messages."""

import enum
import logging
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

from omega_cli.messages import say, say_error, say_warning
from omega_core.errors import OmegaError

PACKAGES = ("omega_core", "omega_quant", "omega_entropy", "omega_train", "omega_cli")
_PROGRESS = "omega_train.progress"


class Shown(enum.IntEnum):
    """Which lines are printed. Each level includes the previous ones."""

    WARNINGS = 0
    PROGRESS = 1
    ALL = 2


class Line(NamedTuple):
    """A line of the log of another process."""

    logger: str
    level: int
    message: str


class _Chosen(logging.Handler):
    """Handles the lines of all packages up to a level."""

    def __init__(self, shown: Shown) -> None:
        super().__init__()
        self.shown = shown

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            return True
        return self.shown >= (Shown.PROGRESS if record.name == _PROGRESS else Shown.ALL)


class _Printing(_Chosen):
    """Prints lines in the format of the command's own messages."""

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        with _without_bars():
            if record.levelno >= logging.ERROR:
                say_error(message)
            elif record.levelno >= logging.WARNING:
                say_warning(message)
            else:
                say(message, err=True)


def _without_bars() -> AbstractContextManager[None]:
    """A context that removes progress bars from the terminal meanwhile."""
    tqdm = sys.modules.get("tqdm")  # before its first import, there are no bars
    return nullcontext() if tqdm is None else tqdm.tqdm.external_write_mode(sys.stderr)


class _Collecting(_Chosen):
    """Collects the lines of the thread that creates it."""

    def __init__(self, shown: Shown) -> None:
        super().__init__(shown)
        self.lines: list[Line] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.lines.append(Line(record.name, record.levelno, record.getMessage()))


_printing = _Printing(Shown.PROGRESS)


@contextmanager
def printed_logs() -> Iterator[None]:
    """A context in which lines are printed: warnings and progress, until `show` selects another level."""
    with _added(_printing):
        _set(Shown.PROGRESS)
        yield


@contextmanager
def collected_logs(chosen: Shown) -> Iterator[list[Line]]:
    """Yield a list that collects the lines logged in this context. The command prints them with `log_again`.

    This is for processes of a cluster, whose logging is restored afterwards. chosen: the result of `shown` in the
    command.
    """
    collecting = _Collecting(chosen)
    with _added(collecting):
        _set_levels(chosen)
        yield collecting.lines


def log_again(lines: Iterable[Line]) -> None:
    """Log lines of another process in this one."""
    for line in lines:
        logging.getLogger(line.logger).log(line.level, "%s", line.message)


@contextmanager
def _added(handler: logging.Handler) -> Iterator[None]:
    """A context in which a handler receives the lines of all packages."""
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        for name in PACKAGES:
            logging.getLogger(name).setLevel(logging.NOTSET)


def show(*, quiet: bool, verbose: bool) -> None:
    """Select the lines that are printed by the options. Raises OmegaError if both are given."""
    if quiet and verbose:
        raise OmegaError("--quiet and --verbose exclude each other: use one of them.")
    _set(Shown.WARNINGS if quiet else Shown.ALL if verbose else Shown.PROGRESS)


def shown() -> Shown:
    """Return the selected level, for `print_logs` in another process."""
    return _printing.shown


def print_logs(chosen: Shown) -> None:
    """Print lines in a worker process until it ends. chosen: the result of `shown` in the main process."""
    logging.getLogger().addHandler(_printing)
    _set(chosen)


def _set(chosen: Shown) -> None:
    _printing.shown = chosen
    _set_levels(chosen)


def _set_levels(chosen: Shown) -> None:
    for name in PACKAGES:
        logging.getLogger(name).setLevel(logging.INFO if chosen > Shown.WARNINGS else logging.WARNING)
