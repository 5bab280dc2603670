"""The pictures that are shown: their files, models and originals."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from omega_core.codec.model_names import fingerprint_of, installed_model, model_path
from omega_core.errors import WrongModelError
from omega_core.file_io import opened
from omega_core.format.header import Header
from omega_core.format.streaming import StreamingFile
from omega_core.images.reading import is_picture_name


@dataclass(frozen=True)
class ServedPicture:
    """A picture that is shown.

    path: the path of its file.
    name: the path of the file in the folder that is shown.
    header: the header of the file.
    start: the offset of the stream in the file, in bytes.
    original: the path of the original picture; None if it was not found.
    """

    path: Path
    name: str
    header: Header
    start: int
    original: Path | None

    @property
    def mark(self) -> str:
        """The beginning of the fingerprint of the model, from the header."""
        return self.header.fingerprint.hex()

    def facts(self) -> dict[str, Any]:
        """The facts for the page."""
        height, width = self.header.sizes[0]
        size = self.path.stat().st_size
        return {
            "name": self.name,
            "bytes": size,
            "start": self.start,
            # shorter than in the header if the file is cut off
            "length": max(0, min(self.header.length, size - self.start)),
            "width": width,
            "height": height,
            "pixels": self.header.pixels,
            "original": self.original is not None,
        }


def served_picture(path: Path, name: str, originals: Path) -> ServedPicture:
    """Read the header of a file. Raises OmegaError if it cannot be read or is not an `.omega` file.

    name: the path of the file in the folder that is shown.
    originals: the folder that may have the original, a picture whose file `omega compress` would give this name.
    """
    with opened(path) as file:
        arriving = StreamingFile(file)
    return ServedPicture(path, name, arriving.header, arriving.start, _pictures_in(originals).get(path.stem))


@cache
def _pictures_in(folder: Path) -> dict[str, Path]:
    """The picture files of a folder, by name (for a.png.omega) and by name without suffix (for a.omega)."""
    if not folder.is_dir():
        return {}
    found = sorted(path for path in folder.iterdir() if is_picture_name(path) and path.is_file())
    return {path.stem: path for path in reversed(found)} | {path.name: path for path in found}


def model_paths(name: str | None, pictures: Iterable[ServedPicture]) -> dict[str, Path | str]:
    """The paths of the models of pictures, or the reason why one is missing, by the fingerprints in the files.

    name: the name, path or URL of the model for all files; None selects bundled models.

    Raises ModelFileError for a model that does not exist or cannot be read.
    """
    marks = {picture.mark for picture in pictures}
    if name is None:
        return {mark: _installed(mark) for mark in marks}
    given = model_path(name)
    own = fingerprint_of(given)
    return {
        mark: given if own.startswith(mark) else f"this file was made with the model {mark}, not {own[:8]}."
        for mark in marks
    }


def _installed(mark: str) -> Path | str:
    try:
        return installed_model(bytes.fromhex(mark), "Name its file with --model.")
    except WrongModelError as problem:
        return str(problem)
