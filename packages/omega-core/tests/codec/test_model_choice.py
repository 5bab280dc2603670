"""Which of two models `ModelChoice` encodes with. Of the toys here, the one with more levels is better at any size."""

import warnings

import numpy as np
import pytest

import omega_core
from omega_core.codec import loading
from omega_core.codec.loading import load_model
from omega_core.codec.model_choice import ModelChoice, looks_drawn
from omega_core.errors import ImageError, OmegaWarning, RateError
from omega_core.format.file import OmegaFile
from omega_core.images.metrics import psnr


@pytest.fixture
def models(model_file):
    """Two models: one that tells 16 levels of gray apart, and one that tells all."""
    return [load_model(model_file(block=4, levels=levels, name=f"levels{levels}")) for levels in (16, 256)]


@pytest.fixture
def drawn():
    """A white picture (32, 48) with gray marks."""
    picture = np.full((32, 48), 255, np.uint8)
    picture[4:20:3, 5:30:4] = 100
    return picture


@pytest.fixture
def photo(noise_picture):
    return noise_picture(32, 48)


def made_with(data):
    return OmegaFile.parse(data).header.fingerprint.hex()


def is_of(data, model):
    return model.fingerprint.startswith(made_with(data))


def choice_of(photos, screens):
    return ModelChoice(photos, lambda: screens)


def never():
    raise AssertionError("the second model is not needed")


def test_drawn_pictures_have_many_blocks_of_one_color(drawn, photo):
    assert looks_drawn(drawn[None])
    assert not looks_drawn(photo[None])
    assert looks_drawn((photo[None] > 127) * np.uint8(255)), "two values, as of dithered pictures"
    assert looks_drawn(np.full((3, 9, 17), 7, np.uint8))
    assert not looks_drawn(np.full((3, 7, 100), 7, np.uint8)), "it has no whole block"
    third = np.concatenate([photo, photo, np.zeros_like(photo)])
    assert looks_drawn(third[None])
    half = np.broadcast_to(np.arange(48) < 24, (32, 48))
    assert not looks_drawn(np.where(half, photo, 0)[None], half), "blocks of one color, but invisible"
    assert looks_drawn(np.where(half, drawn, photo)[None], half)
    assert looks_drawn(photo[None], np.zeros((32, 48), bool)), "no visible values are few"
    colors = np.stack([drawn, photo, drawn])
    assert not looks_drawn(colors), "a block of one color has it in all three"


@pytest.mark.parametrize("limit", [{}, {"max_bytes": 700}, {"bpp": 3.0}, {"psnr": 20.0}])
def test_a_photo_is_encoded_with_the_first_model_alone(models, photo, limit):
    coarse, _ = models
    assert ModelChoice(coarse, never).compress(photo, **limit) == coarse.compress(photo, **limit)


@pytest.mark.parametrize("limit", [{"max_bytes": 700}, {"bpp": 3.0}])
def test_a_drawn_picture_is_encoded_with_the_better_model(models, drawn, limit):
    coarse, fine = models
    for photos, screens in (models, models[::-1]):
        data = choice_of(photos, screens).compress(drawn, **limit)
        assert data == fine.compress(drawn, **limit)
        assert psnr(drawn[None], fine.decompress_picture(data).pixels) > psnr(
            drawn[None], coarse.decompress_picture(coarse.compress(drawn, **limit)).pixels
        )


def test_without_a_limit_the_other_model_has_the_bytes_of_the_first(models, drawn):
    coarse, fine = models
    size = len(coarse.compress(drawn))
    data = choice_of(coarse, fine).compress(drawn)
    assert is_of(data, fine)
    assert len(data) <= size
    assert is_of(choice_of(fine, coarse).compress(drawn), fine)


def test_of_files_that_reach_a_psnr_the_smaller_one_is_taken(models, drawn):
    for photos, screens in (models, models[::-1]):
        data = choice_of(photos, screens).compress(drawn, psnr=12.0)
        assert len(data) == min(len(model.compress(drawn, psnr=12.0)) for model in models)


def test_what_the_first_model_does_not_reach_is_encoded_with_the_other(models, photo):
    coarse, fine = models
    choice = choice_of(coarse, fine)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert is_of(choice.compress(photo, psnr=45.0), fine)
        assert is_of(choice.compress(photo, max_bytes=1 << 20), fine)
        assert is_of(choice_of(fine, coarse).compress(photo, max_bytes=1 << 20), fine)
    assert is_of(choice.compress(photo, psnr=25.0), coarse)


def test_a_psnr_that_no_model_reaches_warns_once_with_the_better_one(model_file, photo):
    coarse, finer = (load_model(model_file(block=4, levels=levels, name=f"at{levels}")) for levels in (8, 16))
    for photos, screens in ((coarse, finer), (finer, coarse)):
        with pytest.warns(OmegaWarning, match=r"picture 0: cannot reach 90 dB") as caught:
            [data] = choice_of(photos, screens).compress([photo], psnr=90.0)
        assert len(caught) == 1
        assert is_of(data, finer)


