"""The files that a command reads: named files, and files found in folders."""

import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import typer

from omega_cli.account import Account
from omega_core.errors import OmegaError
from omega_core.folders import FileInFolder, identity_of, search_folder, search_store
from omega_core.locations import Location, Url, location_of

if TYPE_CHECKING:
    Input: TypeAlias = Location
else:
    Input = type("Input", (), {})  # typer refuses unions, even for arguments with a parser
"""The type of arguments that `input_location` parses."""

STANDARD_INPUT = Path("-")


def input_location(text: str) -> Location:
    """Parse an argument as a path or URL. `-` is standard input, `./-` is a file."""
    location = location_of(text)
    return STANDARD_INPUT.absolute() if location == STANDARD_INPUT and text != "-" else location


def input_argument(
    about: str, *, metavar: str = "INPUT", autocompletion: Callable[[str], list[str]] | None = None
) -> Any:
    """An argument of a command, or a list of arguments, of the type `Input`. about: its help."""
    return typer.Argument(parser=input_location, metavar=metavar, autocompletion=autocompletion, help=about)


def standard_input() -> BinaryIO:
    """Standard input as a binary stream. Raises OmegaError if it is closed."""
    if sys.stdin is None:
        raise OmegaError("there is no standard input.")
    return sys.stdin.buffer


@contextmanager
def opened_input(location: Location) -> Iterator[BinaryIO]:
    """Open an input for reading, or standard input. Raises OmegaError if it cannot be read."""
    from omega_core.file_io import opened

    if location == STANDARD_INPUT:
        yield standard_input()
    else:
        with opened(location) as file:
            yield file


Found: TypeAlias = FileInFolder[Any]
"""A file to read. `relative` is the file name for files that were named; `identity` is None for standard input."""


def find_files(inputs: Iterable[Location], wanted: Callable[[Location], bool], account: Account) -> list[Found]:
    """Find the files of all inputs, each once; the files of a folder are sorted.

    If a file is found by several paths, paths without links are preferred, then the longest relative path.

    inputs: files, which are always taken, and folders, which are searched. Links are followed. A folder that was
        searched under another name is left out, which ends loops; so is a link to a file of the same input.
    wanted: selects regular files in folders; may raise OSError for a file that cannot be read.
    account: records files that are left out, are missing or cannot be read.
    """
    found: dict[Location, Found] = {}
    real = cache(Path.resolve)

    def key(file: Found) -> Location:
        location = file.source
        return location if isinstance(location, Url) else real(location.parent) / location.name

    def rank(file: Found) -> tuple[bool, int, str | Path]:
        location, depth = file.source, len(file.relative.parts)
        if isinstance(location, Url):
            return False, -depth, location.text
        return real(location.parents[depth - 1]) / file.relative.parent != real(location.parent), -depth, location

    for given in inputs:
        for file in _find(given, wanted, account):
            found[key(file)] = min(found.get(key(file), file), file, key=rank)
    for file in found.values():  # left out in one folder, but named or found in another one
        account.left_out.pop(str(file.source), None)
    for name in account.failed:
        account.left_out.pop(name, None)
    return list(found.values())


def _find(given: Location, wanted: Callable[[Location], bool], account: Account) -> list[Found]:
    if given == STANDARD_INPUT:
        return [Found(given, PurePath("stdin"), None)]
    try:
        status = given.stat()
    except FileNotFoundError:
        account.fail(given, f"there is no file or folder {given}.")
        return []
    except OSError as problem:
        account.fail(given, f"cannot read it: {problem.strerror or problem}.")
        return []
    if stat.S_ISREG(status.st_mode):
        return [Found(given, PurePath(given.name), given if isinstance(given, Url) else identity_of(status))]
    if not stat.S_ISDIR(status.st_mode):
        account.fail(given, "it is neither a file nor a folder.")
        return []
    inside = search_store(given, wanted) if isinstance(given, Url) else search_folder(given, wanted)
    for path, reason in inside.unreadable.items():
        account.fail(path, f"{reason}.")
    account.left_out |= {str(path): why for path, why in inside.left_out.items()}
    if not inside.files and not inside.unreadable:
        account.fail(given, "the folder contains no files for this command.")
    return list(inside.files)
