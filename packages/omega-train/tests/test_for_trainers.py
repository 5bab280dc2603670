"""What omega-train has for trainers of others."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
import torch

import omega_core
from omega_core.errors import ComponentError, RecipeError, TrainingError
from omega_core.plugins.registry import build
from omega_train import CodecTask, Recipe, batches_of, fit_quantizer, save
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


def test_a_model_that_would_not_be_what_was_trained_is_named(
    tiny: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny()
    task = CodecTask(recipe)
    dataset = build("dataset", recipe.dataset, recipe.dataset_options, data=None, seed=recipe.seed)
    analysis = task.architecture.analysis
    monkeypatch.setattr(task.architecture, "analysis", lambda image: 3 * analysis(image))  # as by a lost tensor
    with pytest.raises(ComponentError, match="outside of parameters and buffers"):
        save(task, tmp_path / "model.safetensors", dataset.train)
    assert list(tmp_path.iterdir()) == []


def test_a_trainer_that_does_not_fit_the_quantizer_is_told(tiny: Callable[..., Recipe]) -> None:
    stages = {"start": "scalar", "rank": 1, "stages": [1, 1], "dead_zone": True}
    sizes = {"latent_channels": 4, "channels": 8, "alphabet": 16, "lambda_min": 0.8, "lambda_max": 0.999}
    recipe = tiny(relaxed_share=0.5, quantizer_options=stages, **sizes)
    task = CodecTask(recipe)
    task.steps = 4
    dataset = build("dataset", recipe.dataset, recipe.dataset_options, data=None, seed=recipe.seed)
    first, _, third, _ = batches_of(dataset, recipe, 4)
    task.training_step(first, 0)
    assert [task.needs_fit(step) for step in range(4)] == [False, False, True, True]
    with pytest.raises(TrainingError, match=r"fit_quantizer\(task, images\)` before step 2"):
        task.training_step(third, 2)
    fit_quantizer(task, dataset.train)
    task.training_step(third, 2)
