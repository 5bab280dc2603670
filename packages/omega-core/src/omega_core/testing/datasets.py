"""Checks of datasets (`omega_core.contracts.Dataset`)."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from omega_core.contracts.dataset import Dataset, Images
from omega_core.errors import ComponentError, OmegaError
from omega_core.testing import common
from omega_core.testing.checking import Checks, Subject, Unclaimed, expect


@dataclass(frozen=True, kw_only=True)
class DatasetSubject(Subject):
    """A dataset to check.

    data: the folder of its pictures, if it needs one.
    """

    kind: str = "dataset"
    data: Path | None = None

    def make(self, seed: int = 0) -> Dataset:
        """Return a new dataset."""
        return self.made_with(data=self.data, seed=seed)


checks: Checks[DatasetSubject] = Checks(common.checks)


@checks.add
def has_pictures_of_both_kinds(subject: DatasetSubject) -> None:
    """`train` and `validation` both have pictures."""
    made = subject.make()
    for part in ("train", "validation"):
        expect(len(getattr(made, part)) > 0, f"{part} has no pictures")


@checks.add
def pictures_are_bytes(subject: DatasetSubject) -> None:
    """A picture is an array (colors, H, W) of uint8, with 1 or 3 colors."""
    for part, images in _parts(subject.make()):
        picture = images.load(0, 0)
        expect(isinstance(picture, np.ndarray), f"a picture of {part} is {type(picture).__name__}")
        expect(picture.dtype == np.uint8, f"a picture of {part} is {picture.dtype}")
        expect(picture.ndim == 3 and len(picture) in (1, 3), f"a picture of {part} has the shape {picture.shape}")


@checks.add
def pictures_to_train_on_can_be_stacked(subject: DatasetSubject) -> None:
    """All pictures of `train` have the same shape, whatever the seed, so that they can be stacked into batches."""
    images = subject.make().train
    shapes = {images.load(index, seed).shape for index in _some(images) for seed in (0, 1)}
    expect(len(shapes) == 1, f"the shapes are {', '.join(map(str, sorted(shapes)))}")


@checks.add
def random_choices_follow_the_seed(subject: DatasetSubject) -> None:
    """Loading a picture again with the same seed gives the same pixels, in any order."""
    images = subject.make().train
    indices = _some(images)
    first = {index: images.load(index, 7).copy() for index in indices}
    for index in reversed(indices):
        images.load(index, 8)
        expect(np.array_equal(images.load(index, 7), first[index]), f"picture {index} differs the second time")


@checks.add
def the_same_seed_makes_the_same(subject: DatasetSubject) -> None:
    """Two instances with the same seed have the same pictures in the same order, whatever numpy's global state."""
    one = subject.make(5)
    np.random.seed(99)  # noqa: NPY002 (a dataset that ignores its seed would use this)
    other = subject.make(5)
    for (part, before), (_, after) in zip(_parts(one), _parts(other), strict=True):
        expect(len(before) == len(after), f"{part} has {len(before)} pictures, then {len(after)}")
        same = all(np.array_equal(before.load(index, 0), after.load(index, 0)) for index in _some(before))
        expect(same, f"{part} has other pictures")


@checks.add
def parts_do_not_overlap(subject: DatasetSubject) -> None:
    """No picture of `validation` is in `train`, if both are loaded with the same seed."""
    made = subject.make()
    seen = {made.train.load(index, 0).tobytes() for index in range(min(len(made.train), 256))}
    both = sum(made.validation.load(index, 0).tobytes() in seen for index in range(min(len(made.validation), 256)))
    expect(not both, f"{both} pictures of validation are also in train")


@checks.add
def survives_the_way_to_workers(subject: DatasetSubject) -> None:
    """Both parts can be pickled, to be sent to worker processes, and are the same there."""
    for part, images in _parts(subject.make()):
        there: Images = pickle.loads(pickle.dumps(images))  # noqa: S301 (its own bytes)
        same = all(np.array_equal(images.load(index, 3), there.load(index, 3)) for index in _some(images))
        expect(len(there) == len(images) and same, f"{part} has other pictures after unpickling")


@checks.add
def missing_pictures_are_named(subject: DatasetSubject) -> None:
    """A dataset that needs a folder raises an OmegaError, such as DataError, if the folder is missing."""
    if subject.data is None:
        raise Unclaimed("it does not claim to need a folder")
    for nowhere in (None, subject.data / "not-there"):
        try:
            subject.made_with(data=nowhere, seed=0).train.load(0, 0)
        except OmegaError as problem:
            # `make` converts any error of a constructor to ComponentError: the original error counts
            made = isinstance(problem, ComponentError) and f"{subject.name!r} cannot be made" in str(problem)
            if made and problem.__cause__:
                raise problem.__cause__ from None
        else:
            expect(False, f"with data={nowhere} it raised no error")


def _parts(made: Dataset) -> list[tuple[str, Images]]:
    return [("train", made.train), ("validation", made.validation)]


def _some(images: Images) -> list[int]:
    """Return the indices of the first few pictures and of the last."""
    return sorted({*range(min(len(images), 5)), len(images) - 1})
