"""Measurements of other codecs are found again for the same pictures, codecs and metrics, and for no others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omega_core.contracts import BaselineCodec
from omega_core.images.pictures import Pixels
from omega_core.plugins.registry import build
from omega_train.evaluation import measurement_cache
from omega_train.evaluation.measurement_cache import MIN_PIXELS, CachedMeasurements
from omega_train.evaluation.measurements import measure, through_codec


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("OMEGA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "measurements"


def picture(seed: int = 0, colors: int = 3, side: int = 256) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (colors, side, side), np.uint8)


def codec(name: str = "jpeg", **options: Any) -> BaselineCodec:
    made: BaselineCodec = build("codec", name, options)
    made.settings = made.settings[2:4]
    return made


def kept(made: BaselineCodec, pixels: Pixels, metrics: tuple[str, ...] = ("psnr",)) -> CachedMeasurements:
    cached = CachedMeasurements(made, pixels, metrics)
    cached.keep(measure("a codec", "a.png", pixels, list(through_codec(made, pixels)), metrics))
    return cached


def test_what_was_measured_is_found_under_other_names(cache: Path) -> None:
    pixels = picture()
    kept(codec(), pixels, ("psnr", "ssim"))
    again = CachedMeasurements(codec(), pixels.copy(), ["ssim", "psnr"])
    found = again.find("jpeg", "b.png")
    assert found is not None
    assert [(row.codec, row.image, row.setting) for row in found] == [("jpeg", "b.png", 15), ("jpeg", "b.png", 20)]
    for row, fresh in zip(found, measure("", "", pixels, list(through_codec(codec(), pixels)), ["psnr"]), strict=True):
        assert (row.bytes, row.ms_ssim) == (fresh.bytes, None)
        assert row.psnr == pytest.approx(fresh.psnr, rel=1e-5)
        assert row.ssim is not None


OTHERS: dict[str, Callable[[], CachedMeasurements]] = {
    "another picture": lambda: CachedMeasurements(codec("webp"), picture(1), ("psnr",)),
    "the same numbers in another shape": lambda: CachedMeasurements(
        codec("webp"), picture().reshape(3, 128, 512), ("psnr",)
    ),
    "another metric": lambda: CachedMeasurements(codec("webp"), picture(), ("psnr", "ssim")),
    "another codec": lambda: CachedMeasurements(codec("jpeg"), picture(), ("psnr",)),
    "other options": lambda: CachedMeasurements(codec("webp", method=0), picture(), ("psnr",)),
    "other settings": lambda: CachedMeasurements(build("codec", "webp", {}), picture(), ("psnr",)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_others_are_not_taken_for_it(cache: Path, name: str) -> None:
    assert kept(codec("webp"), picture()).find("webp", "a.png")
    assert OTHERS[name]().find("webp", "a.png") is None


def test_those_of_another_version_are_not_taken_for_it(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(codec(), picture())
    monkeypatch.setattr(measurement_cache, "version", lambda _: "999")
    assert CachedMeasurements(codec(), picture(), ("psnr",)).find("jpeg", "a.png") is None


@pytest.mark.parametrize("text", [b"", b"codec\n", b"codec,image\na,b\n", b"\xff", b"\0", 0.3, 0.6, 0.9])
def test_a_damaged_file_counts_as_none_and_is_replaced(cache: Path, text: bytes | float) -> None:
    cached = kept(codec(), picture())
    [file] = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(text if isinstance(text, bytes) else whole[: int(text * len(whole))])
    assert cached.find("jpeg", "a.png") is None
    kept(codec(), picture())
    assert file.read_bytes() == whole


def test_codecs_that_do_not_describe_themselves_fully_and_small_pictures_are_not_kept(cache: Path) -> None:
    made = codec()
    made.cacheable = False
    assert kept(made, picture()).find("jpeg", "a.png") is None
    assert kept(codec(), picture(side=255)).find("jpeg", "a.png") is None
    assert 255**2 < MIN_PIXELS <= 256**2
    assert not cache.exists()


def test_without_a_folder_for_it_nothing_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("OMEGA_CACHE", str(tmp_path / "file"))
    assert kept(codec(), picture()).find("jpeg", "a.png") is None

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(measurement_cache, "cache_folder", no_home)
    assert kept(codec(), picture()).find("jpeg", "a.png") is None
