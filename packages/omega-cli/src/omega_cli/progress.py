"""Progress on standard error: a bar in a terminal, otherwise a line every few seconds."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from omega_cli.messages import many, say
from omega_core.stores import Watch

if TYPE_CHECKING:
    from tqdm import tqdm

INTERVAL = 10.0
"""Seconds between two lines, and before the first line."""
_MEGABYTE = 1_000_000


class Progress:
    """Shows how many jobs are done, and the remaining time.

    total: the number of jobs.
    unit: the noun for a job, such as "picture".
    quiet: whether to show nothing.
    """

    def __init__(self, total: int, unit: str, *, quiet: bool = False) -> None:
        self.total, self.unit, self.done = total, unit, 0
        self.quiet = quiet
        self._bar: tqdm[Any] | None = None
        self._began = self._said = 0.0

    def __enter__(self) -> "Progress":
        from tqdm import tqdm

        self._began = self._said = time.monotonic()
        if not self.quiet and sys.stderr is not None and sys.stderr.isatty():
            self._bar = tqdm(total=self.total, unit=self.unit)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self) -> None:
        """Count one job as done."""
        self.done += 1
        if self._bar is not None:
            self._bar.update()
            return
        now = time.monotonic()
        if self.quiet or now - self._said < INTERVAL or self.done == self.total:
            return
        self._said = now
        left = (now - self._began) / self.done * (self.total - self.done)
        say(f"{self.done} of {many(self.total, self.unit)}, about {duration(left)} left", err=True)


@contextmanager
def arrival(*, quiet: bool = False) -> Iterator[Watch]:
    """Yield a callback for a download, which shows the number of megabytes received."""
    with ExitStack() as stack:
        progress: Progress | None = None

        def watch(done: int, of: int | None) -> None:
            nonlocal progress
            if progress is None and of is not None:
                progress = stack.enter_context(Progress(of // _MEGABYTE, "megabyte", quiet=quiet))
            while progress is not None and progress.done < done // _MEGABYTE:
                progress.advance()

        yield watch


def duration(seconds: float) -> str:
    """Format a duration as "50 s", "12 min" or "3 h 20 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
