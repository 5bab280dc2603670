"""Pictures here are of one value each, by which they are told."""

from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from omega_core.errors import DataError
from omega_train import Recipe, train
from omega_train.data.batches import BatchedImages, StepSampler
from omega_train.data.folder import FolderDataset
from omega_train.data.folder_shares import Mixture, folder_and_share, several


def paint(folder: Path, values: range) -> Path:
    folder.mkdir(parents=True)
    for value in values:
        Image.fromarray(np.full((20, 24, 3), value, np.uint8)).save(folder / f"{value:03}.png")
    return folder


@pytest.fixture
def bright(tmp_path: Path) -> Path:
    return paint(tmp_path / "bright", range(100, 200))


@pytest.fixture
def dark(tmp_path: Path) -> Path:
    return paint(tmp_path / "dark", range(20))


def seen(data: Any, epochs: int = 1, **options: Any) -> Counter[int]:
    """How often each picture is shown."""
    images = FolderDataset(data=data, crop=16, **options).train
    sampler = StepSampler(size=len(images), batch=4, seed=1, first=0)
    batches = islice(sampler, epochs * (len(images) // 4))
    pictures = BatchedImages(images, 1)
    return Counter(int(value) for keys in batches for value in pictures.__getitems__(keys).pixels[:, 0, 0, 0])


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0, 4.0])
def test_a_folder_has_its_share_of_the_samples_however_many_pictures_it_has(
    bright: Path, dark: Path, share: float
) -> None:
    often = seen({bright: 1.0, dark: share})
    of_dark = sum(count for value, count in often.items() if value < 100)
    assert of_dark / often.total() == pytest.approx(share / (1 + share), abs=0.03)


def test_shares_are_relative_to_each_other(bright: Path, dark: Path) -> None:
    assert seen({bright: 1.0, dark: 0.5}) == seen({bright: 20.0, dark: 10.0})


def test_all_pictures_of_a_folder_are_shown_about_as_often_as_each_other(bright: Path, dark: Path) -> None:
    often = seen({bright: 1.0, dark: 1.0}, epochs=60)
    for part, count in ((range(100, 200), 95), (range(20), 19)):
        shown = [often[value] for value in part if often[value]]
        assert len(shown) == count  # the others validate
        assert min(shown) > 0.5 * sum(shown) / count
        assert max(shown) < 1.7 * sum(shown) / count


