"""What a person sees of a run: a bar on a terminal, plain lines elsewhere, and all lines in a file."""

import logging
import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

log = logging.getLogger("omega_train")
SECONDS = 10.0


class Progress:
    """Follows the steps of a run."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.bar: tqdm[Any] | None = None
        self.spoke = time.monotonic()

    def start(self, step: int) -> None:
        """Show that training goes on from a step."""
        if sys.stderr.isatty():
            self.bar = tqdm(total=self.steps, initial=step, unit="step", dynamic_ncols=True)
        log.info("step %d of %d", step, self.steps)

    def expect(self, steps: int) -> None:
        """There will be so many steps in all."""
        self.steps = steps
        if self.bar is not None:
            self.bar.total = steps

    def step(self, step: int, note: str) -> None:
        """A step is done; `note` says how it went."""
        if self.bar is not None:
            self.bar.update(step - self.bar.n)
            self.bar.set_postfix_str(note, refresh=False)
        elif time.monotonic() - self.spoke > SECONDS:
            self.spoke = time.monotonic()
            log.info("step %d of %d: %s", step, self.steps, note)

    def say(self, line: str) -> None:
        """Something worth a line of its own."""
        if self.bar is not None:
            self.bar.clear()
        log.info(line)

    def stop(self) -> None:
        """Leave the terminal as it was."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class Log:
    """Within it, lines go to standard error, and to a file if there is one."""

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
