"""Several folders of pictures in one run, each with its share of the samples."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from os import PathLike
from pathlib import Path

from omega_core.errors import DataError

Share = tuple[str | PathLike[str], float]
Data = str | PathLike[str] | Sequence[str | PathLike[str] | Share] | Mapping[Path | str, float]
"""One folder, or several: a mapping of folders to shares, or a sequence of folders or (folder, share).

For datasets that take URLs, a folder may be a URL, which is a string with `://`.
"""


def several(data: Data | None) -> Path | str | dict[Path | str, float] | None:
    """Normalize folders for datasets: one to its path, several to a mapping of paths to shares. URLs stay strings.

    data: a folder, or several with relative shares, 1 by default; None stays None.

    Raises DataError for a share that is not a number above 0, and for a folder that is given twice or lies in another,
    because its pictures could be in both parts.
    """
    if data is None or isinstance(data, (str, PathLike)):
        return None if data is None else _location(data)
    shares: dict[Path | str, float] = {}
    for each in data.items() if isinstance(data, Mapping) else data:
        path, share = each if isinstance(each, tuple) else (each, 1.0)
        path = _location(path)
        if not isinstance(share, (int, float)) or isinstance(share, bool) or not 0 < share < math.inf:
            raise DataError(f"the share of the folder {path} has to be a number above 0, not {share}.")
        for other in shares:
            _check_apart(other, path)
        shares[path] = float(share)
    if not shares:
        raise DataError("data contains no folder; give one, or omit data.")
    return shares if len(shares) > 1 else next(iter(shares))


def folder_and_share(text: str) -> str | tuple[str, float]:
    """Parse a folder or URL with an optional share, such as "photos=0.5". Raises DataError for an invalid share."""
    path, equals, share = text.rpartition("=")
    if not text or (equals and not path):
        raise DataError(f"--data {text!r} contains no folder.")
    if not equals or Path(text).is_dir() or (is_url(text) and "?" in text):  # a query can contain "="
        return text
    try:
        return path, float(share)
    except ValueError:
        raise DataError(
            f"--data {text}: this folder does not exist, and a share is a number above 0, not {share!r}."
        ) from None


def is_url(location: str | PathLike[str]) -> bool:
    """Whether data are at a URL rather than in a folder."""
    return isinstance(location, str) and "://" in location


def _location(given: str | PathLike[str]) -> Path | str:
    return str(given) if is_url(given) else Path(given)


def _check_apart(one: Path | str, other: Path | str) -> None:
    if isinstance(one, str) or isinstance(other, str):
        if one == other:
            raise DataError(f"{other} is given twice; give it once, with the share that it should have.")
        return
    first, second = one.resolve(), other.resolve()
    if first == second:
        raise DataError(f"the folder {other} is given twice; give it once, with the share that it should have.")
    for inner, outer in ((one, other), (other, one)):
        if inner.resolve().is_relative_to(outer.resolve()):
            raise DataError(f"the folder {inner} lies in {outer}, which is given too; give one of them.")


class Mixture:
    """Assigns pictures to samples, so that each folder has its share of the samples.

    counts: the number of pictures of each folder; indices of pictures continue from folder to folder.
    shares: the relative shares of the folders.

    There are as many samples as pictures, up to rounding, and at least one per folder. Sample j of the n samples of a
    folder with p pictures is its picture ⌊(j + u)·p/n⌋, with a new random u each time. All pictures of a folder are
    therefore equally frequent in the long run and, up to rounding, in each epoch if p < n.
    """

    def __init__(self, counts: Sequence[int], shares: Sequence[float]) -> None:
        self.counts = list(counts)
        self.samples = [max(1, round(sum(counts) * (share / math.fsum(shares)))) for share in shares]
        self.first_pictures = [0, *accumulate(self.counts)]
        self.first_samples = [0, *accumulate(self.samples)]

    def __len__(self) -> int:
        return self.first_samples[-1]

    def picture(self, sample: int, u: float) -> int:
        """The index of the picture of a sample, for a random u in [0, 1)."""
        folder = bisect_right(self.first_samples, sample) - 1
        position = (sample - self.first_samples[folder] + u) / self.samples[folder]
        return self.first_pictures[folder] + min(int(position * self.counts[folder]), self.counts[folder] - 1)

    def notes(self, folders: Sequence[str]) -> list[str]:
        """Lines for the log with the share of each folder after rounding. folders: the names of the folders."""
        counts = zip(folders, self.counts, pairwise(self.first_samples), strict=True)
        return [
            f"{(end - start) / len(self):.1%} of the samples are from the {count} pictures of {folder}"
            for folder, count, (start, end) in counts
        ]
