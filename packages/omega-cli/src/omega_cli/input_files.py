"""The files that a command reads: those that are named, and those in folders."""

import os
import stat
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from typing import BinaryIO

from omega_cli.account import Account
from omega_core.errors import OmegaError

STANDARD_INPUT = Path("-")
Identity = tuple[int, int]
"""What all names of a file have in common: the numbers of its device and of itself."""


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
class Found:
    """A file to read.

    source: its path.
    relative: its path in the folder that was searched; its name if it was named itself.
    identity: of the file; None for standard input.
    """

    source: Path
    relative: PurePath
    identity: Identity | None


def find_files(inputs: Iterable[Path], wanted: Callable[[Path], bool], account: Account) -> list[Found]:
    """The files of all inputs, those of a folder sorted, each once: of several paths the longest without links.

    inputs: files, which are always taken, and folders, which are searched. Links are followed; a folder that was
        searched under another name is left out, which ends loops, and so is a link to a file of the same input.
    wanted: selects regular files in folders. Raises OSError if it cannot read one.
    account: takes what is left out, and what is missing or cannot be read.
    """
    found: dict[Path, Found] = {}
    real = cache(Path.resolve)

    def rank(file: Found) -> tuple[bool, int, Path]:
        top = file.source.parents[len(file.relative.parts) - 1]
        return real(top) / file.relative.parent != real(file.source.parent), -len(file.relative.parts), file.source

    for given in inputs:
        for file in _find(given, wanted, account):
            place = real(file.source.parent) / file.source.name
            found[place] = min(found.get(place, file), file, key=rank)
    for file in found.values():  # which is named or reached from another folder, too
        account.left_out.pop(str(file.source), None)
    for name in account.failed:
        account.left_out.pop(name, None)
    return list(found.values())


def identity_of(status: os.stat_result) -> Identity:
    """The identity of a file or folder, from the result of `os.stat`."""
    return status.st_dev, status.st_ino


def _find(given: Path, wanted: Callable[[Path], bool], account: Account) -> list[Found]:
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
        return [Found(given, PurePath(given.name), identity_of(status))]
    if not stat.S_ISDIR(status.st_mode):
        account.fail(given, "it is neither a file nor a folder.")
        return []
    inside = Account()
    files = _find_in_folder(given, wanted, inside)
    if not files and not inside.failed:
        inside.fail(given, "the folder has nothing in it for this command.")
    account.failed |= inside.failed
    account.left_out |= inside.left_out
    return files


def _find_in_folder(folder: Path, wanted: Callable[[Path], bool], account: Account) -> list[Found]:
    linked, files = list[Found](), list[Found]()
    for file in _regular_files(folder, account):
        if _is_wanted(file.source, wanted, account):
            (linked if file.source.is_symlink() else files).append(file)
    known = {file.identity for file in files}
    for file in sorted(linked, key=lambda file: file.relative):
        if file.identity in known:
            account.leave_out(file.source, "link to a file taken anyway")
        else:
            files.append(file)
            known.add(file.identity)
    return sorted(files, key=lambda file: file.relative)


def _is_wanted(path: Path, wanted: Callable[[Path], bool], account: Account) -> bool:
    if path.name.startswith(".") and path.name.endswith(".part"):
        account.leave_out(path, "file unfinished by another command")
        return False
    try:
        if wanted(path):
            return True
    except OSError:
        account.leave_out(path, "file of unknown content", path.suffix.lower())
    else:
        account.leave_out(path, "file of another kind", path.suffix.lower() or "without a suffix")
    return False


def _regular_files(top: Path, account: Account) -> Iterator[Found]:
    """The regular files in a folder and its subfolders; linked folders are last, so that they are the ones left out."""
    searched: set[Identity] = set()
    folders, linked = deque([top]), deque[Path]()
    while folders or linked:
        folder = (folders or linked).popleft()
        try:
            # with "." at its end, which pathlib drops: a folder that can be listed but not entered is an error here
            here = identity_of(os.stat(f"{folder}{os.sep}{os.curdir}"))  # noqa: PTH116
            if here in searched:
                account.leave_out(folder, "folder searched under another name")
                continue
            searched.add(here)
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as problem:
            account.fail(folder, f"the folder cannot be read: {problem.strerror or problem}.")
            continue
        for entry in entries:
            path = folder / entry.name
            try:
                status = path.stat()
            except OSError as problem:
                what = "the link cannot be followed" if entry.is_symlink() else "cannot read it"
                account.fail(path, f"{what}: {problem.strerror or problem}.")
                continue
            if stat.S_ISDIR(status.st_mode):
                (linked if entry.is_symlink() else folders).append(path)
            elif stat.S_ISREG(status.st_mode):
                yield Found(path, path.relative_to(top), identity_of(status))
            else:
                account.leave_out(path, "file for a device, pipe or socket")
