"""Codecs to compare with are what their libraries make, as they say of themselves."""

import io
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from omega_core.contracts import BaselineCodec
from omega_core.errors import ComponentError, FileFormatError, ImageError
from omega_core.images.metrics import psnr
from omega_core.images.pictures import Pixels
from omega_core.plugins.registry import build
from omega_train import plugin

CODECS = ("jpeg", "webp", "avif", "jpeg2000", "jxl", "heic", "compressai")
BUILT_IN = CODECS[:4]


def soft_and_noisy(seed: int, height: int = 120, width: int = 160) -> Pixels:
    """Something that quality makes a difference to."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    soft = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return (soft + random.normal(0, 6, soft.shape)).clip(0, 255).astype(np.uint8).transpose(2, 0, 1)


def codec(name: str, **options: Any) -> BaselineCodec:
    """Skips where an optional library is missing."""
    if name in ("jxl", "heic"):
        pytest.importorskip({"jxl": "pillow_jxl", "heic": "pillow_heif"}[name], reason=f"needs the extra {name}")
    made: BaselineCodec = build("codec", name, options)
    return made


def decoded(codec: BaselineCodec, pixels: Pixels, setting: int) -> Pixels:
    return codec.decode(codec.encode(pixels, setting), len(pixels))


def test_it_lists_the_codecs_of_this_package() -> None:
    assert tuple(component.name for component in plugin.omega_register_codecs()) == CODECS


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_codec_is_that_of_pillow(name: str) -> None:
    photo, made = soft_and_noisy(3), codec(name)
    image = Image.fromarray(photo.transpose(1, 2, 0))
    for setting in made.settings:
        buffer = io.BytesIO()
        if name == "jpeg":
            image.save(buffer, "JPEG", quality=setting, optimize=True, progressive=True)
        elif name == "webp":
            image.save(buffer, "WEBP", quality=setting, method=6)
        elif name == "avif":
            image.save(buffer, "AVIF", quality=setting)
        else:
            options = {"quality_mode": "rates", "quality_layers": [setting], "irreversible": True}
            image.save(buffer, "JPEG2000", no_jp2=True, **options)
        assert made.encode(photo, setting) == buffer.getvalue()
        theirs = np.asarray(Image.open(buffer).convert("RGB")).transpose(2, 0, 1)
        assert np.array_equal(decoded(made, photo, setting), theirs)


@pytest.mark.parametrize("name", CODECS[:-1])
def test_more_bytes_are_a_better_picture(name: str) -> None:
    photo, made = soft_and_noisy(4), codec(name)
    files = [made.encode(photo, setting) for setting in made.settings]
    assert len(files[0]) < len(files[-1])
    assert psnr(photo, made.decode(files[0], 3)) + 5 < psnr(photo, made.decode(files[-1], 3))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("webp", {"method": 0}),
        ("avif", {"speed": 10}),
        ("avif", {"subsampling": "4:4:4"}),
        ("avif", {"subsampling": "4:2:2"}),
        ("avif", {"tune": "psnr"}),
        ("jxl", {"effort": 1}),
    ],
)
def test_an_option_has_an_effect_and_is_told(name: str, options: dict[str, Any]) -> None:
    photo = soft_and_noisy(5)
    plain, other = codec(name), codec(name, **options)
    assert plain.encode(photo, 50) != other.encode(photo, 50)
    [(option, value)] = options.items()
    assert f"{option}={value}" in other.describe()
    assert plain.describe() != other.describe()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("webp", {"method": 7}, "the option method of the codec webp has to be from 0 to 6, not 7"),
        ("avif", {"speed": -1}, "the option speed of the codec avif has to be from 0 to 10, not -1"),
        ("avif", {"subsampling": "4:1:1"}, "has to be '4:2:0' or '4:2:2' or '4:4:4', not '4:1:1'"),
        ("jxl", {"effort": 0}, "the option effort of the codec jxl has to be from 1 to 9, not 0"),
        ("compressai", {"model": "other"}, "has to be 'bmshj2018-factorized' or "),
        ("jpeg", {"quality": 5}, "the codec 'jpeg' has no option 'quality'"),
    ],
)
def test_an_option_that_cannot_be_is_an_error_that_says_so(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ComponentError, match=re.escape(message)):
        build("codec", name, options)


@pytest.mark.parametrize("name", CODECS[:-1])
def test_a_codec_tells_its_library_with_the_version(name: str) -> None:
    libraries = {"jpeg": "libjpeg-turbo|libjpeg", "jpeg2000": "OpenJPEG", "jxl": "pillow-jxl-plugin", "heic": "libheif"}
    assert re.search(rf"({libraries.get(name, f'lib{name}')}) \d+\.\d", codec(name).describe())


@pytest.mark.parametrize("name", ["webp", "heic"])
def test_a_picture_too_large_for_a_codec_is_an_error_that_says_so(name: str) -> None:
    with pytest.raises(ImageError, match=f"{name} cannot encode this picture"):
        codec(name).encode(np.zeros((1, 1, 70000), np.uint8), 1)


def test_heic_keeps_the_resolution_of_colors() -> None:
    stripes = np.zeros((3, 32, 32), np.uint8)
    stripes[0, :, ::2], stripes[2, :, 1::2] = 255, 255
    assert psnr(stripes, decoded(codec("heic"), stripes, 90)) > psnr(stripes, decoded(codec("avif"), stripes, 90)) + 5


def test_a_pillow_without_a_codec_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "get_supported", lambda: ["jpg", "webp"])
    assert codec("jpeg")
    with pytest.raises(ComponentError, match="the installed Pillow does not support avif"):
        build("codec", "avif", {})


@pytest.mark.parametrize(
    ("name", "module", "install"),
    [
        ("jxl", "pillow_jxl", r"omega-train\[jxl\]"),
        ("heic", "pillow_heif", r"omega-train\[heic\]"),
        ("compressai", "compressai.zoo", "compressai"),
    ],
)
def test_a_missing_library_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, name: str, module: str, install: str
) -> None:
    monkeypatch.setitem(sys.modules, module.partition(".")[0], None)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        ComponentError, match=rf"^the codec {name} needs the module {module}, .*\. Install {install}\.$"
    ):
        build("codec", name, {})


def test_optional_libraries_are_imported_when_a_codec_is_made() -> None:
    code = """
