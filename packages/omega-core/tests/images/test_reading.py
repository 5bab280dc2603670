import colorsys
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import ExifTags, Image, ImageCms, ImageFile

import omega_core.images.reading
from omega_core.errors import ImageError, OmegaWarning
from omega_core.images.pictures import MAX_PIXELS, Picture
from omega_core.images.reading import is_picture_name, read_picture
from omega_core.images.writing import png, to_pillow

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GRAY_PROFILE = SRGB[:16] + b"GRAY" + SRGB[20:]
PALETTE = [[10, 20, 30], [200, 100, 0], [255, 255, 255], [0, 0, 0]]


def image_of(mode, rows, palette=None, palette_mode="RGB", **info):
    """A Pillow image made of the bytes of its rows of pixels."""
    values = np.array(rows, np.uint8)
    image = Image.frombytes(mode, (values.shape[1], values.shape[0]), values.tobytes(), "raw", mode)
    if palette:
        image.putpalette([number for color in palette for number in color], palette_mode)
    image.info |= info
    return image


def png_of(width, height, depth, color_type, rows, *chunks):
    """The bytes of a PNG file, made by hand."""

    def chunk(kind, payload):
        return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    between = b"".join(chunk(*each) for each in chunks)
    return b"\x89PNG\r\n\x1a\n" + head + between + data + chunk(b"IEND", b"")


