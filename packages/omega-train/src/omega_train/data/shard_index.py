"""The pictures in shards, which are tar files: the offset and the size of each picture.

A shard may have an index beside it, a file with the suffix `.idx` in the format of NVIDIA's DALI ("v1.2"): a line for
each sample, with extension, offset, size and name of its members. Without an index, the headers in the shard are read.
"""

import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from omega_core.errors import DataError
from omega_core.images.reading import is_picture_name
from omega_core.locations import masked
from omega_train.data.folder_shares import is_url
from omega_train.data.picture_files import some
from omega_train.data.remote_files import opened, read_parts, sizes_of

VERSION = "v1.2"
_FIELDS = 4  # number of fields of a member in an index: extension, offset, size, name
_SKIP = "Skip damaged parts with --dataset-option skip-unreadable=true."


class DamagedShardError(DataError):
    """A shard is damaged or cut off, and the pictures before the damage can be read."""


class Member(NamedTuple):
    """A file in a shard. offset: the offset of its first byte in the shard. size: the size in bytes."""

    offset: int
    size: int
    name: str


@dataclass(frozen=True)
class ShardPictures:
    """The pictures of shards, in order.

    shards: the paths or URLs of the shards.
    shard: (N,), the index of the shard of each picture. offset, size: (N,), offset in the shard and size, in bytes.
    names: the N names of the pictures in the shards.
    """

    shards: Sequence[str]
    shard: NDArray[np.int64]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.names)

    def name(self, number: int) -> str:
        """The shard of a picture, and its name in the shard."""
        return f"{masked(self.shards[self.shard[number]])}: {self.names[number]}"

    def take(self, chosen: NDArray[np.int64]) -> "ShardPictures":
        """The pictures with these indices."""
        names = [self.names[number] for number in chosen.tolist()]
        return ShardPictures(self.shards, self.shard[chosen], self.offset[chosen], self.size[chosen], names)


def joined(parts: Sequence[ShardPictures]) -> ShardPictures:
    """Concatenate the pictures of several groups of shards."""
    first = np.cumsum([0, *(len(part.shards) for part in parts)])
    return ShardPictures(
        [shard for part in parts for shard in part.shards],
        np.concatenate([part.shard + start for part, start in zip(parts, first, strict=False)]),
        np.concatenate([part.offset for part in parts]),
        np.concatenate([part.size for part in parts]),
        [name for part in parts for name in part.names],
    )


def pictures_of(shards: Sequence[str], skip_unreadable: bool, notes: list[str]) -> ShardPictures:
    """Find the pictures of shards: their members with the suffix of a picture, except hidden ones.

    skip_unreadable: whether the pictures before the damage in a shard are used, instead of raising an error.
    notes: a list to which lines about the files that are left out are added.

    Raises DataError if a shard or an index cannot be read, or is damaged, or if there are no pictures.
    """
    lengths = sizes_of(shards)
    paths, count = [index_of(shard) for shard in shards], len(shards)
    indices = read_parts(paths, [0] * count, [None] * count, optional=True)
    rows: list[tuple[int, int, int]] = []
    names: list[str] = []
    others: Counter[str] = Counter()
    for number, (shard, length, index) in enumerate(zip(shards, lengths, indices, strict=True)):
        try:
            for member in _indexed(shard, index) if index else _headers(shard, others):
                if not _is_picture(member.name):
                    others[PurePath(member.name).suffix.lower() or "without a suffix"] += 1
                    continue
                if length is not None and member.offset + member.size > length:
                    message = f"the shard {masked(shard)} is cut off: {member.name} extends beyond its {length} bytes."
                    raise DamagedShardError(message)
                rows.append((number, member.offset, member.size))
                names.append(member.name)
        except DamagedShardError as problem:
            if not skip_unreadable:
                raise DataError(f"{problem} {_SKIP}") from problem
            notes.append(f"{problem} Its pictures before the damage are used")
    if scanned := [masked(shard) for shard, index in zip(shards, indices, strict=True) if not index and is_url(shard)]:
        notes.append(f"{len(scanned)} shards have no index beside them; their headers were read: {some(scanned)}")
    if not names:
        raise DataError(f"there are no pictures in {some(list(map(masked, shards)))}.")
    if others:
        kinds = ", ".join(f"{suffix} {count}" for suffix, count in others.most_common(10))
        notes.append(f"left out: {others.total()} members of shards that are not pictures ({kinds})")
    shard_of, offset, size = np.array(rows, np.int64).T
    return ShardPictures(shards, shard_of, offset, size, names)


def index_text(members: Iterable[Member]) -> str:
    """The index of a shard whose members are separate samples. Names have to be without blanks."""
    lines = [f"{PurePath(name).suffix[1:]} {offset} {size} {name}\n" for offset, size, name in members]
    return f"{VERSION} {len(lines)}\n{''.join(lines)}"


def index_of(shard: str) -> str:
    """The path or URL of the index of a shard."""
    path, mark, query = shard.partition("?") if is_url(shard) else (shard, "", "")
    return f"{path.removesuffix('.tar')}.idx{mark}{query}"


def _indexed(shard: str, index: bytes) -> Iterator[Member]:
    """The members in the index of a shard. Raises DataError if it is damaged."""
    lines = index.decode("utf-8", "surrogateescape").splitlines()
    head = lines[0].split() if lines else []
    if head != [VERSION, str(len(lines) - 1)]:
        raise DataError(
            f"the index {masked(index_of(shard))} is damaged, or not of the version {VERSION}: create it again."
        )
    for line in lines[1:]:
        fields = line.split()
        try:
            for first in range(0, len(fields), _FIELDS):
                _, offset, size, name = fields[first : first + _FIELDS]
                yield Member(int(offset), int(size), name)
        except ValueError as problem:
            message = f"the index {masked(index_of(shard))} has an invalid line: {line[:80]!r}. Create it again."
            raise DataError(message) from problem


def _headers(shard: str, others: Counter[str]) -> Iterator[Member]:
    """The files in a shard, read from its headers. others: a counter to which links are added.

    Raises DamagedShardError where the shard is damaged or cut off.
    """
    last = ""
    with opened(shard) as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for each in tar:
                    if each.isreg():
                        yield Member(each.offset_data, each.size, each.name)
                    elif each.islnk() or each.issym():  # a link is another name of a file
                        others["links"] += 1
                    last = each.name
                _check_end(file, tar.offset)
        except tarfile.TarError as problem:
            where = f"damaged or cut off after {last}" if last else "not a tar file"
            raise DamagedShardError(f"the shard {masked(shard)} is {where}: {problem}.") from problem


def _check_end(file: Any, end: int) -> None:
    """Raise ReadError if the block after the last member is not the end of a tar file, which tarfile does not check."""
    file.seek(end)
    block = file.read(tarfile.BLOCKSIZE)
    if block != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("the next block is not a header" if block else "it has no end marker")


def _is_picture(name: str) -> bool:
    path = PurePath(name)
    return not path.name.startswith(".") and _is_picture_suffix(path.suffix)


@cache
def _is_picture_suffix(suffix: str) -> bool:
    return is_picture_name(Path(f"picture{suffix}"))
