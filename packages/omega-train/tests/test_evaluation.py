"""Measured are files: a planted codec that returns another picture, or hides bytes, gets what it deserves."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from omega_core.errors import ImageError
from omega_core.images import Picture, psnr
from omega_core.loading import load_model
from omega_core.model import Model
from omega_train import train
from omega_train.classical import QUALITIES, ClassicalCodec
from omega_train.data.glyphs import glyphs
from omega_train.evaluation import Measurement, measure, summarise, write_table
from omega_train.recipe import Recipe


@pytest.fixture(scope="module")
def model(tiny: Callable[..., Recipe], tmp_path_factory: pytest.TempPathFactory) -> Model:
    recipe = tiny(channels=4, steps=20)
    return load_model(train(recipe, tmp_path_factory.mktemp("run") / "run", accelerator="cpu", devices="1"))


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """Something that quality makes a difference to: soft shapes and noise."""
    random = np.random.default_rng(3)
    coarse = Image.fromarray(random.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    soft = np.asarray(coarse.resize((160, 120), Image.Resampling.BICUBIC)).astype(int)
    noisy = (soft + random.normal(0, 6, soft.shape)).clip(0, 255).astype(np.uint8)
    return noisy.transpose(2, 0, 1)


def test_a_measurement_is_that_of_the_decoded_file(model: Model) -> None:
    pixels = glyphs(1, seed=9)[0]
    measured = list(measure(model, Picture(pixels), "a.png", against=[]))
    assert [each.channels for each in measured] == model.encode(pixels[0]).cuts
    for each in measured:
        data = model.compress(pixels[0], channels=each.channels)
        decoded = np.asarray(model.decompress(data))[None]
        assert (each.image, each.codec, each.bytes) == ("a.png", "omega", len(data))
        assert each.bpp == pytest.approx(8 * len(data) / 784)
        assert each.stream_bytes < each.bytes
        assert each.psnr == pytest.approx(psnr(pixels, decoded))


def test_the_counts_that_are_asked_for_are_measured(model: Model) -> None:
    picture = Picture(glyphs(1, seed=9)[0])
    assert [each.channels for each in measure(model, picture, "a", channels=[2, 4], against=[])] == [2, 4]


def test_a_codec_that_returns_another_picture_gets_no_good_score(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Picture(glyphs(1, seed=9)[0])
    [honest] = measure(model, picture, "a", channels=[4], against=[])
    monkeypatch.setattr(model, "decompress", lambda _: Image.fromarray(255 - picture.pixels[0]))
    [wrong] = measure(model, picture, "a", channels=[4], against=[])
    assert wrong.psnr < honest.psnr - 5


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_a_classical_codec_is_that_of_pillow_at_the_best_quality_that_fits(name: str, photo: np.ndarray) -> None:
    codec = ClassicalCodec(name, photo)
    sizes = {quality: len(codec.file(quality)) for quality in QUALITIES[name]}
    assert sizes[QUALITIES[name][0]] < sizes[QUALITIES[name][-1]]
    for budget in (sizes[20], sizes[60] + 3, max(sizes.values()) + 1):
        quality = codec.best_within(budget)
        assert sizes[quality] <= budget
        assert quality == max(q for q, size in sizes.items() if size <= budget)
        with Image.open(io.BytesIO(codec.file(quality))) as image:
            assert image.format == {"jpeg": "JPEG", "webp": "WEBP"}[name]
            decoded = np.asarray(image).transpose(2, 0, 1)
        assert codec.psnr(quality) == pytest.approx(psnr(photo, decoded))
    assert codec.psnr(80) > codec.psnr(20)


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_where_no_quality_is_small_enough_the_least_is_taken(name: str) -> None:
    codec = ClassicalCodec(name, glyphs(1, seed=1)[0])
    assert codec.best_within(10) == QUALITIES[name][0]
    assert codec.psnr(QUALITIES[name][-1]) > 25


def test_a_picture_too_large_for_a_codec_is_an_error_that_says_so() -> None:
    with pytest.raises(ImageError, match="webp cannot hold it"):
        ClassicalCodec("webp", np.zeros((1, 1, 17000), np.uint8)).file(1)


def test_means_are_over_pictures_for_each_codec_and_count(tmp_path: Path) -> None:
    def one(image: str, codec: str, channels: int, size: int, decibels: float) -> Measurement:
        return Measurement(image, codec, channels, 0, size, size - 10, size / 98, (size - 10) / 98, decibels)

    rows = [
        one("a", "omega", 1, 98, 10.0),
        one("a", "jpeg", 1, 90, 9.0),
        one("b", "omega", 1, 196, 20.0),
        one("b", "omega", 2, 294, 30.0),
    ]
    means = summarise(rows)
    assert [(mean.codec, mean.channels, mean.images) for mean in means] == [
        ("omega", 1, 2),
        ("jpeg", 1, 1),
        ("omega", 2, 1),
    ]
    assert (means[0].bpp, means[0].psnr) == (1.5, 15.0)
    write_table(tmp_path / "images.csv", rows)
    write_table(tmp_path / "summary.csv", means)
    assert (tmp_path / "images.csv").read_text().splitlines()[1] == "a,omega,1,0,98,88,1,0.897959,10"
    assert (tmp_path / "summary.csv").read_text().startswith("codec,channels,images,bpp,stream_bpp,psnr\nomega,1,2,1.5")
