"""Damaged, incomplete and foreign files."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from image_samples import read_or_refused, saved
from PIL import Image

import omega_core.images.reading
from omega_core.errors import ImageError, MissingExtraError, NotEnoughMemoryError
from omega_core.images.reading import is_picture_name, read_picture
from omega_core.images.writing import png


@pytest.mark.parametrize("content", [b"", b"h", b"hello", b"\x89PNG\r\n\x1a\n", bytes(1000)])
def test_a_file_that_is_no_picture_is_refused(file_of, content):
    with pytest.raises(ImageError):
        read_picture(file_of(content, "a.png"))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")
@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "PPM", "GIF", "TIFF", "WEBP", "JPEG2000", "AVIF"])
def test_a_picture_cut_off_is_refused_or_read(file_of, noise_picture, form):
    whole = saved(Image.fromarray(noise_picture(12, 12)), form)
    for length in range(0, len(whole) - 1, 7):
        picture = read_or_refused(file_of(whole[:length]))
        assert picture is None or picture.size == (12, 12)


def test_a_format_that_is_not_among_those_read_is_not_even_opened(failing_format, monkeypatch):
    path = failing_format("opened", KeyboardInterrupt())
    monkeypatch.setattr(omega_core.images.reading, "FORMATS", ("PNG",))
    with pytest.raises(ImageError, match="not a picture that can be read"):
        read_picture(path)


def test_a_format_that_this_pillow_lacks_is_left_out(monkeypatch, file_of):
    monkeypatch.setattr(omega_core.images.reading, "FORMATS", ("NONSUCH", "PNG"))
    assert read_picture(file_of(png(Image.new("L", (2, 3))))).size == (3, 2)
    assert is_picture_name(Path("a.png"))
    assert not is_picture_name(Path("a.jpg"))


@pytest.mark.parametrize("when", ["opened", "loaded"])
@pytest.mark.parametrize("kind", [RuntimeError, NotImplementedError])  # as of damaged AVIF, and of unusual DDS
def test_whatever_the_reader_of_a_format_raises_is_an_image_error(failing_format, when, kind):
    path = failing_format(when, kind("unknown pixel format"))
    with pytest.raises(ImageError, match="the picture is damaged: unknown pixel format"):
        read_picture(path)


@pytest.mark.parametrize("kind", [SyntaxError, ValueError, TypeError])
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
        pytest.raises(ImageError, match="the picture is incomplete: "),
    ):
        read_picture(image)


def test_a_missing_file_and_a_folder_are_named_errors(tmp_path):
    with pytest.raises(ImageError, match="cannot be read: No such file"):
        read_picture(tmp_path / "missing.png")
    with pytest.raises(ImageError, match="cannot be read: Is a directory"):
        read_picture(tmp_path)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("https://host/", "https://host/ does not name a file"),
        ("odd://host/a.png", "there is no store whose URLs begin with odd://"),
        ("file://host/a.png", "is not a file on this machine"),
        ("a\0b.png", r"cannot be read: its name is not valid \(embedded null byte\)\.$"),
        ("a\ud800b.png", "cannot be read: its name is not valid .*surrogates not allowed"),
    ],
)
def test_what_names_no_file_is_a_named_error(source, said):
    with pytest.raises(ImageError, match=said):
        read_picture(source)


def test_a_missing_library_of_a_store_is_not_taken_for_an_error_of_the_picture(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingExtraError, match="memory:// needs fsspec"):
        read_picture("memory://folder/a.png")


@pytest.mark.filterwarnings("ignore::omega_core.errors.OmegaWarning")
def test_a_gif_that_breaks_off_anywhere_is_refused_or_read(file_of):
    rng = np.random.default_rng(0)
    first, second = (Image.fromarray(rng.integers(0, 256, (9, 11), dtype=np.uint8)) for _ in range(2))
    data = saved(first, "GIF", save_all=True, append_images=[second])
    whole = 0
    for length in range(len(data) + 1):
        try:
            whole += read_picture(file_of(data[:length])).size == (9, 11)
        except ImageError:
            continue
    assert 0 < whole < len(data)


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (b"", "the file is empty"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC.* needs the package pillow-heif"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0heic", "AVIF file is damaged, or of a kind that cannot be read|HEIC"),
        (b"\xff\x0a" + bytes(30), "JPEG XL is not among the formats"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL is not among the formats"),
        (b"%PDF-1.7\n" + bytes(30), "PDF is not among the formats"),
        (b"<svg xmlns=", "SVG or XML is not among the formats"),
        (b"8BPS\0\1" + bytes(40), "PSD is not among the formats"),
        ("Ω".encode() + bytes(30), "omega is not among the formats. Decompress it first"),
        ("ω".encode() + bytes(30), "omega is not among the formats. Decompress it first"),
        ("\ufeffhello".encode(), "its first bytes are"),
    ],
)
def test_a_file_of_another_kind_is_named_by_what_it_is(file_of, first, said):
    for source in (file_of(first), first):
        with pytest.raises(ImageError, match=said):
            read_picture(source)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "GIF", "WEBP"])
def test_a_file_that_breaks_off_is_told_from_a_damaged_one(file_of, noise_picture, form):
    whole = saved(Image.fromarray(noise_picture(64, 64)), form)
    with pytest.raises(ImageError, match=r"incomplete|damaged"):
        read_picture(file_of(whole[: len(whole) // 2]))


def test_memory_that_runs_out_is_not_taken_for_damage(failing_format):
    for when in ("opened", "loaded"):
        with pytest.raises(NotEnoughMemoryError) as caught:
            read_picture(failing_format(when, MemoryError()))
        assert isinstance(caught.value.__cause__, MemoryError)


def test_a_file_that_may_not_be_read_is_told_from_a_damaged_one(failing_format):
    for when in ("opened", "loaded"):
        with pytest.raises(ImageError, match="the picture cannot be read: Permission denied"):
            read_picture(failing_format(when, PermissionError(13, "Permission denied")))


@pytest.mark.parametrize("content", [b"x", b"xy", b"xyz"])
def test_a_file_shorter_than_what_formats_begin_with_is_of_no_format(content):
    with pytest.raises(ImageError, match="not a picture that can be read"):
        read_picture(content)
