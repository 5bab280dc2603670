"""Pictures become shards, and a run trains on them."""

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of 24 pictures, 3 files that are none, and one with the suffix of a picture that is none."""
    folder = tmp_path / "photos"
    for number in range(24):
        path = folder / f"{number % 2}" / f"a {number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((28, 28), number, np.uint8)).save(path)
    for name in ("a.txt", "b.txt", "c"):
        (folder / name).write_text("text")
    (folder / "bad.png").write_text("no picture")
    return folder


def test_a_folder_becomes_shards_that_can_be_trained_on(omega_here: Callable[..., Any], photos: Path) -> None:
    folder = photos.parent / "shards"
    done = omega_here("shards", photos, "--output", folder)
    assert done.returncode == 1
    assert done.stdout == f"24 pictures, 1 failed, in 1 shard in {folder}\n"
    error, warning = done.stderr.splitlines()
    assert error.startswith(f"error: {photos / 'bad.png'}: this is not a picture that can be read")
    assert warning == "warning: left out: 3 files of another kind (.txt 2, without a suffix 1)."
    assert sorted(path.name for path in folder.iterdir()) == ["shard-000000.idx", "shard-000000.tar"]
    with tarfile.open(folder / "shard-000000.tar") as file:
        assert file.getnames()[:2] == ["00000000-a_0.png", "00000001-a_10.png"]
    run = photos.parent / "run"
    options = [f"--dataset-option={each}" for each in ("crop=28", "colors=1")]
    done = omega_here(
        *("train", "glyphs-omega-8", "--dataset", "shards", "--data", folder, *options),
        *("--steps", 1, "--batch-size", 8, "--output", run),
    )
    assert done.returncode == 0, done.stderr
    assert (run / "model.safetensors").exists()


def test_shards_go_into_a_folder_of_their_own(omega_here: Callable[..., Any], photos: Path) -> None:
    done = omega_here("shards", photos, "--output", photos)
    assert (done.returncode, done.stderr) == (2, f"error: {photos} exists already; choose another --output.\n")


def test_without_pictures_there_are_no_shards(omega_here: Callable[..., Any], photos: Path) -> None:
    folder = photos.parent / "shards"
    for source in ("bad.png", "a.txt"):
        done = omega_here("shards", photos / source, "--output", folder)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert done.stderr.startswith(f"error: {photos / source}: ")
        assert not folder.exists()
