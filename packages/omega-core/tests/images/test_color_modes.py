"""Color modes, bit depths and transparency."""

import colorsys
import struct

import numpy as np
import pytest
from image_samples import (
    DEEP,
    INK,
    LABS,
    PALETTE,
    colors_last,
    converted,
    image_of,
    of_ink,
    of_lab,
    png_of,
    saved,
)
from PIL import Image

from omega_core.errors import ImageError, OmegaWarning
from omega_core.images.reading import read_picture

INDICES = [[0, 1], [2, 1]]

LOOKED_UP = [[PALETTE[i] for i in row] for row in INDICES]


def unmultiplied(value, alpha):
    return min(255, 255 * value // alpha) if alpha else value


def of_luma(y, cb, cr):
    return [
        min(255, max(0, value))
        for value in (
            y + 1.402 * (cr - 128),
            y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128),
            y + 1.772 * (cb - 128),
        )
    ]


def of_hue(hue, saturation, value):
    return [255 * part for part in colorsys.hsv_to_rgb(hue / 255, saturation / 255, value / 255)]


LUMA = [[[128, 128, 128], [255, 128, 128], [76, 85, 255]], [[50, 100, 140], [200, 128, 100], [0, 0, 0]]]

HUES = [[[0, 0, 77], [0, 255, 255], [85, 255, 200]], [[170, 128, 255], [30, 60, 90], [213, 255, 128]]]


def put(mode, values):
    """An image of a mode of more than 8 bits."""
    image = Image.new(mode, (len(values[0]), len(values)))
    for y, row in enumerate(values):
        for x, value in enumerate(row):
            image.putpixel((x, y), value)
    return image


@pytest.mark.parametrize(
    ("image", "mode", "pixels", "alpha"),
    [
        pytest.param(Image.fromarray(np.array([[True, False]])), "L", [[[255], [0]]], None, id="1"),
        pytest.param(image_of("L", [[3, 200]]), "L", [[[3], [200]]], None, id="L"),
        pytest.param(image_of("LA", [[[3, 0], [200, 77]]]), "LA", [[[3], [200]]], [[0, 77]], id="LA"),
        pytest.param(
            image_of("La", [[[64, 128], [0, 0], [9, 255]]]),
            "LA",
            [[[unmultiplied(64, 128)], [0], [9]]],
            [[128, 0, 255]],
            id="La",
        ),
        pytest.param(image_of("P", INDICES, PALETTE), "RGB", LOOKED_UP, None, id="P"),
        pytest.param(
            image_of("P", INDICES, PALETTE, transparency=b"\x80\x00"),
            "RGBA",
            LOOKED_UP,
            [[128, 0], [255, 0]],
            id="P with opacities",
        ),
        pytest.param(
            image_of("P", INDICES, PALETTE, transparency=1),
            "RGBA",
            LOOKED_UP,
            [[255, 0], [255, 0]],
            id="P with a transparent color",
        ),
        pytest.param(
            image_of("P", INDICES, [[*color, 90 + i] for i, color in enumerate(PALETTE)], "RGBA"),
            "RGBA",
            LOOKED_UP,
            [[90, 91], [92, 91]],
            id="P of RGBA",
        ),
        pytest.param(image_of("PA", [[[0, 9], [1, 250]]], PALETTE), "RGBA", LOOKED_UP[:1], [[9, 250]], id="PA"),
        pytest.param(image_of("RGB", [[[1, 2, 3], [4, 5, 6]]]), "RGB", [[[1, 2, 3], [4, 5, 6]]], None, id="RGB"),
        pytest.param(
            image_of("RGB", [[[1, 2, 3], [1, 2, 4]]], transparency=(1, 2, 3)),
            "RGBA",
            [[[1, 2, 3], [1, 2, 4]]],
            [[0, 255]],
            id="RGB with a transparent color",
        ),
        pytest.param(
            image_of("L", [[7, 8]], transparency=8), "LA", [[[7], [8]]], [[255, 0]], id="L with a transparent color"
        ),
        pytest.param(
            image_of("RGBA", [[[1, 2, 3, 4], [5, 6, 7, 0]]]), "RGBA", [[[1, 2, 3], [5, 6, 7]]], [[4, 0]], id="RGBA"
        ),
        pytest.param(
            image_of("RGBa", [[[10, 20, 100, 100], [1, 2, 3, 255]]]),
            "RGBA",
            [[[unmultiplied(10, 100), unmultiplied(20, 100), 255], [1, 2, 3]]],
            [[100, 255]],
            id="RGBa",
        ),
        pytest.param(image_of("RGBX", [[[1, 2, 3, 4]]]), "RGB", [[[1, 2, 3]]], None, id="RGBX"),
        pytest.param(image_of("CMYK", INK), "RGB", converted(of_ink, INK), None, id="CMYK"),
        pytest.param(image_of("YCbCr", LUMA), "RGB", converted(of_luma, LUMA), None, id="YCbCr"),
        pytest.param(image_of("HSV", HUES), "RGB", converted(of_hue, HUES), None, id="HSV"),
        pytest.param(image_of("LAB", LABS), "RGB", converted(of_lab, LABS), None, id="LAB"),
    ],
)
@pytest.mark.filterwarnings("ignore:its CMYK:omega_core.errors.OmegaWarning")
def test_every_mode_is_taken_as_what_it_looks_like(image, mode, pixels, alpha):
    before = image.mode, image.size, image.tobytes()
    for _ in range(2):
        picture = read_picture(image)
        assert picture.mode == mode
        assert picture.pixels.dtype == np.uint8
        assert colors_last(picture).shape == np.shape(pixels)
        exact = mode != "RGB" or image.mode in ("RGB", "RGBX", "P")
        assert np.abs(colors_last(picture) - np.array(pixels, float)).max() <= (0 if exact else 2)
        assert (picture.alpha is None) if alpha is None else (picture.alpha == alpha).all()
    assert (image.mode, image.size, image.tobytes()) == before


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I;16N"])
def test_16_bits_of_gray_become_the_upper_8_with_a_warning(mode):
    with pytest.warns(OmegaWarning, match=r"^its 16 bits are reduced to 8\.$") as caught:
        picture = read_picture(put(mode, DEEP))
    assert picture.pixels.tolist() == [[[0, 0, 1], [127, 128, 255]]]
    assert picture.mode == "L"
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("high", [1, 255, 65535, (1 << 31) - 1])
def test_integers_of_32_bits_are_refused_whatever_their_values_are(high):
    with pytest.raises(ImageError, match="integers of 32 bits are not supported"):
        read_picture(put("I", [[0, high]]))


