"""Reading parts of files in folders and at URLs, with fsspec, which supports HTTP, S3 and many others.

A URL may be chained: `filecache::https://…` keeps files on this machine once any part of them has been read.
"""

import glob
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from omega_core.errors import DataError, MissingExtraError
from omega_core.locations import masked
from omega_core.stores import reason_of
from omega_train.data.folder_shares import is_url

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_PAUSES = (0, 1, 5)  # seconds before each attempt; requests are repeated after temporary errors
_LASTING = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


def find_shards(location: str) -> list[str]:
    """The paths or URLs of tar files, sorted within each pattern.

    location: the path or URL of a file, a folder, or a pattern with `*`, `[…]`, `{a,b}` or `{000..099}`. Paths may also
        contain `?`, which begins a query in a URL.

    Raises DataError if there are no tar files, or if they cannot be listed.
    """
    found: dict[str, None] = {}
    for each in _without_braces(location):
        files = [each]
        with _naming(each):
            if _is_pattern(each):
                files = _matching(each)
            elif not _is_shard(each) and _is_folder(each):
                folder = each.rstrip("/")
                files = _matching(f"{folder if is_url(folder) else glob.escape(folder)}/*.tar")
        if not files:
            raise DataError(f"there is no .tar file at {masked(each)}.")
        found |= dict.fromkeys(files)
    return list(found)


def has_folders(location: str, *names: str) -> bool:
    """Whether a path or URL, as for `find_shards`, is a folder that has folders of these names."""
    if _is_pattern(location) or _is_shard(location):
        return False
    with _naming(location):
        return all(_is_folder(f"{location.rstrip('/')}/{name}") for name in names)


def sizes_of(files: Sequence[str]) -> list[int | None]:
    """The sizes of files in bytes, None if a server does not report one. Raises DataError if a file cannot be read."""
    sizes: list[int | None] = [None] * len(files)
    for system, indices, paths in _by_system(files, range(len(files))):
        with _naming(files[indices[0]]):
            try:
                found = system.sizes(paths)
            except Exception:
                found = []
                for index, path in zip(indices, paths, strict=True):
                    with _naming(files[index]):
                        found.append(system.size(path))
        for index, size in zip(indices, found, strict=True):
            sizes[index] = size
    return sizes


def read_parts(
    files: Sequence[str], starts: Sequence[int], ends: Sequence[int | None], *, optional: bool = False
) -> list[bytes]:
    """Read parts of files; parts on a network are requested at the same time.

    files: the file of each part. starts, ends: the first byte and the end of each part; None for the end of the file.
    optional: whether parts that cannot be read are empty instead of raising an error.

    Raises DataError for a part that cannot be read.
    """
    answers: dict[int, bytes | Exception] = {}
    left: Sequence[int] = range(len(files))
    for pause in _PAUSES:
        if left and pause:  # even a pause of 0 would yield to other processes
            time.sleep(pause)
        for system, indices, paths in _by_system(files, left):
            limits = [starts[index] for index in indices], [ends[index] for index in indices]
            answers |= zip(indices, _ranges(system, paths, *limits), strict=True)
        left = [index for index in left if not isinstance(answers[index], (bytes, *_LASTING))]
    for index, answer in answers.items():
        if isinstance(answer, Exception) and not optional:
            with _naming(files[index]):
                raise answer
    return [b"" if isinstance(answer, Exception) else answer for _, answer in sorted(answers.items())]


def _ranges(
    system: "AbstractFileSystem", paths: list[str], starts: list[int], ends: list[int | None]
) -> list[bytes | Exception]:
    try:
        found: list[bytes | Exception] = system.cat_ranges(paths, starts, ends, on_error="return")
        return found
    except Exception as problem:  # caches raise one exception for all parts
        if len(paths) == 1:
            return [problem]
        one_by_one = zip(paths, starts, ends, strict=True)
        return [_ranges(system, [path], [start], [end])[0] for path, start, end in one_by_one]


@contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """Open a file for reading. Raises DataError if it cannot be read."""
    with _naming(file):
        system, path = _system(file)
        with system.open(path, "rb") as reading:
            yield reading


def _without_braces(location: str) -> Iterator[str]:
    if "{" not in location or (not is_url(location) and Path(location).exists()):
        yield location
        return
    try:
        from braceexpand import braceexpand
    except ImportError as problem:
        raise MissingExtraError(
            f"the braces in {masked(location)} need the package braceexpand: install omega-train with its extra shards."
        ) from problem
    try:
        yield from braceexpand(location, escape=False)
    except ValueError as problem:
        raise DataError(f"a brace in {masked(location)} has no matching one.") from problem


def _is_pattern(location: str) -> bool:
    if is_url(location):
        return any(sign in location for sign in "*[{")  # a question mark begins a query
    return any(sign in location for sign in "*?[{") and not Path(location).exists()


def _is_shard(location: str) -> bool:
    """Whether the suffix is that of a shard. A shard is not listed as a folder: a server would send all of it."""
    return (location.partition("?")[0] if is_url(location) else location).endswith(".tar")


def _is_folder(location: str) -> bool:
    system, path = _system(location)
    return bool(system.isdir(path))


def _matching(pattern: str) -> list[str]:
    outer, chain, inner = pattern.rpartition("::") if is_url(pattern) else ("", "", pattern)
    system, path = _system(inner)
    names = sorted(system.glob(path))
    return [outer + chain + (system.unstrip_protocol(name) if is_url(inner) else name) for name in names]


def _by_system(
    files: Sequence[str], indices: Sequence[int]
) -> "Iterator[tuple[AbstractFileSystem, list[int], list[str]]]":
    """The file systems of the files with the indices `indices`, each with the indices and the paths of its files."""
    systems: dict[int, tuple[AbstractFileSystem, list[int], list[str]]] = {}
    for index in indices:
        with _naming(files[index]):
            system, path = _system(files[index])
        _, mine, paths = systems.setdefault(id(system), (system, [], []))
        mine.append(index)
        paths.append(path)
    yield from systems.values()


def _system(file: str) -> "tuple[AbstractFileSystem, str]":
    """The file system of a file, and its path there. fsspec creates one per process: they do not survive a fork."""
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    if not is_url(file):  # url_to_fs would read :: in a path as a chain
        return LocalFileSystem(), LocalFileSystem._strip_protocol(file)
    return cast("tuple[AbstractFileSystem, str]", url_to_fs(file))


@contextmanager
def _naming(file: str) -> Iterator[None]:
    """Turn exceptions about a file, from any of the libraries of fsspec, into a DataError with its name."""
    try:
        yield
    except DataError:
        raise
    except Exception as problem:
        _, reason = reason_of(problem)
        raise DataError(f"cannot read {masked(file)}: {reason}.") from problem
