"""Photos of a folder, with the augmentation of Löhdefink et al. 2022 (CVPR Workshops)."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from omega_core.contracts.dataset import Dataset
from omega_core.errors import ComponentError, DataError, ImageError, OmegaWarning
from omega_core.images import is_picture_name, read_picture, to_pillow

_NAMED = 3  # of files that are counted
_GREY = ("1", "L", "LA", "La", "F", "I", "I;16", "I;16B", "I;16L", "I;16N")


class FolderDataset(Dataset):
    """All pictures of a folder and of those in it, whatever their format, size and colours.

    data: a folder. If it has the folders `train` and `validation`, these are the two parts; else a share of
        the pictures, chosen by `seed`, is kept to validate with.
    validation: that share.
    crop: pixels a side of what is taken of a picture.
    scale_min, scale_max: between which a picture is scaled before, but never below the crop.
    colours: 3 for RGB, 1 for grey.

    Files that are no pictures are left out, and pictures of one colour where three are wanted are converted;
    the notes count them. Raises DataError if there is no picture that can be read, ComponentError for numbers
    that cannot be.
    """

    def __init__(
        self,
        *,
        data: Path | None = None,
        seed: int = 0,
        validation: float = 0.05,
        crop: int = 256,
        scale_min: float = 0.75,
        scale_max: float = 0.95,
        colours: int = 3,
    ) -> None:
        if not 0 < validation < 1 or crop < 1 or not 0 < scale_min <= scale_max or colours not in (1, 3):
            raise ComponentError(
                "the dataset folder needs a validation share between 0 and 1, a crop of at least 1 pixel, scales above"
                " 0 of which the greatest is not below the least, and 1 or 3 colours."
            )
        if data is None:
            raise DataError("the dataset folder needs a folder of pictures: give it with --data.")
        parts = [data / "train", data / "validation"]
        self.notes = []
        if all(part.is_dir() for part in parts):
            train, kept = (_readable(part, colours, self.notes) for part in parts)
        else:
            everything = _readable(data, colours, self.notes)
            order = np.random.default_rng([seed, len(everything)]).permutation(len(everything)).tolist()
            count = max(1, round(validation * len(everything)))
            train, kept = ([everything[i] for i in sorted(part)] for part in (order[count:], order[:count]))
        if not train:
            raise DataError(f"the folder {data} has too few pictures to train and to validate with.")
        self.train = FolderImages(train, crop, (scale_min, scale_max), colours)
        self.validation = FolderImages(kept, crop, None, colours)


class FolderImages:
    """Square crops of picture files.

    scale: between which pictures are scaled at random before a random crop, which is mirrored as often as not;
        None for the middle of the picture as it is.
    """

    def __init__(self, paths: Sequence[Path], crop: int, scale: tuple[float, float] | None, colours: int) -> None:
        self.paths, self.crop, self.scale, self.colours = paths, crop, scale, colours

    def __len__(self) -> int:
        return len(self.paths)

    def load(self, index: int, seed: int) -> NDArray[np.uint8]:
        """A crop (colours, crop, crop) of picture `index` or, if that is damaged, of the next that is not.

        Warns (OmegaWarning) of one that is damaged. Raises DataError if all are.
        """
        for following in range(len(self.paths)):
            path = self.paths[(index + following) % len(self.paths)]
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", OmegaWarning)  # of 16 bits and the like
                    pixels = read_picture(path).pixels
            except ImageError as problem:
                warnings.warn(f"{path} is left out: {problem}", OmegaWarning, stacklevel=2)
            else:
                return self._cropped(_as_pillow(pixels, self.colours), np.random.default_rng(seed))
        raise DataError("none of the pictures can be read any more.")

    def _cropped(self, image: Image.Image, random: np.random.Generator) -> NDArray[np.uint8]:
        """A crop of an image that is scaled before: only what is in the crop is worked out."""
        scale = 1.0 if self.scale is None else random.uniform(*self.scale)
        scale = max(scale, self.crop / min(image.size))
        room = [max(0, round(side * scale) - self.crop) for side in image.size]
        left, top = (each // 2 if self.scale is None else int(random.integers(each + 1)) for each in room)
        box = [min(side, place / scale) for place, side in ((left, image.width), (top, image.height))]
        ends = [min(side, start + self.crop / scale) for start, side in zip(box, image.size, strict=True)]
        cropped = image.resize((self.crop, self.crop), Image.Resampling.BICUBIC, box=(box[0], box[1], ends[0], ends[1]))
        pixels = np.asarray(cropped).reshape(self.crop, self.crop, -1).transpose(2, 0, 1)
        mirrored = self.scale is not None and random.random() < 0.5
        return np.ascontiguousarray(pixels[:, :, ::-1] if mirrored else pixels)


def _as_pillow(pixels: NDArray[np.uint8], colours: int) -> Image.Image:
    """Pixels (1 or 3, H, W) as an image of so many colours."""
    return to_pillow(pixels).convert("L" if colours == 1 else "RGB")


def _readable(folder: Path, colours: int, notes: list[str]) -> list[Path]:
    """The files of a folder whose heads say that they are pictures, in order; notes count what is special.

    Raises DataError if there is none.
    """
    if not folder.is_dir():
        raise DataError(f"the folder {folder} does not exist.")
    named = sorted(path for path in folder.rglob("*") if path.is_file() and is_picture_name(path))
    modes = {path: _mode(path) for path in named}
    readable = [path for path in named if modes[path]]
    if not readable:
        raise DataError(f"the folder {folder} has no pictures.")
    bad = [path for path in named if not modes[path]]
    if bad:
        notes.append(f"{len(bad)} of {len(named)} files are no pictures and left out: {_some(bad)}")
    grey = [path for path in readable if modes[path] in _GREY]
    if colours == 3 and grey:
        notes.append(f"{len(grey)} of {len(readable)} pictures have one colour, converted to three: {_some(grey)}")
    if colours == 1 and len(grey) < len(readable):
        notes.append(f"{len(readable) - len(grey)} of {len(readable)} pictures are converted to grey")
    return readable


def _some(paths: Sequence[Path]) -> str:
    return ", ".join(str(path) for path in paths[:_NAMED]) + (", …" if len(paths) > _NAMED else "")


def _mode(path: Path) -> str:
    """What the head of a file says of its colours, empty if it is no picture's; the rest is read when it is needed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                return image.mode
    except Exception:
        return ""
