"""Our datasets, our trainer and our codecs do what is asked of anybody's."""

import io
from importlib.util import find_spec
from pathlib import Path, PurePath

import numpy as np
import pytest
from PIL import Image

from omega_core.testing import CodecContract, DatasetContract, TrainerContract
from omega_train import Recipe
from omega_train.data.shard_writing import ShardWriter


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
def shards(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder: Path = tmp_path_factory.mktemp("shards")
    with ShardWriter(folder, 30_000) as writer:
        for number in range(12):
            file = io.BytesIO()
            Image.fromarray(np.random.default_rng(number).integers(0, 256, (40, 50, 3), np.uint8)).save(file, "png")
            writer.add(PurePath(f"{number}.png"), file.getvalue())
    request.cls.data = folder


@pytest.mark.usefixtures("shards")
class TestShards(DatasetContract):
    name = "shards"
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


class TestJpeg(CodecContract):
    name = "jpeg"


class TestWebp(CodecContract):
    name = "webp"


class TestFastWebp(CodecContract):
    name = "webp"
    options = {"method": 0}


class TestAvif(CodecContract):
    name = "avif"


class TestFastAvif(CodecContract):
    name = "avif"
    options = {"subsampling": "4:4:4", "speed": 10}


class TestJpeg2000(CodecContract):
    name = "jpeg2000"


@pytest.mark.skipif(find_spec("pillow_jxl") is None, reason="needs the extra jxl")
class TestJxl(CodecContract):
    name = "jxl"


@pytest.mark.skipif(find_spec("pillow_jxl") is None, reason="needs the extra jxl")
class TestFastJxl(CodecContract):
    name = "jxl"
    options = {"effort": 1}


@pytest.mark.skipif(find_spec("pillow_heif") is None, reason="needs the extra heic")
class TestHeic(CodecContract):
    name = "heic"


@pytest.mark.usefixtures("compressai")
class TestCompressai(CodecContract):
    name = "compressai"


@pytest.mark.usefixtures("compressai")
class TestCompressaiWithTwoStrings(CodecContract):
    name = "compressai"
    options = {"model": "cheng2020-anchor", "metric": "ms-ssim"}
