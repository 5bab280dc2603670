"""The log of a run: lines on standard error and in a file."""

import logging
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

log = logging.getLogger("omega_train")


class _Lines(logging.StreamHandler[TextIO]):
    """Lines that are lost if they cannot be written, where logging would print a traceback for each."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (of logging)
        pass


class _FileLines(_Lines, logging.FileHandler):
    """Such lines in a file."""


class Log:
    """A context in which log lines go to standard error, if there is one, and to a file if `path` is given.

    A line that cannot be written, such as on a full disk, is lost without an error: what matters is in other files.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.handlers: list[logging.Handler] = []
        if sys.stderr is not None:
            self.handlers.append(_Lines(sys.stderr))
        if path is not None:
            file = _FileLines(path, encoding="utf-8", errors="backslashreplace")
            file.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
            self.handlers.append(file)

    def __enter__(self) -> None:
        log.setLevel(logging.INFO)
        log.propagate = False
        for handler in self.handlers:
            log.addHandler(handler)

    def __exit__(self, *_: object) -> None:
        for handler in self.handlers:
            log.removeHandler(handler)
            with suppress(OSError):  # of lines that were lost
                handler.close()
