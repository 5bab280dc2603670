"""Limits on the number of pixels."""

import tracemalloc

import numpy as np
import pytest
from model_samples import forged
from PIL import Image

import omega_core
import omega_core.codec.model
import omega_core.plugins.registry
from omega_core.codec.loading import load_model
from omega_core.errors import (
    CoderError,
    ImageError,
)
from omega_core.images.pictures import MAX_PIXELS, Picture


def test_a_model_makes_no_file_that_it_would_not_read(model_file, noise_picture, monkeypatch):
    model = load_model(model_file(), max_pixels=99)
    small, large = Picture(noise_picture(1, 8, 12)), Picture(noise_picture(1, 10, 10))
    model.decompress(model.compress(small))
    for picture in (large, large.to_pillow()):
        with pytest.raises(ImageError, match="10×10 pixels are more than 99"):
            model.compress(picture)
    with pytest.raises(ImageError, match="10×10 pixels are more than 99"):
        model.encode_together([small, large])
    monkeypatch.setattr("omega_core.codec.model.MAX_SHARED_PIXELS", 200)
    model.decompress_all(model.encode_together([small, small]).to_bytes())
    with pytest.raises(ImageError, match="one file has at most 200 pixels, not 288"):
        model.encode_together([small] * 3)


@pytest.fixture
def idle(monkeypatch):
    """Makes a model whose transforms and coder must not be asked."""

    def make(model):
        def fail(*_, **__):
            pytest.fail("too many pixels were worked on")

        for name in ("analysis", "synthesis", "latent_size"):
            monkeypatch.setattr(type(model.codec.architecture), name, fail)
        for name in ("symbols", "latent"):
            monkeypatch.setattr(type(model.codec.quantizer), name, fail)
        monkeypatch.setattr(omega_core.codec.model, "_coder", fail)
        return model

    return make


def test_too_many_pixels_are_refused_before_anything_is_made_of_them(model_file, noise_picture, tmp_path, idle):
    path = model_file(block=8)
    picture = noise_picture(16, 24)
    Image.fromarray(picture).save(tmp_path / "a.png")
    fits = load_model(path, max_pixels=16 * 24)
    data = fits.compress(tmp_path / "a.png")
    assert (np.asarray(fits.decompress(data)) == picture).all()
    model = idle(load_model(path, max_pixels=16 * 24 - 1))
    for given in (picture, Image.fromarray(picture), tmp_path / "a.png", str(tmp_path / "a.png")):
        for ask in (model.compress, model.encode, model.reconstruct, model.read):
            with pytest.raises(ImageError, match="24×16 pixels are more than 383"):
                ask(given)
    for ask in (
        model.decompress,
        model.decompress_all,
        model.decode,
        lambda it: next(model.decompress_progressively(it)),
    ):
        with pytest.raises(CoderError, match="the file has 24×16 pixels, more than 383"):
            ask(data)


def test_pixels_of_several_pictures_count_each_and_all(model_file, several, idle):
    path = model_file(block=8)
    parsed = load_model(path).encode_together(several)
    data = parsed.to_bytes()
    assert len(load_model(path, max_pixels=16 * 24).decompress_all(data)) == 3
    with pytest.raises(CoderError, match="the file has 24×16 pixels, more than 383"):
        idle(load_model(path, max_pixels=16 * 24 - 1)).decompress_all(data)
    many = forged(data, sizes=((256, 256),) * 17)  # 17 pictures of 2¹⁶ pixels
    with pytest.raises(CoderError, match=f"the file has {17 << 16} pixels in all, more than {1 << 20}"):
        idle(load_model(path, max_pixels=1 << 16)).decompress_all(many)


def test_a_file_that_claims_more_pixels_than_are_taken_takes_no_memory_for_them(model, picture, idle):
    data = model.compress(picture)
    claims = [
        forged(data, sizes=((1 << 27, 1 << 27),)),
        forged(data, sizes=((9460, 9460),)),
        forged(data, sizes=((9400, 1000),) * 64),
    ]
    idle(model)
    tracemalloc.start()
    try:
        for claim in claims:
            with pytest.raises(CoderError, match=rf"pixels(?: in all)?, more than {MAX_PIXELS}"):
                model.decompress_all(claim)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
