"""Square crops of photos that are read from files or held in memory."""

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from omega_core.errors import ComponentError, DataError, ImageError, NotEnoughMemoryError, OmegaWarning
from omega_core.images.pictures import Pixels
from omega_core.images.reading import read_picture
from omega_core.images.writing import to_pillow
from omega_train.data.folder_shares import Mixture
from omega_train.data.identity import digest_of_file

NumbersN: TypeAlias = NDArray[np.int64]
"""Indices (N,) of pictures."""

_REACH = 2  # reach of the bicubic kernel on either side, in pixels of the smaller of the two sizes


@dataclass(frozen=True)
class Cut:
    """The position of a crop in a picture.

    scale: the factor by which the picture is scaled first. top, left: in pixels of the scaled picture.
    mirrored: whether left and right are exchanged. turns: the number of rotations by 90° to the left after mirroring.
    gray: whether the crop is converted to gray.
    """

    scale: float
    top: int
    left: int
    mirrored: bool = False
    turns: int = 0
    gray: bool = False


@dataclass(frozen=True)
class Crops:
    """The crops that are taken from photos.

    side: the side of a crop in pixels.
    colors: 3 or 1, to which photos are converted.
    scale: the range of the random scale before a random crop, which is mirrored with probability 0.5; None for the
        middle of the picture, scaled only if it is smaller than the crop.
    scale_share: the share of the crops, chosen at random, that are scaled.
    turns: whether crops are rotated by a random multiple of 90°.
    gray_share: the share of the crops, chosen at random, whose three colors are replaced by their brightness.

    Raises ComponentError for invalid settings.
    """

    side: int
    colors: int = 3
    scale: tuple[float, float] | None = None
    scale_share: float = 1.0
    turns: bool = False
    gray_share: float = 0.0

    def __post_init__(self) -> None:
        if self.side < 1 or self.colors not in (1, 3):
            raise ComponentError(
                f"crops need a side of at least 1 pixel and 1 or 3 colors, not {self.side} and {self.colors}."
            )
        if self.scale is not None and not 0 < self.scale[0] <= self.scale[1]:
            raise ComponentError(
                f"scale-min has to be above 0 and at most scale-max, but these are {self.scale[0]} and {self.scale[1]}."
            )
        if not 0 <= self.scale_share <= 1 or not 0 <= self.gray_share <= 1:
            raise ComponentError(
                f"scale-share and gray-share have to be from 0 to 1, not {self.scale_share} and {self.gray_share}."
            )
        if self.gray_share and self.colors == 1:
            raise ComponentError("crops of 1 color are gray already: leave out gray-share.")

    def in_the_middle(self) -> "Crops":
        """The crops for validation, of the same size and colors, from the middle of the picture."""
        return Crops(self.side, self.colors)


def check_validation_share(validation: float) -> None:
    """Raise ComponentError if the share of validation pictures is not between 0 and 1."""
    if not 0 < validation < 1:
        raise ComponentError(f"validation has to be a share between 0 and 1, not {validation}.")


def split(count: int, seed: int, validation: float, *, most: int | None = None) -> tuple[NumbersN, NumbersN]:
    """The indices of the training and of the validation pictures, each ascending; the seed determines the choice.

    count: the number of all pictures. validation: the share of validation pictures; there is at least one.
    most: the maximum number of validation pictures. Default: no limit.
    """
    order = np.random.default_rng([seed, count]).permutation(count)
    kept = min(max(1, round(validation * count)), count if most is None else most)
    return np.sort(order[kept:]), np.sort(order[:kept])


