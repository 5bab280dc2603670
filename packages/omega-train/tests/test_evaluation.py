"""Measured are files: a planted codec that returns another picture, or hides bytes, gets what it deserves."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from omega_core.codec.loading import load_model
from omega_core.codec.model import Model
from omega_core.contracts import BaselineCodec
from omega_core.errors import ImageError
from omega_core.format.file import OmegaFile
from omega_core.images.metrics import psnr
from omega_core.images.pictures import Picture, Pixels
from omega_core.images.reading import read_picture
from omega_train import train
from omega_train.data.glyphs import glyphs
from omega_train.evaluation.curves import curves
from omega_train.evaluation.measurements import (
    EXACT,
    Decoded,
    Measurement,
    measure,
    read_measurements,
    summarize,
    through_codec,
    through_model,
    write_table,
)
from omega_train.recipe import Recipe


@pytest.fixture(scope="module")
def model(tiny: Callable[..., Recipe], tmp_path_factory: pytest.TempPathFactory) -> Model:
    recipe = tiny(channels=4, steps=20)
    return load_model(train(recipe, tmp_path_factory.mktemp("run") / "run", accelerator="cpu", devices="1"))


@pytest.fixture(scope="module")
def digit() -> Pixels:
    return glyphs(1, seed=9)[0]


def measured(model: Model, pixels: Pixels, channels: tuple[int, ...] = ()) -> list[Measurement]:
    return measure("omega", "a.png", pixels, list(through_model(model, pixels, channels)))


def test_a_measurement_is_that_of_the_decoded_file(model: Model, digit: Pixels) -> None:
    rows = measured(model, digit)
    assert [row.setting for row in rows] == model.channel_counts
    for row in rows:
        data = model.compress(digit[0], channels=row.setting)
        decoded = np.asarray(model.decompress(data))[None]
        assert (row.image, row.codec, row.bytes) == ("a.png", "omega", len(data))
        assert row.bpp == pytest.approx(8 * len(data) / 784)
        assert row.stream_bytes < row.bytes
        assert row.estimated_bpp is not None
        assert 0 < row.estimated_bpp <= row.stream_bpp
        assert row.psnr == pytest.approx(psnr(digit, decoded))
        assert row.ms_ssim is None


def test_the_counts_that_are_asked_for_are_measured(model: Model, digit: Pixels) -> None:
    assert [row.setting for row in measured(model, digit, (2, 4))] == [2, 4]


def test_a_picture_is_encoded_once_for_all_counts(model: Model, digit: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda *given, **options: calls.append(1) or encode(*given, **options))
    assert len(measured(model, digit)) == 4
    assert calls == [1]


def test_a_codec_that_returns_another_picture_gets_no_good_score(
    model: Model, digit: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    [honest] = measured(model, digit, (4,))
    monkeypatch.setattr(model, "decompress_prefixes", lambda _, lengths: [Picture(255 - digit) for _ in lengths])
    [wrong] = measured(model, digit, (4,))
    assert wrong.psnr < honest.psnr - 5
    assert wrong.ssim is not None
    assert honest.ssim is not None
    assert wrong.ssim < honest.ssim - 0.2


@pytest.mark.parametrize("shape", [(27, 28), (28, 28, 3), (1, 1)])
def test_a_codec_that_returns_another_shape_gets_no_score(
    model: Model, digit: Pixels, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    other = read_picture(np.zeros(shape, np.uint8))
    monkeypatch.setattr(model, "decompress_prefixes", lambda _, lengths: [other] * len(lengths))
    with pytest.raises(ImageError, match="returned a picture of shape"):
        measured(model, digit, (4,))


def test_bytes_that_a_file_has_count_whatever_it_says_of_itself(
    model: Model, digit: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    [honest] = measured(model, digit, (4,))
    to_bytes = OmegaFile.to_bytes
    monkeypatch.setattr(OmegaFile, "to_bytes", lambda self: to_bytes(self) + bytes(100))
    decompress = model.decompress_prefixes
    monkeypatch.setattr(model, "decompress_prefixes", lambda data, lengths: decompress(data[:-100], lengths))
    [larger] = measured(model, digit, (4,))
    assert larger.bytes == honest.bytes + 100
    assert larger.bpp == pytest.approx(8 * (honest.bytes + 100) / 784)


def test_quality_is_that_of_the_pixels_not_of_what_a_codec_claims(digit: Pixels) -> None:
    lossless = Decoded(1, b"1234567", digit.copy(), 7)
    [row] = measure("planted", "a", digit, [lossless])
    assert row.psnr == float("inf")
    assert row.ssim == pytest.approx(1)


class HalfCodec(BaselineCodec):
    """The highest bits of each byte."""

    settings = (1, 4)

    def encode(self, pixels: Pixels, setting: int) -> bytes:
        height, width = pixels.shape[1:]
        return bytes([setting, height, width]) + (pixels >> (8 - setting)).tobytes()

    def decode(self, data: bytes, colors: int) -> Pixels:
        levels = np.frombuffer(data[3:], np.uint8).reshape(colors, data[1], data[2])
        return levels << (8 - data[0])

    def describe(self) -> str:
        return "bits"


def test_a_codec_is_measured_on_what_it_decodes_at_all_its_settings(digit: Pixels) -> None:
    rows = measure("half", "a", digit, list(through_codec(HalfCodec(), digit)))
    assert [(row.setting, row.bytes, row.stream_bytes, row.estimated_bpp) for row in rows] == [
        (setting, 787, 787, None) for setting in (1, 4)
    ]
    for row in rows:
        assert row.psnr == pytest.approx(psnr(digit, digit >> (8 - row.setting) << (8 - row.setting)))


def test_a_codec_that_works_in_place_changes_nothing_for_others(digit: Pixels) -> None:
    class InPlace(HalfCodec):
        def encode(self, pixels: Pixels, setting: int) -> bytes:
            pixels >>= 4
            return super().encode(pixels, setting)

    before = digit.copy()
    list(through_codec(InPlace(), digit))
    assert (digit == before).all()


def test_a_codec_that_returns_other_numbers_is_refused(digit: Pixels) -> None:
    decoded = [Decoded(1, b"1", cast(Pixels, digit / 255), 1)]
    with pytest.raises(ImageError, match="float64"):
        measure("half", "a", digit, decoded)


def test_means_are_over_pictures_for_each_codec_and_setting(tmp_path: Path) -> None:
    def one(image: str, codec: str, channels: int, size: int, decibels: float) -> Measurement:
        return Measurement(
            image, codec, channels, size, size - 10, None, (size - 10) / 98, size / 98, decibels, 0.5, None
        )

    rows = [
        one("a", "omega", 1, 98, 10.0),
        one("a", "jpeg", 1, 90, 9.0),
        one("b", "omega", 1, 196, 20.0),
        one("b", "omega", 2, 294, 30.0),
    ]
    points = summarize(rows)
    assert [(point.codec, point.setting, point.images) for point in points] == [
        ("omega", 1, 2),
        ("jpeg", 1, 1),
        ("omega", 2, 1),
    ]
    assert (points[0].bpp, points[0].psnr, points[0].ssim, points[0].ms_ssim) == (1.5, 15.0, 0.5, None)
    assert summarize([rows[0], replace(rows[2], ssim=None)])[0].ssim is None
    write_table(tmp_path / "images.csv", rows)
    assert (tmp_path / "images.csv").read_text().splitlines()[1] == "a,omega,1,98,88,,0.897959,1,10,0.5,,,"
    back = read_measurements(tmp_path / "images.csv")
    assert [replace(row, stream_bpp=0, bpp=0) for row in back] == [replace(row, stream_bpp=0, bpp=0) for row in rows]


def test_a_picture_that_is_decoded_exactly_leaves_a_mean_of_the_others(digit: Pixels) -> None:
    noisy = np.clip(digit.astype(int) + 9, 0, 255).astype(np.uint8)
    rows = [
        row
        for name, pixels in (("a", digit), ("b", noisy))
        for row in measure("planted", name, digit, [Decoded(1, b"1234567", pixels, 7)])
    ]
    assert [row.psnr for row in rows[:1]] == [float("inf")]
    [point] = summarize(rows)
    assert point.psnr == pytest.approx((EXACT + rows[1].psnr) / 2)
    assert [point.psnr for point in summarize(rows[:1])] == [float("inf")]
    assert [curve.values for curve in curves([point], "psnr")] == [(point.psnr,)]


def test_evaluation_does_not_import_lightning() -> None:
    pytest.importorskip("matplotlib", reason="needs the extra evaluation")
    program = """
import importlib, pkgutil, sys

import omega_train.evaluation

for module in pkgutil.iter_modules(omega_train.evaluation.__path__):
    importlib.import_module(f"omega_train.evaluation.{module.name}")
    print(module.name)
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"lightning", "pytorch_lightning"}, loaded
assert not any(name.startswith("omega_train.") and "evaluation" not in name for name in sys.modules), sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert {"measurements", "report", "plots"} <= set(done.stdout.split())
