"""PNG files with more metadata than Pillow reads."""

import io
import struct
import zlib

import numpy as np
import pytest
from image_samples import SRGB, TURNED, oriented, png_of, saved
from PIL import Image, PngImagePlugin

from omega_core.errors import ImageError
from omega_core.images.png_metadata import reduced
from omega_core.images.reading import read_picture


def text_of(form, keyword, text):
    if form == "tEXt":
        return (b"tEXt", keyword + b"\0" + text)
    if form == "zTXt":
        return (b"zTXt", keyword + b"\0\0" + zlib.compress(text))
    return (b"iTXt", keyword + b"\0\1\0\0\0" + zlib.compress(text))


@pytest.mark.parametrize("form", ["tEXt", "zTXt", "iTXt"])
@pytest.mark.parametrize("keyword", [b"workflow", b"XML:com.adobe.xmp", b"Raw profile type exif"])
def test_a_png_with_large_text_is_read(file_of, form, keyword):
    data = png_of(2, 1, 8, 0, [b"\1\2"], *[text_of(form, keyword, b"x" * 2_000_000)] * 3)
    for source in (file_of(data), data):
        assert read_picture(source).pixels.tolist() == [[[1, 2]]]


def test_a_png_with_text_of_more_than_64_megabytes_is_read():
    packed = text_of("zTXt", b"a", bytes(1_000_000))
    data = png_of(2, 1, 8, 0, [b"\1\2"], *[packed] * 70)
    with pytest.raises(ValueError, match="Too much memory used in text chunks"), Image.open(io.BytesIO(data)):
        pass
    assert read_picture(data).pixels.tolist() == [[[1, 2]]]


@pytest.mark.parametrize("orientation", TURNED)
def test_orientation_in_text_counts_beside_large_text(orientation):
    exif = oriented(orientation).tobytes()
    raw = b"\nexif\n%8d\n" % len(exif) + exif.hex().encode()
    xmp = b'<rdf:Description tiff:Orientation="%d"/>' % orientation
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    for small in (text_of("zTXt", b"Raw profile type exif", raw), text_of("iTXt", b"XML:com.adobe.xmp", xmp)):
        large = text_of("iTXt", b"workflow", b"x" * 2_000_000)
        data = png_of(3, 2, 8, 0, [row.tobytes() for row in array], large, small, large)
        assert (read_picture(data).pixels[0] == TURNED[orientation](array)).all()


@pytest.mark.parametrize("size", [1000, (1 << 20) - 1])
def test_a_profile_of_a_png_is_kept(file_of, size):
    profile = len(SRGB).to_bytes(4, "big") + SRGB[4:].ljust(size - 4, b"\0")
    data = saved(Image.new("RGB", (3, 2)), "PNG", icc_profile=profile)
    for source in (file_of(data), data):
        assert read_picture(source).profile == profile


@pytest.mark.parametrize("packed", [b"", b"garbage", zlib.compress(b"x" * 100)[:-6]])
def test_a_png_whose_profile_cannot_be_unpacked_is_read_without(packed):
    assert read_picture(png_of(2, 1, 8, 0, [b"\1\2"], (b"iCCP", b"name\0\0" + packed))).profile == b""


def test_a_profile_that_inflates_without_end_takes_little_memory(monkeypatch):
    monkeypatch.setattr("omega_core.images.png_metadata.MAX_READ_PROFILE_BYTES", 1000)
    bomb = zlib.compress(bytes(100_000))
    assert read_picture(png_of(2, 1, 8, 0, [b"\1\2"], (b"iCCP", b"name\0\0" + bomb))).profile == b""


def test_what_a_png_says_of_its_colors_after_its_pixels_does_not_count():
    chunks = [(b"cICP", bytes([12, 13, 0, 1])), (b"iCCP", b"name\0\0" + zlib.compress(SRGB))]
    before = png_of(2, 1, 8, 0, [b"\1\2"], *chunks)
    plain = png_of(2, 1, 8, 0, [b"\1\2"])
    added = before[33 : 33 + len(before) - len(plain)]
    file, colors = reduced(io.BytesIO(before))
    assert colors == {"icc_profile": SRGB, "cicp": bytes([12, 13, 0, 1])}
    assert b"iCCP" not in file.read()
    file, colors = reduced(io.BytesIO(plain[:-12] + added + plain[-12:]))
    assert colors == {}
    assert b"iCCP" not in file.read()


@pytest.mark.parametrize("length", [1 << 31, 0xFFFFFFFF])
def test_a_chunk_longer_than_its_file_is_a_named_error(length):
    whole = png_of(2, 1, 8, 0, [b"\1\2"])
    for kind in (b"tEXt", b"iCCP"):
        data = whole[:33] + struct.pack(">I", length) + kind + whole[41:]
        with pytest.raises(ImageError):
            read_picture(data)


def test_an_excerpt_has_the_bytes_of_the_file_without_the_texts():
    texts = [text_of("tEXt", b"a", bytes(number)) for number in (0, 5, 70_000)]
    plain = png_of(2, 1, 8, 0, [b"\1\2"], (b"pHYs", bytes(9)))
    data = png_of(2, 1, 8, 0, [b"\1\2"], texts[0], texts[1], (b"pHYs", bytes(9)), texts[2])
    file, _ = reduced(io.BytesIO(data))
    assert file.read() == plain
    assert file.seek(-4, io.SEEK_END) == len(plain) - 4
    assert file.read(100) == plain[-4:]
    assert file.seek(8) == file.tell() == 8
    assert file.read(3) == plain[8:11]
    file.seek(2, io.SEEK_CUR)
    assert file.read(3) == plain[13:16]


def test_an_animated_png_with_large_text_gives_its_first_picture():
    frames = [Image.new("L", (4, 4), number) for number in (5, 9)]
    text = PngImagePlugin.PngInfo()
    text.add_itxt("workflow", "x" * 2_000_000, zip=True)
    data = saved(frames[0], "PNG", save_all=True, append_images=frames[1:], pnginfo=text)
    with pytest.warns(match="only the first"):
        assert (read_picture(data).pixels == 5).all()


def test_texts_with_an_orientation_may_have_more_than_64_megabytes_together():
    text = (b"tEXt", b"XML:com.adobe.xmp\0" + bytes(1_000_000))
    assert read_picture(png_of(2, 1, 8, 0, [b"\1\2"], *[text] * 70)).pixels.tolist() == [[[1, 2]]]
