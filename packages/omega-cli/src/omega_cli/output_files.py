"""The files that a command writes: where they are, and what is done with those that exist."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from omega_cli.account import Account
from omega_cli.input_files import Found, input_place
from omega_cli.output_names import Job, is_one_of, plan_jobs
from omega_core.errors import OmegaError, OutputError, TargetExistsError
from omega_core.file_io import is_standard_output, is_written, write_whole
from omega_core.places import Place, Url, local_path

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

    def accounted(self, target: Place, name: str, account: Account) -> bool:
        """Whether a target exists and stays, which the account then knows: as skipped or as an error.

        name: of the input that the target is made from.
        """
        try:
            if not self.keeps(target):
                return False
        except TargetExistsError as problem:
            account.fail(name, str(problem))
        else:
            account.skip([name])
        return True

    def keeps(self, target: Place) -> bool:
        """Whether a target exists and stays. Raises TargetExistsError if it exists and was not expected."""
        if self is Existing.overwrite or target == STANDARD_OUTPUT or not is_written(target):
            return False
        if self is Existing.refuse:
            raise TargetExistsError(target, "--overwrite replaces it, --skip-existing keeps it")
        return True


@dataclass(frozen=True)
class Output:
    """The argument of `--output`.

    path: the file or folder, or the URL of one; `STANDARD_OUTPUT` is standard output.
    is_folder: whether it can only be a folder: a slash at the end says so.
    """

    path: Place
    is_folder: bool = False

    @classmethod
    def parse(cls, text: str) -> "Output":
        """The argument as it was typed, of which `./-` is a file and `-` is not. Raises OutputError for the web."""
        path = input_place(text)
        if isinstance(path, Url) and path.is_of_the_web:
            raise OutputError(f"cannot write {path}: files of the web can only be read.")
        return cls(path, text.endswith(("/", "\\") if sys.platform == "win32" else "/"))

    @property
    def is_standard_output(self) -> bool:
        """Whether the result goes to standard output, which is then free of other text."""
        return self.path == STANDARD_OUTPUT or is_standard_output(self.path)

    def is_file(self, ending: str) -> bool:
        """Whether it is one file: by its ending, such as ".omega", or because there is a file and no folder."""
        if self.path == STANDARD_OUTPUT:
            return True
        if self.is_folder or self.path.is_dir():
            return False
        return self.path.suffix.lower() == ending or self.path.exists() or self.path.is_symlink()

    def folder(self, ending: str) -> Place:
        """The folder of the targets. Raises OutputError for the name of another kind of file."""
        from omega_core.images.reading import is_picture_name

        if self.is_file(ending):
            return self.path.parent
        known = self.path.suffix.lower() == ".omega" or is_picture_name(self.path)
        if known and not self.is_folder and not self.path.is_dir():
            message = f"{self.path} will be a {ending} file; name it so, or end the name with / if it is a folder."
            raise OutputError(message)
        return self.path

    def file(self, name: str) -> Place:
        """The target of a command that writes one file: `name` in a folder, or the path itself."""
        is_folder = self.is_folder or (self.path != STANDARD_OUTPUT and self.path.is_dir())
        return self.path / name if is_folder else self.path

    def plan(self, found: Sequence[Found], inputs: Sequence[Place], suffix: str, account: Account) -> list[Job]:
        """A job for each file: see `plan_jobs`. If the output is one file, there can be one input.

        found: the files to read. inputs: the arguments that they were found by.
        suffix: the suffix of the targets, with its dot.
        account: takes files for which there is no target.

        Raises OutputError if there is one target for several files, or the target is the input.
        """
        if not self.is_file(suffix):
            return plan_jobs(found, self.folder(suffix), suffix, account)
        if len(inputs) > 1 or len(found) > 1 or any(file.source != inputs[0] for file in found):
            raise OutputError(f"{self.path} is one file; name a folder for the results of several files or a folder.")
        if self.path != STANDARD_OUTPUT and is_one_of(self.path, {file.identity for file in found}):
            raise OutputError(f"{self.path} is to be read; write to another file.")
        return [Job(file.source, self.path) for file in found]


def output_option(text: str) -> Any:
    """The option `--output` of a command, whose value is an `Output`. text: its help."""
    return typer.Option("--output", "-o", parser=Output.parse, metavar="PATH", help=text)


def local_output_option(text: str) -> Any:
    """The option `--output` of a command that writes to this machine, whose value is a Path. text: its help."""
    return typer.Option("--output", "-o", parser=local_path, metavar="PATH", help=text)


def write_output(target: Place, data: bytes, existing: Existing) -> None:
    """Write a file, of this machine or of a store, or to standard output.

    Raises TargetExistsError if the file exists and is to be refused, and OutputError if it cannot be written.
    """
    if target == STANDARD_OUTPUT:
        _write_to_standard_output(data)
        return
    with suppress(TargetExistsError) if existing is Existing.skip else nullcontext():
        write_whole(target, data, overwrite=existing is Existing.overwrite)


def write_result(target: Place, data: bytes, existing: Existing) -> None:
    """Write the result of a job, as `write_output` does; a file that has these bytes already is no error.

    A job is done again if its process is killed, which may have been after it had written its result.
    """
    try:
        write_output(target, data, existing)
    except TargetExistsError:
        if target.read_bytes() != data:
            raise


def check_new_folder(folder: Path) -> None:
    """Raise OutputError if there is something at the path of a folder that is to be made, unless it is an empty one."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} is there already; name another --output.")


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
