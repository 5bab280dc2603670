"""The picture files, and the other files, of a folder and its subfolders."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omega_core.errors import DataError
from omega_core.folders import Reason, counted_reasons, search_folder
from omega_core.images.reading import is_gray_file, is_picture_name

_NAMED = 3  # maximum number of names in a message


@dataclass
class PictureFiles:
    """The files of a folder.

    is_gray: whether each picture is gray, by the paths of the pictures, sorted.
    broken: files with the suffix of a picture that are not pictures, or pictures of an unsupported kind.
    unreadable: folders and files that cannot be read, and links that cannot be followed, with the reasons.
    others: the reasons for which other files and links are left out.
    """

    is_gray: dict[Path, bool] = field(default_factory=dict)
    broken: list[Path] = field(default_factory=list)
    unreadable: dict[Path, str] = field(default_factory=dict)
    others: list[Reason] = field(default_factory=list)

    def left_out(self) -> list[str]:
        """Lines for the log about the files that are left out, with reasons and counts."""
        lines = []
        if self.broken:
            count = len(self.broken) + len(self.is_gray)
            lines.append(f"{len(self.broken)} of {count} files are not pictures and are left out: {some(self.broken)}")
        if self.unreadable:
            lines.append(f"{self._unreadable()}; these are left out")
        if self.others:
            lines.append(f"left out: {counted_reasons(self.others)}")
        return lines

    def check_readable(self) -> None:
        """Raise DataError if a file or folder cannot be read."""
        if self.unreadable:
            raise DataError(
                f"{self._unreadable()}. Make them readable, or skip them with --dataset-option skip-unreadable=true."
            )

    def _unreadable(self) -> str:
        named = some([f"{path} ({reason})" for path, reason in self.unreadable.items()])
        return f"{len(self.unreadable)} files or folders cannot be read: {named}"


def find_pictures(folder: Path) -> PictureFiles:
    """Find the picture files of a folder and its subfolders, by their suffixes and headers.

    Links to files and folders are followed. A folder with several names is searched once, which prevents endless loops.
    A link to a file that is also found directly is left out, because it could be both in training and in validation.

    folder: the folder. Raises DataError if it does not exist.
    """
    if not folder.is_dir():
        raise DataError(f"the folder {folder} does not exist.")
    inside = search_folder(folder, is_picture_name)
    found = PictureFiles(unreadable=dict(inside.unreadable), others=list(inside.left_out.values()))
    for file in inside.files:
        try:
            opened = file.source.open("rb")
        except OSError as problem:
            found.unreadable[file.source] = problem.strerror or str(problem)
            continue
        with opened, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found.is_gray[file.source] = is_gray_file(opened)
            except MemoryError:
                raise
            except Exception:  # Pillow raises exceptions of any class for other files
                found.broken.append(file.source)
    return found


def some(names: Sequence[object]) -> str:
    """The first names or paths, as text."""
    return ", ".join(map(str, names[:_NAMED])) + (", …" if len(names) > _NAMED else "")
