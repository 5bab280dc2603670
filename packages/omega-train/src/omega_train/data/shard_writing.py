"""Writing of shards: tar files of pictures, each with an index, for the dataset `shards` and readers of WebDataset."""

import io
import re
import tarfile
from pathlib import Path, PurePath

from omega_train.data.shard_index import Member, index_of, index_text

_MAX_CHARACTERS = 60  # maximum number of characters of a picture's name in a member; a header has room for 100


class ShardWriter:
    """Writes pictures into shards `shard-000000.tar`, `shard-000001.tar`, …, each with its index, as a context.

    folder: an existing folder for the shards.
    size: the maximum size in bytes, up to the end of the last picture; a shard with only one picture may be larger.

    The same pictures give the same shards, byte for byte.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder, size
        self.shards = self.pictures = 0
        self._tar: tarfile.TarFile | None = None
        self._members: list[Member] = []

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._finish()

    def add(self, source: PurePath, data: bytes) -> None:
        """Add a picture. source: its path, for its name in the shard. data: the content of its file."""
        if self._tar is None or self._tar.offset + tarfile.BLOCKSIZE + len(data) > self.size:
            self._finish()
            path = self.folder / f"shard-{self.shards:06}.tar"
            self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 (`_finish` closes it)
            self.shards += 1
        member = tarfile.TarInfo(_name(self.pictures, source))
        member.size = len(data)
        self._members.append(Member(self._tar.offset + tarfile.BLOCKSIZE, len(data), member.name))
        self._tar.addfile(member, io.BytesIO(data))
        self.pictures += 1

    def _finish(self) -> None:
        """Close the current shard, and write its index."""
        if self._tar is not None:
            self._tar.close()
            Path(index_of(str(self._tar.name))).write_text(index_text(self._members), "utf-8", newline="\n")
        self._tar, self._members = None, []


def _name(number: int, source: PurePath) -> str:
    """The name of a picture in a shard: unique, with one dot, at which all readers split it into key and suffix."""
    return f"{number:08}-{re.sub(r'[^A-Za-z0-9_-]', '_', source.stem)[:_MAX_CHARACTERS]}{source.suffix.lower()}"
