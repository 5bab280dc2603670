"""Stores: files that are reached by URL through fsspec, such as those of buckets. Importing it imports no fsspec."""

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
"""Schemes of stores that can be asked to write a file only if there is none: two processes cannot both do so."""
WHOLE = CONDITIONAL | {"az", "abfs", "hf", "oci", "oss"}
"""Schemes of stores in which a file appears when all of it has arrived, and which list a folder at once."""

PATIENCE = 60
"""Seconds to wait for a connection, and for the next bytes, of a web server; other stores have limits of their own."""

Watch = Callable[[int, int | None], None]
"""Is called while a file arrives, with the number of bytes so far and, if it is known, of all."""

_NUMBERS: dict[type, int] = {  # of exceptions that are often raised without
    FileExistsError: errno.EEXIST,
    FileNotFoundError: errno.ENOENT,
    IsADirectoryError: errno.EISDIR,
    NotADirectoryError: errno.ENOTDIR,
}
_BROKEN_OFF = {"ClientPayloadError", "IncompleteRead", "ResponseStreamingError", "ServerDisconnectedError"}
# what tells one version of a file from the next, under the names that stores have for it
_VERSIONS = (
    *("ETag", "etag", "blob_id", "generation", "md5Hash", "Last-Modified", "LastModified", "last_modified", "mtime"),
    "created",
)


@dataclass(frozen=True)
class Stored:
    """A file or folder in a store.

    scheme: of its URL.
    system: the file system of fsspec.
    path: the path in it.

    Methods raise OSError with a number and a sentence in `strerror`, whatever the library of the store raises.
    """

    scheme: str
    system: Any
    path: str

    @classmethod
    def at(cls, url: str, scheme: str) -> "Stored":
        """What is at a URL. Raises MissingExtraError without the library of the store, OmegaError without a store."""
        kind = _kind(scheme)
        with _plainly():
            system = kind(**kind._get_kwargs_from_urls(url), **_options(kind, scheme))
            return cls(scheme, system, kind._strip_protocol(url))

    def info(self) -> dict[str, Any]:
        """What the store says of it now: its `type`, "file" or "directory", its `size` in bytes or None, and more."""
        with _plainly():
            self.system.invalidate_cache(self.path)
            return self.system.info(self.path)

    def version(self) -> str | None:
        """A text that another version of the file does not have; None if the store says nothing of the kind."""
        found = self.info()
        marks = {name: str(found[name]) for name in _VERSIONS if found.get(name)}
        return f"{found.get('size')} {marks}" if marks else None

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        """The bytes from `start` to `end`; all bytes if the server knows no parts."""
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
        """The paths of all files in the folder and its subfolders, relative to it, as the store has them."""
        with _plainly():
            self.system.invalidate_cache(self.path)
            if self.scheme in WHOLE:
                found = list(self.system.find(self.path, detail=True).values())
            else:
                found = list(self._walk())
        for info in found:
            if info["type"] == "file" and not info["name"].endswith("/"):  # an empty file in the place of a folder
                yield info["name"].removeprefix(f"{self.path}/")

    def _walk(self) -> Iterator[dict[str, Any]]:
        """What is in the folder and its subfolders; unlike `find`, which leaves out a folder that cannot be listed."""
        folders = [self.path]
        for folder in folders:
            for info in self.system.ls(folder, detail=True):
                if info["type"] == "directory":
                    folders.append(info["name"])
                yield info

    def write(self, data: bytes, *, overwrite: bool) -> None:
        """Write a file, which appears whole or not at all. Raises FileExistsError if it may not be replaced."""
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
                if problem.errno != errno.ENOSYS:  # of servers that are like S3 but know no conditions
                    raise
            else:
                return
        self._check_free()
        self.system.pipe_file(self.path, data)

    def _write_beside(self, data: bytes, overwrite: bool) -> None:
        """Write under a temporary name in the same folder, and move: for servers of files."""
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
    """The class of a store. Raises MissingExtraError or OmegaError."""
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
    """The options of a store beside those that its URL and the configuration of fsspec have."""
    if scheme not in ("http", "https"):
        return {}
    from fsspec.config import apply_config

    # unlike by default, a download may take more than five minutes, and proxies of the environment are used
    aiohttp = sys.modules["aiohttp"]  # which the store has imported
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=PATIENCE, sock_read=PATIENCE)
    # what a server compresses for the transport would be inflated without a limit: files here are compressed already
    plain = {"headers": {"Accept-Encoding": "identity"}, "auto_decompress": False}
    configured = apply_config(kind, {}).get("client_kwargs", {})
    return {"client_kwargs": {"timeout": timeout, "trust_env": True, **plain, **configured}}


@contextmanager
def _plainly() -> Iterator[None]:
    """Turn whatever the library of a store raises into an OSError with a number and a sentence."""
    try:
        yield
    except (OmegaError, MemoryError):
        raise
    except Exception as problem:
        number, sentence = reason_of(problem)
        raise OSError(number, sentence) from problem


def reason_of(problem: BaseException) -> tuple[int, str]:
    """The number and the sentence, without its period, of an exception of fsspec or the library of a store."""
    cause = problem.__cause__
    if isinstance(problem, FileNotFoundError) and (isinstance(cause, OSError) or _is_of_a_library(cause)):
        problem = cause  # of the web, any answer but a file
    said = problem.strerror if isinstance(problem, OSError) and str(problem).startswith("[Errno") else problem
    text = " ".join(str(said).split()).rstrip(".") or type(problem).__name__
    response = getattr(problem, "response", None)
    error = response.get("Error", {}) if isinstance(response, dict) else {}  # of botocore
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
        return errno.ECONNRESET, "the connection breaks off"
    if status is not None:
        message = str(error.get("Message") or getattr(problem, "message", "")).partition("\n")[0]
        return errno.EIO, f"the server answers {status} {message}".rstrip(" :.")
    if (number := _NUMBERS.get(type(problem))) is not None:
        return number, os.strerror(number)
    if isinstance(problem, OSError):
        return problem.errno or errno.EIO, text
    named = _is_of_a_library(problem) or isinstance(problem, ImportError)  # by which fsspec says what to install
    return errno.EIO, text if named else f"{type(problem).__name__}: {text}"


def _is_of_a_library(problem: BaseException | None) -> TypeGuard[BaseException]:
    return problem is not None and type(problem).__module__ != "builtins"


def _status(problem: BaseException, response: Any) -> int | None:
    """The status of an answer by HTTP, as aiohttp, botocore or requests and its like tell it."""
    if isinstance(response, dict):
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = getattr(response, "status_code", getattr(problem, "status", None))
    return found if isinstance(found, int) and found >= 400 else None