@pytest.mark.parametrize("limit", [{"channels": 5}, {"fraction": 0.5}])
def test_channels_are_those_of_the_first_model(models, drawn, limit):
    coarse, _ = models
    assert ModelChoice(coarse, never).compress(drawn, **limit) == coarse.compress(drawn, **limit)


@pytest.mark.parametrize("limit", [{}, {"max_bytes": 300}, {"psnr": 12.0}])
@pytest.mark.parametrize(("name", "value"), [("max_memory", 1), ("max_pixels", 100), ("tile_size", 3)])
def test_the_first_model_is_taken_where_the_other_refuses(models, drawn, monkeypatch, caplog, limit, name, value):
    coarse, fine = models
    monkeypatch.setattr(fine, name, value)
    with caplog.at_level("INFO"):
        assert ModelChoice(coarse, fine).compress(drawn, **limit) == coarse.compress(drawn, **limit)
    assert "not encoded with the model for screens: " in caplog.text


def test_the_first_model_is_taken_where_the_smallest_file_of_the_other_is_larger(models, drawn, monkeypatch):
    coarse, fine = models

    def refused(*_, **__):
        raise RateError("the smallest file is larger")

    monkeypatch.setattr(fine, "encode_towards", refused)
    assert ModelChoice(coarse, fine).compress(drawn, max_bytes=300) == coarse.compress(drawn, max_bytes=300)


def test_the_second_model_is_loaded_once_and_only_if_needed(models, drawn, photo):
    coarse, fine = models
    loaded = []

    def load():
        loaded.append(fine)
        return fine

    choice = ModelChoice(coarse, load)
    choice.compress(photo)
    assert loaded == []
    assert choice.compress([drawn, drawn]) == [ModelChoice(coarse, fine).compress(drawn)] * 2
    assert loaded == [fine]
    assert omega_core.compress(drawn, choice, max_bytes=700) == choice.compress(drawn, max_bytes=700)


@pytest.mark.parametrize("mode", ["LA", "L"])
def test_alpha_is_kept_by_either_model(models, drawn, mode):
    alpha = np.arange(drawn.size, dtype=np.uint8).reshape(drawn.shape)
    picture = np.stack([drawn, alpha], axis=-1) if mode == "LA" else drawn
    for photos, screens in (models, models[::-1]):
        data = ModelChoice(photos, screens).compress(picture, max_bytes=1500)
        assert is_of(data, models[1])
        assert OmegaFile.parse(data).header.mode == mode


@pytest.mark.parametrize("limit", [{}, {"max_bytes": 700}, {"psnr": 12.0}])
def test_an_effort_is_for_the_first_model(models, drawn, photo, monkeypatch, limit):
    asked = []
    for name, model in zip(("coarse", "fine"), models, strict=True):
        original = model.encode_towards

        def encode(picture, rate, *, coder=None, effort=0, name=name, original=original):
            asked.append((name, effort))
            return original(picture, rate, coder=coder)

        monkeypatch.setattr(model, "encode_towards", encode)
        monkeypatch.setattr(model, "check_effort", lambda _: None)
    coarse, fine = models
    choice_of(coarse, fine).compress(drawn, effort=2, **limit)
    assert asked == [("coarse", 2), ("fine", 0)]
    asked.clear()
    choice_of(coarse, fine).compress(photo, effort=2, **limit)
    assert asked == [("coarse", 2)]


def test_errors_are_those_of_a_model(models, drawn):
    choice = choice_of(*models)
    with pytest.raises(RateError):
        choice.compress(drawn, bpp=1.0, psnr=30.0)
    with pytest.raises(RateError):
        choice.compress(drawn, max_bytes=3)
    with pytest.raises(RateError, match="effort"):
        choice.compress(drawn, effort=9)
    with pytest.raises(ImageError, match="picture 0 of the batch"):
        choice.compress([np.zeros((3, 3), np.uint8)])


def test_compress_chooses_where_no_model_is_named(models, drawn, photo, monkeypatch):
    coarse, fine = models
    by_name = {"photos": coarse, "screens": fine}
    monkeypatch.setattr(loading, "load_model_once", by_name.__getitem__)
    monkeypatch.setattr(loading, "default_model", lambda: "photos")
    monkeypatch.setattr(loading, "screen_model", lambda: "screens")
    found = omega_core.compress([photo, drawn], max_bytes=700)
    assert found == [coarse.compress(photo, max_bytes=700), fine.compress(drawn, max_bytes=700)]
    assert omega_core.compress(drawn, coarse, max_bytes=700) == coarse.compress(drawn, max_bytes=700)
    monkeypatch.setattr(loading, "screen_model", lambda: None)
    assert omega_core.compress(drawn, max_bytes=700) == coarse.compress(drawn, max_bytes=700)
