"""The files that a command reads: those that are named, and those in folders."""

import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from omega_cli.account import Account
from omega_core.errors import OmegaError
from omega_core.folders import FileInFolder, identity_of, search_folder, search_store
from omega_core.places import Place, Url, place_of

if TYPE_CHECKING:
    Input: TypeAlias = Place
else:
    Input = type("Place", (), {})  # typer refuses unions, also where a parser makes them, and shows the name
"""The type of arguments that `input_place` parses."""

STANDARD_INPUT = Path("-")


def input_place(text: str) -> Place:
    """An argument as a path, of which `./-` is a file and `-` is standard input, or as a URL."""
    place = place_of(text)
    return place.absolute() if isinstance(place, Path) and place == STANDARD_INPUT and text != "-" else place


def standard_input() -> BinaryIO:
    """The bytes of standard input. Raises OmegaError if there is none."""
    if sys.stdin is None:
        raise OmegaError("there is no standard input.")
    return sys.stdin.buffer


@contextmanager
def opened_input(place: Place) -> Iterator[BinaryIO]:
    """Open an input for reading, or standard input. Raises OmegaError if it cannot be read."""
    from omega_core.file_io import opened

    if place == STANDARD_INPUT:
        yield standard_input()
    else:
        with opened(place) as file:
            yield file


Found: TypeAlias = FileInFolder[Any]
"""A file to read: `relative` is its name if it was named itself, and `identity` None for standard input."""


def find_files(inputs: Iterable[Place], wanted: Callable[[Place], bool], account: Account) -> list[Found]:
    """The files of all inputs, those of a folder sorted, each once: of several paths the longest without links.

    inputs: files, which are always taken, and folders, which are searched. Links are followed; a folder that was
        searched under another name is left out, which ends loops, and so is a link to a file of the same input.
    wanted: selects regular files in folders. Raises OSError if it cannot read one.
    account: takes what is left out, and what is missing or cannot be read.
    """
    found: dict[Place, Found] = {}
    real = cache(Path.resolve)

    def key(file: Found) -> Place:
        place = file.source
        return place if isinstance(place, Url) else real(place.parent) / place.name

    def rank(file: Found) -> tuple[bool, int, str | Path]:
        place, depth = file.source, len(file.relative.parts)
        if isinstance(place, Url):
            return False, -depth, place.text
        return real(place.parents[depth - 1]) / file.relative.parent != real(place.parent), -depth, place

    for given in inputs:
        for file in _find(given, wanted, account):
            found[key(file)] = min(found.get(key(file), file), file, key=rank)
    for file in found.values():  # which is named or reached from another folder, too
        account.left_out.pop(str(file.source), None)
    for name in account.failed:
        account.left_out.pop(name, None)
    return list(found.values())


def _find(given: Place, wanted: Callable[[Place], bool], account: Account) -> list[Found]:
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
        account.fail(given, "the folder has nothing in it for this command.")
    return list(inside.files)
