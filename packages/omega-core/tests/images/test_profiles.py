"""ICC profiles."""

import io
import struct
from contextlib import nullcontext

import numpy as np
import pytest
from image_samples import GRAY_PROFILE, INK, LABS, SRGB, colors_last, converted, image_of, of_ink, of_lab, saved
from PIL import Image, ImageCms

from omega_core.errors import OmegaWarning
from omega_core.format.limits import MAX_KEPT_PROFILE_BYTES
from omega_core.images.matrix_profile import DISPLAY_P3, matrix_profile
from omega_core.images.matrix_profile import SRGB as PRIMARIES
from omega_core.images.pictures import Picture
from omega_core.images.reading import read_picture
from omega_core.images.writing import png


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
        unremarked = kept or profile in (SRGB, GRAY_PROFILE)  # gray pixels look the same in sRGB
        with nullcontext() if unremarked else pytest.warns(OmegaWarning, match="ICC profile.* is left out"):
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
    with pytest.warns(OmegaWarning, match="approximate RGB"):
        picture = read_picture(image_of("CMYK", INK, icc_profile=profile))
    assert np.abs(colors_last(picture) - np.array(converted(of_ink, INK))).max() <= 1
    assert picture.profile == b""


@pytest.mark.filterwarnings("ignore:its CMYK:omega_core.errors.OmegaWarning")
@pytest.mark.parametrize(("mode", "values"), [("CMYK", INK), ("LAB", LABS)])
def test_colors_that_are_converted_do_not_keep_a_profile_for_rgb(mode, values):
    assert read_picture(image_of(mode, values, icc_profile=SRGB)).profile == b""


def large(profile):
    """A profile that says the same in two megabytes."""
    size = 2 << 20
    return size.to_bytes(4, "big") + profile[4:] + bytes(size - len(profile))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
def test_colors_whose_profile_is_too_large_to_be_kept_are_converted_to_srgb(file_of, form):
    profile = matrix_profile(DISPLAY_P3, None)
    image = Image.new("RGB", (16, 16), (200, 100, 50))
    meant = ImageCms.profileToProfile(image, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB")
    path = file_of(saved(image, form, icc_profile=large(profile), quality=100))
    with pytest.warns(OmegaWarning, match="too large to be kept: its colors are converted to sRGB"):
        picture = read_picture(path)
    assert picture.profile == b""
    assert np.abs(picture.pixels[:, 0, 0].astype(int) - meant.getpixel((0, 0))).max() <= 4


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA"])
def test_gray_and_alpha_stay_where_a_large_profile_is_applied(mode):
    image = Image.new(mode, (3, 2), {"L": 55, "LA": (55, 7), "RGBA": (55, 55, 55, 7)}[mode])
    image.info["icc_profile"] = large(matrix_profile(PRIMARIES, 1.0, gray=mode != "RGBA"))
    with pytest.warns(OmegaWarning, match="converted to sRGB"):
        picture = read_picture(image)
    assert picture.mode == mode
    assert np.abs(picture.pixels.astype(int) - 128).max() <= 1
    assert picture.alpha is None or (picture.alpha == 7).all()


def test_a_large_profile_that_cannot_be_used_is_left_out_with_a_warning(noise_picture):
    image = Image.fromarray(noise_picture(2, 2, 3))
    image.info["icc_profile"] = (bytes(16) + b"RGB ").ljust(1 << 20, b"\0")
    with pytest.warns(OmegaWarning, match="1048576 bytes .* left out"):
        assert read_picture(image).profile == b""


@pytest.mark.parametrize("size", [(1 << 20) - 1, 1 << 20])
def test_a_picture_with_any_profile_becomes_a_png_that_pillow_opens(noise_picture, size):
    """The largest profile that is kept, and one of a file that an earlier encoder made."""
    profile = np.random.default_rng(0).bytes(size)
    picture = Picture(noise_picture(3, 4, 4), profile=profile)
    kept = size <= MAX_KEPT_PROFILE_BYTES
    with nullcontext() if kept else pytest.warns(OmegaWarning, match="1048576 bytes, more .* is left out"):
        image = picture.to_pillow()
    with Image.open(io.BytesIO(png(image))) as opened:
        assert opened.info.get("icc_profile") == (profile if kept else None)


def test_the_largest_profile_that_fits_a_png_is_kept(noise_picture):
    image = Image.fromarray(noise_picture(2, 2, 3))
    profile = image.info["icc_profile"] = (bytes(16) + b"RGB ").ljust(MAX_KEPT_PROFILE_BYTES, b"\0")
    assert read_picture(image).profile == profile