def test_floating_point_numbers_are_refused(file_of):
    image = Image.new("F", (2, 2))
    for given_as in (image, file_of(saved(image, "TIFF"))):
        with pytest.raises(ImageError, match="floating-point pictures are not supported"):
            read_picture(given_as)


@pytest.mark.parametrize(
    ("color_type", "mode", "pixels", "alpha"),
    [
        pytest.param(0, "L", [[1], [255], [128], [2], [3], [0], [6], [255]], None, id="gray"),
        pytest.param(2, "RGB", [[1, 255, 128], [2, 3, 0]], None, id="RGB"),
        pytest.param(6, "RGBA", [[1, 255, 128], [3, 0, 6]], [2, 255], id="RGBA"),
    ],
)
def test_a_png_of_16_bits_gives_the_upper_byte_and_names_its_file(file_of, color_type, mode, pixels, alpha):
    row = bytes([1, 255, 255, 0, 128, 127, 2, 128, 3, 3, 0, 255, 6, 6, 255, 255])
    row = row[: len(pixels) * {0: 2, 2: 6, 6: 8}[color_type]]
    path = file_of(png_of(len(pixels), 1, 16, color_type, [row]), "deep.png")
    with pytest.warns(OmegaWarning, match=r"deep\.png: its 16 bits are reduced to 8\.$") as caught:
        picture = read_picture(path)
    assert (picture.mode, colors_last(picture).tolist()) == (mode, [pixels])
    assert (picture.alpha is None) if alpha is None else (picture.alpha.tolist() == [alpha])
    assert [str(warning.message).startswith(f"{path}: ") for warning in caught] == [True]


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}])
def test_a_tiff_of_16_bits_gives_the_upper_byte(file_of, options):
    image = Image.fromarray(np.array(DEEP, np.uint16))
    with pytest.warns(OmegaWarning, match="16 bits"):
        picture = read_picture(file_of(saved(image, "TIFF", **options)))
    assert picture.pixels.tolist() == [[[0, 0, 1], [127, 128, 255]]]


def test_a_tiff_of_16_bits_that_begins_with_its_last_byte_gives_the_upper_one(file_of):
    tags = [(256, 3, 2), (257, 3, 1), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 3, 8), (277, 3, 1), (279, 3, 4)]
    data = b"MM\0*" + struct.pack(">I", 12) + bytes([0xAB, 1, 2, 0xCD]) + struct.pack(">H", len(tags))
    data += b"".join(struct.pack(">HHIHH", tag, kind, 1, value, 0) for tag, kind, value in tags) + bytes(4)
    with pytest.warns(OmegaWarning, match="16 bits"):
        assert read_picture(file_of(data)).pixels.tolist() == [[[0xAB, 2]]]


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "PPM", "GIF", "WEBP"])
def test_8_bits_are_taken_without_a_warning(file_of, noise_picture, form):
    array = noise_picture(5, 7)
    picture = read_picture(
        file_of(saved(Image.fromarray(array), form, **({"lossless": True} if form == "WEBP" else {})))
    )
    assert all((color == array).all() for color in picture.pixels)


