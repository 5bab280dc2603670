"""Checks of trainers (`omega_core.contracts.Trainer`)."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from omega_core.codec.loading import load_model
from omega_core.contracts.trainer import Trainer
from omega_core.errors import OmegaError
from omega_core.testing import common
from omega_core.testing.checking import Checks, Subject, Unclaimed, expect, raises


@dataclass(frozen=True, kw_only=True)
class TrainerSubject(Subject):
    """A trainer to check.

    recipe: an `omega_train.Recipe` that trains in seconds.
    other_recipe: a recipe that cannot be trained; if omitted, the check that needs it is skipped.
    data: the folder of the pictures, if the recipe needs one.
    """

    kind: str = "trainer"
    recipe: Any = None
    other_recipe: Any = None
    data: Path | None = None

    def make(self, recipe: Any = None) -> Trainer:
        """Return a new trainer."""
        return self.made_with(recipe=recipe or self.recipe, data=self.data)

    @contextmanager
    def trained(self) -> Iterator[tuple[Path, Path]]:
        """Train, and yield the run folder and the path of the model that was returned."""
        folder = Path(tempfile.mkdtemp(prefix="omega-trainer-"))
        try:
            yield folder, self.make().train(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


checks: Checks[TrainerSubject] = Checks(common.checks)


@checks.add
def leaves_a_model_in_the_folder(subject: TrainerSubject) -> None:
    """`train` returns the path of a model file in the run folder."""
    with subject.trained() as (folder, model):
        expect(isinstance(model, Path) and model.is_file(), f"it returned {model!r}, which is not a file")
        expect(folder in model.parents, f"the model {model} is not in {folder}")


@checks.add
def the_model_codes(subject: TrainerSubject) -> None:
    """The model can be loaded, has the components of the recipe, and encodes and decodes a picture."""
    with subject.trained() as (_, path):
        model = load_model(path)
        for part in ("architecture", "quantizer"):
            name, wanted = getattr(model.description, part).name, getattr(subject.recipe, part)
            expect(name.split("/")[-1] == wanted.split("/")[-1], f"the {part} of the model is {name}, not {wanted}")
        height, width = model.codec.image_size or (64, 64)
        shape = (height, width, 3) if model.codec.colors == 3 else (height, width)
        picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        decoded = model.decompress(model.compress(picture))
        expect(decoded.size == (width, height), f"{width}×{height} pixels were decoded to {decoded.size}")


@checks.add
def follows_the_seed(subject: TrainerSubject) -> None:
    """Two runs of one recipe on one machine give the same model: everything random depends on its seed only."""
    marks = []
    for _ in range(2):
        with subject.trained() as (_, path):
            marks.append(load_model(path).fingerprint)
    expect(marks[0] == marks[1], f"their fingerprints are {marks[0][:8]} and {marks[1][:8]}")


@checks.add
def what_cannot_be_trained_is_named(subject: TrainerSubject) -> None:
    """The constructor raises an OmegaError for a recipe that cannot be trained."""
    if subject.other_recipe is None:
        raise Unclaimed("no such recipe was given")
    expect(
        raises(OmegaError, lambda: subject.make(subject.other_recipe)), "a recipe that cannot be trained was accepted"
    )
