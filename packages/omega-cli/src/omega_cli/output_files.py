"""The files that a command writes: where they are, and what is done with those that exist."""

import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import typer

from omega_cli.input_files import STANDARD_INPUT, Job, find_jobs
from omega_core.errors import OmegaError, OutputError, TargetExistsError
from omega_core.file_io import is_standard_output, is_written, write_whole

STANDARD_OUTPUT = Path("-")


class Existing(StrEnum):
    """What is done with a target that exists: it is an error, it is replaced, or it stays and counts as done."""

    refuse = "refuse"
    overwrite = "overwrite"
    skip = "skip"

    @classmethod
    def of(cls, overwrite: bool, skip_existing: bool) -> "Existing":
        """What the options `--overwrite` and `--skip-existing` ask for. Raises OmegaError if both are given."""
        if overwrite and skip_existing:
            raise OmegaError("--overwrite and --skip-existing contradict each other: give one of them.")
        return cls.overwrite if overwrite else cls.skip if skip_existing else cls.refuse

    def keeps(self, target: Path) -> bool:
        """Whether a target exists and stays. Raises TargetExistsError if it exists and was not expected."""
        if self is Existing.overwrite or target == STANDARD_OUTPUT or not is_written(target):
            return False
        if self is Existing.refuse:
            raise TargetExistsError(target)
        return True


@dataclass(frozen=True)
class Output:
    """The argument of `--output`.

    path: the file or folder; `STANDARD_OUTPUT` is standard output.
    is_folder: whether it can only be a folder: a slash at the end says so.
    """

    path: Path
    is_folder: bool = False

    @classmethod
    def parse(cls, text: str) -> "Output":
        """The argument as it was typed, of which `./-` is a file and `-` is not."""
        path = Path(text)
        if path == STANDARD_OUTPUT and text != "-":
            path = path.absolute()
        return cls(path, text.endswith(("/", "\\") if sys.platform == "win32" else "/"))

    @property
    def is_standard_output(self) -> bool:
        """Whether the result goes to standard output, which is then free of other text."""
        return self._is_dash or is_standard_output(self.path)

    @property
    def _is_dash(self) -> bool:
        return self.path == STANDARD_OUTPUT and not self.is_folder

    def is_file(self, ending: str) -> bool:
        """Whether it is one file: by its ending, such as ".omega", or because there is a file and no folder."""
        if self._is_dash:
            return True
        if self.is_folder or self.path.is_dir():
            return False
        return self.path.suffix.lower() == ending or self.path.exists() or self.path.is_symlink()

    def folder(self, ending: str) -> Path:
        """The folder of the targets. Raises OutputError for the name of another kind of file."""
        from omega_core.images.reading import is_picture_name

        if self.is_file(ending):
            return self.path.parent
        known = self.path.suffix.lower() == ".omega" or is_picture_name(self.path)
        if known and not self.is_folder and not self.path.is_dir():
            message = f"{self.path} will be a {ending} file; name it so, or end the name with / if it is a folder."
            raise OutputError(message)
        return self.path

    def file(self, name: str) -> Path:
        """The target of a command that writes one file: `name` in a folder, or the path itself."""
        return self.path / name if self.is_folder or (self.path.is_dir() and not self._is_dash) else self.path

    def jobs(self, inputs: list[Path], ending: str, wanted: Callable[[Path], bool]) -> list[Job]:
        """A job for each input file, as `find_jobs` says, whose target is the file if this is one.

        Raises OmegaError as `find_jobs` does, and OutputError if there is one target for several files.
        """
        jobs = [_named(job, ending) for job in find_jobs(inputs, self.folder(ending), ending, wanted)]
        if not self.is_file(ending):
            return jobs
        if len(inputs) > 1 or len(jobs) > 1 or (jobs[0].source != inputs[0]):
            raise OutputError(f"{self.path} is one file; name a folder for the results of several files or a folder.")
        if self.path.resolve() == jobs[0].source.resolve() and not self._is_dash:
            raise OutputError(f"{self.path} is to be read; write to another file.")
        return [replace(jobs[0], target=self.path)]


def _named(job: Job, ending: str) -> Job:
    """Give what is read from standard input a name."""
    return replace(job, target=job.target.with_name(f"stdin{ending}")) if job.source == STANDARD_INPUT else job


def existing_among(targets: Iterable[Path], existing: Existing) -> tuple[set[Path], list[str]]:
    """The targets that exist and stay, and an error for each of them unless they are to be skipped; it is printed."""
    kept, problems = set(), []
    for target in targets:
        try:
            if not existing.keeps(target):
                continue
        except TargetExistsError as problem:
            typer.echo(f"error: {problem}", err=True)
            problems.append(str(problem))
        kept.add(target)
    return kept, problems


def write_output(target: Path, data: bytes, existing: Existing) -> None:
    """Write a file, or to standard output.

    Raises TargetExistsError if the file exists and is to be refused, and OutputError if it cannot be written.
    """
    if target == STANDARD_OUTPUT:
        _write_to_standard_output(data)
        return
    with suppress(TargetExistsError) if existing is Existing.skip else nullcontext():
        write_whole(target, data, overwrite=existing is Existing.overwrite)


def _write_to_standard_output(data: bytes) -> None:
    if sys.stdout is None:
        raise OutputError("there is no standard output.")
    if sys.stdout.isatty():
        raise OutputError("the result is not text and would upset the terminal; send it to a file or a command.")
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as problem:
        raise OutputError(f"cannot write to standard output: {problem.strerror}.") from problem
