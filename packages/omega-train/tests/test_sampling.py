from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from omega_train.data.arrays import ArrayImages
from omega_train.data.batches import Batch, BatchedImages, HeldImages, HeldPhotos, StepSampler
from omega_train.data.folder import FolderDataset
from omega_train.rate_sampling import draw_rates, noise_seeds, rates_at, shares
from omega_train.recipe import Recipe


def sampler(**changes: int) -> StepSampler:
    return StepSampler(**{"size": 23, "batch": 5, "seed": 3, "first": 0, **changes})


def batch(step: int, samples: torch.Tensor) -> Batch:
    return Batch(torch.zeros(len(samples), 1, 1, 1, dtype=torch.uint8), samples, step)


def test_an_epoch_shows_every_sample_at_most_once_and_the_next_another_order() -> None:
    steps = list(islice(sampler(), 8))
    first, second = ([sample for step in part for _, sample in step] for part in (steps[:4], steps[4:]))
    assert len(set(first)) == len(set(second)) == 20
    assert first != second


@pytest.mark.parametrize("first", range(10))
def test_batches_from_any_step_are_those_of_a_run_from_the_start(first: int) -> None:
    assert list(islice(sampler(first=first), 5)) == list(islice(sampler(), first + 5))[first:]


def test_two_processes_share_the_batches_of_one_that_takes_twice_as_many() -> None:
    one = islice(sampler(batch=10), 6)
    shared = zip(*(sampler(process=p, processes=2) for p in range(2)), strict=False)
    for whole, halves in zip(one, islice(shared, 6), strict=True):
        assert Counter(whole) == Counter([*halves[0], *halves[1]])
        assert len(halves[0]) == len(halves[1]) == 5


def test_pictures_of_a_batch_come_with_their_numbers_and_step() -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1)
    loaded = BatchedImages(ArrayImages(pixels), seed=0).__getitems__([(7, 4), (7, 1)])
    assert loaded.pixels.flatten().tolist() == [4, 1]
    assert (loaded.samples.tolist(), loaded.step) == ([4, 1], 7)


def test_what_is_drawn_for_a_sample_does_not_depend_on_its_batch(tiny: Callable[..., Recipe]) -> None:
    recipe = tiny()
    samples = torch.arange(50)
    together = draw_rates(recipe, batch(9, samples))
    seeds = noise_seeds(recipe, batch(9, samples))
    for part in (samples[:7], samples[30:], samples[[4]]):
        alone = draw_rates(recipe, batch(9, part))
        assert torch.equal(alone.kept, together.kept[part])
        assert torch.equal(alone.lambda_, together.lambda_[part])
        assert torch.equal(noise_seeds(recipe, batch(9, part)), seeds[part])
    assert not torch.equal(draw_rates(recipe, batch(10, samples)).lambda_, together.lambda_)
    assert not torch.equal(draw_rates(tiny(seed=1), batch(9, samples)).lambda_, together.lambda_)


def test_channel_counts_are_drawn_as_published(tiny: Callable[..., Recipe]) -> None:
    """n = C_min + ⌈√U·(C − C_min)⌉, so that P(n) = (i² − (i − 1)²)/span² for the i-th count."""
    recipe = tiny(channels_min=2, channels=6, lambda_min=0.9, lambda_max=1.0)
    rates = draw_rates(recipe, batch(0, torch.arange(100_000)))
    seen = torch.bincount(rates.kept, minlength=7) / 100_000
    assert seen.tolist() == pytest.approx([0, 0, 0, 1 / 16, 3 / 16, 5 / 16, 7 / 16], abs=0.01)
    counts, f, often = shares(recipe)
    assert counts == [3, 4, 5, 6]
    assert often == pytest.approx([1 / 16, 3 / 16, 5 / 16, 7 / 16])
    assert f == pytest.approx([0.25, 0.5, 0.75, 1])
    expected = 0.9 + 0.1 * torch.linspace(0, 1, 11).double()
    assert rates_at(recipe, torch.linspace(0, 1, 11)).lambda_.tolist() == pytest.approx(expected.tolist())
    assert float(rates.lambda_.mean()) == pytest.approx(0.9 + 0.1 * 2 / 3, abs=1e-3)


