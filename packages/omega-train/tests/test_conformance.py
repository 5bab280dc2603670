"""Our data sets and our trainer do what is asked of anybody's."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from omega_core.testing import DatasetContract, TrainerContract
from omega_train import Recipe


class TestGlyphs(DatasetContract):
    name = "glyphs"
    options = {"training": 64, "validation": 16}


@pytest.fixture(scope="class")
def photos(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder: Path = tmp_path_factory.mktemp("photos")
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    request.cls.data = folder


@pytest.mark.usefixtures("photos")
class TestFolder(DatasetContract):
    name = "folder"
    options = {"crop": 24, "validation": 0.25}


@pytest.fixture(scope="class")
def digits(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder: Path = tmp_path_factory.mktemp("digits")
    request.cls.data = folder
    for name, count in (("train", 60), ("t10k", 10)):
        pixels = np.random.default_rng(count).integers(0, 256, (count, 28, 28), np.uint8)
        header = np.array([0x803, count, 28, 28], ">u4").tobytes()
        (folder / f"{name}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())


@pytest.mark.usefixtures("digits")
class TestMnist(DatasetContract):
    name = "mnist"


TINY = {
    "name": "tiny",
    "dataset": "glyphs",
    "latent_channels": 8,
    "channels": 4,
    "channels_min": 0,
    "alphabet": 8,
    "lambda_max": 0.999,
    "steps": 2,
    "batch_size": 16,
    "dataset_options": {"training": 64, "validation": 16},
}


class TestLightning(TrainerContract):
    name = "lightning"
    options = {"accelerator": "cpu", "devices": "1"}
    recipe = Recipe(**TINY)
    other_recipe = Recipe(**{**TINY, "batch_size": 1000})