@pytest.mark.parametrize(
    ("depth", "chunks", "alpha"),
    [
        (1, [(b"tRNS", b"\0\1")], [255, 0]),
        (1, [(b"tRNS", b"\0\0")], [0, 255]),
        (8, [(b"tRNS", b"\0\x80")], [0, 255]),
    ],
)
def test_a_png_of_gray_with_a_transparent_value_has_alpha(file_of, depth, chunks, alpha):
    picture = read_picture(file_of(png_of(2, 1, depth, 0, [b"\x80\x40" if depth == 8 else b"\x40"], *chunks)))
    assert picture.mode == "LA"
    assert picture.pixels.tolist() == [[[128, 64] if depth == 8 else [0, 255]]]
    assert picture.alpha.tolist() == [alpha]


def test_a_png_of_colors_with_a_transparent_one_has_alpha(file_of):
    data = png_of(2, 1, 8, 2, [bytes([1, 2, 3, 3, 2, 1])], (b"tRNS", b"\0\3\0\2\0\1"))
    picture = read_picture(file_of(data))
    assert (picture.mode, colors_last(picture).tolist()) == ("RGBA", [[[1, 2, 3], [3, 2, 1]]])
    assert picture.alpha.tolist() == [[255, 0]]


@pytest.mark.parametrize(("depth", "row", "scale"), [(2, b"\x1b", 85), (4, b"\x01\x23", 17)])
@pytest.mark.parametrize("transparent", [0, 2, 3])
def test_the_transparent_value_of_gray_with_few_bits_is_scaled_as_its_pixels_are(
    file_of, depth, row, scale, transparent
):
    picture = read_picture(file_of(png_of(4, 1, depth, 0, [row], (b"tRNS", bytes([0, transparent])))))
    assert picture.pixels.tolist() == [[[0, scale, 2 * scale, 3 * scale]]]
    assert picture.alpha.tolist() == [[0 if value == transparent else 255 for value in range(4)]]


def test_the_transparent_color_of_16_bits_is_told_by_its_upper_bits(file_of):
    row = struct.pack(">6H", 0x1234, 0x5678, 0x9ABC, 0x0012, 0x0034, 0x0056)
    for color, alpha in (((0x1234, 0x5678, 0x9ABC), [0, 255]), ((0x0012, 0x0034, 0x0056), [255, 0])):
        data = png_of(2, 1, 16, 2, [row], (b"tRNS", struct.pack(">3H", *color)))
        with pytest.warns(OmegaWarning, match="16 bits are reduced"):
            picture = read_picture(file_of(data))
        assert picture.alpha.tolist() == [alpha]


@pytest.mark.parametrize(
    ("opacities", "alpha"), [(b"", None), (b"\x80", [128, 255, 255]), (b"\xff\x00", [255, 0, 255])]
)
def test_a_png_of_a_palette_has_its_colors_and_opacities(file_of, opacities, alpha):
    chunks = [(b"PLTE", bytes(range(9))), *([(b"tRNS", opacities)] if opacities else [])]
    picture = read_picture(file_of(png_of(3, 1, 8, 3, [b"\0\1\2"], *chunks)))
    assert colors_last(picture).tolist() == [[[0, 1, 2], [3, 4, 5], [6, 7, 8]]]
    assert (picture.alpha is None) if alpha is None else (picture.alpha.tolist() == [alpha])


def test_a_gif_with_a_transparent_color_has_alpha(file_of):
    image = image_of("P", INDICES, PALETTE)
    picture = read_picture(file_of(saved(image, "GIF", transparency=1, optimize=False)))
    assert picture.mode == "RGBA"
    assert picture.alpha.tolist() == [[255, 0], [255, 0]]
    assert (colors_last(picture)[picture.alpha > 0] == np.array(LOOKED_UP)[picture.alpha > 0]).all()


def test_16_bits_of_gray_with_a_transparent_value_have_alpha(file_of):
    path = file_of(png_of(2, 1, 16, 0, [b"\1\2\x1b\1"], (b"tRNS", b"\1\2")))
    with pytest.warns(OmegaWarning, match="16 bits"):
        picture = read_picture(path)
    assert picture.mode == "LA"
    assert picture.alpha.tolist() == [[0, 255]]


@pytest.mark.parametrize("head", [b"P6 1 1 65535\n", b"P5 3 1 1000\n"])
def test_16_bits_in_ppm_are_warned_of(file_of, head):
    with pytest.warns(OmegaWarning, match="16 bits"):
        read_picture(file_of(head + b"\1\xff\2\xff\3\xff"))


def test_gray_with_alpha_and_a_remark_on_transparency_stays_so():
    image = Image.new("LA", (1, 1))
    image.info["transparency"] = 3
    assert read_picture(image).mode == "LA"
