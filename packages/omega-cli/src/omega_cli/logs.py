"""What the packages log, printed on standard error: warnings, how far a run is and, with --verbose, all they do."""

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
    """Which lines are printed, each with those before it."""

    WARNINGS = 0
    PROGRESS = 1
    ALL = 2


class Line(NamedTuple):
    """A line of the log of another process."""

    logger: str
    level: int
    message: str


class _Chosen(logging.Handler):
    """Takes the lines of all packages that are to be shown."""

    def __init__(self, shown: Shown) -> None:
        super().__init__()
        self.shown = shown

    def filter(self, record: logging.LogRecord) -> bool:
        told = Shown.PROGRESS if record.name == _PROGRESS else Shown.ALL
        needed = Shown.WARNINGS if record.levelno >= logging.WARNING else told
        return self.shown >= needed


class _Printing(_Chosen):
    """Prints lines as the command prints its own."""

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
    """A context in which bars of progress are not on the terminal."""
    tqdm = sys.modules.get("tqdm")  # there are none before it is imported
    return nullcontext() if tqdm is None else tqdm.tqdm.external_write_mode(sys.stderr)


class _Collecting(_Chosen):
    """Collects the lines of the thread that makes it."""

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
    """A context in which lines are printed: warnings and progress, until `show` says otherwise."""
    with _added(_printing):
        _set(Shown.PROGRESS)
        yield


@contextmanager
def collected_logs(chosen: Shown) -> Iterator[list[Line]]:
    """A context whose lines are collected in the list that it yields, to be printed by the command with `log_again`.

    For a process that is not the command's own, which it leaves as it was. chosen: by `shown` in the command.
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
    """A context in which a handler gets the lines of all packages."""
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        for name in PACKAGES:
            logging.getLogger(name).setLevel(logging.NOTSET)


def show(*, quiet: bool, verbose: bool) -> None:
    """Choose the lines that are printed, as the options say. Raises OmegaError for both of them."""
    if quiet and verbose:
        raise OmegaError("--quiet and --verbose cannot be asked for at once; take one of them.")
    _set(Shown.WARNINGS if quiet else Shown.ALL if verbose else Shown.PROGRESS)


def shown() -> Shown:
    """Return what is chosen, for `print_logs` in another process."""
    return _printing.shown


def print_logs(chosen: Shown) -> None:
    """Print lines in a process that works for the command, until it ends. chosen: by `shown` in the other one."""
    logging.getLogger().addHandler(_printing)
    _set(chosen)


def _set(chosen: Shown) -> None:
    _printing.shown = chosen
    _set_levels(chosen)


def _set_levels(chosen: Shown) -> None:
    for name in PACKAGES:
        logging.getLogger(name).setLevel(logging.INFO if chosen > Shown.WARNINGS else logging.WARNING)
