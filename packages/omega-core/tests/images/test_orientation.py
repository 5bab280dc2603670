"""EXIF orientation."""

import io
import struct

import numpy as np
import pytest
from image_samples import (
    PALETTE,
    SRGB,
    TURNED,
    colors_last,
    image_of,
    oriented,
    png_of,
    saved,
)
from PIL import Image

from omega_core.errors import OmegaWarning
from omega_core.images.reading import read_picture


@pytest.fixture
def blocks():
    """Stored rows of pixels in plain blocks of 8×8, which JPEG keeps."""
    return np.random.default_rng(8).integers(0, 256, (2, 3, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize(
    ("form", "options", "error"),
    [
        ("JPEG", {"quality": 100, "subsampling": 0}, 3),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
    ],
)
def test_a_picture_is_turned_upright(file_of, blocks, orientation, form, options, error):
    path = file_of(saved(Image.fromarray(blocks), form, exif=oriented(orientation), **options))
    upright = TURNED[orientation](blocks)
    picture = read_picture(path)
    assert colors_last(picture).shape == upright.shape
    assert np.abs(colors_last(picture).astype(int) - upright).max() <= error
    with Image.open(path) as image:
        assert (read_picture(image).pixels == picture.pixels).all()


@pytest.mark.parametrize("orientation", TURNED)
def test_a_picture_is_turned_upright_with_its_alpha_its_palette_and_its_profile(file_of, noise_picture, orientation):
    turn, exif = TURNED[orientation], oriented(orientation)
    array = noise_picture(3, 5, 4)
    picture = read_picture(file_of(saved(Image.fromarray(array), "PNG", exif=exif, icc_profile=SRGB)))
    assert (colors_last(picture) == turn(array)[:, :, :3]).all()
    assert (picture.alpha == turn(array)[:, :, 3]).all()
    assert picture.profile == SRGB
    indices = noise_picture(3, 5) % 4
    image = image_of("P", indices, PALETTE)
    picture = read_picture(file_of(saved(image, "PNG", exif=exif, transparency=b"\x07")))
    assert (colors_last(picture) == np.array(PALETTE)[turn(indices)]).all()
    assert (picture.alpha == np.where(turn(indices) == 0, 7, 255)).all()


@pytest.mark.parametrize("orientation", TURNED)
def test_a_deep_picture_is_turned_upright(file_of, orientation):
    array = np.arange(15, dtype=np.uint16).reshape(3, 5) * 4096
    path = file_of(saved(Image.fromarray(array), "PNG", exif=oriented(orientation)))
    with pytest.warns(OmegaWarning, match="16 bits"):
        assert (read_picture(path).pixels[0] == TURNED[orientation](array // 256)).all()


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_none(file_of, noise_picture, orientation):
    array = noise_picture(3, 5)
    path = file_of(saved(Image.fromarray(array), "PNG", exif=oriented(orientation)))
    assert (read_picture(path).pixels[0] == array).all()


@pytest.mark.parametrize(
    "exif", [b"", b"garbage!garbage!", b"MM\0*", b"MM\0*\0\0\xff\xff", b"MM\0*\0\0\0\x08\0\x05\1\x12\0\x03\0\0"]
)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")
def test_a_jpeg_whose_exif_is_damaged_is_read(file_of, exif):
    whole = saved(Image.new("L", (8, 8), 77), "JPEG")
    segment = b"Exif\0\0" + exif
    data = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + whole[2:]
    assert (read_picture(file_of(data)).pixels == 77).all()


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize(("mode", "samples"), [("L", 1), ("P", 1), ("CMYK", 4), ("RGBA", 4), ("RGB", 3), ("LA", 2)])
@pytest.mark.filterwarnings("ignore:.*its CMYK:omega_core.errors.OmegaWarning")
def test_an_uncompressed_tiff_is_turned_upright_whether_by_name_or_open(file_of, orientation, mode, samples):
    values = np.random.default_rng(0).integers(0, 4, (5, 3, samples), dtype=np.uint8)
    image = Image.frombytes(mode, (3, 5), values.tobytes())
    if mode == "P":
        image.putpalette([number for color in PALETTE for number in color])
    data = saved(image, "TIFF", exif=oriented(orientation))
    with Image.open(io.BytesIO(data)) as opened:
        expected = read_picture(opened).pixels
    found = read_picture(file_of(data)).pixels
    assert found.shape[1:] == (3, 5)
    assert (found == expected).all()


@pytest.mark.parametrize("exif", [b"garbagegarbage", b"MM\0*"])
def test_a_png_with_damaged_exif_is_read(file_of, exif):
    path = file_of(png_of(2, 1, 8, 0, [b"\1\2"], (b"eXIf", exif)))
    assert read_picture(path).pixels.tolist() == [[[1, 2]]]


def test_a_photo_whose_exif_could_not_be_written_again_is_turned(file_of):
    width = struct.pack(">HHI4s", 0x0100, 2, 3, b"ab\0\0")  # text where a number belongs
    orientation = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    segment = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 2) + width + orientation + bytes(4)
    whole = saved(Image.new("L", (16, 8)), "JPEG")
    data = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + whole[2:]
    assert read_picture(file_of(data)).size == (16, 8)
