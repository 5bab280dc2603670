"""A worker for the tests of workers, in a module that other processes can import; run by itself, a command.

python fake_worker.py PROCESSES JOB...
"""

import errno
import logging
import os
import signal
import sys
import time
import warnings
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from omega_cli import main
from omega_cli.jobs import Done
from omega_cli.worker_pool import carry_out
from omega_core.errors import ImageError, OmegaWarning, OutputError
from omega_core.file_io import replacing


@dataclass(frozen=True)
class FakeJob:
    """A job: a path, whose stem is what happens at it."""

    source: Path
    among: tuple[Path, ...] = ()  # other jobs that it is made of

    @property
    def names(self) -> tuple[str, ...]:
        return (str(self.source), *map(str, self.among))

    def parts(self) -> list["FakeJob"]:
        return [FakeJob(path) for path in (self.source, *self.among)] if self.among else []


@dataclass
class FakeWorker:
    """Does what jobs say, and counts them."""

    calls: int = 0

    def __call__(self, job: FakeJob) -> Done:
        self.calls += 1
        deed = job.source.stem
        if deed == "fail":
            raise ImageError("it fails.")
        if deed == "stop":
            raise OutputError("cannot write it.") from OSError(errno.ENOSPC, "no space")
        if deed == "refuse":
            raise OutputError("cannot write it.") from OSError(errno.ENAMETOOLONG, "too long")
        if deed == "die" or "die.png" in {path.name for path in job.among}:
            os.kill(os.getpid(), signal.SIGKILL)
        if deed == "die once" and not job.source.exists():
            job.source.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if deed == "crowded" and not job.source.exists():
            job.source.touch()
            raise MemoryError
        if deed == "warn":
            warnings.warn("it is warm.", OmegaWarning, stacklevel=1)
        if deed == "log":
            logging.getLogger("omega_core.fake").info("it is %d%% done.", 100)
            logging.getLogger("another").info("what another does")
            logging.getLogger("another").warning("a warning")
        if deed == "drown":
            raise MemoryError
        if deed == "err":
            raise ZeroDivisionError("by zero")
        if deed == "recur":
            self(job)
        if deed == "leave":
            sys.exit(3)
        if deed == "wait":
            take_long(job.source)
        if deed == "be stopped":
            take_long(job.source, [StopsAtItsEnd()])
        return Done(1, 1, 2, 3, made=(job.source.name, os.getpid(), self.calls))


class ImportingWorker:
    """Tells in which process a module was imported, and the environment and the number of its own."""

    imports = ("heavy",)

    def __call__(self, job: FakeJob) -> Done:
        heavy = import_module("heavy")
        return Done(made=(heavy.PROCESS, heavy.THREADS, os.getpid(), os.environ["NUMBER"]))


class StopsAtItsEnd:
    """Its process is told to stop while Python drops exceptions."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        sum(range(1000))  # by now the handler has been called


def take_long(path: Path, held: list[object] | None = None) -> None:
    """Begin to write a file, say so in another, let go of what is held, and take a minute over it."""
    with replacing(path) as temporary:
        temporary.write_text("not all of it")
        path.with_suffix(f".{os.getpid()}.begun").touch()
        if held is not None:
            held.clear()
        time.sleep(60)


def work(processes: int, paths: list[Path]) -> None:
    """The command."""
    for _ in carry_out(FakeWorker(), [FakeJob(path) for path in paths], processes, "job"):
        pass


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells let what runs in the background ignore it
    main.app.command()(work)
    sys.argv[1:1] = ["work"]
    main.run()