def saved(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def colors_last(picture):
    return picture.pixels.transpose(1, 2, 0)


@pytest.fixture
def file_of(tmp_path):
    """Writes a file and returns its path."""

    def write(data, name="picture"):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


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


INDICES = [[0, 1], [2, 1]]
LOOKED_UP = [[PALETTE[i] for i in row] for row in INDICES]


def unmultiplied(value, alpha):
    return min(255, 255 * value // alpha) if alpha else value


def of_ink(cyan, magenta, yellow, black):
    return [(255 - ink) * (255 - black) / 255 for ink in (cyan, magenta, yellow)]


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


def gamma(linear):
    linear = min(1.0, max(0.0, linear))
    return 255 * (12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055)


def of_lab(lightness, a, b):
    """CIE L*a*b* under D50 to sRGB. The numbers of a and b are signed bytes."""
    signed = [number - 256 if number > 127 else number for number in (a, b)]
    middle = (lightness * 100 / 255 + 16) / 116
    parts = (middle + signed[0] / 500, middle, middle - signed[1] / 200)
    linear = [part**3 if part > 6 / 29 else 3 * (6 / 29) ** 2 * (part - 4 / 29) for part in parts]
    xyz = np.array([0.9642, 1.0, 0.8249]) * linear
    from_d50 = [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.033454],
        [0.0719453, -0.2289914, 1.4052427],
    ]
    return [gamma(number) for number in np.array(from_d50) @ xyz]


INK = [[[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 255, 0]], [[0, 0, 0, 255], [100, 50, 25, 0], [100, 50, 25, 100]]]
LUMA = [[[128, 128, 128], [255, 128, 128], [76, 85, 255]], [[50, 100, 140], [200, 128, 100], [0, 0, 0]]]
HUES = [[[0, 0, 77], [0, 255, 255], [85, 255, 200]], [[170, 128, 255], [30, 60, 90], [213, 255, 128]]]
LABS = [[[0, 0, 0], [255, 0, 0], [128, 0, 0]], [[138, 60, 40], [190, 236, 30], [100, 20, 216]]]


def converted(convert, rows):
    return [[convert(*pixel) for pixel in row] for row in rows]


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
            id="P with alphas",
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


DEEP = [[0, 255, 256], [32767, 32768, 65535]]


@pytest.mark.parametrize("mode", ["I", "I;16", "I;16L", "I;16B", "I;16N"])
def test_16_bits_of_gray_become_the_upper_8_with_a_warning(mode):
    with pytest.warns(OmegaWarning, match=r"^its 16 bits are reduced to 8\.$") as caught:
        picture = read_picture(put(mode, DEEP))
    assert picture.pixels.tolist() == [[[0, 0, 1], [127, 128, 255]]]
    assert picture.mode == "L"
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(("low", "high"), [(-1, 0), (0, 65536), (-(1 << 31), (1 << 31) - 1)])
def test_integers_of_more_than_16_bits_are_refused_by_their_range(low, high):
    with pytest.raises(ImageError, match=f"values from {low} to {high} are not supported"):
        read_picture(put("I", [[low, high]]))


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


@pytest.mark.parametrize(("alphas", "alpha"), [(b"", None), (b"\x80", [128, 255, 255]), (b"\xff\x00", [255, 0, 255])])
def test_a_png_of_a_palette_has_its_colors_and_alphas(file_of, alphas, alpha):
    chunks = [(b"PLTE", bytes(range(9))), *([(b"tRNS", alphas)] if alphas else [])]
    picture = read_picture(file_of(png_of(3, 1, 8, 3, [b"\0\1\2"], *chunks)))
    assert colors_last(picture).tolist() == [[[0, 1, 2], [3, 4, 5], [6, 7, 8]]]
    assert (picture.alpha is None) if alpha is None else (picture.alpha.tolist() == [alpha])


def test_a_gif_with_a_transparent_color_has_alpha(file_of):
    image = image_of("P", INDICES, PALETTE)
    picture = read_picture(file_of(saved(image, "GIF", transparency=1, optimize=False)))
    assert picture.mode == "RGBA"
    assert picture.alpha.tolist() == [[255, 0], [255, 0]]
    assert (colors_last(picture)[picture.alpha > 0] == np.array(LOOKED_UP)[picture.alpha > 0]).all()


TURNED = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: np.swapaxes(stored, 0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.fliplr(np.rot90(stored)),
    8: np.rot90,
}


def oriented(number):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = number
    exif[ExifTags.Base.Make] = "a camera"
    return exif


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
def test_a_jpeg_whose_exif_is_damaged_is_read(file_of, exif):
    whole = saved(Image.new("L", (8, 8), 77), "JPEG")
    segment = b"Exif\0\0" + exif
    data = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + whole[2:]
    assert (read_picture(file_of(data)).pixels == 77).all()


@pytest.mark.parametrize(
    ("mode", "profile", "kept"),
    [
        ("L", GRAY_PROFILE, True),
        ("LA", GRAY_PROFILE, True),
        ("RGB", SRGB, True),
        ("RGBA", SRGB, True),
        ("P", SRGB, True),
        ("L", SRGB, False),
        ("LA", SRGB, False),
        ("RGB", GRAY_PROFILE, False),
        ("RGBA", GRAY_PROFILE, False),
        ("RGB", b"garbage", False),
        ("RGB", b"garbage that is longer than the start of a header", False),
        ("L", bytes(200), False),
    ],
    ids=lambda value: value.hex()[32:40] if isinstance(value, bytes) else None,
)
def test_a_profile_is_kept_where_it_is_for_colors_of_that_kind(file_of, mode, profile, kept):
    image = Image.new(mode, (3, 2))
    for given_as in (file_of(saved(image, "PNG", icc_profile=profile)), image):
        if given_as is image:
            image.info["icc_profile"] = profile
        assert read_picture(given_as).profile == (profile if kept else b"")


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "TIFF", "PNG", "AVIF"])
def test_a_profile_is_found_in_files_of_every_format_that_has_one(file_of, form):
    assert read_picture(file_of(saved(Image.new("RGB", (8, 8)), form, icc_profile=SRGB))).profile == SRGB


def test_a_profile_of_gray_stays_with_16_bits(file_of):
    path = file_of(saved(Image.new("I;16", (3, 2)), "PNG", icc_profile=GRAY_PROFILE))
    with pytest.warns(OmegaWarning, match="16 bits"):
        assert read_picture(path).profile == GRAY_PROFILE


