"""Files in stores such as buckets, accessed by URL through fsspec. Importing this module does not import fsspec."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from omega_core.errors import MissingExtraError, OmegaError

CONDITIONAL = frozenset({"s3", "gs", "memory"})
"""Schemes of stores that can create a file only if it does not exist, so that only one of two processes succeeds."""
WHOLE = CONDITIONAL | {"az", "abfs", "hf", "oci", "oss"}
"""Schemes of stores in which a file appears only when it is complete, and which list a folder tree in one call."""

PATIENCE = 60
"""Seconds to wait for a connection to a web server, and for its next bytes; other stores have their own limits."""

Watch = Callable[[int, int | None], None]
"""Called while a file arrives, with the number of bytes so far and the total number, None if unknown."""

_NUMBERS: dict[type, int] = {  # for exceptions that are often raised without a number
    FileExistsError: errno.EEXIST,
    FileNotFoundError: errno.ENOENT,
    IsADirectoryError: errno.EISDIR,
    NotADirectoryError: errno.ENOTDIR,
}
_BROKEN_OFF = {"ClientPayloadError", "IncompleteRead", "ResponseStreamingError", "ServerDisconnectedError"}
# the keys under which stores report the version of a file
_VERSIONS = (
    *("ETag", "etag", "blob_id", "generation", "md5Hash", "Last-Modified", "LastModified", "last_modified", "mtime"),
    "created",
)


@dataclass(frozen=True)
class Stored:
    """A file or folder in a store.

    scheme: the scheme of its URL.
    system: the file system of fsspec.
    path: the path in the file system.

    Methods raise OSError, with a number and a message in `strerror`, for all errors of the store's library.
    """

    scheme: str
    system: Any
    path: str

    @classmethod
    def at(cls, url: str, scheme: str) -> "Stored":
        """Return the entry at a URL. Raises MissingExtraError for a missing library, OmegaError for another scheme."""
        kind = _kind(scheme)
        with _plainly():
            system = kind(**kind._get_kwargs_from_urls(url), **_options(kind, scheme))
            return cls(scheme, system, kind._strip_protocol(url))

    def info(self) -> dict[str, Any]:
        """Return its current metadata: `type`, "file" or "directory", `size`, in bytes or None, and more."""
        with _plainly():
            self.system.invalidate_cache(self.path)
            return self.system.info(self.path)

    def version(self) -> str | None:
        """Return a text that identifies the version of the file; None if the store reports none."""
        found = self.info()
        marks = {name: str(found[name]) for name in _VERSIONS if found.get(name)}
        return f"{found.get('size')} {marks}" if marks else None

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        """Return the bytes from `start` to `end`; all bytes if the server cannot send parts."""
        part = {} if (start, end) == (0, None) else {"start": start, "end": end}
        with _plainly():
            return self.system.cat_file(self.path, **part)

    def download(self, target: Path, watch: Watch | None = None) -> None:
        """Write the content to a local file, piece by piece."""
        from fsspec.callbacks import Callback

        def tell(size: int | None, value: int, **_: Any) -> None:
            if watch is not None:
                watch(value, size)

        with _plainly():
            self.system.get_file(self.path, str(target), callback=Callback(hooks={"watch": tell}))

    def files(self) -> Iterator[str]:
        """Yield the paths of all files in the folder and its subfolders, relative to it, as the store names them."""
        with _plainly():
            self.system.invalidate_cache(self.path)
            if self.scheme in WHOLE:
                found = list(self.system.find(self.path, detail=True).values())
            else:
                found = list(self._walk())
        for info in found:
            if info["type"] == "file" and not info["name"].endswith("/"):  # not an empty file that marks a folder
                yield info["name"].removeprefix(f"{self.path}/")

    def _walk(self) -> Iterator[dict[str, Any]]:
        """Yield the entries of the folder and its subfolders; unlike `find`, raise if a folder cannot be listed."""
        folders = [self.path]
        for folder in folders:
            for info in self.system.ls(folder, detail=True):
                if info["type"] == "directory":
                    folders.append(info["name"])
                yield info

    def write(self, data: bytes, *, overwrite: bool) -> None:
        """Write a file whole or not at all. Raises FileExistsError if it exists and may not be replaced."""
        with _plainly():
            if self.scheme not in WHOLE:
                self._write_beside(data, overwrite)
            elif overwrite:
                self.system.pipe_file(self.path, data)
            else:
                self._create(data)

    def _create(self, data: bytes) -> None:
        if self.scheme in CONDITIONAL:
            try:
                self.system.pipe_file(self.path, data, mode="create")
            except OSError as problem:
                if problem.errno != errno.ENOSYS:  # from S3-compatible servers without conditional writes
                    raise
            else:
                return
        self._check_free()
        self.system.pipe_file(self.path, data)

    def _write_beside(self, data: bytes, overwrite: bool) -> None:
        """Write under a temporary name in the same folder, then move the file: for file servers."""
        folder = self.path.rpartition("/")[0]
        temporary = f"{folder}/{temporary_name()}"
        self.system.makedirs(folder, exist_ok=True)
        if not overwrite:
            self._check_free()
        try:
            self.system.pipe_file(temporary, data)
            if not overwrite:
                self._check_free()
            self.system.mv(temporary, self.path)
        except BaseException:
            with suppress(Exception):
                self.system.rm_file(temporary)
            raise

    def _check_free(self) -> None:
        self.system.invalidate_cache(self.path)
        if self.system.exists(self.path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def temporary_name() -> str:
    """Return a name for an unfinished file: hidden, and short whatever the name of the file is."""
    return f".omega-{os.urandom(8).hex()}.part"


def _kind(scheme: str) -> Any:
    """Return the fsspec class for a scheme. Raises MissingExtraError or OmegaError."""
    try:
        import fsspec
    except ImportError as problem:
        raise MissingExtraError(
            f"{scheme}:// needs fsspec, which is not installed: install omega-core with its extra fsspec."
        ) from problem
    try:
        return fsspec.get_filesystem_class(scheme)
    except ImportError as problem:
        library = getattr(problem.__cause__, "name", None)
        if library is None:
            raise MissingExtraError(f"{scheme}:// needs a library that cannot be imported: {problem}.") from problem
        raise MissingExtraError(f"{scheme}:// needs {library}, which is not installed: install {library}.") from problem
    except ValueError as problem:
        raise OmegaError(f"there is no store whose URLs begin with {scheme}://.") from problem


def _options(kind: Any, scheme: str) -> dict[str, Any]:
    """Return further options of a store, beside those in its URL and in the configuration of fsspec."""
    if scheme not in ("http", "https"):
        return {}
    from fsspec.config import apply_config

    # unlike aiohttp's defaults: a download may take more than five minutes, and proxies of the environment are used
    aiohttp = sys.modules["aiohttp"]  # imported by the store
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=PATIENCE, sock_read=PATIENCE)
    # no compression for the transport: it would be inflated without a limit, and the files are compressed already
    plain = {"headers": {"Accept-Encoding": "identity"}, "auto_decompress": False}
    configured = apply_config(kind, {}).get("client_kwargs", {})
    return {"client_kwargs": {"timeout": timeout, "trust_env": True, **plain, **configured}}


@contextmanager
def _plainly() -> Iterator[None]:
    """Convert any exception of a store's library to an OSError with a number and a message."""
    try:
        yield
    except (OmegaError, MemoryError):
        raise
    except Exception as problem:
        number, sentence = reason_of(problem)
        raise OSError(number, sentence) from problem


