import io
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

import omega_core.images
from omega_core.errors import ImageError
from omega_core.images import is_picture_name, png, psnr, read_picture, side_by_side, to_pillow


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3)])
def test_a_picture_is_the_same_as_array_image_and_file(tmp_path, noise_picture, shape):
    array = noise_picture(*shape)
    expected = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    Image.fromarray(array).save(tmp_path / "picture.png")
    for picture in (array, Image.fromarray(array), tmp_path / "picture.png", str(tmp_path / "picture.png")):
        pixels = read_picture(picture)
        assert pixels.dtype == np.uint8
        assert pixels.shape == expected.shape
        assert (pixels == expected).all()


def test_a_black_and_white_picture_is_grey():
    image = Image.fromarray(np.array([[True, False]]))
    assert image.mode == "1"
    assert read_picture(image).tolist() == [[[255, 0]]]


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA", "CMYK", "YCbCr", "I", "F", "I;16"])
def test_a_picture_of_another_mode_is_refused_by_its_mode(mode):
    with pytest.raises(ImageError, match=f"mode {mode} is not taken yet; convert it to L"):
        read_picture(Image.new(mode, (4, 4)))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint16, np.bool_])
def test_an_array_that_is_not_8_bits_is_refused(dtype):
    with pytest.raises(ImageError, match=f"an array of {np.dtype(dtype)} is no picture"):
        read_picture(np.zeros((4, 4), dtype))


@pytest.mark.parametrize("shape", [(), (4,), (0, 4), (4, 0, 3), (3, 4, 4), (4, 4, 1), (4, 4, 4), (1, 4, 4, 3)])
def test_an_array_of_another_shape_is_refused_by_its_shape(shape):
    with pytest.raises(ImageError, match=r"an array of shape \("):
        read_picture(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", bytes(1000)])
def test_a_file_that_is_no_picture_is_refused(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ImageError):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "PPM", "GIF"])
def test_a_picture_cut_off_is_refused_or_read(tmp_path, noise_picture, form):
    buffer = io.BytesIO()
    Image.fromarray(noise_picture(12, 12)).save(buffer, form)
    whole = buffer.getvalue()
    for length in range(0, len(whole) - 1, 7):
        (tmp_path / "a").write_bytes(whole[:length])
        try:
            assert read_picture(tmp_path / "a").shape == (1, 12, 12)
        except ImageError:
            continue


@pytest.fixture
def failing_format(monkeypatch, tmp_path):
    """Adds a format to Pillow that fails when it is opened or loaded, and returns a file of it."""

    def add(when, error):
        class Failing(ImageFile.ImageFile):
            format = "FAILING"

            def _open(self):
                self._mode, self._size = "L", (4, 4)
                if when == "opened":
                    raise error

            def load(self):
                raise error

        monkeypatch.setitem(Image.OPEN, "FAILING", (Failing, lambda start: start.startswith(b"FAILING")))
        monkeypatch.setattr(Image, "ID", [*Image.ID, "FAILING"])
        (tmp_path / "a.failing").write_bytes(b"FAILING" + bytes(100))
        return tmp_path / "a.failing"

    return add


@pytest.mark.parametrize("when", ["opened", "loaded"])
@pytest.mark.parametrize("kind", [RuntimeError, NotImplementedError])  # as of damaged AVIF, and of unusual DDS
def test_whatever_the_reader_of_a_format_raises_is_an_image_error(failing_format, when, kind):
    path = failing_format(when, kind("unknown pixel format"))
    with pytest.raises(ImageError, match="the picture is damaged: unknown pixel format"):
        read_picture(path)


@pytest.mark.parametrize("kind", [SyntaxError, ValueError, EOFError, TypeError])
def test_damage_found_while_loading_is_an_image_error(failing_format, kind):
    with pytest.raises(ImageError, match="the picture is damaged: broken chunk"):
        read_picture(failing_format("loaded", kind("broken chunk")))


def test_an_image_opened_by_its_user_that_fails_when_loaded_is_an_image_error(failing_format):
    with (
        Image.open(failing_format("loaded", RuntimeError("no frame"))) as image,
        pytest.raises(ImageError, match="the picture is damaged: no frame"),
    ):
        read_picture(image)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "PPM"])
