"""Screenshots and drawings, for which `compress` takes another model than for photos."""

import importlib.util
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

import omega_core
from omega_core.codec import loading
from omega_core.codec.loading import screen_model
from omega_core.format.file import OmegaFile
from omega_core.images.metrics import psnr
from omega_core.images.reading import read_picture
from omega_core.plugins.registry import Registry, registry

DRAWINGS = Path(__file__).parents[1] / "docs" / "models" / "drawings.py"
KINDS = ("text_page", "chart", "window", "shapes", "table", "listing")


@pytest.fixture(scope="module")
def drawings() -> Any:
    """The script that draws the pictures of training."""
    specification = importlib.util.spec_from_file_location("drawings", DRAWINGS)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def page(drawings: Any) -> Image.Image:
    return drawn(drawings, "text_page")


def drawn(drawings: Any, kind: str) -> Image.Image:
    """A white picture (192, 256) of a kind, that training has not had."""
    picture = Image.new("RGB", (256, 192), "white")
    getattr(drawings, kind)(np.random.default_rng(10_000), ImageDraw.Draw(picture), 256, 192)
    return picture


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """A picture (96, 128) as photos are: noise of all sizes."""
    random = np.random.default_rng(0)
    octaves = [random.normal(128, 90, (3 << k, 4 << k, 3)).clip(0, 255).astype(np.uint8) for k in range(6)]
    noise = np.mean([Image.fromarray(each).resize((128, 96), Image.Resampling.BICUBIC) for each in octaves], axis=0)
    return Image.fromarray(noise.astype(np.uint8))


def model_of(data: bytes) -> str:
    found = registry().find_model_by_fingerprint(OmegaFile.parse(data).header.fingerprint)
    assert found is not None
    return found.name


def quality(picture: Image.Image, data: bytes) -> float:
    return psnr(read_picture(picture).pixels, omega_core.decompress_picture(data).pixels)


@pytest.mark.parametrize("level", [20, 95])
@pytest.mark.parametrize("kind", KINDS)
def test_drawn_pictures_are_at_least_as_good_as_by_jpeg_of_the_same_size(drawings: Any, kind: str, level: int) -> None:
    picture = drawn(drawings, kind)
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=level, optimize=True, progressive=True)
    data = omega_core.compress(picture, max_bytes=len(jpeg.getvalue()))
    with Image.open(jpeg) as decoded:
        assert quality(picture, data) > psnr(read_picture(picture).pixels, read_picture(decoded).pixels)
    if level == 95:
        assert model_of(data) == "compact-screen"


def test_photos_are_encoded_with_compact_up_to_what_it_reaches(photo: Image.Image) -> None:
    whole = omega_core.compress(photo)
    assert whole == omega_core.compress(photo, "compact")
    assert model_of(omega_core.compress(photo, bpp=0.5)) == model_of(omega_core.compress(photo, psnr=25.0)) == "compact"
    larger = omega_core.compress(photo, max_bytes=3 * len(whole))
    assert model_of(larger) == "compact-screen"
    assert quality(photo, larger) > quality(photo, whole) + 3
    finer = omega_core.compress(photo, psnr=45.0)
    assert model_of(finer) == "compact-screen"
    assert 45 <= quality(photo, finer) < 45.3


def test_the_command_chooses_for_each_picture(
    omega: Any, page: Image.Image, photo: Image.Image, tmp_path: Path
) -> None:
    page.save(tmp_path / "page.png")
    photo.save(tmp_path / "photo.png")
    done = omega("compress", tmp_path / "page.png", tmp_path / "photo.png", "-o", tmp_path, "--workers", 2, "-v")
    assert done.returncode == 0, done.stderr
    assert "page.png: encoded with the model for screens" in done.stderr
    for name, model in (("page", "compact-screen"), ("photo", "compact")):
        data = (tmp_path / f"{name}.omega").read_bytes()
        assert data == omega_core.compress(tmp_path / f"{name}.png")
        assert model_of(data) == model
    told = json.loads(omega("info", tmp_path / "page.omega", "--json").stdout)
    assert registry().find_model("compact-screen").fingerprint.startswith(told["model"])
    done = omega("decompress", tmp_path / "page.omega", tmp_path / "photo.omega", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("options", [("--model", "compact"), ("--channels", "700"), ("--fraction", "0.5"), ("--pack",)])
def test_the_command_takes_compact_where_it_is_named_or_meant(
    omega: Any, page: Image.Image, tmp_path: Path, options: tuple[str, ...]
) -> None:
    page.save(tmp_path / "page.png")
    done = omega("compress", tmp_path / "page.png", "-o", tmp_path / "out", *options)
    assert done.returncode == 0, done.stderr
    done = omega("decompress", tmp_path / "out" / "page.omega", "-o", tmp_path / "out", "--model", "compact")
    assert done.returncode == 0, done.stderr


def test_a_model_in_the_environment_is_named(omega: Any, page: Image.Image, tmp_path: Path) -> None:
    page.save(tmp_path / "page.png")
    done = omega("compress", tmp_path / "page.png", "-o", tmp_path, OMEGA_MODEL="compact")
    assert done.returncode == 0, done.stderr
    assert model_of((tmp_path / "page.omega").read_bytes()) == "compact"


def test_other_processes_have_the_same_models() -> None:
    """A cluster of other machines refuses another model of the same name."""
    found = registry().find_model("compact-screen")
    assert screen_model() == f"{found.qualified_name}#{found.fingerprint}"


def test_a_model_of_another_distribution_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [replace(plugin, models=()) for plugin in registry().plugins]
    monkeypatch.setattr(loading, "registry", lambda: Registry(others))
    assert screen_model() is None


def test_pillow_saves_as_compress_does(page: Image.Image, tmp_path: Path) -> None:
    import omega_core.pillow

    page.save(tmp_path / "page.omega", max_bytes=6000)
    assert (tmp_path / "page.omega").read_bytes() == omega_core.compress(page, max_bytes=6000)


@pytest.mark.parametrize(("mode", "size"), [("L", (70, 50)), ("LA", (31, 40)), ("RGBA", (50, 16)), ("RGB", (1, 1))])
def test_pictures_of_every_mode_go_there_and_back(page: Image.Image, mode: str, size: tuple[int, int]) -> None:
    picture = page.convert("RGBA").crop((0, 0, *size)).convert(mode)
    decoded = omega_core.decompress(omega_core.compress(picture, "compact-screen"))
    assert (decoded.mode, decoded.size) == (mode, size)
    assert psnr(read_picture(picture).pixels, read_picture(decoded).pixels) > 45


def test_white_costs_less_than_other_colors() -> None:
    white, gray = (
        8 * len(omega_core.compress(np.full((256, 256, 3), level, np.uint8), "compact-screen")) / 256**2
        for level in (255, 128)
    )
    assert white < 0.05
    assert 2 * white < gray < 0.4
