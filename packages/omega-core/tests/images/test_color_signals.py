"""What files say about their colors beside an ICC profile."""

import io
import struct

import numpy as np
import pytest
from image_samples import GRAY_PROFILE, SRGB, png_of, saved
from PIL import ExifTags, Image, ImageCms, TiffImagePlugin

from omega_core.errors import OmegaWarning
from omega_core.images.matrix_profile import ADOBE_RGB, BT2020, D65, DISPLAY_P3, Primaries, matrix_profile
from omega_core.images.matrix_profile import SRGB as SRGB_PRIMARIES
from omega_core.images.reading import read_picture

COLORS = np.array([[[0, 0, 0], [255, 255, 255], [200, 100, 50], [30, 60, 220], [90, 200, 90]]], np.uint8)


def gamma_chunk(gamma):
    return (b"gAMA", struct.pack(">I", round(gamma * 100_000)))


def primaries_chunk(primaries):
    return (b"cHRM", struct.pack(">8I", *(round(number * 100_000) for point in primaries for number in point)))


def color_png(*chunks):
    return png_of(COLORS.shape[1], 1, 8, 2, [COLORS.tobytes()], *chunks)


def shown(profile):
    """The colors in linear light of sRGB, as a viewer finds them with the profile."""
    image = Image.fromarray(COLORS)
    linear = ImageCms.ImageCmsProfile(io.BytesIO(matrix_profile(SRGB_PRIMARIES, 1.0)))
    flags = ImageCms.Flags.NOOPTIMIZE
    return np.asarray(ImageCms.profileToProfile(image, io.BytesIO(profile), linear, 1, flags=flags)) / 255


def meant(primaries, light):
    """The same by definition: primaries of the colors to XYZ to those of sRGB, clipped."""

    def to_xyz(told):
        columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in told[1:]]).T
        x, y = told.white
        return columns * np.linalg.solve(columns, [x / y, 1, (1 - x - y) / y])

    return (light(COLORS / 255) @ (np.linalg.inv(to_xyz(SRGB_PRIMARIES)) @ to_xyz(primaries)).T).clip(0, 1)


def srgb_light(value):
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize(
    ("chunks", "primaries", "light"),
    [
        ([gamma_chunk(1.0)], SRGB_PRIMARIES, lambda value: value),
        ([gamma_chunk(1 / 1.8)], SRGB_PRIMARIES, lambda value: value**1.8),
        ([gamma_chunk(1 / 2.2), primaries_chunk(ADOBE_RGB)], ADOBE_RGB, srgb_light),
        ([gamma_chunk(1 / 1.8), primaries_chunk(BT2020)], BT2020, lambda value: value**1.8),
        ([primaries_chunk(DISPLAY_P3)], DISPLAY_P3, srgb_light),
        ([(b"cICP", bytes([12, 13, 0, 1]))], DISPLAY_P3, srgb_light),
        ([(b"cICP", bytes([9, 1, 0, 1]))], BT2020, srgb_light),
        ([(b"cICP", bytes([1, 8, 0, 1]))], SRGB_PRIMARIES, lambda value: value),
        ([(b"cICP", bytes([1, 4, 0, 1])), gamma_chunk(1.0)], SRGB_PRIMARIES, lambda value: value**2.2),
    ],
)
def test_gamma_and_primaries_of_a_png_become_a_profile_that_means_the_same(chunks, primaries, light):
    picture = read_picture(color_png(*chunks))
    assert (picture.pixels.transpose(1, 2, 0) == COLORS).all()
    assert np.abs(shown(picture.profile) - meant(primaries, light)).max() <= 0.015


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [(b"sRGB", b"\0")],
        [(b"sRGB", b"\0"), gamma_chunk(1.0)],
        [gamma_chunk(0.45455)],
        [gamma_chunk(0.45455), primaries_chunk(SRGB_PRIMARIES)],
        [(b"cICP", bytes([1, 13, 0, 1])), gamma_chunk(1.0)],
        [(b"cICP", bytes([1, 1, 0, 1]))],
    ],
)
def test_a_png_that_says_srgb_in_any_way_needs_no_profile(chunks):
    assert read_picture(color_png(*chunks)).profile == b""


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_announced(transfer, name):
    with pytest.warns(OmegaWarning, match=f"high dynamic range \\({name}\\)"):
        read_picture(color_png((b"cICP", bytes([9, transfer, 0, 1]))))