def reason_of(problem: BaseException) -> tuple[int, str]:
    """Return the error number and the message, without a period, for an exception of fsspec or a store's library."""
    cause = problem.__cause__
    if isinstance(problem, FileNotFoundError) and (isinstance(cause, OSError) or _is_of_a_library(cause)):
        problem = cause  # for HTTP, fsspec raises it for any failure
    described = problem.strerror if isinstance(problem, OSError) and str(problem).startswith("[Errno") else problem
    text = " ".join(str(described).split()).rstrip(".") or type(problem).__name__
    response = getattr(problem, "response", None)
    error = response.get("Error", {}) if isinstance(response, dict) else {}  # from botocore
    status = _status(problem, response)
    if error.get("Code") == "NoSuchBucket":
        return errno.ENXIO, "the bucket does not exist"
    if isinstance(problem, PermissionError) or status in (401, 403):
        return errno.EACCES, f"access is denied ({status or text})"
    if status in (404, 410):
        return errno.ENOENT, os.strerror(errno.ENOENT)
    if isinstance(problem, TimeoutError):
        return errno.ETIMEDOUT, "the server does not answer"
    if any(each.__name__ in _BROKEN_OFF for each in type(problem).__mro__):
        return errno.ECONNRESET, "the connection was interrupted"
    if status is not None:
        message = str(error.get("Message") or getattr(problem, "message", "")).partition("\n")[0]
        return errno.EIO, f"the server answers {status} {message}".rstrip(" :.")
    if (number := _NUMBERS.get(type(problem))) is not None:
        return number, os.strerror(number)
    if isinstance(problem, OSError):
        return problem.errno or errno.EIO, text
    named = _is_of_a_library(problem) or isinstance(problem, ImportError)  # its text names what to install
    return errno.EIO, text if named else f"{type(problem).__name__}: {text}"


def _is_of_a_library(problem: BaseException | None) -> TypeGuard[BaseException]:
    return problem is not None and type(problem).__module__ != "builtins"


def _status(problem: BaseException, response: Any) -> int | None:
    """Return the HTTP status of a response, as aiohttp, botocore or requests and similar libraries store it."""
    if isinstance(response, dict):
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = getattr(response, "status_code", getattr(problem, "status", None))
    return found if isinstance(found, int) and found >= 400 else None
