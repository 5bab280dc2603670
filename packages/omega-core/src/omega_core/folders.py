"""Search for the files of a folder and its subfolders, each listed once, on this machine or in a store."""

import os
import stat
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Generic, TypeVar

from omega_core.locations import Location, Url

Where = TypeVar("Where", Path, Url)
Identity = tuple[int, int] | Url
"""The identity of a file, whatever its names: the numbers of its device and its inode; in a store, its URL."""
Reason = tuple[str, str]
"""Why a file is left out: a noun in the singular, whose first word has a plural with s, and a detail or ""."""

_DETAILS = 10  # maximum number of details that are listed for a reason


@dataclass(frozen=True)
class FileInFolder(Generic[Where]):
    """A regular file in a folder, or a link to one.

    source: its path or URL.
    relative: its path relative to the folder that was searched.
    identity: the identity of the file; None if the source is not a file, such as standard input.
    """

    source: Where
    relative: PurePath
    identity: Identity | None


@dataclass
class FolderContents(Generic[Where]):
    """The result of searching a folder.

    files: the wanted files, sorted.
    left_out: other files and folders, each with the reason, such as ("file of another kind", ".txt").
    unreadable: folders and files that cannot be read and links that cannot be followed, each with a message without a
        period at its end.
    """

    files: list[FileInFolder[Where]] = field(default_factory=list)
    left_out: dict[Where, Reason] = field(default_factory=dict)
    unreadable: dict[Where, str] = field(default_factory=dict)


def search_folder(folder: Path, wanted: Callable[[Path], bool]) -> FolderContents[Path]:
    """Find the files of a folder and its subfolders.

    Links are followed. A folder that was searched under another name is left out, which ends loops, and so is a link
    to a file that is found anyway. Hard links count as separate files.

    folder: the folder to search. If it cannot be read, it is the only unreadable entry of the result.
    wanted: whether a regular file is wanted. It may raise OSError for a file that it cannot read, which is left out.
    """
    found = FolderContents[Path]()
    linked = list[FileInFolder[Path]]()
    for file in _regular_files(folder, found):
        if reason := _reason_against(file.source, wanted):
            found.left_out[file.source] = reason
        else:
            (linked if file.source.is_symlink() else found.files).append(file)
    known = {file.identity for file in found.files}
    for file in sorted(linked, key=lambda file: file.relative.parts):
        if file.identity in known:
            found.left_out[file.source] = ("link to a file taken anyway", "")
        else:
            found.files.append(file)
            known.add(file.identity)
    found.files.sort(key=lambda file: file.relative.parts)
    return found


def search_store(folder: Url, wanted: Callable[[Url], bool]) -> FolderContents[Url]:
    """Find the files of a folder of a store and its subfolders: see `search_folder`.

    In a store, a file can have any name. Files whose name is not a valid relative path, such as `a/../b` and `a//b`,
    count as unreadable, as no output could be named after them.
    """
    found = FolderContents[Url]()
    try:
        names = sorted(folder.files())
    except OSError as problem:
        found.unreadable[folder] = f"the folder cannot be read: {problem.strerror or problem}"
        return found
    for name in names:
        file, relative = folder / name, PurePath(name)
        if relative.anchor or ".." in relative.parts or relative.as_posix() != name:
            found.unreadable[file] = "its name is not a relative path"
        elif reason := _reason_against(file, wanted):
            found.left_out[file] = reason
        else:
            found.files.append(FileInFolder(file, relative, file))
    return found


def identity_of(status: os.stat_result) -> Identity:
    """The identity of a file or folder, from the result of `os.stat`."""
    return status.st_dev, status.st_ino


def identity_at(location: Location) -> Identity:
    """The identity of a file or folder. Raises OSError for a path that does not exist."""
    return location if isinstance(location, Url) else identity_of(location.stat())


def counted_reasons(reasons: Iterable[Reason]) -> str:
    """Return reasons with counts: "3 files of another kind (.heic 2, .txt 1), 1 link to a file taken anyway"."""
    by_noun: dict[str, Counter[str]] = {}
    for noun, detail in reasons:
        by_noun.setdefault(noun, Counter())[detail] += 1
    parts = []
    for noun, details in sorted(by_noun.items()):
        first, _, rest = noun.partition(" ")
        count = details.total()
        some = ", ".join(f"{detail} {n}" for detail, n in details.most_common(_DETAILS) if detail)
        more = ", …" if len(details) > _DETAILS else ""
        parts.append(f"{count} {first}{'s' * (count != 1)} {rest}".rstrip() + (f" ({some}{more})" if some else ""))
    return ", ".join(parts)


def _reason_against(path: Where, wanted: Callable[[Where], bool]) -> Reason | None:
    """Return why a file is left out; None if it is wanted."""
    if path.name.startswith(".") and path.name.endswith(".part"):
        return "file left unfinished by another command", ""
    try:
        taken = wanted(path)
    except OSError:
        return "file of unknown content", path.suffix.lower()
    return None if taken else ("file of another kind", path.suffix.lower() or "without a suffix")


def _regular_files(top: Path, found: FolderContents[Path]) -> Iterator[FileInFolder[Path]]:
    """Yield the regular files of a folder and its subfolders, with linked folders last, so that those are left out."""
    searched: set[Identity] = set()
    folders, linked = deque([top]), deque[Path]()
    while folders or linked:
        folder = (folders or linked).popleft()
        try:
            # the "." at the end, which pathlib would drop, raises an error for a folder that cannot be entered
            here = identity_of(os.stat(f"{folder}{os.sep}{os.curdir}"))  # noqa: PTH116
            if here in searched:
                found.left_out[folder] = ("folder searched under another name", "")
                continue
            searched.add(here)
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as problem:
            found.unreadable[folder] = f"the folder cannot be read: {problem.strerror or problem}"
            continue
        for entry in entries:
            path = folder / entry.name
            try:
                status = path.stat()
            except OSError as problem:
                what = "the link cannot be followed" if entry.is_symlink() else "cannot read it"
                found.unreadable[path] = f"{what}: {problem.strerror or problem}"
                continue
            if stat.S_ISDIR(status.st_mode):
                (linked if entry.is_symlink() else folders).append(path)
            elif stat.S_ISREG(status.st_mode):
                yield FileInFolder(path, path.relative_to(top), identity_of(status))
            else:
                found.left_out[path] = ("file for a device, pipe or socket", "")
