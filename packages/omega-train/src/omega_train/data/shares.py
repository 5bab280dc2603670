"""Several folders of pictures in one run, each with its share of the samples."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from os import PathLike
from pathlib import Path

from omega_core.errors import DataError

Share = tuple[str | PathLike[str], float]
Data = str | PathLike[str] | Sequence[str | PathLike[str] | Share] | Mapping[Path, float]
"""A folder; or several: a mapping of each to its share, or a sequence of folders, alone or with their shares."""


def several(data: Data | None) -> Path | dict[Path, float] | None:
    """Folders as data sets are given them: one as its path, several as a mapping of each to its share.

    Shares are relative to each other, 1 where none is given. Raises DataError for a share that is not a number
    above 0, and for a folder that is given twice or lies in another: its pictures could be in both parts.
    """
    if data is None or isinstance(data, (str, PathLike)):
        return None if data is None else Path(data)
    shares: dict[Path, float] = {}
    for each in data.items() if isinstance(data, Mapping) else data:
        path, share = each if isinstance(each, tuple) else (each, 1.0)
        path = Path(path)
        if not isinstance(share, (int, float)) or isinstance(share, bool) or not 0 < share < math.inf:
            raise DataError(f"the share of the folder {path} has to be a number above 0, not {share}.")
        for other in shares:
            _check_apart(other, path)
        shares[path] = float(share)
    if not shares:
        raise DataError("there is no folder among those of the data; give one, or leave it out.")
    return shares if len(shares) > 1 else next(iter(shares))


def folder_and_share(text: str) -> str | tuple[str, float]:
    """A folder, with its share where a text such as "photos=0.5" gives one. Raises DataError."""
    path, equals, share = text.rpartition("=")
    if not text or (equals and not path):
        raise DataError(f"--data {text!r} names no folder.")
    if not equals or Path(text).is_dir():
        return text
    try:
        return path, float(share)
    except ValueError:
        raise DataError(
            f"--data {text}: there is no such folder, and the share of a folder is a number above 0, not {share!r}."
        ) from None


def _check_apart(one: Path, other: Path) -> None:
    first, second = one.resolve(), other.resolve()
    if first == second:
        raise DataError(f"the folder {other} is given twice; give it once, with the share that it should have.")
    for inner, outer in ((one, other), (other, one)):
        if inner.resolve().is_relative_to(outer.resolve()):
            raise DataError(f"the folder {inner} lies in {outer}, which is given too; give one of them.")


class Mixture:
    """Which pictures the samples are, where each folder has its share of them, however many pictures it has.

    counts: of the pictures of each folder, which are numbered one folder after the other.
    shares: of the folders, relative to each other.

    There are as many samples as pictures, but for rounding: a folder has at least one. Sample j of the n of a
    folder with p pictures is picture ⌊(j + u)·p/n⌋ of it, with u anew each time: so all of its pictures are
    equally frequent, evenly spread over the samples where p < n, and all of them in the course of time where p > n.
    """

    def __init__(self, counts: Sequence[int], shares: Sequence[float]) -> None:
        self.counts = list(counts)
        self.samples = [max(1, round(sum(counts) * (share / math.fsum(shares)))) for share in shares]
        self.first_pictures = [0, *accumulate(self.counts)]
        self.first_samples = [0, *accumulate(self.samples)]

    def __len__(self) -> int:
        return self.first_samples[-1]

    def picture(self, sample: int, u: float) -> int:
        """The picture that a sample is, for a u in [0, 1)."""
        folder = bisect_right(self.first_samples, sample) - 1
        place = (sample - self.first_samples[folder] + u) / self.samples[folder]
        return self.first_pictures[folder] + min(int(place * self.counts[folder]), self.counts[folder] - 1)

    def shares(self) -> list[float]:
        """Those that the folders have."""
        return [(end - start) / len(self) for start, end in pairwise(self.first_samples)]