def test_an_image_opened_by_its_user_from_a_file_cut_off_is_an_image_error(noise_picture, form):
    buffer = io.BytesIO()
    Image.fromarray(noise_picture(64, 64)).save(buffer, form)
    whole = buffer.getvalue()
    with (
        Image.open(io.BytesIO(whole[: len(whole) // 2])) as image,
        pytest.raises(ImageError, match=r"the picture (cannot be read|is damaged): "),
    ):
        read_picture(image)


def test_a_missing_file_and_a_folder_are_named_errors(tmp_path):
    with pytest.raises(ImageError, match="cannot be read: No such file"):
        read_picture(tmp_path / "missing.png")
    with pytest.raises(ImageError, match="cannot be read: Is a directory"):
        read_picture(tmp_path)


def test_a_picture_file_with_too_many_pixels_is_refused(tmp_path, monkeypatch, noise_picture):
    to_pillow(read_picture(noise_picture(4, 6))).save(tmp_path / "a.png")
    monkeypatch.setattr(omega_core.images, "MAX_PIXELS", 23)
    with pytest.raises(ImageError, match="6×4 pixels are more than 23"):
        read_picture(tmp_path / "a.png")
    monkeypatch.setattr(omega_core.images, "MAX_PIXELS", 24)
    assert read_picture(tmp_path / "a.png").shape == (1, 4, 6)


def test_an_image_with_too_many_pixels_is_refused_before_it_is_loaded(monkeypatch, noise_picture):
    buffer = io.BytesIO(png(to_pillow(read_picture(noise_picture(4, 6)))))
    monkeypatch.setattr(omega_core.images, "MAX_PIXELS", 23)
    with Image.open(buffer) as image:
        monkeypatch.setattr(image, "load", lambda: pytest.fail("it was loaded"))
        with pytest.raises(ImageError, match="6×4 pixels are more than 23"):
            read_picture(image)


def test_what_pillow_takes_for_a_bomb_is_too_large(tmp_path, monkeypatch, noise_picture):
    to_pillow(read_picture(noise_picture(4, 6))).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 11)
    with pytest.raises(ImageError, match=r"the picture is too large: .*24 pixels"):
        read_picture(tmp_path / "a.png")


def test_what_pillow_only_warns_of_is_read_without_a_warning(tmp_path, monkeypatch, noise_picture):
    array = noise_picture(4, 6)
    to_pillow(read_picture(array)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12)
    assert (read_picture(tmp_path / "a.png")[0] == array).all()


def test_no_more_pixels_are_taken_than_pillow_takes_without_a_warning():
    assert omega_core.images.MAX_PIXELS <= Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.b.jpeg", "a.webp", "folder/a.bmp"])
def test_pictures_have_names_of_pictures(name):
    assert is_picture_name(Path(name))


@pytest.mark.parametrize("name", ["a.txt", "png", ".png", "a", "a.omega", "a.safetensors", "a.pdf", "A.PDF"])
def test_other_files_do_not(name):
    assert not is_picture_name(Path(name))


@pytest.mark.parametrize(("shape", "mode"), [((4, 6), "L"), ((4, 6, 3), "RGB")])
def test_pixels_become_the_picture_that_they_came_from(noise_picture, shape, mode):
    array = noise_picture(*shape)
    image = to_pillow(read_picture(array))
    assert (image.mode, image.size) == (mode, (6, 4))
    assert (np.asarray(image) == array).all()
    with Image.open(io.BytesIO(png(image))) as again:
        assert again.format == "PNG"
        assert (np.asarray(again) == array).all()


def test_psnr_is_that_of_the_mean_squared_error_over_all_colours():
    original = np.zeros((3, 2, 2), np.uint8)
    assert psnr(original, original) == math.inf
    assert psnr(original, original + 255) == 0
    assert psnr(original + 3, original) == pytest.approx(10 * math.log10(255**2 / 9))
    one = original.copy()
    one[0, 0, 0] = 6
    assert psnr(original, one) == psnr(one, original) == pytest.approx(10 * math.log10(255**2 / 3))


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize(("gap", "scale"), [(0, 1), (2, 1), (1, 3)])
def test_a_contact_sheet_has_every_picture_at_its_place(noise_picture, colours, gap, scale):
    pictures = [[noise_picture(colours, 4, 5, seed=3 * i + j) for j in range(3)] for i in range(2)]
    sheet = side_by_side(pictures, gap=gap, scale=scale)
    assert sheet.size == (3 * (5 * scale + gap) + gap, 2 * (4 * scale + gap) + gap)
    pixels = read_picture(sheet).astype(int)
    covered = np.zeros(pixels.shape[1:], bool)
    for i, row in enumerate(pictures):
        for j, picture in enumerate(row):
            top, left = gap + i * (4 * scale + gap), gap + j * (5 * scale + gap)
            place = np.s_[top : top + 4 * scale, left : left + 5 * scale]
            covered[place] = True
            assert (pixels[:, *place] == np.kron(picture, np.ones((1, scale, scale), int))).all()
    assert (pixels[:, ~covered] == 255).all()


@pytest.mark.parametrize("picture", [None, 3, b"bytes", ["a.png"]])
def test_what_is_no_picture_at_all_is_named(picture):
    with pytest.raises(ImageError, match=f"not {type(picture).__name__}"):
        read_picture(picture)
