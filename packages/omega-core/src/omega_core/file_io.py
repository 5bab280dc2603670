"""Reading of files, and atomic writing."""

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import BinaryIO, Protocol

from omega_core.errors import OmegaError, OutputError


class Readable(Protocol):
    """An open binary file, a BytesIO, a pipe, a response of a server: anything with `read()`."""

    def read(self) -> bytes: ...


Source = bytes | str | PathLike[str] | Readable
"""Bytes, a path to a file of them, or an open binary file, which is read from its current position to its end."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file that replaces `path` when the context ends without an error.

    path: the file to write; its folder is made if missing.

    Raises OutputError if the folder or the file cannot be written, or the disk is full.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        temporary = Path(name)
        os.close(handle)
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # last, as the caller may have replaced the file
        temporary.replace(path)
    except OSError as problem:
        raise OutputError(f"cannot write {path}: {problem.strerror or problem}.") from problem
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write bytes to a file atomically. Raises OutputError."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading. Raises OmegaError if it cannot be read."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OmegaError(f"{path} is neither a file nor a folder.")  # reading a named pipe could block for ever
    try:
        file = path.open("rb")
    except OSError as problem:
        raise OmegaError(f"cannot read {path}: {problem.strerror or problem}.") from problem
    with file:
        yield file


def read_whole(path: Path, *, first: int | None = None) -> bytes:
    """Read a file. Raises OmegaError if it cannot be read.

    path: of the file.
    first: the number of bytes to read from its beginning; all if None.
    """
    with opened(path) as file:
        try:
            return file.read(-1 if first is None else first)
        except OSError as problem:
            raise OmegaError(f"cannot read {path}: {problem.strerror or problem}.") from problem


def bytes_of(source: Source) -> bytes:
    """Read all bytes of a source. Raises OmegaError if it cannot be read, is closed, gives text or has another type."""
    if isinstance(source, bytes):
        return source
    if isinstance(source, (str, PathLike)):
        return read_whole(Path(source))
    if not hasattr(source, "read"):
        raise OmegaError(f"bytes, a path or an open file is needed, not {type(source).__name__}.")
    name = f"the file {getattr(source, 'name', type(source).__name__)}"
    if getattr(source, "closed", False):
        raise OmegaError(f"{name} is closed; give it before it is closed.")
    try:
        data = None if isinstance(source, io.TextIOBase) else source.read()
    except (OSError, ValueError) as problem:  # a file for writing is a ValueError of its own
        raise OmegaError(f"cannot read {name}: {getattr(problem, 'strerror', None) or problem}.") from problem
    if not isinstance(data, bytes):
        raise OmegaError(f"{name} gives text, not bytes; open it in binary mode, such as 'rb'.")
    return data


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
