"""Reading files, and writing them so that they appear whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from omega_core.errors import OmegaError, OutputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file beside `path` to write to, which takes its place when all went well.

    Raises OutputError where the folder or the file cannot be written, or the disk is full.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        temporary = Path(name)
        os.close(handle)
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # last: who writes it may put another file in its place
        temporary.replace(path)
    except OSError as problem:
        raise OutputError(f"cannot write {path}: {problem.strerror or problem}.") from problem
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all. Raises OutputError."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file to read from. Raises OmegaError if it cannot be read."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OmegaError(f"{path} is neither a file nor a folder.")  # a named pipe would be waited for
    try:
        file = path.open("rb")
    except OSError as problem:
        raise OmegaError(f"cannot read {path}: {problem.strerror or problem}.") from problem
    with file:
        yield file


def read_whole(path: Path, *, first: int | None = None) -> bytes:
    """The bytes of a file, or its first ones. Raises OmegaError if it cannot be read."""
    with opened(path) as file:
        try:
            return file.read(-1 if first is None else first)
        except OSError as problem:
            raise OmegaError(f"cannot read {path}: {problem.strerror or problem}.") from problem


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