@pytest.mark.parametrize("code", [(22, 13), (1, 11), (0, 0)])
def test_a_color_code_that_is_not_known_is_announced(code):
    with pytest.warns(OmegaWarning, match=f"color code {code[0]}-{code[1]}"):
        read_picture(color_png((b"cICP", bytes([*code, 0, 1]))))


@pytest.mark.parametrize(
    "chunks",
    [
        [gamma_chunk(0)],
        [primaries_chunk(Primaries(D65, (0, 0), (0.3, 0.6), (0.15, 0.06)))],
        [primaries_chunk(Primaries(D65, (0.3, 0.6), (0.3, 0.6), (0.3, 0.6)))],
        [gamma_chunk(0.00001)],
    ],
)
def test_gamma_and_primaries_that_make_no_sense_are_announced(chunks):
    with pytest.warns(OmegaWarning, match="gamma or primaries are invalid"):
        assert read_picture(color_png(*chunks)).profile == b""


def test_an_icc_profile_counts_more_than_gamma_and_less_than_cicp():
    whole = saved(Image.fromarray(COLORS), "PNG", icc_profile=SRGB)
    for chunk, kept in ((gamma_chunk(1.0), SRGB), ((b"cICP", bytes([1, 13, 0, 1])), b"")):
        made = color_png(chunk)
        start = made.index(chunk[0]) - 4
        data = whole[:33] + made[start : start + 12 + len(chunk[1])] + whole[33:]
        assert read_picture(data).profile == kept


def test_gray_with_a_gamma_gets_a_profile_for_gray():
    profile = read_picture(png_of(2, 1, 8, 0, [b"\0\x37"], gamma_chunk(1.0), primaries_chunk(BT2020))).profile
    assert profile[16:20] == GRAY_PROFILE[16:20]
    image = ImageCms.profileToProfile(
        Image.new("L", (1, 1), 55), io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert np.abs(np.subtract(image.getpixel((0, 0)), 128)).max() <= 1


def exif_of(space, index=None):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "a camera"
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    inner[ExifTags.Base.ColorSpace] = space
    if index:
        inner[ExifTags.IFD.Interop] = {1: index}
    return exif


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize(("exif", "adobe"), [((1,), False), ((2,), True), ((0xFFFF,), False), ((1, "R98"), False)])
def test_adobe_rgb_in_exif_is_kept_as_a_profile(form, exif, adobe):
    data = saved(Image.new("RGB", (16, 16), (200, 100, 50)), form, exif=exif_of(*exif))
    expected = matrix_profile(ADOBE_RGB, 563 / 256) if adobe else b""
    assert read_picture(data).profile == expected


@pytest.mark.parametrize("space", [1, 2])
def test_adobe_rgb_in_the_exif_of_a_tiff_is_kept_as_a_profile(space):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[ExifTags.IFD.Exif] = {ExifTags.Base.ColorSpace: space}
    data = saved(Image.new("RGB", (16, 16)), "TIFF", tiffinfo=tags)
    assert bool(read_picture(data).profile) == (space == 2)


def test_adobe_rgb_is_also_told_by_the_index_that_cameras_write(monkeypatch):
    exif = Image.Exif()
    ifds = {ExifTags.IFD.Exif: {ExifTags.Base.ColorSpace: 0xFFFF}, ExifTags.IFD.Interop: {1: "R03"}}
    monkeypatch.setattr(exif, "get_ifd", lambda number: ifds.get(number, {}))
    image = Image.new("RGB", (2, 2))
    monkeypatch.setattr(image, "getexif", lambda: exif)
    assert read_picture(image).profile == matrix_profile(ADOBE_RGB, 563 / 256)


def test_a_profile_counts_more_than_exif():
    data = saved(Image.new("RGB", (16, 16)), "JPEG", exif=exif_of(2), icc_profile=SRGB)
    assert read_picture(data).profile == SRGB


def test_inks_without_a_profile_are_announced():
    with pytest.warns(OmegaWarning, match="CMYK"):
        read_picture(saved(Image.new("CMYK", (8, 8)), "JPEG"))


@pytest.mark.parametrize("chunk", [primaries_chunk(BT2020), (b"cICP", bytes([9, 13, 0, 1]))], ids=["cHRM", "cICP"])
def test_gray_has_no_primaries(chunk):
    assert read_picture(png_of(2, 1, 8, 0, [b"\0\x37"], chunk)).profile == b""
