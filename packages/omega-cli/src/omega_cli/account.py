"""The account of a run: what became of each of its inputs, from which summary and exit status follow."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn

import typer

from omega_cli.jobs import Done
from omega_cli.messages import many, say, say_error, say_warning
from omega_core.folders import Reason, counted_reasons
from omega_core.places import Place


@dataclass
class Account:
    """What became of each input: pictures, files and folders by their names, each of which is in one place.

    done: pictures that were processed.
    skipped: pictures whose output existed.
    failed: inputs with an error, which was printed.
    left_out: for inputs that were not tried, the reason, a noun in the singular whose first word has a plural with s,
        and a detail, such as ("file of another kind", ".txt").
    bytes_in, bytes_out, pixels: sums over what was done; 0 pixels where a rate would mean nothing.
    """

    done: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    left_out: dict[str, Reason] = field(default_factory=dict)
    bytes_in: int = 0
    bytes_out: int = 0
    pixels: int = 0

    def fail(self, name: Place | str, reason: str) -> None:
        """Print and count an input with an error."""
        say_error(f"{name}: {reason}")
        self.failed.add(str(name))

    def skip(self, names: Iterable[str]) -> None:
        """Count pictures whose output exists."""
        self.skipped.update(names)

    def add(self, done: Done) -> None:
        """Count the pictures of a job, whose problems have been printed."""
        failed = {name for problem in done.problems for name in problem.names}
        self.failed |= failed
        self.done |= set(done.names) - failed
        self.bytes_in += done.bytes_in
        self.bytes_out += done.bytes_out
        self.pixels += done.pixels

    @property
    def summary(self) -> str:
        """One line about all pictures, with sizes and bits per pixel if pixels were counted."""
        parts = [many(len(self.done), "picture")]
        if self.pixels:
            parts.append(f"{self.bytes_in} → {self.bytes_out} bytes")
            parts.append(f"{8 * self.bytes_out / self.pixels:.4f} bpp")
        if self.skipped:
            parts.append(f"{len(self.skipped)} skipped")
        if self.failed:
            parts.append(f"{len(self.failed)} failed")
        return ", ".join(parts)

    @property
    def status(self) -> int:
        """The exit status of a command: 0 if no input failed, 1 if some did, 2 if all did."""
        return 0 if not self.failed else 1 if self.done or self.skipped else 2

    def say_left_out(self) -> None:
        """Print how many inputs were not tried, and why, if there are some."""
        if self.left_out:
            say_warning(f"left out: {counted_reasons(self.left_out.values())}.")

    def close(self, *, quiet: bool, where: str = "") -> NoReturn:
        """Print the summary and what was left out, and end the command by raising Exit with its `status`.

        quiet: whether to print no summary. What was left out is a warning, which is always printed.
        where: the end of the summary.
        """
        if (self.done or self.skipped) and not quiet:
            say(self.summary + where)
        self.say_left_out()
        raise typer.Exit(self.status)
