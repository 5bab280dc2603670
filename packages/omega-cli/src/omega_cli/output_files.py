"""Paths and options for the output of a command, and writing of files."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from omega_cli.account import Account
from omega_cli.input_files import Found, input_location
from omega_cli.output_names import Job, is_one_of, plan_jobs
from omega_core.errors import OmegaError, OutputError, TargetExistsError
from omega_core.file_io import is_standard_output, is_written, write_whole
from omega_core.locations import Location, Url, local_path

STANDARD_OUTPUT = Path("-")


class Existing(StrEnum):
    """What to do with a target that exists: report an error, replace it, or keep it and skip its input."""

    refuse = "refuse"
    overwrite = "overwrite"
    skip = "skip"

    @classmethod
    def of(cls, overwrite: bool, skip_existing: bool) -> "Existing":
        """The choice made by `--overwrite` and `--skip-existing`. Raises OmegaError if both are given."""
        if overwrite and skip_existing:
            raise OmegaError("--overwrite and --skip-existing exclude each other: use one of them.")
        return cls.overwrite if overwrite else cls.skip if skip_existing else cls.refuse

    def accounted(self, target: Location, name: str, account: Account) -> bool:
        """Whether a target exists and stays. If so, its input is recorded in the account as skipped or failed.

        name: the input of the target.
        """
        try:
            if not self.keeps(target):
                return False
        except TargetExistsError as problem:
            account.fail(name, str(problem))
        else:
            account.skip([name])
        return True

    def keeps(self, target: Location) -> bool:
        """Whether a target exists and stays. Raises TargetExistsError if it exists and neither option is given."""
        if self is Existing.overwrite or target == STANDARD_OUTPUT or not is_written(target):
            return False
        if self is Existing.refuse:
            raise TargetExistsError(target, "--overwrite replaces it, --skip-existing keeps it")
        return True


@dataclass(frozen=True)
class Output:
    """The argument of `--output`.

    path: the path or URL of a file or folder; `STANDARD_OUTPUT` is standard output.
    is_folder: whether it must be a folder, because it was written with a slash at the end.
    """

    path: Location
    is_folder: bool = False

    @classmethod
    def parse(cls, text: str) -> "Output":
        """Parse the argument. `-` is standard output, `./-` is a file. Raises OutputError for http and https URLs."""
        path = input_location(text)
        if isinstance(path, Url) and path.is_of_the_web:
            raise OutputError(f"cannot write {path}: files of the web can only be read.")
        return cls(path, text.endswith(("/", "\\") if sys.platform == "win32" else "/"))

    @property
    def is_standard_output(self) -> bool:
        """Whether the result goes to standard output, which is then free of other text."""
        return self.path == STANDARD_OUTPUT or is_standard_output(self.path)

    def is_file(self, ending: str) -> bool:
        """Whether it is one file: by its ending, such as ".omega", or because a file with this path exists."""
        if self.path == STANDARD_OUTPUT:
            return True
        if self.is_folder or self.path.is_dir():
            return False
        return self.path.suffix.lower() == ending or self.path.exists() or self.path.is_symlink()

    def folder(self, ending: str) -> Location:
        """The folder of targets with the suffix `ending`. Raises OutputError for a file name with another suffix."""
        from omega_core.images.reading import is_picture_name

        if self.is_file(ending):
            return self.path.parent
        known = self.path.suffix.lower() == ".omega" or is_picture_name(self.path)
        if known and not self.is_folder and not self.path.is_dir():
            writes = "compress writes .omega files" if ending == ".omega" else "decompress writes PNG"
            file = self.path.with_name(f"{self.path.stem}{ending}")
            raise OutputError(f"{writes}: use {file}, or {self.path}/ for a folder.")
        return self.path

    def file(self, name: str) -> Location:
        """The target of a command that writes one file: `name` in a folder, or the path itself."""
        is_folder = self.is_folder or (self.path != STANDARD_OUTPUT and self.path.is_dir())
        return self.path / name if is_folder else self.path

    def plan(self, found: Sequence[Found], inputs: Sequence[Location], suffix: str, account: Account) -> list[Job]:
        """Plan a job for each file, see `plan_jobs`. If the output is one file, there must be one input.

        found: the files to read. inputs: the arguments for which they were found.
        suffix: the suffix of the targets, with its dot.
        account: records files without a target as failed.

        Raises OutputError if there is one target for several files, or if the target is the input.
        """
        if not self.is_file(suffix):
            return plan_jobs(found, self.folder(suffix), suffix, account)
        if len(inputs) > 1 or len(found) > 1 or any(file.source != inputs[0] for file in found):
            raise OutputError(f"{self.path} is one file; several inputs, or a folder, need a folder as --output.")
        if self.path != STANDARD_OUTPUT and is_one_of(self.path, {file.identity for file in found}):
            raise OutputError(f"{self.path} is also an input; write to another file.")
        return [Job(file.source, self.path) for file in found]

    def where(self, targets: Iterable[Location]) -> str:
        """The path or URL for the summary: the only target, or the output if there are several."""
        first, *others = {*targets} or {self.path}
        return str(self.path if others else first)


def output_option(text: str) -> Any:
    """The option `--output` of a command, with values of the type `Output`. text: its help."""
    return typer.Option("--output", "-o", parser=Output.parse, metavar="PATH", help=text)


def local_output_option(text: str) -> Any:
    """The option `--output` of a command that writes only local files, with values of the type Path. text: its help."""
    return typer.Option("--output", "-o", parser=local_path, metavar="PATH", help=text)


def write_output(target: Location, data: bytes, existing: Existing) -> None:
    """Write a file, local or in a store, or standard output.

    Raises TargetExistsError if the file exists and `existing` is `refuse`, and OutputError if it cannot be written.
    """
    if target == STANDARD_OUTPUT:
        _write_to_standard_output(data)
        return
    with suppress(TargetExistsError) if existing is Existing.skip else nullcontext():
        write_whole(target, data, overwrite=existing is Existing.overwrite)


def write_result(target: Location, data: bytes, existing: Existing) -> None:
    """Write the result of a job, as `write_output` does, but accept an existing file with the same bytes.

    A job whose process is killed is repeated, and the process may have written the result before it was killed.
    """
    try:
        write_output(target, data, existing)
    except TargetExistsError:
        if target.read_bytes() != data:
            raise


def check_new_folder(folder: Path) -> None:
    """Raise OutputError if the path of a new folder exists, unless it is an empty folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} exists already; choose another --output.")


def _write_to_standard_output(data: bytes) -> None:
    if sys.stdout is None:
        raise OutputError("there is no standard output.")
    if sys.stdout.isatty():
        raise OutputError("the result is binary data: redirect it to a file or pipe it to a command.")
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as problem:
        raise OutputError(f"cannot write to standard output: {problem.strerror}.") from problem