def test_a_model_of_one_rate_always_keeps_all_channels(tiny: Callable[..., Recipe]) -> None:
    recipe = tiny(channels_min=3, lambda_min=0.5, lambda_max=0.5)
    rates = draw_rates(recipe, batch(0, torch.arange(100)))
    assert set(rates.kept.tolist()) == {3}
    assert set(rates.lambda_.tolist()) == {0.5}
    assert shares(recipe)[0] == [3]


def test_of_many_channels_the_cuts_of_a_file_are_scored(tiny: Callable[..., Recipe]) -> None:
    recipe = tiny(channels=480, channels_min=40)
    counts, f, often = shares(recipe)
    assert counts == list(range(45, 481, 15))
    assert f == pytest.approx([(n - 40) / 440 for n in counts])
    assert sum(often) == pytest.approx(1)
    kept = draw_rates(recipe, batch(0, torch.arange(20000))).kept.numpy()
    up_to = [((kept <= n) & (kept > before)).mean() for before, n in zip([40, *counts], counts, strict=False)]
    assert often == pytest.approx(up_to, abs=0.01)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_channel_counts_are_drawn_as_often_as_validation_weighs_them(
    tiny: Callable[..., Recipe], exponent: float
) -> None:
    recipe = tiny(channels=8, draw_exponent=exponent)
    kept = draw_rates(recipe, batch(0, torch.arange(20000))).kept
    counts, _, weights = shares(recipe)
    assert counts == list(range(1, 9))
    drawn = torch.bincount(kept, minlength=9)[1:] / 20000
    assert drawn.tolist() == pytest.approx(weights.tolist(), abs=0.01)
    assert (exponent > 0.7) == (weights[0] > 1 / 16)  # as published, the first of 8 has 1/64


def test_pictures_in_memory_come_as_those_that_are_read(tiny: Callable[..., Recipe]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (23, 1, 4, 4), dtype=np.uint8)
    pixels.setflags(write=False)  # as IDX files are read
    read = BatchedImages(ArrayImages(pixels), seed=0)
    for keys, held in zip(islice(sampler(), 6), HeldImages(pixels, sampler(), torch.device("cpu")), strict=False):
        expected = read.__getitems__(keys)
        assert torch.equal(held.pixels, expected.pixels)
        assert torch.equal(held.samples, expected.samples)
        assert held.step == expected.step


@pytest.mark.parametrize("colors", [1, 3])
@pytest.mark.parametrize("turns", [False, True])
def test_photos_on_a_device_are_cropped_as_those_that_are_read(tmp_path: Path, colors: int, turns: bool) -> None:
    for folder, count in (("a", 9), ("b", 30)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            pixels = np.random.default_rng(number).integers(0, 256, (20 + number, 40 - number, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{number}.png")
    options = {"crop": 10, "scale_share": 0.0, "turns": turns, "colors": colors}
    folders = {tmp_path / "a": 1.0, tmp_path / "b": 0.5}
    held = FolderDataset(data=folders, **options).train
    read = BatchedImages(FolderDataset(data=folders, memory=0.0, **options).train, seed=5)
    assert held.are_slices()
    photos = HeldPhotos(held, 5, sampler(size=len(held)), torch.device("cpu"))
    for keys, batch in zip(islice(sampler(size=len(held)), 20), photos, strict=False):
        expected = read.__getitems__(keys)
        assert torch.equal(batch.pixels, expected.pixels)
        assert torch.equal(batch.samples, expected.samples)
        assert batch.step == expected.step


def test_photos_that_are_scaled_or_not_all_held_are_left_to_processes_that_read(tmp_path: Path) -> None:
    for number in range(20):
        Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / f"{number}.png")
    unscaled = {"crop": 8, "scale_min": 1.0, "scale_max": 1.0}
    assert FolderDataset(data=tmp_path, **unscaled).train.are_slices()
    for options in ({"scale_min": 0.9}, {"scale_min": 0.9, "scale_share": 0.5}, {"crop": 31}, {"memory": 1e-5}):
        assert not FolderDataset(data=tmp_path, **{**unscaled, **options}).train.are_slices()