def test_a_picture_shown_twice_in_a_batch_is_cropped_in_two_ways(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        for number in range(2):
            pixels = np.random.default_rng(number).integers(0, 256, (60, 60, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    paint(tmp_path / "many", range(40))
    images = FolderDataset(data=[tmp_path / "one", tmp_path / "many"], crop=16).train
    batch = BatchedImages(images, 0).__getitems__([(0, sample) for sample in range(10)])
    assert len({pixels.numpy().tobytes() for pixels in batch.pixels}) == 10


def test_each_folder_keeps_a_share_to_validate_with_or_has_its_own(bright: Path, dark: Path, tmp_path: Path) -> None:
    paint(tmp_path / "parted" / "train", range(200, 210))
    paint(tmp_path / "parted" / "validation", range(210, 213))
    dataset = FolderDataset(data=[bright, dark, tmp_path / "parted"], crop=16, validation=0.1)
    kept = Counter(path.parent.name for path in dataset.validation.paths)
    assert kept == {"bright": 10, "dark": 2, "validation": 3}
    assert not set(dataset.validation.paths) & set(dataset.train.paths)


def test_a_note_tells_what_each_folder_contributes(bright: Path, dark: Path) -> None:
    assert FolderDataset(data={bright: 1.0, dark: 0.5}, crop=16).notes == [
        f"66.7% of the samples are from the 95 pictures of {bright}",
        f"33.3% of the samples are from the 19 pictures of {dark}",
    ]


def test_a_single_folder_is_numbered_as_its_pictures_whatever_its_share(bright: Path) -> None:
    alone = FolderDataset(data=bright, crop=16).train
    listed = FolderDataset(data={bright: 0.2}, crop=16).train
    assert listed.mixture is None
    assert all((alone.load(i, 3) == listed.load(i, 3)).all() for i in range(len(alone)))


def test_the_smallest_share_is_a_sample_of_each_epoch() -> None:
    mixture = Mixture([50, 1000], [1.0, 1e-300])
    assert mixture.samples == [1050, 1]
    pictures = {mixture.picture(1050, u) for u in np.linspace(0, 1, 5000, endpoint=False)}
    assert pictures == set(range(50, 1050))


@pytest.mark.parametrize("counts", [[7, 3], [1, 10000], [10000, 1]])
def test_every_sample_is_a_picture_of_its_folder(counts: list[int]) -> None:
    mixture = Mixture(counts, [1.0, 0.7])
    for sample in range(len(mixture)):
        for u in (0.0, np.nextafter(1.0, 0.0)):
            assert 0 <= mixture.picture(sample, float(u)) < sum(counts)
            assert (mixture.picture(sample, float(u)) >= counts[0]) == (sample >= mixture.samples[0])


@pytest.mark.parametrize("share", [0, -1.0, float("nan"), float("inf"), "x", None, True])
def test_a_share_that_is_no_number_above_0_is_named(bright: Path, dark: Path, share: Any) -> None:
    with pytest.raises(DataError, match=rf"the share of the folder .*dark has to be a number above 0, not {share}\."):
        FolderDataset(data=[bright, (dark, share)])


def test_folders_that_share_pictures_are_refused(bright: Path) -> None:
    (bright / "inner").mkdir()
    with pytest.raises(DataError, match="is given twice"):
        several([bright, (bright / "inner" / "..", 0.5)])
    for folders in ([bright, bright / "inner"], [bright / "inner", bright]):
        with pytest.raises(DataError, match=r"inner lies in .*bright, which is given too"):
            several(folders)


def test_the_folder_without_pictures_is_named(bright: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    paint(tmp_path / "single", range(1))
    for name, said in (("none", "does not exist"), ("empty", "has no pictures"), ("single", "has too few pictures")):
        with pytest.raises(DataError, match=f"the folder {tmp_path / name} {said}"):
            FolderDataset(data=[bright, tmp_path / name])
    with pytest.raises(DataError, match="data contains no folder"):
        FolderDataset(data=[])


def test_a_dataset_that_takes_one_folder_refuses_several(
    tiny: Callable[..., Recipe], bright: Path, dark: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"the dataset glyphs takes one folder of data, not 2\."):
        train(tiny(steps=1), tmp_path / "run", data=[bright, dark])
    assert not (tmp_path / "run").exists()


def test_a_run_takes_its_pictures_from_several_folders(
    tiny: Callable[..., Recipe], bright: Path, dark: Path, tmp_path: Path
) -> None:
    recipe = tiny(dataset="folder", dataset_options={"crop": 28, "colors": 1}, steps=1)
    train(recipe, tmp_path / "run", data={bright: 1.0, dark: 0.5}, accelerator="cpu", devices="1")
    assert "33.3% of the samples are from the 19 pictures of" in (tmp_path / "run" / "train.log").read_text()


def test_a_url_has_a_share_unless_it_has_a_query() -> None:
    assert folder_and_share("s3://bucket/a-*.tar=0.5") == ("s3://bucket/a-*.tar", 0.5)
    assert folder_and_share("https://host/a.tar?version=2") == "https://host/a.tar?version=2"
    assert several([("s3://bucket/a.tar", 2.0), "s3://bucket/b.tar"]) == {
        "s3://bucket/a.tar": 2.0,
        "s3://bucket/b.tar": 1.0,
    }
    with pytest.raises(DataError, match="is given twice"):
        several(["s3://bucket/a.tar", "s3://bucket/a.tar"])
