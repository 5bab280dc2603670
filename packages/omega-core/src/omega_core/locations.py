"""Paths of files and folders on this machine, and URLs of those in stores such as buckets.

A `Url` has the methods of `pathlib.Path` that commands use, so that the same code works with both. fsspec is imported
when a URL is first used.
"""

import errno
import io
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, BinaryIO, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from omega_core.errors import OmegaError
from omega_core.stores import Stored, Watch

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+)://", re.IGNORECASE)  # two letters at least, as C:// is a drive
_SAME = {"s3a": "s3", "gcs": "gs", "abfss": "abfs"}
_WEB = ("http", "https")
_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/@]*(?=@)")
_PIECE = 1 << 16  # minimum number of bytes per read


@dataclass(frozen=True, order=True)
class Url:
    """A file or folder in a store.

    text: the URL, such as "s3://bucket/folder/a.png", without a slash at its end, except for HTTP URLs, each of
        which is a file.

    The methods do the same as those of `Path`. They raise OSError as those do, and MissingExtraError if the library of
    the store is not installed; the message names it.
    """

    text: str

    def __str__(self) -> str:
        return masked(self.text)

    def __truediv__(self, relative: str) -> "Url":
        return Url(f"{self.text}/{relative}")

    @property
    def scheme(self) -> str:
        """The scheme, such as "s3"."""
        return self.text.partition("://")[0]

    @property
    def is_of_the_web(self) -> bool:
        """Whether it is an HTTP URL, which is a file that can only be read."""
        return self.scheme in _WEB

    @property
    def name(self) -> str:
        """The last part of the path; of an HTTP URL without the query, and unquoted if that is a valid name."""
        if not self.is_of_the_web:
            return self.text.rpartition("/")[2]
        quoted = urlsplit(self.text).path.rpartition("/")[2]
        plain = unquote(quoted)
        return quoted if {"/", "\\", "\0"} & set(plain) or plain in (".", "..") else plain

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The suffix of the name, with its dot."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> "Url":
        """The folder that contains it."""
        return Url(self.text.rpartition("/")[0])

    def with_name(self, name: str) -> "Url":
        """Return the URL with this name in the same folder."""
        return self.parent / name

    def resolve(self) -> "Url":
        """Return the URL itself, as links in stores are not followed."""
        return self

    def is_symlink(self) -> bool:
        """Return False, as links in stores are not distinguished from files."""
        return False

    def exists(self) -> bool:
        """Whether an accessible file or folder exists. Raises OmegaError if the store cannot be reached."""
        return self._type() is not None

    def is_dir(self) -> bool:
        """Whether it is a folder; see `exists`."""
        return self._type() == "directory"

    def is_file(self) -> bool:
        """Whether it is a file; see `exists`."""
        return self._type() == "file"

    def _type(self) -> str | None:
        try:
            return str(self._stored.info()["type"])
        except (FileNotFoundError, PermissionError):
            return None
        except OSError as problem:
            raise OmegaError(f"cannot reach {self}: {problem.strerror}.") from problem

    def stat(self) -> os.stat_result:
        """Return the type and size of the file or folder; all other fields are 0."""
        found = self._stored.info()
        kind = stat.S_IFDIR if found["type"] == "directory" else stat.S_IFREG
        return os.stat_result((kind, 0, 0, 0, 0, 0, found.get("size") or 0, 0, 0, 0))

    def open(self, mode: Literal["rb"] = "rb") -> BinaryIO:
        """Open the file for reading; parts of it are fetched on demand."""
        found = self._stored.info()
        if found["type"] == "directory":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        size = found.get("size")
        return io.BytesIO(self.read_bytes()) if size is None else io.BufferedReader(_Parts(self._stored, size), _PIECE)

    def read_bytes(self) -> bytes:
        """Read the file."""
        return self._stored.read()

    def write_bytes(self, data: bytes, *, overwrite: bool) -> None:
        """Write the file whole or not at all. Raises FileExistsError if it exists and may not be replaced."""
        self._stored.write(data, overwrite=overwrite)

    def download(self, target: Path, watch: Watch | None = None) -> None:
        """Copy the file to this machine. watch: called while it arrives."""
        self._stored.download(target, watch)

    def version(self) -> str | None:
        """Return a text that identifies the version of the file; None if the store has none."""
        return self._stored.version()

    def files(self) -> Iterator[str]:
        """Yield the paths of all files in the folder and its subfolders, relative to it, as the store names them."""
        return self._stored.files()

    @cached_property
    def _stored(self) -> Stored:
        return Stored.at(self.text, self.scheme)

    def __getstate__(self) -> dict[str, Any]:
        return {"text": self.text}  # another process opens its own connection


def masked(text: str) -> str:
    """Return the text of a URL with asterisks for its password, for messages."""
    return _PASSWORD.sub(r"\1:***", text)


Location: TypeAlias = Path | Url
"""The path or URL of a file or folder."""


def location_of(text: str | PathLike[str] | Url) -> Location:
    """Convert a text to a path or URL; `file://` URLs become paths.

    Raises OmegaError for a URL that cannot be a file.
    """
    if isinstance(text, Url):
        return text
    text = os.fspath(text)
    found = _URL.match(text)
    if found is None:
        return Path(text)
    scheme = found["scheme"].lower()
    scheme, rest = _SAME.get(scheme, scheme), text[found.end() :]
    if scheme in ("file", "local"):
        return _local(text)
    if scheme in _WEB:
        if not Url(text).name:
            raise OmegaError(f"{masked(text)} does not name a file: web servers have no folders; name each file.")
        return Url(f"{scheme}://{rest}")
    return Url(f"{scheme}://{rest.rstrip('/')}")


def local_path(text: str | PathLike[str]) -> Path:
    """Return the path of a file or folder on this machine. Raises OmegaError for the URL of a store.

    Without this check, `s3://bucket` would be a path in a folder `s3:` of the current folder.
    """
    location = location_of(text)
    if isinstance(location, Url):
        raise OmegaError(f"{location} is a URL; only a path on this machine is accepted here.")
    return location


def _local(text: str) -> Path:
    from urllib.request import url2pathname  # imported here, as it imports much

    parts = urlsplit(text, allow_fragments=False)
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise OmegaError(f"{text} is not a file on this machine: {parts.scheme}:// has to be followed by /.")
    return Path(url2pathname(parts.path))


def relative_path(location: Location, folder: Location) -> str:
    """Return the path of `location` relative to a folder that contains it, with `/` between its parts."""
    return PurePath(str(location)).relative_to(PurePath(str(folder))).as_posix()


class _Parts(io.RawIOBase):
    """A file in a store, open for reading; only the parts that are read are fetched."""

    def __init__(self, stored: Stored, size: int) -> None:
        self._stored, self._size, self._at = stored, size, 0
        self._whole: bytes | None = None  # the whole file, if the server cannot send parts

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._fetch(self._at + len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return self._fetch(self._size)

    def _fetch(self, end: int) -> bytes:
        start, end = self._at, min(end, self._size)
        if start >= end:
            return b""
        if self._whole is None:
            data = self._stored.read() if (start, end) == (0, self._size) else self._stored.read(start, end)
            if len(data) > end - start:
                self._whole = data
        if self._whole is not None:
            data = self._whole[start:end]
        self._at += len(data)
        return data