def ink_profile():
    """An ICC profile for CMYK, by hand: the amount of cyan is the lightness, other inks do not matter."""
    steps = bytes(range(256))
    nodes = b"".join(bytes([255 if node & 8 else 0, 128, 128]) for node in range(16))
    identity = b"".join(struct.pack(">i", 65536 * (i % 4 == 0)) for i in range(9))
    lookup = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + 4 * steps + nodes + 3 * steps
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
    tags = [(b"A2B0", lookup), (b"wtpt", white)]
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, payload in tags:
        table += name + struct.pack(">II", start + len(body), len(payload))
        body += payload + bytes(-len(payload) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"lcms", 0x02100000, b"prtr", b"CMYK", b"Lab ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
    return head.ljust(128, b"\0") + table + body


def test_ink_with_a_profile_looks_as_its_profile_says(file_of):
    rows = [[[0, 9, 99, 0], [255, 0, 0, 200], [128, 0, 255, 0], [60, 0, 0, 255]]]
    image = image_of("CMYK", rows)
    expected = [[of_lab(cyan, 0, 0) for cyan, *_ in row] for row in rows]
    assert np.abs(np.array(expected) - converted(of_ink, rows)).max() > 100
    for given_as in (file_of(saved(image, "TIFF", icc_profile=ink_profile())), image):
        if given_as is image:
            image.info["icc_profile"] = ink_profile()
        picture = read_picture(given_as)
        assert (picture.mode, picture.profile) == ("RGB", b"")
        assert np.abs(colors_last(picture) - np.array(expected)).max() <= 2


@pytest.mark.parametrize("profile", [b"garbage", GRAY_PROFILE, bytes(16) + b"CMYK" + bytes(200)], ids=len)
def test_ink_with_a_profile_that_does_not_fit_is_taken_as_plain_ink(profile):
    picture = read_picture(image_of("CMYK", INK, icc_profile=profile))
    assert np.abs(colors_last(picture) - np.array(converted(of_ink, INK))).max() <= 1
    assert picture.profile == b""


@pytest.mark.parametrize(
    ("form", "options"),
    [("GIF", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("PNG", {}), ("AVIF", {"quality": 100})],
)
def test_the_first_of_several_pictures_is_taken_with_a_warning(file_of, form, options):
    first, *others = [Image.new("RGB", (16, 8), (level, level, level)) for level in (40, 120, 200)]
    path = file_of(saved(first, form, save_all=True, append_images=others, **options), f"several.{form}")
    with pytest.warns(OmegaWarning, match=rf"several\.{form}: only the first of its several pictures is taken\.$"):
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


def test_oddities_that_pillow_warns_of_are_not_the_users_business(file_of):
    path = file_of(png_of(2, 1, 8, 0, [b"\1\2"], (b"acTL", bytes(8))))
    with pytest.warns(UserWarning, match="Invalid APNG"), Image.open(path):
        pass
    assert read_picture(path).pixels.tolist() == [[[1, 2]]]


def read_or_refused(path):
    try:
        return read_picture(path)
    except ImageError:
        return None


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint16, np.bool_])
def test_an_array_that_is_not_8_bits_is_refused(dtype):
    with pytest.raises(ImageError, match=f"an array of {np.dtype(dtype)} is not a picture"):
        read_picture(np.zeros((4, 4), dtype))


