"""The files that a command reads, and the files that it writes for them."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import typer

from omega_core.errors import OmegaError, OutputError

STANDARD_INPUT = Path("-")


def input_path(text: str) -> Path:
    """An argument as a path, of which `./-` is a file and `-` is standard input."""
    path = Path(text)
    return path.absolute() if path == STANDARD_INPUT and text != "-" else path


def standard_input() -> BinaryIO:
    """The bytes of standard input. Raises OmegaError if there is none."""
    if sys.stdin is None:
        raise OmegaError("there is no standard input.")
    return sys.stdin.buffer


@dataclass(frozen=True)
class Job:
    """A file to read and the file to make of it."""

    source: Path
    target: Path


def find_jobs(inputs: Iterable[Path], output: Path, suffix: str, wanted: Callable[[Path], bool]) -> list[Job]:
    """A job for each input file, with its target under `output`; folders keep their structure.

    inputs: files, and folders that are searched.
    output: the folder of the targets.
    suffix: the suffix of the targets, with its dot.
    wanted: selects files in folders; a file that is named itself is always taken.

    Raises OmegaError if an input does not exist or a folder has no such file, and OutputError if two files have
    the same target or a target is one of the inputs.
    """
    found: dict[Path, Job] = {}
    inside = [(given, files(given, wanted)) for given in inputs]
    sources = {source.resolve() for _, found_there in inside for source in found_there}
    for given, found_there in inside:
        for source in found_there:
            relative = source.relative_to(given) if given.is_dir() else Path(source.name)
            job = Job(source, output / relative.with_suffix(suffix))
            if job.target in found and found[job.target].source != source:
                raise OutputError(
                    f"{found[job.target].source} and {source} would both become {job.target};"
                    " compress them into different folders."
                )
            if job.target.resolve() in sources:
                message = f"{source} would replace {job.target}, which is to be read; name another folder."
                raise OutputError(message)
            found[job.target] = job
    return list(found.values())


def files(given: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """The file `given`, or the sorted files of the folder `given` that are `wanted`. Raises OmegaError if none."""
    if given == STANDARD_INPUT:
        return [given]
    try:
        there = given.exists()
    except OSError as problem:
        raise OmegaError(f"cannot read {given}: {problem.strerror or problem}.") from problem
    if not there:
        raise OmegaError(f"there is no file or folder {given}.")
    if given.is_file():
        return [given]
    if not given.is_dir():
        raise OmegaError(f"{given} is neither a file nor a folder.")
    try:
        inside = sorted(path for path in given.rglob("*") if path.is_file() and wanted(path))
    except OSError as problem:
        raise OmegaError(f"cannot look into {problem.filename or given}: {problem.strerror or problem}.") from problem
    if not inside:
        raise OmegaError(f"the folder {given} has nothing in it for this command.")
    return inside


def exit_status(failed: int, of: int) -> None:
    """Raise Exit with status 1 if some of the sources failed, 2 if all did."""
    if failed:
        raise typer.Exit(1 if failed < of else 2)


def many(count: int, unit: str) -> str:
    """A count with its unit in the right number."""
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
