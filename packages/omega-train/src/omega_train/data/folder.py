"""Photos of a folder, with the augmentation of Löhdefink et al. 2022 (CVPR Workshops)."""

import math
from collections.abc import Sequence
from pathlib import Path

from omega_core.contracts.dataset import Dataset
from omega_core.errors import ComponentError, DataError
from omega_train.data.folder_shares import Data, Mixture, several
from omega_train.data.photos import Crops, FolderImages, check_validation_share, split
from omega_train.data.picture_files import find_pictures, some


class FolderDataset(Dataset):
    """All pictures of a folder and its subfolders, of any format, size and colors.

    data: a folder. If it has subfolders `train` and `validation`, these are the two parts; otherwise the seed chooses
        the validation pictures. There can be several folders, each with its share of the training samples, independent
        of its number of pictures.
    seed: the seed for the choice of validation pictures.
    validation: the share of the pictures that are used for validation.
    crop: the side of crops in pixels.
    scale_min, scale_max: the range of the random scale before a crop is taken; no side becomes smaller than the crop.
    scale_share: the share of the samples that are scaled; crops of the others are taken without scaling.
    turns: whether crops are rotated by a random multiple of 90°, in addition to random mirroring.
    gray_share: the share of the crops, chosen at random, that are converted to gray. The model then spends few bits on
        the colors of gray pictures.
    colors: 3 for RGB, 1 for gray.
    memory: GiB of decoded pictures that each process holds; the others are read each time.
    skip_unreadable: whether files and folders that cannot be read are skipped instead of raising an error.

    Files that are not pictures are left out, and gray pictures are converted to RGB if `colors` is 3; the notes count
    them. Links are followed: see `find_pictures`. Raises DataError if no picture can be read, or if a file or folder
    cannot be read and is not skipped; ComponentError for invalid numbers.
    """

    several_folders = True

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
        memory: float = 4.0,
        skip_unreadable: bool = False,
    ) -> None:
        check_validation_share(validation)
        crops = Crops(crop, colors, (scale_min, scale_max), scale_share, turns, gray_share)
        if not 0 <= memory < math.inf:
            raise ComponentError("the option memory of the dataset folder has to be 0 GiB or more.")
        folders = several(data)
        if folders is None:
            raise DataError("the dataset folder needs a folder of pictures: give it with --data.")
        shares = folders if isinstance(folders, dict) else {folders: 1.0}
        self.notes: list[str] = []
        parts = [_parts(Path(folder), colors, seed, validation, skip_unreadable, self.notes) for folder in shares]
        train, kept = ([path for part in parts for path in part[i]] for i in range(2))
        mixture = None
        if len(shares) > 1:
            mixture = Mixture([len(part[0]) for part in parts], list(shares.values()))
            self.notes += mixture.notes(list(map(str, shares)))
        self.train = FolderImages(train, crops, mixture)
        self.validation = FolderImages(kept, crops.in_the_middle())
        self.validation.hold(self.train.hold(int(memory * 2**30)))
        held, everything = len(self.train.held) + len(self.validation.held), len(train) + len(kept)
        if memory and held < everything:
            self.notes.append(f"{held} of {everything} pictures are held in memory; the others are read each time")


def _parts(
    folder: Path, colors: int, seed: int, validation: float, skip_unreadable: bool, notes: list[str]
) -> tuple[Sequence[Path], Sequence[Path]]:
    """The training and the validation pictures of a folder. Raises DataError if a part has none, or both share one."""
    parts = [folder / "train", folder / "validation"]
    if all(part.is_dir() for part in parts):
        if beside := sorted(path for path in folder.iterdir() if path not in parts):
            notes.append(f"beside train and validation, {len(beside)} entries of {folder} are left out: {some(beside)}")
        train, kept = (_pictures(part, colors, skip_unreadable, notes) for part in parts)
        seen = {path.resolve() for path in train}
        if both := [path for path in kept if path.resolve() in seen]:
            raise DataError(
                f"links make some pictures part of both train and validation: {some(both)}. Remove these links."
            )
        return train, kept
    everything = _pictures(folder, colors, skip_unreadable, notes)
    chosen = split(len(everything), seed, validation)
    if not len(chosen[0]):
        raise DataError(f"the folder {folder} has too few pictures for training and validation.")
    train, kept = ([everything[i] for i in part] for part in chosen)
    return train, kept


def _pictures(folder: Path, colors: int, skip_unreadable: bool, notes: list[str]) -> list[Path]:
    """The pictures of a folder, sorted; lines about pictures that are left out or converted are added to `notes`.

    Raises DataError if there are none, or if a file or folder cannot be read and is not skipped.
    """
    found = find_pictures(folder)
    if not skip_unreadable:
        found.check_readable()
    if not found.is_gray:
        hint = " Use --dataset shards for the pictures in its tar files." if any(folder.glob("*.tar")) else ""
        raise DataError(f"the folder {folder} has no pictures.{hint}")
    notes += found.left_out()
    everything, gray = list(found.is_gray), [path for path, is_gray in found.is_gray.items() if is_gray]
    if colors == 3 and gray:
        notes.append(f"{len(gray)} of {len(everything)} pictures are gray and are converted to RGB: {some(gray)}")
    if colors == 1 and len(gray) < len(everything):
        notes.append(f"{len(everything) - len(gray)} of {len(everything)} pictures are converted to gray")
    return everything