@pytest.mark.parametrize("shape", [(), (4,), (0, 4), (4, 0, 3), (3, 4, 5), (4, 4, 0), (1, 4, 4, 3)])
def test_an_array_of_another_shape_is_refused_by_its_shape(shape):
    with pytest.raises(ImageError, match=r"an array of shape \("):
        read_picture(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", bytes(1000)])
def test_a_file_that_is_no_picture_is_refused(file_of, content):
    with pytest.raises(ImageError):
        read_picture(file_of(content, "a.png"))


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
    with pytest.raises(ImageError, match=r"11 bytes, the first b'hello wo', are not a picture"):
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


@pytest.mark.parametrize("form", omega_core.images.reading.FORMATS)
def test_a_file_of_every_format_is_read(file_of, form):
    path = file_of(saved(Image.new("RGB", (16, 12), (200, 100, 50)), form))
    picture = read_picture(path)
    assert (picture.mode, picture.size) == ("RGB", (12, 16))
    assert np.abs(picture.pixels.reshape(3, -1).T.astype(int) - (200, 100, 50)).max() <= 4


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "PPM", "GIF", "TIFF", "WEBP", "JPEG2000", "AVIF"])
def test_a_picture_cut_off_is_refused_or_read(file_of, noise_picture, form):
    whole = saved(Image.fromarray(noise_picture(12, 12)), form)
    for length in range(0, len(whole) - 1, 7):
        picture = read_or_refused(file_of(whole[:length]))
        assert picture is None or picture.size == (12, 12)


@pytest.fixture
def failing_format(monkeypatch, file_of):
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

        monkeypatch.setattr(omega_core.images.reading, "FORMATS", ("PNG", "FAILING"))
        monkeypatch.setitem(Image.OPEN, "FAILING", (Failing, lambda start: start.startswith(b"FAILING")))
        monkeypatch.setattr(Image, "ID", [*Image.ID, "FAILING"])
        return file_of(b"FAILING" + bytes(100), "a.failing")

    return add


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
    with pytest.raises(ImageError, match=r"the picture is too large: .* more than 11 pixels"):
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
    with pytest.raises(ImageError, match=f"more than {MAX_PIXELS} pixels"):
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


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize(("mode", "samples"), [("L", 1), ("P", 1), ("CMYK", 4), ("RGBA", 4), ("RGB", 3), ("LA", 2)])
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


@pytest.mark.parametrize("limit", [12, 23])
def test_a_file_with_a_few_more_pixels_than_allowed_is_refused_without_a_warning(file_of, limit):
    path = file_of(saved(Image.new("L", (6, 4)), "PNG"))
    with pytest.raises(ImageError, match=f"more than {limit}"):
        read_picture(path, max_pixels=limit)


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


def test_16_bits_of_gray_with_a_transparent_value_have_alpha(file_of):
    path = file_of(png_of(2, 1, 16, 0, [b"\1\2\x1b\1"], (b"tRNS", b"\1\2")))
    with pytest.warns(OmegaWarning, match="16 bits"):
        picture = read_picture(path)
    assert picture.mode == "LA"
    assert picture.alpha.tolist() == [[0, 255]]


@pytest.mark.parametrize(("mode", "values"), [("CMYK", INK), ("LAB", LABS)])
def test_colors_that_are_converted_do_not_keep_a_profile_for_rgb(mode, values):
    assert read_picture(image_of(mode, values, icc_profile=SRGB)).profile == b""


def test_a_profile_that_is_too_large_is_left_out_with_a_warning(noise_picture):
    image = Image.fromarray(noise_picture(2, 2, 3))
    image.info["icc_profile"] = SRGB.ljust((1 << 22) + 1, b"\0")
    with pytest.warns(OmegaWarning, match="4194305 bytes is left out"):
        assert read_picture(image).profile == b""


@pytest.mark.parametrize("head", [b"P6 1 1 65535\n", b"P5 3 1 1000\n"])
def test_16_bits_in_ppm_are_warned_of(file_of, head):
    with pytest.warns(OmegaWarning, match="16 bits"):
        read_picture(file_of(head + b"\1\xff\2\xff\3\xff"))


def test_the_picture_that_its_user_sought_is_taken_without_a_warning(file_of):
    frames = [Image.new("L", (4, 4), gray) for gray in (10, 200)]
    with Image.open(file_of(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))) as image:
        image.seek(1)
        assert (read_picture(image).pixels == 200).all()


def test_gray_with_alpha_and_a_remark_on_transparency_stays_so():
    image = Image.new("LA", (1, 1))
    image.info["transparency"] = 3
    assert read_picture(image).mode == "LA"


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ImageError, match="neither a file nor a folder"):
        read_picture(tmp_path / "a.png")
