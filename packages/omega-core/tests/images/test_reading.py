"""The sources of a picture: arrays, images, paths and open files."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from image_samples import SRGB, colors_last, png_of, saved
from PIL import Image

import omega_core.images.reading
from omega_core.errors import ImageError, OmegaWarning
from omega_core.images.pictures import Picture
from omega_core.images.reading import is_picture_name, read_picture
from omega_core.images.writing import png, to_pillow


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 2), (4, 6, 3), (4, 6, 4)])
def test_a_picture_is_the_same_as_array_image_and_file(tmp_path, noise_picture, shape):
    array = noise_picture(*shape)
    values = array.reshape(4, 6, -1)
    colors = values.shape[2] - (values.shape[2] in (2, 4))
    Image.fromarray(array).save(tmp_path / "picture.png")
    for given_as in (array, Image.fromarray(array), tmp_path / "picture.png", str(tmp_path / "picture.png")):
        picture = read_picture(given_as)
        assert picture.pixels.dtype == np.uint8
        assert (picture.size, picture.profile) == ((4, 6), b"")
        assert picture.pixels.shape == (colors, 4, 6)
        assert (colors_last(picture) == values[:, :, :colors]).all()
        if colors == values.shape[2]:
            assert picture.alpha is None
        else:
            assert picture.alpha.dtype == np.uint8
            assert (picture.alpha == values[:, :, -1]).all()
        assert picture.mode == {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[values.shape[2]]


@given(st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4)).flatmap(lambda s: arrays(np.uint8, s)))
def test_any_array_becomes_the_same_image(array):
    image = read_picture(array).to_pillow()
    assert (np.asarray(image).reshape(array.shape) == array).all()


def test_an_array_may_be_read_only_or_seen_in_another_order(noise_picture):
    array = noise_picture(4, 6, 4)
    array.flags.writeable = False
    for seen in (array, array[::-1], array[:, ::-2], array.transpose(1, 0, 2)):
        picture = read_picture(seen)
        assert (colors_last(picture) == seen[:, :, :3]).all()
        assert (picture.alpha == seen[:, :, 3]).all()


@pytest.mark.parametrize(
    ("form", "options"),
    [("GIF", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("PNG", {}), ("AVIF", {"quality": 100})],
)
def test_the_first_of_several_pictures_is_taken_with_a_warning(file_of, form, options):
    first, *others = [Image.new("RGB", (16, 8), (level, level, level)) for level in (40, 120, 200)]
    path = file_of(saved(first, form, save_all=True, append_images=others, **options), f"several.{form}")
    with pytest.warns(OmegaWarning, match=rf"several\.{form}: only the first of its pictures is used\.$"):
        picture = read_picture(path)
    assert picture.size == (8, 16)
    assert np.abs(picture.pixels.astype(int) - 40).max() <= 2


@pytest.mark.parametrize("form", ["GIF", "WEBP", "TIFF", "PNG", "AVIF"])
def test_a_single_picture_in_a_format_for_several_does_not_warn(file_of, form):
    path = file_of(saved(Image.new("RGB", (16, 8), (40, 40, 40)), form, save_all=True))
    assert read_picture(path).size == (8, 16)


def test_previews_beside_a_photo_do_not_matter(file_of):
    photo, preview = Image.new("RGB", (16, 8), (40, 40, 40)), Image.new("RGB", (8, 8), (200, 200, 200))
    path = file_of(saved(photo, "MPO", save_all=True, append_images=[preview]))
    with Image.open(path) as image:
        assert (image.format, image.n_frames) == ("MPO", 2)
    picture = read_picture(path)
    assert picture.size == (8, 16)
    assert np.abs(picture.pixels.astype(int) - 40).max() <= 2


def test_a_picture_that_pillow_warns_of_is_read_and_the_warning_left_to_the_caller(file_of):
    path = file_of(png_of(2, 1, 8, 0, [b"\1\2"], (b"acTL", bytes(8))))
    with pytest.warns(UserWarning, match="Invalid APNG"):
        assert read_picture(path).pixels.tolist() == [[[1, 2]]]


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint16, np.bool_])
def test_an_array_that_is_not_8_bits_is_refused(dtype):
    with pytest.raises(ImageError, match=f"an array of {np.dtype(dtype)} is not a picture"):
        read_picture(np.zeros((4, 4), dtype))


@pytest.mark.parametrize("shape", [(), (4,), (0, 4), (4, 0, 3), (3, 4, 5), (4, 4, 0), (1, 4, 4, 3)])
def test_an_array_of_another_shape_is_refused_by_its_shape(shape):
    with pytest.raises(ImageError, match=r"an array of shape \(.* several as a list"):
        read_picture(np.zeros(shape, np.uint8))


class Response:
    """Gives bytes once, and cannot be sought in, as a connection."""

    def __init__(self, data):
        self.data = data

    def read(self):
        data, self.data = self.data, b""
        return data


@pytest.mark.parametrize("source", [bytes, io.BytesIO, Response])
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_bytes_and_open_files_are_read_as_the_file_is(file_of, noise_picture, source, form):
    data = saved(Image.fromarray(noise_picture(5, 7, 3)), form, icc_profile=SRGB)
    expected, found = read_picture(file_of(data)), read_picture(source(data))
    assert (found.pixels == expected.pixels).all()
    assert found.profile == expected.profile == SRGB


def test_an_open_file_is_read_from_where_it_stands_and_stays_open(file_of, noise_picture):
    with file_of(b"before" + saved(Image.fromarray(noise_picture(5, 7)), "PNG")).open("rb") as file:
        file.seek(6)
        assert (read_picture(file).pixels[0] == noise_picture(5, 7)).all()
        assert not file.closed


@pytest.mark.parametrize("source", [bytes, io.BytesIO])
def test_bytes_that_are_no_picture_are_named_by_how_they_begin(source):
    with pytest.raises(ImageError, match=r"not a picture that can be read: its first bytes are b'hello wo'"):
        read_picture(source(b"hello world"))


def test_a_file_that_is_closed_or_gives_text_is_an_image_error(file_of):
    path = file_of(b"text")
    with path.open("rb") as closed:
        pass
    with path.open() as text, path.open("ab") as writing:
        for file, reason in ((closed, "is closed"), (text, "gives text"), (io.StringIO("a"), "gives text")):
            with pytest.raises(ImageError, match=reason):
                read_picture(file)
        with pytest.raises(ImageError, match="cannot read the file"):
            read_picture(writing)


@pytest.mark.parametrize("form", ["TGA", "ICO", "EPS", "PCX", "SGI", "DDS", "PDF"])
def test_a_file_of_another_format_is_refused(file_of, form):
    path = file_of(saved(Image.new("RGB", (16, 16)), form), f"a.{form.lower()}")
    with pytest.raises(ImageError, match="not a picture that can be read"):
        read_picture(path)
    assert not is_picture_name(path)


@pytest.mark.parametrize("form", [form for form in omega_core.images.reading.FORMATS if form != "HEIF"])
def test_a_file_of_every_format_is_read(file_of, form):
    path = file_of(saved(Image.new("RGB", (16, 12), (200, 100, 50)), form))
    picture = read_picture(path)
    assert (picture.mode, picture.size) == ("RGB", (12, 16))
    assert np.abs(picture.pixels.reshape(3, -1).T.astype(int) - (200, 100, 50)).max() <= 4


@pytest.mark.parametrize(
    "name", ["a.png", "a.PNG", "a.b.jpeg", "a.webp", "folder/a.bmp", "a.tif", "a.gif", "a.jp2", "a.avif", "a.ppm"]
)
def test_pictures_have_names_of_pictures(name):
    assert is_picture_name(Path(name))


@pytest.mark.parametrize(
    "name", ["a.txt", "png", ".png", "a", "a.omega", "a.safetensors", "a.pdf", "A.PDF", "a.tga", "a.ico", "a.eps"]
)
def test_other_files_do_not(name):
    assert not is_picture_name(Path(name))


@pytest.mark.parametrize(("shape", "mode"), [((4, 6), "L"), ((4, 6, 2), "LA"), ((4, 6, 3), "RGB"), ((4, 6, 4), "RGBA")])
@pytest.mark.parametrize("profile", [b"", b"a profile"])
def test_a_picture_becomes_the_png_that_it_came_from(file_of, noise_picture, shape, mode, profile):
    array = noise_picture(*shape)
    read = read_picture(array)
    image = Picture(read.pixels, read.alpha, profile).to_pillow()
    assert (image.mode, image.size) == (mode, (6, 4))
    assert (np.asarray(image) == array).all()
    with Image.open(file_of(png(image))) as again:
        assert (again.format, again.mode) == ("PNG", mode)
        assert again.info.get("icc_profile", b"") == profile
        assert (np.asarray(again) == array).all()


@pytest.mark.parametrize(("shape", "mode"), [((4, 6), "L"), ((4, 6, 3), "RGB")])
def test_pixels_become_the_picture_that_they_came_from(noise_picture, shape, mode):
    array = noise_picture(*shape)
    image = to_pillow(read_picture(array).pixels)
    assert (image.mode, image.size) == (mode, (6, 4))
    assert (np.asarray(image) == array).all()


@pytest.mark.parametrize("picture", [None, 3, ["a.png"]])
def test_what_is_no_picture_at_all_is_named(picture):
    with pytest.raises(ImageError, match=f"not {type(picture).__name__}"):
        read_picture(picture)


def test_the_picture_that_its_user_sought_is_taken_without_a_warning(file_of):
    frames = [Image.new("L", (4, 4), gray) for gray in (10, 200)]
    with Image.open(file_of(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))) as image:
        image.seek(1)
        assert (read_picture(image).pixels == 200).all()


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ImageError, match="neither a file nor a folder"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_reading_leaves_the_transparent_color_of_an_image_of_pillow_as_it_is(bits):
    image = Image.open(io.BytesIO(png_of(2, 1, bits, 0, [b"\x40"], (b"tRNS", b"\0\1"))))
    before = dict(image.info)
    read_picture(image)
    assert image.info == before


def test_reading_leaves_the_transparent_bit_of_an_image_of_pillow_as_it_is():
    image = Image.new("1", (2, 1))
    image.info["transparency"] = 1
    read_picture(image)
    assert image.info == {"transparency": 1}