class PhotoImages(ABC):
    """Square crops of photos, independent of their storage.

    count: the number of photos. crops: the settings of the crops.
    mixture: assigns pictures to samples; None for one sample per picture.
    """

    advice = "start fewer --workers"
    """The advice in the message that memory ran out."""

    def __init__(self, count: int, crops: Crops, mixture: Mixture | None = None) -> None:
        self.count, self.crops, self.mixture = count, crops, mixture

    def __len__(self) -> int:
        return len(self.mixture or range(self.count))

    @abstractmethod
    def name(self, number: int) -> str:
        """The name of a picture, for messages."""

    def crop_of(self, index: int, seed: int, read: Callable[[int], Pixels]) -> NDArray[np.uint8]:
        """The crop (colors, crop, crop) of sample `index`, or of the next readable picture if its own is damaged.

        index: the sample. seed: of the augmentation. read: returns the pixels of a picture, or raises ImageError.

        The choice of the picture depends only on the arguments and the files, so that a resumed run makes the same
        choice. Raises DataError if all pictures are damaged.
        """
        random = np.random.default_rng(seed)
        first = self.picture(index, random)
        for following in range(self.count):
            number = (first + following) % self.count
            try:
                pixels = read(number)
            except ImageError as problem:
                self.leave_out(number, problem)
            else:
                return _cropped(pixels, self.cut(pixels, random), self.crops.side)
        raise DataError("none of the pictures can be read any more.")

    def leave_out(self, number: int, problem: ImageError) -> None:
        """Warn (OmegaWarning) about a damaged picture."""
        warnings.warn(f"{self.name(number)} is left out: {problem}", OmegaWarning, stacklevel=2)

    def decode(self, source: Path | bytes, number: int) -> Pixels:
        """The pixels of a picture. Raises ImageError if it is damaged or gone, DataError if there is too little memory.

        With too little memory, no other picture is taken: the memory may suffice when the run is resumed, and the
        resumed run would then take a different picture.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", OmegaWarning)  # such warnings are about 16-bit pixels, for example
                pixels = read_picture(source).pixels
        except (MemoryError, NotEnoughMemoryError) as problem:
            raise DataError(f"there is too little memory to read {self.name(number)}: {self.advice}.") from problem
        if len(pixels) == self.crops.colors:
            return pixels
        image = to_pillow(pixels).convert("L" if self.crops.colors == 1 else "RGB")
        return np.array(np.atleast_3d(np.asarray(image)).transpose(2, 0, 1), order="C")

    def picture(self, index: int, random: np.random.Generator) -> int:
        """The index of the picture of a sample. random: a new generator, seeded for this sample."""
        return index if self.mixture is None else self.mixture.picture(index, random.random())

    def cut(self, pixels: Pixels, random: np.random.Generator) -> Cut:
        """The position of a crop in a picture. random: the generator after the call of `picture`."""
        crops, sides = self.crops, pixels.shape[1:]
        scale = 1.0 if crops.scale is None else random.uniform(*crops.scale)
        if crops.scale_share < 1 and random.random() >= crops.scale_share:
            scale = 1.0
        scale = max(scale, crops.side / min(sides))
        down, right = (max(0, round(side * scale) - crops.side) for side in sides)
        if crops.scale is None:
            return Cut(scale, down // 2, right // 2)
        left, top = int(random.integers(right + 1)), int(random.integers(down + 1))
        mirrored = bool(random.random() < 0.5)
        turns = int(random.integers(4)) if crops.turns else 0
        return Cut(scale, top, left, mirrored, turns, crops.gray_share > 0 and random.random() < crops.gray_share)


class FolderImages(PhotoImages):
    """Square crops of picture files: see `PhotoImages`.

    paths: the files.

    Crops are the same whether pictures are held in memory or read. Pickling leaves out held pictures, so that the
    receiving process reads them instead of having a copy; forked processes share them.
    """

    advice = "hold fewer pictures with --dataset-option memory, or start fewer --workers"

    def __init__(self, paths: Sequence[Path], crops: Crops, mixture: Mixture | None = None) -> None:
        super().__init__(len(paths), crops, mixture)
        self.paths = paths
        self.held: dict[int, Pixels] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "held": {}}

    def name(self, number: int) -> str:
        return str(self.paths[number])

    def hold(self, room: int) -> int:
        """Decode pictures into memory, in order, until the next does not fit into `room` bytes.

        Returns the number of bytes left. Pictures that cannot be read are skipped; `load` reports them.
        """
        for number in range(len(self.paths) if room > 0 else 0):
            try:
                pixels = self._read(number)
            except ImageError:
                continue
            if pixels.nbytes > room:
                break
            self.held[number] = pixels
            room -= pixels.nbytes
        return room

    def load(self, index: int, seed: int) -> NDArray[np.uint8]:
        """The crop of a sample: see `crop_of`. A picture that was deleted counts as damaged.

        Warns (OmegaWarning) about a damaged picture. Raises DataError if all are damaged or memory is too small.
        """
        return self.crop_of(index, seed, self._read)

    def identity(self) -> tuple[list[bytes], list[str]]:
        """See `Identified`."""
        return [digest_of_file(path) for path in self.paths], [str(path) for path in self.paths]

    def held_cut(self, index: int, seed: int) -> tuple[int, Cut]:
        """The index of the picture of a sample, which has to be held in memory, and the position of the crop in it."""
        random = np.random.default_rng(seed)
        number = self.picture(index, random)
        return number, self.cut(self.held[number], random)

    def are_slices(self) -> bool:
        """Whether all crops are slices of pictures held in memory, neither scaled nor made gray."""
        unscaled = self.crops.scale in (None, (1.0, 1.0)) or self.crops.scale_share == 0
        large = all(min(pixels.shape[1:]) >= self.crops.side for pixels in self.held.values())
        return unscaled and not self.crops.gray_share and large and len(self.held) == len(self.paths)

    def _read(self, number: int) -> Pixels:
        return self.held[number] if number in self.held else self.decode(self.paths[number], number)


def _cropped(pixels: Pixels, cut: Cut, crop: int) -> Pixels:
    """The crop of a picture."""
    if cut.scale == 1:
        taken = pixels[:, cut.top : cut.top + crop, cut.left : cut.left + crop]
    else:
        taken = _resampled(pixels, cut, crop)
    if cut.gray:
        taken = np.broadcast_to(np.asarray(to_pillow(taken).convert("L")), taken.shape)
    if cut.mirrored:
        taken = taken[:, :, ::-1]
    return np.array(np.rot90(taken, cut.turns, (1, 2)), order="C")  # a copy, never a view of a held picture


def _resampled(pixels: Pixels, cut: Cut, crop: int) -> Pixels:
    """The crop, resampled by Pillow from the part of the picture that the kernel reaches."""
    reach = math.ceil(_REACH * max(1.0, 1 / cut.scale)) + 1
    spans, ends = [], []
    for offset, side in zip((cut.left, cut.top), pixels.shape[:0:-1], strict=True):
        start = min(side, offset / cut.scale)
        end = min(side, start + crop / cut.scale)
        span = slice(max(0, math.floor(start) - reach), math.ceil(end) + reach)
        spans.append(span)
        ends.append((start - span.start, end - span.start))
    (left, right), (top, bottom) = ends
    planes = [Image.fromarray(plane) for plane in pixels[:, spans[1], spans[0]]]
    box = (left, top, right, bottom)
    return np.stack([np.asarray(plane.resize((crop, crop), Image.Resampling.BICUBIC, box=box)) for plane in planes])
