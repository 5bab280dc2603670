"""The log of a run: lines for the program that runs it, and lines in a file.

Lines go to loggers of the module `logging`, and the program determines which ones are shown. By default, Python prints
warnings on standard error.
"""

import logging
from contextlib import suppress
from pathlib import Path

log = logging.getLogger("omega_train")
"""Logs the actions of a run, at the level INFO, and warnings."""

progress_log = logging.getLogger("omega_train.progress")
"""Logs the progress of a run, at the level INFO; the command shows these lines by default."""


class _FileLines(logging.FileHandler):
    """Drops lines that cannot be written; by default, logging would print a traceback for each."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (named by logging)
        pass


class _Onward(logging.Handler):
    """Passes lines on to the handlers of the program."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger().handle(record)


class Log:
    """A context in which all lines of level INFO and above also go to a file.

    A line that cannot be written, for example on a full disk, is lost without an error: results are in other files.

    path: the path of the file, to which lines are appended.

    Raises OSError if the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._before = log.level, log.propagate
        file = _FileLines(path, encoding="utf-8", errors="backslashreplace")
        file.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        self._handlers = [file, _Onward(log.getEffectiveLevel())]

    def __enter__(self) -> None:
        log.setLevel(min(log.getEffectiveLevel(), logging.INFO))
        log.propagate = False
        for handler in self._handlers:
            log.addHandler(handler)

    def __exit__(self, *_: object) -> None:
        for handler in self._handlers:
            log.removeHandler(handler)
            with suppress(OSError):  # lost lines can raise it again
                handler.close()
        level, log.propagate = self._before
        log.setLevel(level)


def shows_progress() -> bool:
    """Whether the program shows the progress of a run, which depends on the level of the logger `omega_train`."""
    levels = [handler.level for handler in log.handlers if isinstance(handler, _Onward)]
    return min(levels, default=log.getEffectiveLevel()) <= logging.INFO
