"""Photos in tar files ("shards") like those of WebDataset, on this machine or at URLs.

Any picture can be read without the previous ones, by its offset in its shard. Training therefore takes pictures in the
same order as from a folder: each picture once per epoch, independent of its shard.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omega_core.contracts.dataset import Dataset
from omega_core.errors import DataError, ImageError
from omega_core.images.pictures import Pixels
from omega_core.locations import masked
from omega_train.data.folder_shares import Data, Mixture, is_url, several
from omega_train.data.identity import digest
from omega_train.data.photos import Crops, PhotoImages, check_validation_share, split
from omega_train.data.remote_files import find_shards, has_folders, read_parts, sizes_of
from omega_train.data.shard_index import ShardPictures, joined, pictures_of

_MAX_VALIDATION = 1000
_PART = 4096  # number of bytes at the beginning, in the middle and at the end of a shard that identify it


class ShardImages(PhotoImages):
    """Square crops of pictures in shards: see `PhotoImages`.

    pictures: the offsets of the pictures. skip_unreadable: whether the next picture is taken instead of a damaged one.
    """

    def __init__(
        self, pictures: ShardPictures, crops: Crops, mixture: Mixture | None = None, *, skip_unreadable: bool
    ) -> None:
        super().__init__(len(pictures), crops, mixture)
        self.pictures, self.skip_unreadable = pictures, skip_unreadable

    def name(self, number: int) -> str:
        return self.pictures.name(number)

    def load(self, index: int, seed: int) -> NDArray[np.uint8]:
        """The crop of a sample: see `crop_of`. Raises DataError for a damaged picture, unless it is skipped."""
        [crop] = self.load_together([(index, seed)])
        return crop

    def load_together(self, keys: Iterable[tuple[int, int]]) -> list[NDArray[np.uint8]]:
        """The results of `load(index, seed)` for several samples. keys: index and seed of each sample."""
        keys = list(keys)
        numbers = [self.picture(index, np.random.default_rng(seed)) for index, seed in keys]
        fetched = dict(zip(numbers, self._fetch(numbers), strict=True))

        def read(number: int) -> Pixels:
            [data] = [fetched[number]] if number in fetched else self._fetch([number])
            if len(data) < self.pictures.size[number]:
                raise ImageError(f"the shard ends within this picture, after {len(data)} bytes.")
            return self.decode(data, number)

        return [self.crop_of(index, seed, read) for index, seed in keys]

    def leave_out(self, number: int, problem: ImageError) -> None:
        """Warn about a damaged picture. Raises DataError if damaged pictures are not skipped."""
        if not self.skip_unreadable:
            raise DataError(
                f"{self.name(number)}: {problem} Skip damaged pictures with --dataset-option skip-unreadable=true."
            ) from problem
        super().leave_out(number, problem)

    def identity(self) -> tuple[list[bytes], list[str]]:
        """See `Identified`: a picture is identified by its offset in a shard, and a shard by parts of its content."""
        shards, lengths = self.pictures.shards, [size or 0 for size in sizes_of(self.pictures.shards)]
        starts = [max(0, start) for size in lengths for start in (0, (size - _PART) // 2, size - _PART)]
        files = [shard for shard in shards for _ in range(3)]
        parts = read_parts(files, starts, [start + _PART for start in starts])
        known = [
            digest(b"".join([size.to_bytes(8, "little"), *parts[3 * number : 3 * number + 3]]))
            for number, size in enumerate(lengths)
        ]
        members = zip(self.pictures.shard.tolist(), self.pictures.offset.tolist(), strict=True)
        digests = [digest(known[shard] + offset.to_bytes(8, "little")) for shard, offset in members]
        return digests, [self.name(number) for number in range(self.count)]

    def _fetch(self, numbers: Sequence[int]) -> list[bytes]:
        """The bytes of pictures. Raises DataError if a shard cannot be read."""
        files = [self.pictures.shards[self.pictures.shard[number]] for number in numbers]
        starts = [int(self.pictures.offset[number]) for number in numbers]
        ends = [start + int(self.pictures.size[number]) for start, number in zip(starts, numbers, strict=True)]
        found = read_parts(files, starts, ends)
        for file, start, end, data in zip(files, starts, ends, found, strict=True):
            if len(data) > end - start:
                raise DataError(f"the server of {masked(file)} sends whole files instead of parts; copy the shards.")
        return found


class ShardsDataset(Dataset):
    """Pictures in tar files, which may be at URLs: all members that have the suffix of a picture.

    data: a tar file, a folder of tar files, or a pattern such as photos-{000..099}.tar or photos-*.tar; a path or a
        URL. If a folder has folders `train` and `validation`, these are the two parts; otherwise the seed chooses the
        validation pictures. There can be several of these, each with its share of the training samples.
    seed: the seed for the choice of validation pictures.
    validation: the share of the pictures that are used for validation, at most 1000 pictures.
    crop: the side of crops in pixels.
    scale_min, scale_max: the range of the random scale before a crop is taken; no side becomes smaller than the crop.
    scale_share: the share of the samples that are scaled; crops of the others are taken without scaling.
    turns: whether crops are rotated by a random multiple of 90°, in addition to random mirroring.
    gray_share: the share of the crops, chosen at random, that are converted to gray. The model then spends few bits on
        the colors of gray pictures.
    colors: 3 for RGB, 1 for gray.
    skip_unreadable: whether damaged pictures, and the rest of a damaged shard, are skipped instead of raising an error.

    Raises DataError if no shard or picture is found, or if one cannot be read and is not skipped; ComponentError for
    invalid numbers.
    """

    several_folders = True
    takes_urls = True

    def __init__(
        self,
        *,
        data: Data | None = None,
        seed: int = 0,
        validation: float = 0.05,
        crop: int = 256,
        scale_min: float = 0.75,
        scale_max: float = 0.95,
        scale_share: float = 1.0,
        turns: bool = False,
        gray_share: float = 0.0,
        colors: int = 3,
        skip_unreadable: bool = False,
    ) -> None:
        check_validation_share(validation)
        crops = Crops(crop, colors, (scale_min, scale_max), scale_share, turns, gray_share)
        locations = several(data)
        if locations is None:
            raise DataError("the dataset shards needs tar files of pictures: give them with --data.")
        shares = locations if isinstance(locations, dict) else {locations: 1.0}
        self.notes: list[str] = []
        parts = [_parts(str(location), seed, validation, skip_unreadable, self.notes) for location in shares]
        _check_apart(
            {str(location): [*part[0].shards, *part[1].shards] for location, part in zip(shares, parts, strict=True)}
        )
        train, kept = (joined([part[i] for part in parts]) for i in range(2))
        mixture = None
        if len(shares) > 1:
            mixture = Mixture([len(part[0]) for part in parts], list(shares.values()))
            self.notes += mixture.notes([masked(str(location)) for location in shares])
        self.train = ShardImages(train, crops, mixture, skip_unreadable=skip_unreadable)
        self.validation = ShardImages(kept, crops.in_the_middle(), skip_unreadable=skip_unreadable)


def _check_apart(shards: Mapping[str, Sequence[str]]) -> None:
    """Raise DataError if a shard is in two sources: its pictures could be in both parts. shards: those by source."""
    found: dict[Path | str, str] = {}
    for location, files in shards.items():
        for shard in files:
            path = shard.removeprefix("file://")
            other = found.setdefault(path if is_url(path) else Path(path).resolve(), location)
            if other != location:
                raise DataError(
                    f"the shard {masked(shard)} is in {masked(other)} and in {masked(location)}; list it once."
                )


def _parts(
    location: str, seed: int, validation: float, skip_unreadable: bool, notes: list[str]
) -> tuple[ShardPictures, ShardPictures]:
    """The training and the validation pictures of a path or URL. Raises DataError if a part has none."""
    if has_folders(location, "train", "validation"):
        train, kept = (
            pictures_of(find_shards(f"{location.rstrip('/')}/{part}"), skip_unreadable, notes)
            for part in ("train", "validation")
        )
        return train, kept
    everything = pictures_of(find_shards(location), skip_unreadable, notes)
    chosen = split(len(everything), seed, validation, most=_MAX_VALIDATION)
    if not len(chosen[0]):
        raise DataError(f"there are too few pictures in {masked(location)} for training and validation.")
    train, kept = (everything.take(part) for part in chosen)
    return train, kept
