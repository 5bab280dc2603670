"""Numbers of every width and kind, in every container: converted by a known scale, or refused by what they are."""

import io
import struct

import numpy as np
import pytest
from image_samples import png_of, saved
from PIL import Image

from omega_core.errors import ImageError, OmegaWarning
from omega_core.images.reading import read_picture

pytestmark = pytest.mark.filterwarnings("ignore:.*16 bits are reduced:omega_core.errors.OmegaWarning")
UNSIGNED, SIGNED, FLOAT = 1, 2, 3


def tiff_of(rows, bits, kind=UNSIGNED, *, photometric=1, order="<", samples=1):
    """The bytes of an uncompressed TIFF file, made by hand; rows: the bytes of each row."""
    entries = [
        (256, 4, len(rows[0]) * 8 // (bits * samples)),
        (257, 4, len(rows)),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, samples),
        (278, 4, len(rows)),
        (279, 4, sum(map(len, rows))),
        (339, 3, kind),
    ]
    pixels = b"".join(rows)
    pixels += bytes(len(pixels) % 2)
    written = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(pixels)) + pixels
    written += struct.pack(f"{order}H", len(entries))
    for tag, width, value in entries:
        written += struct.pack(f"{order}HHI", tag, width, 1)
        written += struct.pack(f"{order}H2x" if width == 3 else f"{order}I", value)
    return written + bytes(4)


@pytest.mark.parametrize(
    ("kind", "bits", "code", "said"),
    [
        (SIGNED, 8, "b", "signed integers"),
        (SIGNED, 16, "h", "signed integers"),
        (SIGNED, 32, "i", "signed integers"),
        (UNSIGNED, 32, "I", "integers of 32 bits"),
        (FLOAT, 32, "f", "floating-point"),
        (FLOAT, 16, "e", "TIFF file is .* of a kind that cannot be read"),
        (FLOAT, 64, "d", "TIFF file is .* of a kind that cannot be read"),
        (UNSIGNED, 64, "Q", "TIFF file is .* of a kind that cannot be read"),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_of_numbers_without_a_known_white_is_refused_by_what_it_is(kind, bits, code, said, order):
    if (kind, bits, order) == (UNSIGNED, 32, ">"):
        said = "TIFF file is"  # Pillow knows those in the other order only
    row = struct.pack(f"{order}4{code}", 0, 1, 100, 127)
    data = tiff_of([row, row], bits, kind, order=order)
    with pytest.raises(ImageError, match=said):
        read_picture(data)


@pytest.mark.parametrize("values", [[0.0, 1.0], [float("nan"), 0.5], [-1.0, 255.0], [float("inf"), 0.0]])
@pytest.mark.parametrize("form", ["TIFF", "PPM"])
def test_floating_point_files_are_refused_whatever_their_values(values, form):
    data = saved(Image.fromarray(np.array([values], np.float32)), form)
    with pytest.raises(ImageError, match="floating-point pictures are not supported"):
        read_picture(data)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint32, np.float32])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_pillow_image_of_such_numbers_is_refused_loaded_or_not(dtype):
    array = np.array([[0, 100]]).astype(dtype)
    try:
        image = Image.fromarray(array)
    except TypeError:
        pytest.skip("Pillow makes no image of them")
    if image.mode == "L":
        pytest.skip("Pillow makes 8 bits of them")
    for given in (image, image.copy()):
        with pytest.raises(ImageError, match="are not supported"):
            read_picture(given)
    with Image.open(io.BytesIO(saved(image, "TIFF"))) as opened:
        opened.load()
        with pytest.raises(ImageError, match="are not supported"):
            read_picture(opened)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_of_16_bits_gives_the_upper_8_of_either_byte_order(order):
    data = tiff_of([struct.pack(f"{order}3H", 255, 256, 65535)], 16, order=order)
    assert read_picture(data).pixels.tolist() == [[[0, 1, 255]]]


