"""Limits on the number of pixels."""

import io

import numpy as np
import pytest
from image_samples import oriented, png_of, saved
from PIL import Image

from omega_core.errors import ImageError
from omega_core.images.pictures import MAX_PIXELS
from omega_core.images.reading import read_picture
from omega_core.images.writing import png


@pytest.fixture
def small_file(file_of):
    """A picture of 24 pixels."""
    return file_of(png(Image.new("L", (6, 4), 9)))


def test_a_picture_with_as_many_pixels_as_allowed_is_taken(small_file):
    for given_as in (small_file, Image.new("L", (6, 4), 9), np.full((4, 6), 9, np.uint8)):
        assert (read_picture(given_as, max_pixels=24).pixels == 9).all()


@pytest.mark.parametrize(
    "given_as", [Image.new("L", (6, 4)), np.zeros((4, 6), np.uint8), np.zeros((4, 6, 3), np.uint8)]
)
def test_a_picture_with_more_pixels_than_allowed_is_refused(given_as):
    for limit in (1, 11, 12, 23):
        with pytest.raises(ImageError, match=f"6×4 pixels are more than {limit}"):
            read_picture(given_as, max_pixels=limit)


def test_a_file_with_far_more_pixels_than_allowed_is_refused(small_file):
    with pytest.raises(ImageError, match="6×4 pixels are more than 11"):
        read_picture(small_file, max_pixels=11)


def test_a_turned_picture_has_no_more_pixels_than_stored(file_of):
    path = file_of(saved(Image.new("L", (6, 4)), "PNG", exif=oriented(6)))
    assert read_picture(path, max_pixels=24).size == (6, 4)


def test_an_image_with_too_many_pixels_is_refused_before_it_is_loaded(small_file, monkeypatch):
    with Image.open(small_file) as image:
        monkeypatch.setattr(image, "load", lambda: pytest.fail("it was loaded"))
        with pytest.raises(ImageError, match="6×4 pixels are more than 23"):
            read_picture(image, max_pixels=23)


def test_a_file_that_claims_many_pixels_takes_no_memory_for_them(file_of):
    path = file_of(png_of(60_000, 60_000, 8, 2, [b""]))
    with pytest.raises(ImageError, match=f"more than {MAX_PIXELS}"):
        read_picture(path)


@pytest.mark.parametrize("limit", [11, 12, 23])
def test_more_pixels_than_pillow_takes_are_taken_where_they_are_allowed(small_file, monkeypatch, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert (read_picture(small_file, max_pixels=24).pixels == 9).all()
    with Image.open(io.BytesIO(saved(Image.new("L", (2, 2)), "PNG"))) as image:
        assert read_picture(image, max_pixels=24).size == (2, 2)


@pytest.mark.parametrize("before", [None, 5, 10**9])
def test_the_limit_of_pillow_is_as_before_after_a_picture_and_after_an_error(
    small_file, tmp_path, file_of, monkeypatch, before
):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", before)
    read_picture(small_file, max_pixels=24)
    assert before == Image.MAX_IMAGE_PIXELS
    refused = [tmp_path / "missing.png", tmp_path, file_of(b"hello", "no picture"), Image.new("F", (2, 2)), 3]
    for given_as in refused:
        with pytest.raises(ImageError):
            read_picture(given_as)
        assert before == Image.MAX_IMAGE_PIXELS
    with pytest.raises(ImageError):
        read_picture(small_file, max_pixels=3)
    assert before == Image.MAX_IMAGE_PIXELS


def test_the_limit_of_pillow_is_as_before_after_an_interruption(failing_format):
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(KeyboardInterrupt):
        read_picture(failing_format("loaded", KeyboardInterrupt()), max_pixels=100)
    assert before == Image.MAX_IMAGE_PIXELS
    assert read_picture(Image.new("L", (2, 2))).size == (2, 2)


def test_as_many_pixels_are_taken_as_pillow_takes_without_a_warning():
    assert MAX_PIXELS == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("limit", [12, 23])
def test_a_file_with_a_few_more_pixels_than_allowed_is_refused_without_a_warning(file_of, limit):
    path = file_of(saved(Image.new("L", (6, 4)), "PNG"))
    with pytest.raises(ImageError, match=f"more than {limit}"):
        read_picture(path, max_pixels=limit)


def test_a_webp_that_claims_many_pixels_is_refused_before_pillow_makes_a_canvas(file_of, monkeypatch):
    claimed = (12_999).to_bytes(3, "little") * 2
    data = b"RIFF" + (22).to_bytes(4, "little") + b"WEBPVP8X" + (10).to_bytes(4, "little") + bytes(4) + claimed
    monkeypatch.setitem(Image.OPEN, "WEBP", (lambda *_: pytest.fail("it was opened"), Image.OPEN["WEBP"][1]))
    for source in (file_of(data), data):
        with pytest.raises(ImageError, match="13000×13000 pixels are more than 89478485"):
            read_picture(source)