import sys
from omega_core.plugins.options import Options
from omega_core.plugins.registry import registry, resolve

for found in registry().components("codec"):
    Options("codec", found.name, resolve("codec", found.name))
sys.exit(bool({"pillow_jxl", "pillow_heif", "compressai"} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_heic_adds_nothing_to_pillow() -> None:
    """What `omega compress` reads does not depend on what was evaluated."""
    before = set(Image.OPEN)
    codec("heic")
    assert set(Image.OPEN) == before


def test_compressai_is_given_and_asked_for_what_its_zoo_has(compressai: list[dict[str, Any]]) -> None:
    made = build("codec", "compressai", {"model": "cheng2020-anchor", "metric": "ms-ssim"})
    assert compressai == [{"quality": q, "metric": "ms-ssim", "pretrained": True} for q in range(1, 7)]
    assert list(made.settings) == [1, 2, 3, 4, 5, 6]
    assert list(build("codec", "compressai", {}).settings) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert made.describe().endswith("model=cheng2020-anchor, metric=ms-ssim")


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 64, 64), (1, 65, 130), (3, 40, 200)])
def test_a_file_of_compressai_is_its_header_and_its_strings(
    compressai: list[dict[str, Any]], shape: tuple[int, int, int]
) -> None:
    colors, height, width = shape
    made = build("codec", "compressai", {"model": "cheng2020-anchor"})
    pixels = np.full(shape, 77, np.uint8)
    data = made.encode(pixels, 5)
    latent = [-(-side // 64) * 4 for side in (height, width)]
    numbers = [5, height, width, *latent, 2, 3 * latent[0] * latent[1] + 5, 1]
    assert len(data) == sum(1 if number < 128 else 2 for number in numbers) + sum(numbers[-2:])
    assert np.array_equal(made.decode(data, colors), pixels)
    with pytest.raises(FileFormatError):
        made.decode(data[:-1], colors)


def test_the_decoded_gray_of_compressai_is_the_mean_of_its_colors(compressai: list[dict[str, Any]]) -> None:
    made = build("codec", "compressai", {})
    flat = np.repeat(np.array([30, 60, 90], np.uint8), 64 * 64).reshape(3, 64, 64)
    assert (made.decode(made.encode(flat, 1), 1) == 60).all()


def test_weights_of_compressai_that_cannot_be_loaded_are_named(
    compressai: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setitem(sys.modules["compressai.zoo"].image_models, "bmshj2018-factorized", fail)
    with pytest.raises(ComponentError, match="weights of bmshj2018-factorized cannot be loaded: no route to host"):
        build("codec", "compressai", {})
