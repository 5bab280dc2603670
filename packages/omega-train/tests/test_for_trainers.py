"""What omega-train has for trainers of others."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
import torch

import omega_core
from omega_core.errors import RecipeError
from omega_core.plugins.registry import build
from omega_train import CodecTask, Recipe, batches_of, save
from omega_train.data.batches import HeldImages, StepSampler


def test_batches_are_those_that_our_trainer_takes(tiny: Callable[..., Recipe]) -> None:
    recipe = tiny()
    dataset = build("dataset", recipe.dataset, recipe.dataset_options, data=None, seed=recipe.seed)
    ours = HeldImages(
        dataset.train.pixels, StepSampler(size=80, batch=16, seed=recipe.seed, first=0), torch.device("cpu")
    )
    taken = list(batches_of(dataset, recipe, 7))
    assert [batch.step for batch in taken] == list(range(7))
    for one, other in zip(taken, islice(ours, 7), strict=True):
        assert torch.equal(one.pixels, other.pixels)
        assert torch.equal(one.samples, other.samples)
    assert [batch.step for batch in batches_of(dataset, recipe, 2, first=5)] == [5, 6]


def test_fewer_pictures_than_a_batch_are_refused(tiny: Callable[..., Recipe]) -> None:
    recipe = tiny(batch_size=81)
    dataset = build("dataset", recipe.dataset, recipe.dataset_options, data=None, seed=recipe.seed)
    with pytest.raises(RecipeError, match="a batch of 81 pictures is more than the 80 training pictures"):
        next(batches_of(dataset, recipe, 1))


def test_a_saved_task_is_a_model_with_a_counted_prior(tiny: Callable[..., Recipe], tmp_path: Path) -> None:
    recipe = tiny(sort_channels=True)
    task = CodecTask(recipe)
    dataset = build("dataset", recipe.dataset, recipe.dataset_options, data=None, seed=recipe.seed)
    path = save(task, tmp_path / "model.safetensors", dataset.train)
    assert path == tmp_path / "model.safetensors"
    seen = task.prior.seen.counts.sum(dim=(1, 2))  # type: ignore[union-attr]
    assert set(seen.tolist()) == {80 * 9}
    model = omega_core.load_model(path)
    picture = dataset.train.load(0, 0)[0]
    assert model.decompress(model.compress(picture)).size == (28, 28)
