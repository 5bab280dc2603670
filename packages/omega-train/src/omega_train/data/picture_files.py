"""The picture files of a folder and its subfolders, and what else is in them."""

import os
import stat
import warnings
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from omega_core.errors import DataError
from omega_core.images.reading import is_picture_name

_NAMED = 3  # the most files that a message names


@dataclass
class PictureFiles:
    """What was found in a folder.

    modes: the color modes of the pictures by their paths, sorted.
    broken: files with the name of a picture that are none.
    unreadable: folders and files that cannot be read, and links that cannot be followed, with the reasons.
    others: the number of other files and links, by their kinds.
    """

    modes: dict[Path, str] = field(default_factory=dict)
    broken: list[Path] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)

    def left_out(self) -> list[str]:
        """What is not among the pictures, with reasons and counts, as lines for the log."""
        lines = []
        if self.broken:
            count = len(self.broken) + len(self.modes)
            lines.append(f"{len(self.broken)} of {count} files are not pictures and left out: {some(self.broken)}")
        if self.unreadable:
            lines.append(f"{self._unreadable()} and left out")
        if self.others:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.others.items()))
            lines.append(f"left out, as they are no picture files: {kinds}")
        return lines

    def check_readable(self) -> None:
        """Raise DataError if a file or folder cannot be read."""
        if self.unreadable:
            raise DataError(
                f"{self._unreadable()}. Make them readable, or leave them out by --dataset-option skip-unreadable=true."
            )

    def _unreadable(self) -> str:
        first = ", ".join(f"{path} ({reason})" for path, reason in self.unreadable[:_NAMED])
        more = ", …" if len(self.unreadable) > _NAMED else ""
        return f"{len(self.unreadable)} files or folders cannot be read: {first}{more}"


def find_pictures(folder: Path) -> PictureFiles:
    """Find the picture files of a folder and its subfolders, by their suffixes and headers.

    Linked files and folders are followed. A folder with several names is searched once, which ends loops, and a link to
    a file that is found anyway is left out: it could be both in training and in validation.

    folder: the folder. Raises DataError if it does not exist.
    """
    if not folder.is_dir():
        raise DataError(f"the folder {folder} does not exist.")
    found = PictureFiles()
    files = sorted(_regular_files(folder, found), key=lambda file: (file[0].is_symlink(), file[0]))
    seen = set[tuple[int, int]]()
    named = []
    for path, status in files:
        if not is_picture_name(path):
            found.others[f"with the suffix {path.suffix.lower()}" if path.suffix else "without a suffix"] += 1
        elif path.is_symlink() and _identity(status) in seen:
            found.others["links to files that are taken"] += 1
        else:
            seen.add(_identity(status))
            named.append(path)
    for path in sorted(named):
        try:
            mode = _mode(path)
        except OSError as problem:
            found.unreadable.append((path, problem.strerror or str(problem)))
            continue
        if mode:
            found.modes[path] = mode
        else:
            found.broken.append(path)
    return found


def some(paths: list[Path]) -> str:
    """The first paths, as text."""
    return ", ".join(str(path) for path in paths[:_NAMED]) + (", …" if len(paths) > _NAMED else "")


def _regular_files(top: Path, found: PictureFiles) -> Iterator[tuple[Path, os.stat_result]]:
    """The regular files in a folder; linked folders are searched last, so that they are the ones left out."""
    searched = set[tuple[int, int]]()
    folders, linked = deque([top]), deque[Path]()
    while folders or linked:
        folder = (folders or linked).popleft()
        try:
            # with "." at its end, which pathlib drops: a folder that can be listed but not entered is an error here
            here = _identity(os.stat(f"{folder}{os.sep}{os.curdir}"))  # noqa: PTH116
            if here in searched:
                found.others["links to folders that are searched"] += 1
                continue
            searched.add(here)
            entries = list(folder.iterdir())
        except OSError as problem:
            found.unreadable.append((folder, problem.strerror or str(problem)))
            continue
        for path in entries:
            try:
                status = path.stat()
            except OSError as problem:
                found.unreadable.append((path, problem.strerror or str(problem)))
                continue
            if stat.S_ISDIR(status.st_mode):
                (linked if path.is_symlink() else folders).append(path)
            elif stat.S_ISREG(status.st_mode):
                yield path, status
            else:
                found.others["pipes, sockets or devices"] += 1


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _mode(path: Path) -> str:
    """The color mode in the header of a file, or "" if it is not a picture. Raises OSError if it cannot be read."""
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(file) as image:
                return image.mode
        except Exception:
            return ""
