"""Reading of files, and atomic writing."""

import errno
import io
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from os import PathLike
from pathlib import Path
from typing import BinaryIO, Protocol

from omega_core.errors import OmegaError, OutputError, StoreError, TargetError, TargetExistsError
from omega_core.locations import Location, Url, location_of
from omega_core.stores import temporary_name


class Readable(Protocol):
    """An open binary file, a BytesIO, a pipe, a response of a server: anything with `read()`."""

    def read(self) -> bytes: ...


Source = bytes | str | PathLike[str] | Url | Readable
"""Bytes, the path or URL of a file, or an open binary file, which is read from its current position to its end."""


@contextmanager
def replacing(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Yield the path of a temporary file that becomes the file `path` when the context ends without an error.

    The file appears under its name only when all of it is on disk. Symbolic links are followed. A file that is replaced
    keeps its mode and, where permitted, its owner; a new file gets the mode that the umask allows. A character device,
    a named pipe or an open descriptor (`/dev/stdout`) is not replaced: the content is written to it.

    path: the file to write; its folder is made if missing.
    overwrite: whether an existing file may be replaced.

    Raises TargetExistsError if the file exists and may not be replaced, TargetError if nothing can be written under
    this name, and OutputError if the folder or the file cannot be written, or the disk is full.
    """
    with _naming(path), ExitStack() as cleaning:
        target = _checked_target(path, overwrite)
        if target.folder is None:
            handle, name = tempfile.mkstemp()
            temporary = Path(name)
            cleaning.callback(temporary.unlink, missing_ok=True)
        else:
            _make_folder(target.folder)
            temporary = target.folder / temporary_name()
            cleaning.callback(temporary.unlink, missing_ok=True)
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        mode = stat.S_IMODE(os.fstat(handle).st_mode)  # what the umask leaves; os.umask would change the umask
        os.close(handle)
        temporary.chmod(0o600)
        yield temporary
        if target.folder is None:
            target.copy(temporary)
        else:
            with temporary.open("rb+") as file:  # opened only now, as the caller may have replaced the file
                _set_owner_and_mode(temporary, target.found, mode)
                os.fsync(file.fileno())
            _rename(temporary, target.path, overwrite)
            _sync_folder(target.folder)


def write_whole(path: Location, data: bytes, *, overwrite: bool = True) -> None:
    """Write bytes to a file, as `replacing` does, or to a store, where the file also appears whole or not at all.

    Raises the same errors, and StoreError for a store that accepts no files.
    """
    if isinstance(path, Url):
        with _naming(path, StoreError):
            path.write_bytes(data, overwrite=overwrite)
    else:
        with replacing(path, overwrite=overwrite) as temporary:
            temporary.write_bytes(data)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary folder that becomes the folder `path` when the context ends without an error.

    path: a new folder, which is made with its missing parents; or an empty folder, which is filled.

    Raises TargetExistsError if it exists and is not an empty folder, and OutputError if it cannot be written.
    """
    with _naming(path), ExitStack() as cleaning:
        target = Path(os.path.realpath(path))
        fill = target.is_dir()
        if os.path.lexists(target) and not (fill and not any(target.iterdir())):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        where = target if fill else target.parent  # an existing folder may be a mount point or the current folder
        _make_folder(where)
        temporary = where / temporary_name()
        cleaning.callback(shutil.rmtree, temporary, ignore_errors=True)
        temporary.mkdir()
        yield temporary
        if fill:
            _move_all(temporary, target)
        else:
            _retrying(lambda: temporary.rename(target))
        _sync_folder(where)


def is_written(path: Location) -> bool:
    """Whether writing to `path` would replace a file; False for a device, pipe, folder or broken link."""
    if isinstance(path, Url):
        return path.is_file()
    try:
        found = _target(path).found
    except OSError:
        return False
    return found is not None and stat.S_ISREG(found.st_mode)


def is_standard_output(path: Location) -> bool:
    """Whether writing to `path` writes to standard output, as for `/dev/stdout` and links to it."""
    try:
        return not isinstance(path, Url) and _target(path).descriptor == 1
    except OSError:
        return False


@contextmanager
def opened(path: Location) -> Iterator[BinaryIO]:
    """Open a file for reading. Raises OmegaError if it cannot be read."""
    try:
        if isinstance(path, Path) and path.exists() and not path.is_file() and not path.is_dir():
            raise OmegaError(f"{path} is neither a file nor a folder.")  # reading a named pipe could block forever
        file = path.open("rb")
    except (OSError, ValueError) as problem:  # ValueError: a null character in the path
        raise OmegaError(f"cannot read {path}: {getattr(problem, 'strerror', None) or problem}.") from problem
    with file:
        yield file


def read_whole(path: Location, *, first: int | None = None) -> bytes:
    """Read a file. Raises OmegaError if it cannot be read.

    path: the path or URL of the file.
    first: the number of bytes to read from its beginning; all if None.
    """
    with opened(path) as file:
        try:
            return file.read(-1 if first is None else first)
        except OSError as problem:
            raise OmegaError(f"cannot read {path}: {problem.strerror or problem}.") from problem


def bytes_of(source: Source) -> bytes:
    """Read all bytes of a source. Raises OmegaError if it cannot be read, is closed, is text or has another type."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, (str, PathLike, Url)):
        return read_whole(location_of(source))
    if not hasattr(source, "read"):
        raise OmegaError(f"bytes, a path, a URL or an open file is needed, not {type(source).__name__}.")
    name = f"the file {getattr(source, 'name', type(source).__name__)}"
    if getattr(source, "closed", False):
        raise OmegaError(f"{name} is closed; pass an open file.")
    try:
        data = None if isinstance(source, io.TextIOBase) else source.read()
    except (OSError, ValueError) as problem:  # ValueError: not open for reading
        raise OmegaError(f"cannot read {name}: {getattr(problem, 'strerror', None) or problem}.") from problem
    if data is None and not isinstance(source, io.TextIOBase):
        raise OmegaError(f"{name} is non-blocking and has no bytes yet.")
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise OmegaError(f"{name} gives text, not bytes; open it in binary mode, such as 'rb'.")
    return bytes(data)


_ABOUT_ONE_NAME = {errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EOPNOTSUPP}
"""Errors that concern one name and not the disk: other files can still be written."""


@contextmanager
def _naming(path: Location, otherwise: type[OutputError] = OutputError) -> Iterator[None]:
    """Turn an OSError into TargetExistsError, TargetError or `otherwise`; path: the output, for the message."""
    try:
        yield
    except FileExistsError as problem:
        raise TargetExistsError(path) from problem
    except OSError as problem:
        error = TargetError if problem.errno in _ABOUT_ONE_NAME else otherwise
        raise error(f"cannot write {path}: {problem.strerror or problem}.") from problem


@dataclass(frozen=True)
class _Target:
    """The target of a path, after symbolic links are followed.

    path: the path of the target.
    found: its status; None if it does not exist or is a descriptor.
    descriptor: the number of the open descriptor of this process that it denotes, or None.
    """

    path: Path
    found: os.stat_result | None
    descriptor: int | None = None

    @property
    def folder(self) -> Path | None:
        """The folder in which a file is replaced; None if the target is written to and not replaced."""
        into = self.descriptor is not None or (self.found is not None and not stat.S_ISREG(self.found.st_mode))
        return None if into else self.path.parent

    def copy(self, source: Path) -> None:
        """Write the content of a file into a device, a pipe or a descriptor."""
        where = os.open(self.path, os.O_WRONLY) if self.descriptor is None else self.descriptor
        with source.open("rb") as reading, open(where, "wb", closefd=self.descriptor is None) as writing:
            shutil.copyfileobj(reading, writing)


def _target(path: Path) -> _Target:
    """Follow the symbolic links of a path. Raises OSError."""
    for _ in range(40):  # the limit of Linux
        folder = os.path.realpath(path.parent)
        if folder in ("/dev/fd", os.path.realpath("/proc/self/fd")) and path.name.isdecimal():
            os.fstat(int(path.name))  # raises OSError if it is closed
            return _Target(path, None, int(path.name))
        if not path.is_symlink():
            try:
                return _Target(path, path.stat())
            except FileNotFoundError:
                return _Target(path, None)
        path = Path(folder, path.readlink())
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _checked_target(path: Path, overwrite: bool) -> _Target:
    """Return the target to write. Raises OSError if it can neither be replaced nor written to."""
    target = _target(path)
    kind = stat.S_IFMT(target.found.st_mode) if target.found else stat.S_IFREG
    if target.descriptor is not None:
        return target
    if kind == stat.S_IFDIR:
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if kind in (stat.S_IFSOCK, stat.S_IFBLK):
        raise OSError(errno.EOPNOTSUPP, f"it is a {'socket' if kind == stat.S_IFSOCK else 'block device'}")
    if kind == stat.S_IFREG and target.found:
        if not overwrite:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        if not os.access(
            target.path, os.W_OK, effective_ids=os.access in os.supports_effective_ids
        ):  # renaming would replace even a read-only file
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return target


def _make_folder(folder: Path) -> None:
    """Make a folder and its missing parents so that they survive a power failure. Raises OSError."""
    missing = takewhile(lambda each: not each.is_dir(), (folder, *folder.parents))
    for each in reversed(list(missing)):
        each.mkdir(exist_ok=True)
        _sync_folder(each.parent)


def _move_all(source: Path, target: Path) -> None:
    """Move the entries of one folder into another; if one cannot be moved, none is. Raises OSError."""
    moved = list[Path]()
    try:
        for path in sorted(source.iterdir()):
            path.rename(target / path.name)
            moved.append(path)
    except BaseException:
        for path in moved:
            (target / path.name).rename(path)
        raise


def _set_owner_and_mode(path: Path, like: os.stat_result | None, mode: int) -> None:
    """Give a new file the mode `mode`, or the mode and owner of the file that it replaces."""
    if like is not None:
        mode = stat.S_IMODE(like.st_mode)
        own = path.stat()
        if hasattr(os, "chown") and (own.st_uid, own.st_gid) != (like.st_uid, like.st_gid):
            for owner in (-1, like.st_uid):  # without privileges, only the group can be changed
                with suppress(PermissionError):
                    os.chown(path, owner, like.st_gid)
    path.chmod(mode)


def _rename(temporary: Path, path: Path, overwrite: bool) -> None:
    """Rename the temporary file; without `overwrite`, only one of two processes succeeds. Raises OSError."""
    if overwrite:
        _retrying(lambda: temporary.replace(path))
        return
    try:
        path.hardlink_to(temporary)  # unlike a rename, this fails if the name exists
    except FileExistsError:
        raise
    except OSError:  # the file system has no hard links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        temporary.rename(path)


def _retrying(rename: Callable[[], object]) -> None:
    """Rename a file or folder. On Windows, try again for some seconds while another process has it open."""
    for pause in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0) if sys.platform == "win32" else ():
        try:
            rename()
        except PermissionError:
            time.sleep(pause)
        else:
            return
    rename()


def _sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, on systems that support it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
