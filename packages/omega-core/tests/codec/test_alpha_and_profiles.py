"""Color modes, alpha and ICC profiles."""

import tracemalloc
import zlib

import numpy as np
import pytest
from model_samples import forged, gray_profile
from PIL import Image

from omega_core.codec.loading import load_model
from omega_core.errors import (
    DamagedFileError,
    WrongModelError,
)
from omega_core.format.file import OmegaFile
from omega_core.images.alpha_and_profile import compress_planes


@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 2)])
def test_a_model_for_rgb_takes_gray_and_gives_gray_back(model_file, noise_picture, shape):
    model, picture = load_model(model_file(colors=3)), noise_picture(*shape) | np.uint8(1)  # all pixels are visible
    data = model.compress(picture)
    image = model.decompress(data)
    assert OmegaFile.parse(data).header.mode == image.mode == ("L" if len(shape) == 2 else "LA")
    assert (np.asarray(image) == picture).all()
    assert (np.asarray(model.reconstruct(picture)) == picture).all()
    rgb = model.decompress(forged(data, mode="RGB" if len(shape) == 2 else "RGBA"))
    assert (np.asarray(rgb)[:, :, :3] == picture.reshape(6, 8, -1)[:, :, :1]).all()


@pytest.mark.parametrize(("colors", "mode"), [(1, "LA"), (3, "RGBA")])
def test_alpha_comes_back_whatever_the_rate(model_file, noise_picture, tmp_path, colors, mode):
    model = load_model(model_file(colors=colors, block=4))
    picture = noise_picture(8, 12, colors + 1) | np.uint8(1)  # all pixels are visible
    Image.fromarray(picture).save(tmp_path / "a.png")
    files = [model.compress(given) for given in (picture, Image.fromarray(picture), tmp_path / "a.png")]
    assert files[0] == files[1] == files[2]
    image = model.decompress(files[0])
    assert image.mode == OmegaFile.parse(files[0]).header.mode == mode
    assert (np.asarray(image) == picture).all()
    worst = model.decompress(model.compress(picture, channels=1))
    assert (np.asarray(worst)[:, :, -1] == picture[:, :, -1]).all()
    assert (np.asarray(worst) != picture).any()
    assert (np.asarray(model.reconstruct(picture, channels=1)) == np.asarray(worst)).all()


def test_alpha_where_all_is_opaque_takes_three_bytes(model, noise_picture):
    gray = noise_picture(8, 8)
    opaque = np.stack([gray, np.full_like(gray, 255)], axis=2)
    data = model.compress(opaque)
    assert len(data) == len(model.compress(gray)) + 3
    image = model.decompress(data)
    assert image.mode == "LA"
    assert (np.asarray(image) == opaque).all()


@pytest.mark.parametrize(
    "alpha",
    [
        b"\0",
        b"nothing",
        compress_planes([np.zeros((8, 7), np.uint8)]),
        compress_planes([np.zeros((8, 9), np.uint8)]),
        compress_planes([np.zeros((8, 8), np.uint8)])[:-1],
        compress_planes([np.zeros((8, 8), np.uint8)]) + b"\0",
        zlib.compress(bytes(1 << 24), 9),
    ],
)
def test_alpha_that_is_not_as_it_has_to_be_is_damage(model, noise_picture, alpha):
    data = model.compress(noise_picture(8, 8, 2))
    tracemalloc.start()
    try:
        with pytest.raises(DamagedFileError, match="its alpha"):
            model.decompress(forged(data, alpha=alpha))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_alpha_of_another_models_file_is_not_decompressed(model, noise_picture):
    file = forged(model.compress(noise_picture(8, 8, 2)), alpha=b"nothing", fingerprint=bytes(4))
    for decompress in (model.decompress, lambda data: model.decompress_each([data])):
        with pytest.raises(WrongModelError):
            decompress(file)


def test_a_profile_comes_back(model, noise_picture):
    picture = Image.fromarray(noise_picture(8, 8))
    plain = model.compress(picture)
    picture.info["icc_profile"] = gray_profile(b"and more")
    data = model.compress(picture)
    assert OmegaFile.parse(data).stream == OmegaFile.parse(plain).stream
    assert model.decompress(data).info["icc_profile"] == gray_profile(b"and more")
    assert "icc_profile" not in model.decompress(plain).info


@pytest.mark.parametrize("profile", [b"nothing", zlib.compress(b"a")[:-1], zlib.compress(bytes((1 << 22) + 1))])
def test_a_profile_that_is_not_as_it_has_to_be_is_damage(model, noise_picture, profile):
    with pytest.raises(DamagedFileError, match="its ICC profile"):
        model.decompress(forged(model.compress(noise_picture(8, 8)), profile=profile))
