"""What the packages log, printed on standard error: warnings, how far a run is and, with --verbose, all they do."""

import enum
import logging
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from omega_cli.messages import say, say_error, say_warning
from omega_core.errors import OmegaError

PACKAGES = ("omega_core", "omega_quant", "omega_entropy", "omega_train", "omega_cli")
_PROGRESS = "omega_train.progress"


class Shown(enum.IntEnum):
    """Which lines are printed, each with those before it."""

    WARNINGS = 0
    PROGRESS = 1
    ALL = 2


class _Printing(logging.Handler):
    """Prints the lines of all packages as the command prints its own."""

    shown = Shown.PROGRESS

    def filter(self, record: logging.LogRecord) -> bool:
        told = Shown.PROGRESS if record.name == _PROGRESS else Shown.ALL
        needed = Shown.WARNINGS if record.levelno >= logging.WARNING else told
        return self.shown >= needed

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


_printing = _Printing()


@contextmanager
def printed_logs() -> Iterator[None]:
    """A context in which lines are printed: warnings and progress, until `show` says otherwise."""
    logging.getLogger().addHandler(_printing)
    _set(Shown.PROGRESS)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(_printing)
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
    for name in PACKAGES:
        logging.getLogger(name).setLevel(logging.INFO if chosen > Shown.WARNINGS else logging.WARNING)
