"""The log of a run: lines on standard error and in a file."""

import logging
import sys
from pathlib import Path

log = logging.getLogger("omega_train")


class Log:
    """A context in which log lines go to standard error, and to a file if `path` is given."""

    def __init__(self, path: Path | None = None) -> None:
        self.handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
        if path is not None:
            file = logging.FileHandler(path, encoding="utf-8")
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
            handler.close()
