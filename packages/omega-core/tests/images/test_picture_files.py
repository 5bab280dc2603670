import io

import pytest
from PIL import Image

from omega_core.images.reading import FORMATS, is_picture_file


def saved(form):
    data = io.BytesIO()
    Image.new("RGB", (16, 12), (200, 100, 50)).save(data, form)
    return data.getvalue()


@pytest.mark.parametrize("form", sorted(set(FORMATS) - {"HEIF"}))  # HEIF needs another package
@pytest.mark.parametrize("name", ["a", "a.bak", "IMG_0001.HEIC", ".hidden.jpg"])
def test_a_picture_of_any_format_is_found_under_any_name(tmp_path, form, name):
    (tmp_path / name).write_bytes(saved(form))
    assert is_picture_file(tmp_path / name)


@pytest.mark.parametrize(
    "data",
    [b"", b"a", b"text", b"P1 is no picture", b"BM and so on", b"\x89PNG", b"\xff\xd8\xff", b"GIF89", bytes(100)],
)
def test_other_files_are_not_pictures_and_hidden_ones_need_more_than_a_suffix(tmp_path, data):
    for name in ("a.txt", "a", "._a.jpg"):
        (tmp_path / name).write_bytes(data)
        assert not is_picture_file(tmp_path / name)


def test_a_file_with_the_suffix_of_a_picture_is_one_even_if_it_is_damaged(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"damaged")
    assert is_picture_file(tmp_path / "a.jpg")


def test_a_picture_of_any_size_is_one(tmp_path):
    """Pillow alone refuses one with more pixels than a limit of its own."""
    data = bytearray(saved("BMP"))
    data[18:26] = (60_000).to_bytes(4, "little") * 2
    (tmp_path / "a").write_bytes(data)
    assert is_picture_file(tmp_path / "a")


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(OSError, match="none"):
        is_picture_file(tmp_path / "none")
