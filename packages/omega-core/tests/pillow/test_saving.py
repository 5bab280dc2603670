"""Saving of Pillow images as `.omega` files."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

import omega_core.pillow.models
from omega_core.errors import ImageError, OmegaWarning, RateError
from omega_core.pillow.models import model_by_name

PROFILE = bytes(16) + b"RGB " + bytes(20)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"channels": 3},
        {"channels": np.int64(3)},
        {"fraction": 0.25},
        {"bpp": 9.0},
        {"max_bytes": 500},
        {"psnr": 10.0},
        {"coder": "other"},
    ],
)
def test_options_are_those_of_compress(model, photo, tmp_path, options, add_toy, toys):
    class Other(toys.TwoBytes):
        pass

    add_toy("coder", Other)
    photo.save(tmp_path / "a.omega", model=model, **options)
    assert (tmp_path / "a.omega").read_bytes() == model.compress(photo, **options)


def test_an_image_is_saved_to_a_path_and_to_a_file(model, photo, data, tmp_path):
    photo.save(str(tmp_path / "b.OMEGA"), model=model)
    file = io.BytesIO(b"before")
    file.seek(6)
    photo.save(file, "omega", model=model)
    assert (tmp_path / "b.OMEGA").read_bytes() == data
    assert file.getvalue() == b"before" + data


def test_an_opened_file_is_saved_again(path, model, tmp_path):
    with Image.open(path) as image:
        image.save(tmp_path / "b.omega", model=model)
        image.save(tmp_path / "b.png")
    assert (tmp_path / "b.omega").read_bytes() == path.read_bytes()


def test_an_opened_file_is_saved_in_its_own_place(path, data, model):
    with Image.open(path) as image:
        image.save(path, model=model, channels=3)
    assert path.read_bytes() == model.compress(model.decompress(data), channels=3)


@pytest.mark.parametrize("mode", ["1", "La", "P", "PA", "RGBX", "RGBa", "YCbCr", "HSV", "LAB"])
def test_other_modes_are_converted(through, mode):
    plain = {"1": "L", "La": "LA", "P": "RGB", "PA": "RGBA", "RGBX": "RGB", "RGBa": "RGBA"}.get(mode, "RGB")
    image = Image.new(mode, (6, 4))
    with through(image) as opened:
        assert (opened.mode, opened.size) == (plain, (6, 4))


@pytest.mark.parametrize(("mode", "remark"), [("I;16", "16 bits are reduced"), ("CMYK", "CMYK")])
def test_what_a_conversion_loses_is_a_warning(through, mode, remark):
    with pytest.warns(OmegaWarning, match=remark):
        through(Image.new(mode, (6, 4)))


@pytest.mark.parametrize("mode", ["F", "I"])
def test_modes_of_unknown_white_are_refused_and_leave_no_file(model, mode, tmp_path):
    with pytest.raises(OSError, match=f"cannot write mode {mode} as OMEGA") as raised:
        Image.new(mode, (6, 4)).save(tmp_path / "a.omega", model=model)
    assert isinstance(raised.value.__cause__, ImageError)
    assert not (tmp_path / "a.omega").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"channels": 0}, "this model has 1 to 12"),
        ({"channels": 2.5}, "channels is a whole number, not 2.5"),
        ({"bpp": "1"}, "bpp is a number, not '1'"),
        ({"bpp": 1.0, "psnr": 30.0}, "give only one of bpp and psnr"),
        ({"max_bytes": 3}, "3 bytes are not enough"),
        ({"coder": "none"}, "there is no coder 'none'"),
        ({"model": "none"}, "there is no model 'none'"),
        ({"model": "none.safetensors"}, "there is no model"),
        ({"coder": 3}, "a coder is a name, not 3"),
        ({"model": 3}, "a model is a name, a path or a loaded one, not 3"),
    ],
)
def test_a_wrong_option_is_a_value_error(through, photo, options, says):
    with pytest.raises(ValueError, match=says):
        through(photo, **options)


def test_the_cause_of_an_error_is_ours(through, photo):
    with pytest.raises(ValueError, match="a finite number above 0") as raised:
        through(photo, bpp=-1.0)
    assert isinstance(raised.value.__cause__, RateError)


def test_options_of_other_formats_are_ignored_as_pillow_does(through, photo):
    assert through(photo, quality=85, optimize=True, exif=b"Exif\0\0").tobytes() == photo.tobytes()


def test_a_profile_is_kept_replaced_and_dropped(through, photo):
    assert "icc_profile" not in through(photo).info
    assert through(photo, icc_profile=PROFILE).info["icc_profile"] == PROFILE
    photo.info["icc_profile"] = PROFILE
    assert through(photo).info["icc_profile"] == PROFILE
    assert through(photo, icc_profile=PROFILE + b"2").info["icc_profile"] == PROFILE + b"2"
    for nothing in (None, b"", ""):
        assert "icc_profile" not in through(photo, icc_profile=nothing).info
    assert photo.info["icc_profile"] == PROFILE


def test_an_image_is_saved_upright(through, photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as turned, through(turned) as upright:
        assert upright.size == (20, 30)
        assert upright.tobytes() == photo.transpose(Image.Transpose.ROTATE_270).tobytes()


def test_saving_warns_of_nothing(through, path):
    with warnings.catch_warnings(), Image.open(path) as image:
        warnings.simplefilter("error")
        through(image)


def test_a_model_file_is_loaded_once_and_again_when_it_has_changed(model_file, add_toy):
    path = model_file(block=2)
    first = model_by_name(path)
    assert model_by_name(str(path)) is first
    assert model_by_name(model_file(block=4)).fingerprint != first.fingerprint


def test_pictures_may_have_as_many_pixels_as_pillow_lets_them(model_file, toys):
    assert model_by_name(model_file()).max_pixels > 1 << 40


def test_an_added_model_is_kept(model):
    assert omega_core.pillow.models.decoding_model(bytes.fromhex(model.fingerprint)[:4]) is model
