"""Loading of the pixels of `.omega` files in Pillow."""

import copy
import gc
import io
import pickle

import numpy as np
import pytest
from PIL import Image, ImageFile

import omega_core.pillow
import omega_core.pillow.models
from omega_core.codec.loading import load_model
from omega_core.errors import CutOffError, DamagedFileError, NotEnoughMemoryError, WrongModelError
from omega_core.format.file import OmegaFile


def damaged(data):
    return data[:-10] + bytes([data[-10] ^ 1]) + data[-9:]


def test_pixels_are_those_of_the_model(path, data, model, photo):
    with Image.open(path) as image:
        assert image.getpixel((3, 4)) == photo.getpixel((3, 4))
        assert image.tobytes() == model.decompress(data).tobytes() == photo.tobytes()


def test_loading_again_decodes_nothing(path, monkeypatch):
    with Image.open(path) as image:
        image.load()
        monkeypatch.setattr(omega_core.pillow.models, "_added", {})  # no model, no decoding
        pixels = image.load()
        assert pixels[3, 4] == image.getpixel((3, 4))


def test_a_file_that_pillow_opened_is_closed_when_it_is_loaded(path):
    image = Image.open(path)
    file = image.fp
    image.load()
    assert file.closed
    path.unlink()
    assert image.tobytes()
    del image, file
    gc.collect()  # a file left open would be a warning, which is an error


def test_a_file_of_the_caller_stays_open_and_can_be_used_again(path):
    with path.open("rb") as file:
        for _ in range(2):
            with Image.open(file) as image:
                image.load()
            assert not file.closed


def test_an_image_that_was_loaded_outlives_its_context_and_others_do_not(path):
    with Image.open(path) as loaded:
        loaded.load()
    assert loaded.getpixel((0, 0))
    with Image.open(path) as image:
        pass
    with pytest.raises(ValueError, match="closed"):
        image.load()
    loaded.close()
    with pytest.raises(ValueError, match="closed"):
        loaded.load()


@pytest.mark.parametrize("copied", [lambda image: pickle.loads(pickle.dumps(image)), copy.copy, copy.deepcopy])
def test_an_image_is_pickled_and_copied_with_its_pixels(path, photo, copied):
    with Image.open(path) as image:
        other = copied(image)
    assert (other.mode, other.size, other.info) == (image.mode, image.size, image.info)
    assert other.tobytes() == photo.tobytes()
    other.load()
    other.putpixel((0, 0), (1, 2, 3))
    assert image.tobytes() == photo.tobytes()


def test_a_copy_and_a_gray_image_can_be_drawn_into(through, noise_picture):
    gray = through(Image.fromarray(noise_picture(8, 8)))
    before = gray.copy()
    gray.putpixel((0, 0), 255 - before.getpixel((0, 0)))
    gray.paste(7, (2, 2, 4, 4))
    assert gray.getpixel((0, 0)) == 255 - before.getpixel((0, 0))
    assert (gray.getpixel((3, 3)), gray.getpixel((7, 7))) == (7, before.getpixel((7, 7)))


def test_a_file_that_arrives_in_pieces_is_parsed(data, photo):
    with ImageFile.Parser() as parser:
        for start in range(0, len(data), 50):
            parser.feed(data[start : start + 50])
        assert parser.image.size == photo.size
    assert parser.image.tobytes() == photo.tobytes()


def test_damage_is_an_error_each_time(data):
    image = Image.open(io.BytesIO(damaged(data)))
    for _ in range(2):
        with pytest.raises(OSError, match="its checksum does not match") as raised:
            image.load()
        assert isinstance(raised.value.__cause__, DamagedFileError)


@pytest.mark.parametrize("gone", [1, 4, 20, 200])
def test_what_breaks_off_is_an_error_unless_it_is_asked_for(data, model, monkeypatch, gone):
    with pytest.raises(OSError, match="the file is incomplete") as raised:
        Image.open(io.BytesIO(data[:-gone])).load()
    assert isinstance(raised.value.__cause__, CutOffError)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    image = Image.open(io.BytesIO(data[:-gone]))
    assert image.tobytes() == model.decompress(data[:-gone], partial=True).tobytes()


def test_of_a_file_without_a_stream_there_is_nothing_to_decode(data, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    header = OmegaFile.parse(data).header.to_bytes()
    with pytest.raises(OSError, match="Nothing can be decoded"):
        Image.open(io.BytesIO(header)).load()


def test_damage_is_an_error_even_where_what_breaks_off_is_not(data, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(OSError, match="its checksum does not match"):
        Image.open(io.BytesIO(damaged(data))).load()


def test_verifying_finds_what_loading_would_find(data, path):
    with Image.open(path) as image:
        file = image.fp
        image.verify()
        assert file.closed
        with pytest.raises(ValueError, match="closed"):
            image.load()
    for broken in (damaged(data), data[:-1], data + b"\0"):
        with pytest.raises(OSError, match="the file"):
            Image.open(io.BytesIO(broken)).verify()


def test_verifying_needs_no_model(path, monkeypatch):
    monkeypatch.setattr(omega_core.pillow.models, "_added", {})
    with Image.open(path) as image:
        image.verify()


def test_a_file_of_a_model_that_is_not_there_says_which_and_what_to_do(path, model, monkeypatch, tmp_path):
    monkeypatch.setattr(omega_core.pillow.models, "_added", {})
    image = Image.open(path)
    with pytest.raises(OSError, match=f"the model {model.fingerprint[:8]}, which is not installed. Give its") as raised:
        image.load()
    assert isinstance(raised.value.__cause__, WrongModelError)
    omega_core.pillow.add_model(str(tmp_path / "local3.safetensors"))
    image.load()


def test_the_limits_of_an_added_model_hold(data, tmp_path):
    omega_core.pillow.add_model(load_model(tmp_path / "local3.safetensors", max_memory=1))
    with pytest.raises(OSError, match=r"allow more with max_memory \(--max-memory\)") as raised:
        Image.open(io.BytesIO(data)).load()
    assert isinstance(raised.value.__cause__, NotEnoughMemoryError)


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 2), (9, 7, 3), (9, 7, 4)])
def test_all_modes_come_back(through, noise_picture, shape):
    pixels = noise_picture(*shape) | np.uint8(1)  # all pixels are visible
    image = through(Image.fromarray(pixels))
    assert image.mode == {(): "L", (2,): "LA", (3,): "RGB", (4,): "RGBA"}[shape[2:]]
    assert np.array_equal(np.asarray(image), pixels)
