"""The log of a run: lines for the program that runs it, and in a file.

Lines go to loggers of the module `logging`, and the program shows those that it wants. Without its doing, Python shows
warnings on standard error.
"""

import logging
from contextlib import suppress
from pathlib import Path

log = logging.getLogger("omega_train")
"""What a run does, at the level INFO, and warnings."""

progress_log = logging.getLogger("omega_train.progress")
"""How far a run is, at the level INFO; the command shows these lines without being asked."""


class _FileLines(logging.FileHandler):
    """Lines in a file, which are lost if they cannot be written, where logging would print a traceback for each."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (of logging)
        pass


class _Onward(logging.Handler):
    """Passes lines on to the program."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger().handle(record)


class Log:
    """A context in which all lines from the level INFO up go to a file, and the program gets those that it would get.

    A line that cannot be written, such as on a full disk, is lost without an error: what matters is in other files.

    path: of the file, to which lines are appended.

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
            with suppress(OSError):  # of lines that were lost
                handler.close()
        level, log.propagate = self._before
        log.setLevel(level)


def shows_progress() -> bool:
    """Whether the program shows how far a run is, by the level of the logger `omega_train`."""
    levels = [handler.level for handler in log.handlers if isinstance(handler, _Onward)]
    return min(levels, default=log.getEffectiveLevel()) <= logging.INFO
