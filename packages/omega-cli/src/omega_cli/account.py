"""The outcome of each input of a run, from which the summary and the exit status are computed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn

import typer

from omega_cli.jobs import Done
from omega_cli.messages import many, say, say_error, say_warning
from omega_core.folders import Reason, counted_reasons
from omega_core.locations import Location


@dataclass
class Account:
    """The outcome of each input. Pictures, files and folders are recorded by name, each in one of the collections.

    done: pictures that were processed.
    skipped: pictures whose output existed.
    failed: inputs with an error, which was printed.
    left_out: the reason for each input that was not tried: a singular noun phrase, whose first word forms its plural
        with s, and a detail, such as ("file of another kind", ".txt").
    bytes_in, bytes_out, pixels: sums over all pictures that were processed; 0 pixels if a rate is meaningless.
    """

    done: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    left_out: dict[str, Reason] = field(default_factory=dict)
    bytes_in: int = 0
    bytes_out: int = 0
    pixels: int = 0

    def fail(self, name: Location | str, reason: str) -> None:
        """Print and count an input with an error."""
        say_error(f"{name}: {reason}")
        self.failed.add(str(name))

    def skip(self, names: Iterable[str]) -> None:
        """Count pictures whose output exists."""
        self.skipped.update(names)

    def add(self, done: Done) -> None:
        """Count the pictures of a job. Its problems have been printed already."""
        failed = {name for problem in done.problems for name in problem.names}
        self.failed |= failed
        self.done |= set(done.names) - failed
        self.bytes_in += done.bytes_in
        self.bytes_out += done.bytes_out
        self.pixels += done.pixels

    def summary(self, where: str = "") -> str:
        """One line about all pictures, with sizes and bits per pixel if pixels were counted.

        where: the path or URL of the output, for the end of the line.
        """
        parts = [many(len(self.done), "picture")]
        if self.pixels:
            rate = 8 * self.bytes_out / self.pixels
            parts.append(f"{self.bytes_in:,} → {self.bytes_out:,} bytes ({rate:.2f} bpp)")
        if self.skipped:
            parts.append(f"{len(self.skipped)} skipped")
        if self.failed:
            parts.append(f"{len(self.failed)} failed")
        comma = "," if len(parts) > 1 else ""
        return ", ".join(parts) + (f"{comma} in {where}" if where else "")

    @property
    def status(self) -> int:
        """The exit status of a command: 0 if no input failed, 1 if some did, 2 if all did."""
        return 0 if not self.failed else 1 if self.done or self.skipped else 2

    def say_left_out(self) -> None:
        """Print a warning with the number of inputs that were not tried, by reason."""
        if self.left_out:
            say_warning(f"left out: {counted_reasons(self.left_out.values())}.")

    def close(self, *, quiet: bool, where: str = "") -> NoReturn:
        """Print the summary and the inputs that were left out, and end the command by raising Exit with its `status`.

        quiet: whether to omit the summary. The warning about inputs that were left out is always printed.
        where: as for `summary`.
        """
        if (self.done or self.skipped) and not quiet:
            say(self.summary(where))
        self.say_left_out()
        raise typer.Exit(self.status)