def test_a_tiff_of_12_bits_has_white_at_4095():
    assert read_picture(tiff_of([bytes([0xFF, 0xF8, 0x00, 0x00, 0xF0, 0x10])], 12)).pixels.tolist() == [
        [[255, 128, 0, 1]]
    ]


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("photometric", [0, 1])
def test_black_and_white_of_a_tiff_are_told_by_its_header(bits, photometric):
    row = bytes([0] * 2 + [255] * 2)
    values = read_picture(tiff_of([row], bits, photometric=photometric)).pixels[0, 0]
    black_first = values.tolist() == [0] * (16 // bits) + [255] * (16 // bits)
    white_first = values.tolist() == [255] * (16 // bits) + [0] * (16 // bits)
    assert (white_first, black_first) == (photometric == 0, photometric == 1)


@pytest.mark.parametrize("most", [1, 3, 15, 100, 255, 256, 1000, 4095, 65535])
@pytest.mark.parametrize("magic", ["P2", "P5", "P6"])
def test_the_largest_number_of_a_pnm_file_is_white(most, magic):
    size = 1 if most < 256 else 2
    numbers = [0, most, most // 2] * (3 if magic == "P6" else 1)
    body = " ".join(map(str, numbers)).encode() if magic == "P2" else b"".join(n.to_bytes(size, "big") for n in numbers)
    pixels = read_picture(f"{magic} 3 1 {most}\n".encode() + body).pixels.transpose(1, 2, 0).reshape(-1)
    expected = np.round(np.array(numbers) / most * 255)
    assert pixels[:2].tolist() == [0, 255]
    assert np.abs(pixels - expected).max() <= 1


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("color_type", [0, 3])
def test_a_png_of_any_depth_has_its_values(depth, color_type):
    if (depth, color_type) == (16, 3):
        pytest.skip("there are no palettes of 16 bits")
    chunks = [(b"PLTE", bytes([0, 0, 0, 200, 100, 50]))] if color_type == 3 else []
    row = {1: b"\x40", 2: b"\x10" if color_type else b"\x30", 4: b"\x01" if color_type else b"\x0f"}
    data = png_of(
        2, 1, depth, color_type, [row.get(depth, b"\0\1" if color_type else b"\0\xff\xff\xff"[-depth // 4 :])], *chunks
    )
    picture = read_picture(data)
    if color_type == 3:
        assert picture.pixels[:, 0, 1].tolist() == [200, 100, 50]
    else:
        assert picture.pixels[0, 0, 1] == 255


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_gray_of_jpeg_2000_has_its_full_scale(bits):
    array = np.array([[0, 65535]], np.uint16).repeat(8, axis=0).repeat(8, axis=1)
    data = saved(Image.fromarray(array), "JPEG2000", irreversible=False)
    assert read_picture(data).pixels[0, 0, [0, -1]].tolist() == [0, 255]


def test_a_bitmap_of_16_bits_a_pixel_has_white():
    header = struct.pack("<IiiHHIIiiII", 40, 2, 1, 1, 16, 0, 4, 0, 0, 0, 0)
    pixels = struct.pack("<HH", 0, 0x7FFF)
    data = b"BM" + struct.pack("<IHHI", 14 + 40 + len(pixels), 0, 0, 54) + header + pixels
    assert read_picture(data).pixels[:, 0].tolist() == [[0, 255]] * 3


@pytest.mark.parametrize("form", ["ICO", "CUR", "ICNS", "TGA"])
def test_a_container_that_is_not_read_is_refused(form):
    data = b"\0\0\2\0\1\0" + bytes(30) if form == "CUR" else saved(Image.new("RGBA", (16, 16)), form)
    with pytest.raises(ImageError, match="not a picture that can be read"):
        read_picture(data)


def test_a_tiff_of_16_bits_is_announced():
    with pytest.warns(OmegaWarning, match="16 bits are reduced to 8"):
        read_picture(tiff_of([struct.pack("<2H", 0, 65535)], 16))
